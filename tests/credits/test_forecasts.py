"""What becomes of lots: nothing is lost in the sums, no lot is spent outside its validity, and the order is kept."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.credits.rules.forecasts import DAY_US, Forecast, LotAhead, LotFate, forecast, split
from portal.credits.rules.pacing import LEAST_DAYS, pace, use_by_day

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CLASSES = ("cpu", "h100-full", "h100-slice-10")
CREDIT = 1_000_000


def lot(left: int, begins: float = -1, ends: float = 30, classes: frozenset[str] | None = None) -> LotAhead:
    return LotAhead(uuid.uuid4(), left * CREDIT, NOW + begins * DAY, NOW + ends * DAY, classes)


@st.composite
def lots(draw: Any) -> list[LotAhead]:
    """Draw lots in some order, valid now, later or no more, for all machines or some."""
    made = []
    for _ in range(draw(st.integers(0, 6))):
        begins = draw(st.integers(-40 * 86_400, 40 * 86_400))
        lasts = draw(st.integers(1, 60 * 86_400))
        classes = draw(st.none() | st.frozensets(st.sampled_from(CLASSES), min_size=1))
        starts_at = NOW + timedelta(seconds=begins, microseconds=draw(st.integers(0, 999_999)))
        made.append(LotAhead(uuid.uuid4(), draw(st.integers(0, 5000 * CREDIT)), starts_at, starts_at + timedelta(seconds=lasts), classes))
    return made


DEMANDS = st.dictionaries(st.sampled_from(["", *CLASSES]), st.integers(0, 400 * CREDIT), max_size=4)


@given(lots(), DEMANDS, st.integers(0, 120 * 86_400))
def test_used_lost_and_remaining_are_what_each_lot_had(having: list[LotAhead], demands: dict[str, int], ahead_s: int) -> None:
    until = NOW + timedelta(seconds=ahead_s)
    found = forecast(having, demands, now=NOW, until=until)
    assert set(found.fates) == {one.id for one in having}
    for one in having:
        fate = found.fates[one.id]
        assert fate.used_ucr + fate.lost_ucr + fate.remaining_ucr == one.left_ucr
        assert min(fate.used_ucr, fate.lost_ucr, fate.remaining_ucr) >= 0
        assert (fate.lost_ucr == 0) or one.ends_at <= until
        assert (fate.remaining_ucr == 0) or one.ends_at > until
        assert (fate.emptied_at is not None) == (fate.used_ucr > 0 and fate.lost_ucr == 0 and fate.remaining_ucr == 0)


@given(lots(), DEMANDS, st.integers(0, 120 * 86_400))
def test_a_lot_is_spent_within_its_validity_for_its_machines_and_in_its_turn(having: list[LotAhead], demands: dict[str, int], ahead_s: int) -> None:
    until = NOW + timedelta(seconds=ahead_s)
    found = forecast(having, demands, now=NOW, until=until)
    by_id = {one.id: one for one in having}
    for spell in found.spells:
        payer = by_id[spell.lot_id]
        assert max(NOW, payer.starts_at) <= spell.starts_at < spell.ends_at <= min(until, payer.ends_at)
        assert payer.pays(spell.charge_class)
        for earlier in having[: having.index(payer)]:
            emptied_at = found.fates[earlier.id].emptied_at
            is_spent = earlier.left_ucr == 0 or (emptied_at is not None and emptied_at <= spell.starts_at)
            is_valid = earlier.starts_at <= spell.starts_at < earlier.ends_at
            assert is_spent or not is_valid or not earlier.pays(spell.charge_class)


@given(lots(), DEMANDS, st.integers(0, 120 * 86_400))
def test_no_lot_gives_more_than_was_asked_in_its_time(having: list[LotAhead], demands: dict[str, int], ahead_s: int) -> None:
    found = forecast(having, demands, now=NOW, until=NOW + timedelta(seconds=ahead_s))
    asked = {one.id: 0 for one in having}
    for spell in found.spells:
        asked[spell.lot_id] += demands[spell.charge_class] * ((spell.ends_at - spell.starts_at) // timedelta(microseconds=1))
    for id_, us in asked.items():
        used = found.fates[id_].used_ucr
        # Each stretch is rounded down by itself.
        assert us // DAY_US - len(found.spells) <= used <= us // DAY_US
    assert found.used_ucr == sum(fate.used_ucr for fate in found.fates.values())


@given(lots(), DEMANDS)
def test_the_course_is_in_order_of_time_and_ends_with_what_may_be_spent(having: list[LotAhead], demands: dict[str, int]) -> None:
    until = NOW + 60 * DAY
    found = forecast(having, demands, now=NOW, until=until)
    instants = [at for at, _ in found.course]
    assert instants == sorted(instants)
    left = sum(found.fates[one.id].remaining_ucr for one in having if one.starts_at <= until < one.ends_at)
    assert found.course[-1] == (until, left)


def test_a_lot_that_ends_too_soon_is_partly_lost_and_the_next_takes_over() -> None:
    first, second = lot(100, ends=10), lot(100, ends=40)
    found = forecast([first, second], {"": 4 * CREDIT}, now=NOW, until=NOW + 40 * DAY)
    assert found.fates[first.id] == LotFate(40 * CREDIT, 60 * CREDIT, 0)
    assert found.fates[second.id] == LotFate(100 * CREDIT, 0, 0, NOW + 35 * DAY)
    assert found.dry_at == NOW + 35 * DAY
    assert found.course == [
        (NOW, 200 * CREDIT),
        (NOW + 10 * DAY, 160 * CREDIT),
        (NOW + 10 * DAY, 100 * CREDIT),
        (NOW + 35 * DAY, 0),
        (NOW + 40 * DAY, 0),
    ]


def test_without_use_all_is_lost_and_the_last_end_is_the_end() -> None:
    one = lot(100, ends=10)
    found = forecast([one], {"": 0}, now=NOW, until=NOW + 10 * DAY)
    assert (found.fates[one.id], found.dry_at) == (LotFate(0, 100 * CREDIT, 0), NOW + 10 * DAY)


def test_a_gap_before_the_next_lot_is_when_credits_run_dry() -> None:
    found = forecast([lot(10), lot(10, begins=20)], {"": 1 * CREDIT}, now=NOW, until=NOW + 30 * DAY)
    assert found.dry_at == NOW + 10 * DAY
    assert found.used_ucr == 20 * CREDIT


def test_a_lot_for_one_machine_is_left_by_use_of_another() -> None:
    narrow, wide = lot(100, classes=frozenset({"h100-full"}), ends=10), lot(10)
    found = forecast([narrow, wide], {"cpu": 2 * CREDIT, "h100-full": 1 * CREDIT}, now=NOW, until=NOW + 30 * DAY)
    assert found.fates[narrow.id] == LotFate(10 * CREDIT, 90 * CREDIT, 0)
    assert found.unpaid_at == {"cpu": NOW + 5 * DAY, "h100-full": NOW + 10 * DAY}
    assert found.dry_at == NOW + 10 * DAY


def test_a_tiny_use_of_a_large_lot_reaches_no_end_within_the_forecast() -> None:
    found: Forecast = forecast([lot(1_000_000_000, ends=700)], {"": 1}, now=NOW, until=NOW + 600 * DAY)
    assert found.dry_at is None
    assert found.used_ucr == 600


def test_split_gives_all_of_the_use_away() -> None:
    assert split(10, {}) == {"": 10}
    assert split(100, {"cpu": 1, "h100-full": 2}) == {"cpu": 33, "h100-full": 67}


def test_pace_takes_whole_days_from_the_first_use_or_the_first_credits() -> None:
    today = NOW.date()
    used = {today - timedelta(days=back): 10 for back in range(6)}
    assert use_by_day(used, today=today, since=None) == [10] * 5
    assert use_by_day({}, today=today, since=today - timedelta(days=7)) == [0] * 7
    assert use_by_day({}, today=today, since=None) == []
    assert pace([10] * (LEAST_DAYS - 1)) is None
    idle = pace([0] * 28)
    assert idle is not None
    assert (idle.is_idle, idle.used_a_day_ucr, idle.low_ucr, idle.high_ucr) == (True, 0, 0, 0)
    uneven = pace([0, 20] * 5)
    assert uneven is not None
    assert uneven.low_ucr < uneven.used_a_day_ucr == 10 < uneven.high_ucr
