"""Geometry of the inline charts: a wide and a narrow drawing of the same figures, so that text keeps its size.

Values become coordinates here and nowhere else; the macro `chart` writes them as attributes. Zero is always
the base line. Charts are not mirrored: the same figure stands in every language's report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from math import ceil, floor, log10

from portal.web.formats import date_, number

MONTH_D = 31
CHARACTER_PX = 7.2
LINE_PX = 18
_Box = tuple[float, float, float, float]
NICE = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Mark:
    """A text at a place; `anchor` is SVG's start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    css: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happens to the figures at an instant, with its name."""

    at: datetime
    label: str


@dataclass(frozen=True)
class Forecast:
    """A line from the last value to zero, between two dates of doubt, and how it is named.

    course, low, high: the line and the edges of the doubt where they are not straight, each from the last value on.
    """

    zero_at: datetime
    early_at: datetime
    late_at: datetime
    lines: Sequence[str]
    course: Sequence[tuple[datetime, float]] = ()
    low: Sequence[tuple[datetime, float]] = ()
    high: Sequence[tuple[datetime, float]] = ()


@dataclass(frozen=True)
class Drawing:
    """One size of a chart: paths and texts in the units of its view box."""

    width: int
    height: int
    base: Mark
    axis: str
    grid: Sequence[str]
    marks: Sequence[Mark]
    area: str = ""
    line: str = ""
    band: str = ""
    dashed: str = ""
    events: Sequence[str] = ()
    dot: tuple[float, float] | None = None
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class _Frame:
    """The plot inside its margins, and the scales of both axes."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    start: float
    end: float
    top_value: float
    top: int = 16

    def x(self, value: float) -> float:
        value = max(value, self.start)
        return round(self.left + (value - self.start) / (self.end - self.start) * (self.right - self.left), 1)

    def y(self, value: float) -> float:
        return round(self.bottom - value / self.top_value * (self.bottom - self.top), 1)


def burn_down(
    points: Sequence[tuple[datetime, float]],
    *,
    now_text: str,
    lang: str,
    tz: tzinfo,
    events: Sequence[Event] = (),
    forecast: Forecast | None = None,
    until: datetime | None = None,
) -> tuple[Drawing, Drawing]:
    """Return the wide and the narrow drawing of a balance over time, its forecast and what will change it.

    points: at least two, oldest first, the last one is now. Raises ValueError for fewer.
    """
    if len(points) < 2:
        raise ValueError("A line needs two points.")
    end = max([points[-1][0], until or points[-1][0], *([forecast.late_at] if forecast else [])])
    coming = [*forecast.course, *forecast.high] if forecast else []
    top = _nice_step(max(value for _, value in [*points, *coming]) or 1) * 4
    drawings = []
    for width, height, left, most_ticks in ((760, 300, 60, 9), (328, 260, 52, 4)):
        frame = _Frame(width, height, left, width - 8, height - 32, points[0][0].timestamp(), end.timestamp(), top)
        drawings.append(
            _line_drawing(
                frame,
                points,
                now_text=now_text,
                events=events,
                forecast=forecast,
                ticks=_month_ticks(points[0][0], end, most_ticks, lang, tz),
                lang=lang,
            )
        )
    return drawings[0], drawings[1]


def columns(values: Sequence[tuple[str, float]], *, lang: str) -> tuple[Drawing, Drawing]:
    """Return the wide and the narrow drawing of one column for each (label, value)."""
    top = _nice_step(max((value for _, value in values), default=0) or 1) * 4
    drawings = []
    for width, height, left, most_ticks in ((760, 280, 60, 12), (328, 240, 52, 5)):
        frame = _Frame(width, height, left, width - 8, height - 32, 0, max(1, len(values)), top)
        step = max(1, ceil(len(values) / most_ticks))
        marks = [Mark(frame.x(i + 0.5), height - 12, label, "middle") for i, (label, _) in enumerate(values) if i % step == 0]
        gap = min(0.15, 2 / (frame.x(1) - frame.x(0)))
        shapes = [
            f"M{frame.x(i + gap)} {frame.bottom}V{frame.y(value)}H{frame.x(i + 1 - gap)}V{frame.bottom}z" for i, (_, value) in enumerate(values) if value > 0
        ]
        drawings.append(_drawing(frame, marks, lang, columns=shapes))
    return drawings[0], drawings[1]


def _line_drawing(
    frame: _Frame,
    points: Sequence[tuple[datetime, float]],
    *,
    now_text: str,
    events: Sequence[Event],
    forecast: Forecast | None,
    ticks: Sequence[tuple[float, str]],
    lang: str,
) -> Drawing:
    places = [(frame.x(at.timestamp()), frame.y(value)) for at, value in points]
    path = " ".join(f"{x} {y}" for x, y in places)
    (first_x, _), (now_x, now_y) = places[0], places[-1]
    marks = [Mark(x, frame.height - 12, text, "middle" if x > frame.left + 8 else "start") for x, text in ((frame.x(at), text) for at, text in ticks)]
    taken: list[_Box] = [(now_x - 8, now_y - 8, now_x + 8, now_y + 8)]
    lines = []
    for event in events:
        x = frame.x(event.at.timestamp())
        lines.append(f"M{x} {frame.top}V{frame.bottom}")
        beside = [(x + side * 6, float(frame.top + 16 + LINE_PX * row)) for row in range(3) for side in (1, -1)]
        marks += _place(frame, [event.label], beside, pivot=x, taken=taken)
    around = [(now_x + side * 10, now_y + down) for down in (-12, -28, -44, 24) for side in (1, -1)]
    marks += _place(frame, [now_text], around, pivot=now_x, taken=taken, css="lab-1")
    band = dashed = ""
    if forecast:
        early, zero, late = (frame.x(at.timestamp()) for at in (forecast.early_at, forecast.zero_at, forecast.late_at))
        band = f"M{now_x} {now_y}L{early} {frame.bottom}H{late}z"
        dashed = f"M{now_x} {now_y}L{zero} {frame.bottom}"
        if forecast.course:
            low, course, high = (_path(frame, part, (now_x, now_y)) for part in (forecast.low, forecast.course, forecast.high))
            band, dashed = f"M{' '.join([*low, *reversed(high)])}z", f"M{' '.join(course)}"
        # The higher, the narrower the band and the freer the room beside it.
        heights = [frame.bottom - (frame.bottom - frame.top) * part for part in (0.42, 0.3, 0.55, 0.18)]
        outside = [(now_x + (late - now_x) * (y + 26 - now_y) / max(1.0, frame.bottom - now_y) + 8, y) for y in heights]
        marks += _place(frame, forecast.lines, outside, pivot=frame.left, taken=taken, css="lab-2")
    return _drawing(
        frame,
        marks,
        lang,
        line=f"M{path}",
        area=f"M{path}V{frame.bottom}H{first_x}z",
        events=lines,
        band=band,
        dashed=dashed,
        dot=(now_x, now_y),
    )


def _path(frame: _Frame, points: Sequence[tuple[datetime, float]], first: tuple[float, float]) -> list[str]:
    """Return the places of a line that begins where another stands; what lies behind the frame's end is left out."""
    kept = [(at, value) for at, value in points if at.timestamp() <= frame.end]
    return [f"{first[0]} {first[1]}", *[f"{frame.x(at.timestamp())} {frame.y(value)}" for at, value in kept[1:]]]


