"""Geometry of the charts: values end where they belong and texts do not cover each other."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from portal.web import charts

START = datetime(2026, 4, 1, tzinfo=UTC)


def numbers(path: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[\d.]+", path)]


def test_line_runs_from_the_first_to_the_last_value() -> None:
    wide, narrow = charts.burn_down([(START, 800), (START + timedelta(days=100), 400)], now_text="400 now", lang="en", tz=UTC)

    for drawing, right in ((wide, 752), (narrow, 320)):
        x0, y0, x1, y1 = numbers(drawing.line)
        base = drawing.height - 32
        assert (x0, x1) == (drawing.base.x + 8, right)
        # Four steps of 200 make 800 the top.
        assert y0 == 16
        assert y1 == pytest.approx((base + 16) / 2, abs=0.1)
        assert drawing.dot == (x1, y1)
        assert [mark.text for mark in drawing.marks[:4]] == ["200", "400", "600", "800"]


def test_forecast_ends_on_the_base_line_at_its_date() -> None:
    zero = START + timedelta(days=200)
    forecast = charts.Forecast(zero_at=zero, early_at=zero - timedelta(days=20), late_at=zero + timedelta(days=20), lines=["Forecast", "between"])
    wide, _ = charts.burn_down([(START, 800), (START + timedelta(days=100), 400)], now_text="now", lang="en", tz=UTC, forecast=forecast)

    x_now, y_now, x_zero, y_zero = numbers(wide.dashed)
    assert (x_now, y_now) == wide.dot
    assert y_zero == wide.height - 32
    scale = (752 - 60) / 220
    assert x_zero == pytest.approx(60 + 200 * scale, abs=0.1)
    assert numbers(wide.band)[2:] == pytest.approx([60 + 180 * scale, wide.height - 32, 752], abs=0.1)


@pytest.mark.parametrize("event_day", [5, 60, 99, 101, 130, 219])
@pytest.mark.parametrize("last", [20, 780])
def test_labels_do_not_cover_each_other(event_day: int, last: int) -> None:
    zero = START + timedelta(days=200)
    forecast = charts.Forecast(zero_at=zero, early_at=zero - timedelta(days=20), late_at=zero + timedelta(days=20), lines=["Forecast: 6 October", "14 Sep"])
    events = [charts.Event(START + timedelta(days=event_day), "Tranche 1 ends")]
    drawings = charts.burn_down(
        [(START, 800), (START + timedelta(days=100), last)], now_text="1 284.40 now", lang="en", tz=UTC, events=events, forecast=forecast
    )

    for drawing in drawings:
        named = [mark for mark in drawing.marks if mark.text in {"1 284.40 now", "Tranche 1 ends", "Forecast: 6 October"}]
        assert len(named) == 3
        boxes = []
        for mark in named:
            width = 7.2 * len(mark.text)
            start = mark.x - width if mark.anchor == "end" else mark.x
            boxes.append((start, mark.y - 13, start + width, mark.y + 4))
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], (drawing.width, named)


def test_months_are_named_in_the_readers_language() -> None:
    wide, narrow = charts.burn_down([(START, 1), (START + timedelta(days=270), 1)], now_text="now", lang="ar", tz=UTC)
    texts = [mark.text for mark in wide.marks if mark.y == wide.height - 12]
    assert texts == ["أبريل", "ماي", "يونيو", "يوليوز", "غشت", "شتنبر", "أكتوبر", "نونبر", "دجنبر"]
    assert [mark.text for mark in narrow.marks if mark.y == narrow.height - 12] == ["أبريل", "يوليوز", "أكتوبر"]


def test_short_spans_have_days() -> None:
    wide, _ = charts.burn_down([(START, 1), (START + timedelta(days=9), 1)], now_text="now", lang="en", tz=UTC)
    texts = [mark.text.replace("\u00a0", " ") for mark in wide.marks if mark.y == wide.height - 12]
    assert texts == [f"{day} Apr" for day in range(2, 11)]


def test_one_point_is_no_line() -> None:
    with pytest.raises(ValueError, match="two points"):
        charts.burn_down([(START, 1)], now_text="now", lang="en", tz=UTC)


def test_columns_stand_on_zero_and_empty_days_stay_empty() -> None:
    wide, narrow = charts.columns([("1", 0), ("2", 30), ("3", 60)], lang="en")

    for drawing in (wide, narrow):
        assert len(drawing.columns) == 2
        heights = [drawing.height - 32 - numbers(path)[2] for path in drawing.columns]
        assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
        assert heights[1] == pytest.approx(drawing.height - 48)


def test_columns_of_nothing_are_an_empty_plot() -> None:
    wide, _ = charts.columns([], lang="en")
    assert (list(wide.columns), [mark.text for mark in wide.marks]) == ([], ["0.25", "0.50", "0.75", "1.00"])
