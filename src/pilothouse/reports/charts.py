# SPDX-License-Identifier: Apache-2.0
"""The chart of a daily rate with its interval against its bound (outcomes → places in a picture)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from pilothouse.core.dates import day
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import interval, percent
from pilothouse.reports.moments import at_ns
from pilothouse.reports.view_models import Frozen

__all__ = [
    "AxisTick",
    "BandChart",
    "BandPoint",
    "ChangeMark",
    "daily_chart",
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
