# SPDX-License-Identifier: Apache-2.0
"""Pictures of sections: places in [0, 1] and the words that say the same; the table beside each has the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from pilothouse.core.dates import minute
from pilothouse.reports.charts import BandChart
from pilothouse.reports.view_models import Frozen

__all__ = [
    "SPARK_DAYS",
    "STRIP_DAYS",
    "Forest",
    "ForestRow",
    "Picture",
    "Spark",
    "Stop",
    "Strip",
    "Timeline",
    "Trend",
    "forest",
    "spark_of",
    "strip",
    "timeline",
    "trend",
]

SPARK_DAYS = 30
"""Days of one line: a row has room for no more."""


class Spark(Frozen):
    """A line of days, oldest first.

    Attributes:
        places: Place of each day in [0, 1] from the top; None where nothing was measured.
        bound: Place of the committed value, or None.
        words: The same for who does not see it, and for who wants the numbers.
    """

    places: tuple[float | None, ...]
    bound: float | None
    words: str


STRIP_DAYS = 90
"""Places of a strip: the days of the clock that the framework asks for."""

APART_MIN = 0.06
"""Least distance of two stops of a timeline: 20 pixels on a telephone, the width of `12–14`."""

STOPS_MAX = 30
"""Stops of a timeline; more would lie on each other. The last ones stand, after the first: what happens now is asked for."""

_WORDS = {
    "counted": "counted",
    "paused": "paused",
    "reset": "reset",
    "holds": "hold",
    "at_risk": "at risk",
    "breached": "breached",
    "no_evidence": "without evidence",
}


class _Drawn(Frozen):
    """What every picture has: what is drawn, and the same in words for who cannot see it."""

    title: str
    description: str


class ForestRow(Frozen):
    """One difference with its interval, as places from the left."""

    label: str
    low: float
    value: float
    high: float


class Forest(_Drawn):
    """Paired differences, one row each, against zero and a margin."""

    kind: Literal["forest"] = "forest"
    rows: tuple[ForestRow, ...]
    zero: float
    margin: float | None
    margin_text: str = ""


class Strip(_Drawn):
    """Days, oldest first, each with its state; `places` says how many would fill the width."""

    kind: Literal["strip"] = "strip"
    states: tuple[str, ...]
    places: int = STRIP_DAYS


class Stop(Frozen):
    """One moment of a timeline; its number is explained in the table."""

    at: float
    number: str
    is_loud: bool = False


class Timeline(_Drawn):
    """What happened between two moments, to scale."""

    kind: Literal["timeline"] = "timeline"
    stops: tuple[Stop, ...]
    begins: str
    ends: str


class Trend(_Drawn):
    """One bar for each day from zero, None where nothing was measured, against a bound."""

    kind: Literal["trend"] = "trend"
    bars: tuple[float | None, ...]
    most: float
    most_text: str
    bound: float | None
    bound_text: str = ""
    begins: str
    ends: str


Picture = Annotated[Forest | Strip | Timeline | Trend, Field(discriminator="kind")]


def forest(
    rows: Sequence[tuple[str, float, float, float]],
    *,
    margin: float | None,
    margin_text: str,
) -> Forest | None:
    """Return the picture of paired differences, the worst on top; None without any.

    Args:
        rows: Label, low, value and high of each, in one unit.
        margin: The worst difference that is still allowed, in the same unit; None when nothing is allowed by name.
        margin_text: The same in words.

    Example:
        >>> drawn = forest([("a", -4.0, -1.0, 2.0)], margin=-5.0, margin_text="-5")
        >>> drawn.rows[0].value
        0.5714
    """
    if not rows:
        return None
    ends = [0.0, *([margin] if margin is not None else []), *(one for row in rows for one in row[1:])]
    least, most = min(ends), max(ends)
    width = (most - least) or 1.0

    def place(value: float) -> float:
        return round((value - least) / width, 4)

    ordered = sorted(rows, key=lambda row: row[2])
    worse = [label for label, _low, value, _high in ordered if value < 0]
    return Forest(
        title="Paired differences, candidate minus baseline",
        description=f"{len(worse)} of {len(rows)} are below zero"
        + (f": {', '.join(worse)}" if worse else "")
        + (f"; the margin is {margin_text}." if margin_text else "."),
        rows=tuple(
            ForestRow(label=label, low=place(low), value=place(value), high=place(high))
            for label, low, value, high in ordered
        ),
        zero=place(0.0),
        margin=None if margin is None else place(margin),
        margin_text=margin_text,
    )


def strip(states: Sequence[str], title: str) -> Strip:
    """Return a strip of days, its counts as words.

    Args:
        states: One of the states of `svg._CELLS` for each day, oldest first.
        title: What is drawn.

    Example:
        >>> strip(["counted", "paused", "counted"], "Days").description
        '3 days: 2 counted, 1 paused.'
    """
    shown = tuple(states[-STRIP_DAYS:])
    counts = [f"{shown.count(state)} {_WORDS[state]}" for state in _WORDS if state in shown]
    return Strip(
        title=title,
        description=f"{len(shown)} days: {', '.join(counts)}.",
        states=shown,
        places=max(len(shown), STRIP_DAYS),
    )


def timeline(stops: Sequence[tuple[datetime, str, bool]], title: str) -> Timeline | None:
    """Return what happened, to scale; None when it all happened at one moment.

    Args:
        stops: Moment, text and whether it stands out, oldest first.
        title: What is drawn.
    """
    if len(stops) < 2:
        return None
    numbered = list(enumerate(stops, 1))
    shown = [numbered[0], *numbered[1:][1 - STOPS_MAX :]]
    first, last = stops[0][0], stops[-1][0]
    length = (last - first).total_seconds() or 1.0
    left_out = len(stops) - len(shown)
    places = _apart(
        [
            (number, round((when - first).total_seconds() / length, 4), loud)
            for number, (when, _text, loud) in shown
        ]
    )
    if len(places) < 2:
        return None
    return Timeline(
        title=title,
        description=f"{len(stops)} events from {minute(first)} to {minute(last)}"
        + (f", of which 2 to {left_out + 1} are not drawn" if left_out else "")
        + f"; first {stops[0][1].rstrip('.')}; last {stops[-1][1].rstrip('.')}.",
        stops=places,
        begins=minute(first),
        ends=minute(last),
    )


def _apart(places: Sequence[tuple[int, float, bool]]) -> tuple[Stop, ...]:
    """Return one stop for what happened so close together that its numbers would stand upon each other."""
    groups: list[list[tuple[int, float, bool]]] = []
    for place in places:
        if groups and place[1] - groups[-1][0][1] < APART_MIN:
            groups[-1].append(place)
        else:
            groups.append([place])
    return tuple(
        Stop(
            at=group[-1][1] if group is groups[-1] else group[0][1],
            number=str(group[0][0]) if len(group) == 1 else f"{group[0][0]}–{group[-1][0]}",
            is_loud=any(loud for _number, _at, loud in group),
        )
        for group in groups
    )


def trend(
    values: Sequence[tuple[str, float | None]],
    *,
    title: str,
    in_words: Callable[[float], str],
    bound: float | None,
    bound_text: str,
    words: str,
) -> Trend | None:
    """Return a bar for each day from zero; None when nothing was measured.

    Args:
        values: Day and value, oldest first; None for a day without one.
        title: What is drawn.
        in_words: Writes a value with its unit: the highest bar is the mark of the axis.
        bound: The committed value in the same unit, or None.
        bound_text: The same in words.
        words: The picture in words.
    """
    measured = [value for _day, value in values if value is not None]
    if not measured:
        return None
    most = max([*measured, *([bound] if bound is not None else [])]) * 1.1 or 1.0
    return Trend(
        title=title,
        description=words,
        bars=tuple(None if value is None else round(value / most, 4) for _day, value in values),
        most=round(max(measured) / most, 4),
        most_text=in_words(max(measured)),
        bound=None if bound is None else round(bound / most, 4),
        bound_text=bound_text,
        begins=values[0][0],
        ends=values[-1][0],
    )


def spark_of(chart: BandChart | None) -> Spark | None:
    """Return the last days of a chart as a line; None with fewer than two measured days."""
    points = chart.points[-SPARK_DAYS:] if chart else ()
    measured = [point for point in points if point.y is not None]
    if chart is None or len(measured) < 2:
        return None
    first, last = measured[0], measured[-1]
    return Spark(
        places=tuple(point.y for point in points),
        bound=chart.bound.at if chart.bound else None,
        words=f"{first.shown} agreed on {first.day_shown}, {last.shown} on {last.day_shown}",
    )