def _place(frame: _Frame, lines: Sequence[str], spots: Sequence[tuple[float, float]], *, pivot: float, taken: list[_Box], css: str = "") -> list[Mark]:
    """Return the lines of a text at the first spot where nothing else stands, and remember its room.

    A spot left of `pivot` ends there, another starts there. Without a free spot the first one is used,
    moved inside the frame.
    """
    width = CHARACTER_PX * max(len(line) for line in lines)
    boxes = []
    for x, y in spots:
        start = x - width if x < pivot else x
        boxes.append((start, y - 13, start + width, y + LINE_PX * (len(lines) - 1) + 4))
    free = [box for box in boxes if frame.left <= box[0] and box[2] <= frame.right and not any(_overlap(box, other) for other in taken)]
    first = free[0] if free else boxes[0]
    shift = min(0.0, frame.right - first[2])
    taken.append(first)
    index = boxes.index(first)
    ends = spots[index][0] < pivot
    x = round((first[2] if ends else first[0]) + shift, 1)
    top = round(first[1] + 13, 1)
    return [Mark(x, top + LINE_PX * i, line, "end" if ends else "start", css if i == 0 else "") for i, line in enumerate(lines)]


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _drawing(
    frame: _Frame,
    marks: Sequence[Mark],
    lang: str,
    *,
    area: str = "",
    line: str = "",
    band: str = "",
    dashed: str = "",
    events: Sequence[str] = (),
    dot: tuple[float, float] | None = None,
    columns: Sequence[str] = (),
) -> Drawing:
    steps = [frame.top_value * part / 4 for part in range(1, 5)]
    places = 0 if all(step == int(step) for step in steps) else 1 if all(round(step * 10) == step * 10 for step in steps) else 2
    texts = [Mark(frame.left - 8, frame.y(step) + 4.5, number(step, lang, places=places), "end") for step in steps]
    return Drawing(
        width=frame.width,
        height=frame.height,
        base=Mark(frame.left - 8, frame.bottom + 4.5, "0", "end"),
        axis=f"M{frame.left} {frame.bottom}H{frame.right}",
        grid=[f"M{frame.left} {frame.y(step)}H{frame.right}" for step in steps],
        marks=[*texts, *marks],
        area=area,
        line=line,
        band=band,
        dashed=dashed,
        events=events,
        dot=dot,
        columns=columns,
    )


def _nice_step(top: float) -> float:
    """Return a round step of which four reach `top`."""
    rough = top / 4
    power = 10 ** floor(log10(rough))
    return float(next(step * power for step in NICE if step * power >= rough * 0.9999))


def _month_ticks(start: datetime, end: datetime, most: int, lang: str, tz: tzinfo) -> list[tuple[float, str]]:
    if end - start < timedelta(days=2 * MONTH_D):
        step = max(1, ceil((end - start).days / most))
        first = start.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        days = [first + timedelta(days=i) for i in range(0, (end - first).days + 1, step)]
        return [(day.timestamp(), date_(day, lang, tz, "short")) for day in days]
    local = start.astimezone(tz)
    months = []
    year, month = local.year, local.month
    while (day := local.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)) <= end:
        if day.date() >= local.date():
            months.append(day)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    step = max(1, ceil(len(months) / most))
    return [(day.timestamp(), date_(day, lang, tz, "short").rpartition("\u00a0")[2]) for day in months[::step]]
