# SPDX-License-Identifier: Apache-2.0
"""The labels of one finished day by stratum, once nobody is waited for any more; and several days as one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.evidence.review import ItemState
from pilothouse.core.statistics.quality import Stratum
from pilothouse.ports.review import ItemRecord

__all__ = ["LabelledDay", "Tally", "close_labels", "pooled"]

_ANSWERED = {ItemState.ACCEPTED: True, ItemState.CORRECTED: False, ItemState.REJECTED: False}

Tally = tuple[int, int, int, int]
"""Of one stratum and day: judged, chosen for a label, labelled, good among the labelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledDay:
    """A day whose labels are all in, or whose time for them is over.

    Attributes:
        tallies: By stratum.
        rates: Chance of a label by stratum; none when no label was requested.
        bad: Traces of the wrong answers.
        turns: Turns that the conversation of a task has on the day.
        note: Why some labels do not count, or empty.
    """

    tallies: Mapping[str, Tally]
    rates: Mapping[str, float]
    bad: tuple[str, ...]
    turns: float = 1.0
    note: str = ""


def close_labels(
    names: Sequence[str],
    strata: Mapping[str, str],
    items: Mapping[str, ItemRecord],
    rates: Mapping[str, float],
    now: datetime,
    *,
    turns: float = 1.0,
) -> LabelledDay | None:
    """Return the labels of a day once nobody is waited for any more; None before.

    Args:
        names: Names of the strata.
        strata: Stratum of each task of the day that belongs to one.
        items: Items drawn from these tasks, by trace.
        rates: Chance of a label by stratum as it was fixed before the day.
        now: The moment, aware UTC.
        turns: Turns that the conversation of a task has on the day.
    """
    if any(record.state.is_open and now < record.item.due_at for record in items.values()):
        return None
    counts = {name: [0, 0, 0, 0] for name in names}
    for trace, name in strata.items():
        record = items.get(trace)
        drawn = _drawn_from(record, name)
        tally = counts.setdefault(drawn, [0, 0, 0, 0])
        tally[0] += 1
        if record is not None:
            tally[1] += 1
            good = _ANSWERED.get(record.state)
            if good is not None:
                tally[2] += 1
                tally[3] += good
    bad = tuple(trace for trace, record in items.items() if _ANSWERED.get(record.state) is False)
    return LabelledDay(
        tallies={name: (t[0], t[1], t[2], t[3]) for name, t in counts.items()},
        rates=rates,
        bad=bad,
        turns=turns,
    )


def pooled(days: Sequence[Mapping[str, Tally]]) -> tuple[Stratum, ...]:
    """Return the strata of several days as one window.

    Args:
        days: Tallies by stratum.
    """
    sums: dict[str, list[int]] = {}
    for tallies in days:
        for name, tally in tallies.items():
            total = sums.setdefault(name, [0, 0, 0])
            for index, value in enumerate((tally[0], tally[2], tally[3])):
                total[index] += value
    return tuple(Stratum(name=name, judged=t[0], labelled=t[1], good=t[2]) for name, t in sums.items())


def _drawn_from(record: ItemRecord | None, otherwise: str) -> str:
    """The stratum at the moment of the draw: what became known later must not move a label."""
    if record is None or not record.item.why.startswith("drawn from "):
        return otherwise
    return record.item.why.removeprefix("drawn from ").split(" ")[0]
