# SPDX-License-Identifier: Apache-2.0
"""Charts: frozen chart data from records, and SVG text from chart data.

The pictures stretch with their panel and their text does not: shapes lie in an inner `svg` that scales in
both directions, labels are placed in percent. Classes only, no `style=`, so that the content policy
stays strict; colours come from the one style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import day, interval, percent
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.moments import at_ns
from pilothouse.reports.view_models import Frozen

__all__ = [
    "AxisTick",
    "BandChart",
    "BandPoint",
    "ChangeMark",
    "band_line",
    "daily_chart",
    "day_strip",
    "dot_interval",
    "shape",
    "share_bar",
    "span_bar",
]

DAYS_MAX = 90
"""Days of one chart: more would be narrower than a pixel on a phone."""


class BandPoint(Frozen):
    """One day: its value with interval as texts and as places in the picture; None where nothing was judged.

    Attributes:
        day: The day, UTC.
        day_shown: The same for people.
        n: Cases behind it.
        n_shown: The same for people.
        shown: Value, or `no evidence`.
        shown_interval: Interval, or empty.
        x: Place in [0, 1] from the left.
        y: Place of the value in [0, 1] from the top, or None.
        top: Place of the upper end.
        bottom: Place of the lower end.
    """

    day: date
    day_shown: str
    n: int
    n_shown: str
    shown: str
    shown_interval: str
    x: float
    y: float | None = None
    top: float | None = None
    bottom: float | None = None


class AxisTick(Frozen):
    """A label at a place in [0, 1]."""

    at: float
    text: str


class ChangeMark(Frozen):
    """A vertical mark: something was seen for the first time."""

    x: float
    number: str
    text: str


class BandChart(Frozen):
    """A daily rate with its interval against its bound.

    Attributes:
        title: What is drawn.
        description: The picture in words.
        caption: Cases behind it and how the interval was made.
        points: One for each day of the window, days without evidence included.
        bound: The committed value, or None.
        last: Label of the last value, or None.
        values: Ticks of the value axis, from the top.
        days: Ticks of the time axis.
        changes: Vertical marks.
    """

    title: str
    description: str
    caption: str
    points: tuple[BandPoint, ...]
    bound: AxisTick | None
    last: AxisTick | None
    values: tuple[AxisTick, ...]
    days: tuple[AxisTick, ...]
    changes: tuple[ChangeMark, ...]


def daily_chart(
    outcomes: Iterable[Outcome],
    window_from: datetime,
    window_to: datetime,
    *,
    bound: float | None,
    changes: Sequence[tuple[datetime, str]] = (),
) -> BandChart | None:
    """Return the daily agreement of claims with the system of record, or None when nothing was answered.

    Args:
        outcomes: Outcomes of one agent, any order; those outside the window are left out.
        window_from: Start, aware UTC.
        window_to: End, aware UTC.
        bound: Committed agreement in [0, 1], or None.
        changes: Moments and texts of changes.
    """
    first = max(window_from, window_to - timedelta(days=DAYS_MAX)).astimezone(UTC).date()
    count = (window_to.astimezone(UTC).date() - first).days + 1
    good, bad = [0] * count, [0] * count
    for one in outcomes:
        index = (at_ns(one.task_start_ns).date() - first).days
        if 0 <= index < count and one.status is OutcomeStatus.VERIFIED:
            good[index] += 1
        elif 0 <= index < count and one.status is OutcomeStatus.CONTRADICTED:
            bad[index] += 1
    used = [index for index in range(count) if good[index] + bad[index]]
    if not used:
        return None
    start = used[0]
    first, good, bad = first + timedelta(days=start), good[start:], bad[start:]
    return _draw(first, good, bad, bound, changes)


def _draw(
    first: date, good: list[int], bad: list[int], bound: float | None, changes: Sequence[tuple[datetime, str]]
) -> BandChart:
    found = [jeffreys_interval(ok, ok + wrong) for ok, wrong in zip(good, bad, strict=True)]
    lows = [one.low for one in found if not isinstance(one, NotEnoughEvidence)]
    least = min([*lows, *([bound] if bound is not None else [])])
    floor = max(0.0, int((least - 0.02) * 20) / 20)

    def down(rate: float) -> float:
        return round((1 - rate) / (1 - floor), 4) if floor < 1 else 0.0

    points = []
    for index, one in enumerate(found):
        when = first + timedelta(days=index)
        base = {
            "day": when,
            "day_shown": day(datetime(when.year, when.month, when.day, tzinfo=UTC)),
            "x": round((index + 0.5) / len(found), 4),
        }
        if isinstance(one, NotEnoughEvidence):
            points.append(BandPoint(**base, n=0, n_shown="0", shown="no evidence", shown_interval=""))
            continue
        points.append(
            BandPoint(
                **base,
                n=one.n,
                n_shown=f"{one.n:,}",
                shown=percent(one.value, one.n, bound=bound),
                shown_interval=interval(one.low, one.high, "rate", n=one.n, currency=""),
                y=down(one.value),
                top=down(one.high),
                bottom=down(one.low),
            )
        )
    return _label(
        points,
        floor,
        bound,
        down(bound) if bound is not None else None,
        changes=changes,
        good=sum(good),
        bad=sum(bad),
    )


def _label(
    points: list[BandPoint],
    floor: float,
    bound: float | None,
    bound_at: float | None,
    *,
    changes: Sequence[tuple[datetime, str]],
    good: int,
    bad: int,
) -> BandChart:
    measured = [point for point in points if point.y is not None]
    final = measured[-1]
    tick = (
        None
        if bound is None or bound_at is None
        else AxisTick(at=bound_at, text=f"committed {bound * 100:g} %")
    )
    marks: list[ChangeMark] = []
    for when, text in sorted(changes):
        after = (when.astimezone(UTC).date() - points[0].day).days
        if 0 < after < len(points):
            x = round((after + 0.5) / len(points), 4)
            marks.append(ChangeMark(x=x, number=str(len(marks) + 1), text=text))
    shown = sorted({0, len(points) // 2, len(points) - 1})
    n = good + bad
    return BandChart(
        title="Claims that the system of record agrees with, by day",
        description=(
            f"From {points[0].day_shown} to {points[-1].day_shown}. Last: {final.shown} {final.shown_interval} "
            f"on {final.day_shown}{', ' + tick.text if tick else ''}."
        ),
        caption=(
            f"{n:,} claims answered, {bad:,} contradicted. Each day's interval is 95 % by itself; "
            f"days without an answer stay empty. The axis begins at {floor * 100:g} %."
        ),
        points=tuple(points),
        bound=tick,
        last=AxisTick(at=final.y or 0.0, text=final.shown),
        values=(AxisTick(at=0.0, text="100 %"), AxisTick(at=1.0, text=f"{floor * 100:g} %")),
        days=tuple(AxisTick(at=points[i].x, text=points[i].day_shown.rpartition(" ")[0]) for i in shown),
        changes=tuple(marks),
    )


# SVG


def _segments(points: Sequence[BandPoint]) -> list[list[BandPoint]]:
    """Split into runs of days with evidence: no line is drawn over days without."""
    runs: list[list[BandPoint]] = [[]]
    for point in points:
        if point.y is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _xy(x: float, y: float | None) -> str:
    return f"{x * 1000:.1f},{(y or 0.0) * 1000:.1f}"


def band_line(chart: BandChart) -> str:
    """Return the picture of a band chart: band, line, dots, dashed bound, change marks, labels.

    Args:
        chart: The chart.
    """
    inner, dots = [], []
    for run in _segments(chart.points):
        if len(run) > 1:
            edge = [_xy(p.x, p.top) for p in run] + [_xy(p.x, p.bottom) for p in reversed(run)]
            inner.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
            inner.append(f'<polyline class="line" points="{" ".join(_xy(p.x, p.y) for p in run)}"/>')
        else:
            p = run[0]
            inner.append(
                f'<line class="whisker" x1="{p.x * 1000:.1f}" x2="{p.x * 1000:.1f}" '
                f'y1="{(p.top or 0) * 1000:.1f}" y2="{(p.bottom or 0) * 1000:.1f}"/>'
            )
        dots += [
            f'<circle class="dot" cx="{p.x * 100:.2f}%" cy="{(p.y or 0) * 100:.2f}%" r="2.5"/>' for p in run
        ]
    texts = [
        f'<text class="tick end" x="-6" y="{tick.at * 100:.2f}%" dy="4">{escape(tick.text)}</text>'
        for tick in chart.values
    ]
    for index, tick in enumerate(chart.days):
        anchor = "start" if index == 0 else "end" if index == len(chart.days) - 1 else "middle"
        texts.append(
            f'<text class="tick {anchor}" x="{tick.at * 100:.2f}%" y="100%" dy="18">{escape(tick.text)}</text>'
        )
    if chart.bound:
        y = f"{chart.bound.at * 100:.2f}%"
        texts.append(f'<line class="bound" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        texts.append(f'<text class="label end" x="100%" y="{y}" dy="14">{escape(chart.bound.text)}</text>')
    for mark in chart.changes:
        x = f"{mark.x * 100:.2f}%"
        texts.append(f'<line class="change" x1="{x}" x2="{x}" y1="0" y2="100%"/>')
        texts.append(f'<text class="tick middle" x="{x}" y="0" dy="-6">{escape(mark.number)}</text>')
    if chart.last:
        texts.append(
            f'<text class="label strong" x="100%" dx="6" y="{chart.last.at * 100:.2f}%" dy="4">{escape(chart.last.text)}</text>'
        )
    return (
        f'<svg class="plot" role="img" width="100%" height="200" overflow="visible"><title>{escape(chart.title)}</title>'
        f"<desc>{escape(chart.description)}</desc>"
        '<svg width="100%" height="100%" viewBox="0 0 1000 1000" preserveAspectRatio="none" overflow="visible">'
        f'<path class="axis" d="M0 0H1000M0 1000H1000"/>{"".join(inner)}</svg>'
        f"{''.join(texts)}{''.join(dots)}</svg>"
    )


def dot_interval(low: float, value: float, high: float, bound: float) -> str:
    """Return a value with its interval against its bound, as a small picture beside its text.

    Args:
        low: Places in [0, 1] from the left.
        value: The dot.
        high: Right end of the whisker.
        bound: The tick.
    """
    x = [f"{2 + place * 136:.1f}" for place in (low, value, high, bound)]
    return (
        '<svg class="dots" width="140" height="20" aria-hidden="true">'
        '<line class="rail" x1="2" x2="138" y1="10" y2="10"/>'
        f'<line class="whisker" x1="{x[0]}" x2="{x[2]}" y1="10" y2="10"/>'
        f'<line class="bound" x1="{x[3]}" x2="{x[3]}" y1="2" y2="18"/>'
        f'<circle class="dot" cx="{x[1]}" cy="10" r="3.5"/></svg>'
    )


def share_bar(shares: Sequence[float]) -> str:
    """Return the bar of a truth line: agrees, contradicts, cannot tell.

    Args:
        shares: Three shares that add up to 1.
    """
    names = (Status.HOLDS.value, Status.BREACHED.value, Status.NO_EVIDENCE.value)
    left, parts = 0.0, []
    for share, name in zip(shares, names, strict=False):
        if share > 0:
            parts.append(
                f'<rect class="fill {name}" x="{left * 100:.2f}%" width="{share * 100:.2f}%" height="8"/>'
            )
        left += share
    return f'<svg class="share" width="100%" height="8" aria-hidden="true">{"".join(parts)}</svg>'


def span_bar(left: float, width: float, kind: str) -> str:
    """Return one bar of a waterfall; at least two pixels wide.

    Args:
        left: Start as a share of the trace.
        width: Length as a share of the trace.
        kind: `model`, `tool`, `agent` or `error`: decides the fill.
    """
    start = min(max(left, 0.0), 1.0)
    extent = min(max(width, 0.0), 1.0 - start)
    shape_ = f'<rect class="span {kind}" x="{start * 100:.2f}%" y="3" width="{extent * 100:.2f}%" height="10" rx="1"/>'
    least = f'<rect class="span {kind}" x="{min(start * 100, 99.4):.2f}%" y="3" width="2" height="10"/>'
    return f'<svg class="fall" width="100%" height="16" aria-hidden="true">{shape_ if extent > 0.004 else least}</svg>'


DAY_WIDTH = 10
"""Width of one day of a strip, in units of its picture."""

_DAYS = {
    "counted": '<rect class="counted" x="{x}" y="0" width="8" height="24"/>',
    "paused": '<rect class="paused" x="{x}" y="10" width="8" height="4"/>',
    "reset": '<path class="reset" d="M{x} 4l8 16m0 -16l-8 16"/>',
}


def day_strip(states: Sequence[str], label: str) -> str:
    """Return a strip of days, oldest left; each state has its own shape.

    Args:
        states: `counted`, `paused` or `reset`, one a day.
        label: What the strip says, for who cannot see it.
    """
    days = "".join(_DAYS[state].format(x=number * DAY_WIDTH + 1) for number, state in enumerate(states))
    return (
        f'<svg class="days" viewBox="0 0 {len(states) * DAY_WIDTH} 24" height="24" width="100%" '
        f'preserveAspectRatio="none" role="img" aria-label="{escape(label)}">{days}</svg>'
    )


_SHAPES = {
    Status.HOLDS: '<circle cx="6" cy="6" r="5"/>',
    Status.AT_RISK: '<path d="M6 1 11.5 11H.5z"/>',
    Status.BREACHED: '<path d="M1 1h10v10H1z"/>',
    Status.NO_EVIDENCE: '<circle class="ring" cx="6" cy="6" r="4.25"/>',
}


def shape(status: Status) -> str:
    """Return the shape of a status; its word stands beside it.

    Args:
        status: The status.
    """
    return f'<svg class="shape {status.value}" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">{_SHAPES[status]}</svg>'
