# SPDX-License-Identifier: Apache-2.0
"""Hold a week's inputs against an earlier analysis, and keep both up to date for every agent (lake -> evidence)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pilothouse.core.evidence.evidence import WARNINGS, Evidence
from pilothouse.core.evidence.new_inputs import HARM_SHARE, LABELS_MIN, NewKind, find_new_kinds
from pilothouse.core.evidence.recorded import bound_record
from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.reports.inputs import (
    ANALYSED,
    COMMAND,
    InputAnalysis,
    analyse_inputs,
    keep_analysis,
    labelled_inputs,
    read_inputs,
    seen_before,
)

__all__ = [
    "INPUTS_EVERY_S",
    "InputsWatch",
    "WeekOfInputs",
    "look_at_inputs",
    "look_at_week",
    "week_evidence",
]

INPUTS_EVERY_S: Final = 600.0
"""Pause between two turns of the tick; each agent has its turn every six hours."""

LOOK_EVERY: Final = timedelta(hours=6)
"""A share of a week moves slowly."""

ANALYSE_EVERY: Final = timedelta(days=7)
"""How old an analysis gets before a running server makes the next: a week later it can be compared with."""

AGENTS_AT_ONCE: Final = 3
"""Agents of one turn, about a second of work each: other recurring work waits for no more."""

WEEK: Final = timedelta(days=7)
WEEK_INPUTS_MIN: Final = 100
"""Inputs below which a week is not looked at: the smallest kind would be more than 5 % of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekOfInputs:
    """What a week brought that an earlier analysis had not seen.

    Attributes:
        inputs: Inputs of the week that were compared.
        compared_with: Inputs of the earlier analysis; None where there is no analysis a week old or older.
        kinds: New kinds, largest first.
        cases: Labelled cases of each.
        traces: Their newest tasks, kind by kind.
    """

    inputs: int
    compared_with: int | None
    kinds: tuple[NewKind, ...] = ()
    cases: tuple[int, ...] = ()
    traces: tuple[str, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Whether there was enough to look at, and something to compare it with."""
        return self.compared_with is not None and self.inputs >= WEEK_INPUTS_MIN

    @property
    def harmful(self) -> tuple[NewKind, ...]:
        """New kinds of more than 5 % of the week without labelled cases."""
        return tuple(
            kind
            for kind, cases in zip(self.kinds, self.cases, strict=True)
            if kind.share > HARM_SHARE and cases < LABELS_MIN
        )


def look_at_week(installation: Installation, record: CharterInForce, now: datetime) -> WeekOfInputs:
    """Look for kinds of input that the newest analysis from before this week had not seen."""
    charter, since = charter_of(record), now - WEEK
    inputs = read_inputs(installation.lake, charter.agent, since, now).inputs
    seen = seen_before(installation.ledger, charter.agent, since)
    if seen is None:
        return WeekOfInputs(inputs=len(inputs), compared_with=None)
    kinds = find_new_kinds(seen, [one.words for one in inputs])
    labelled = labelled_inputs(charter, Path(record.path).parent) if kinds else None
    words = labelled.words if labelled is not None else ()
    return WeekOfInputs(
        inputs=len(inputs),
        compared_with=seen.inputs,
        kinds=kinds,
        cases=tuple(sum(kind.takes(one) for one in words) for kind in kinds),
        traces=tuple(inputs[at].trace_id for kind in kinds for at in reversed(kind.inputs[-LABELS_MIN:])),
    )


def week_evidence(found: WeekOfInputs, agent: str, now: datetime) -> tuple[Evidence, ...]:
    """Return the record of a look at a week; none where there was too little, or nothing to compare it with."""
    if not found.is_enough:
        return ()
    news = "; ".join(
        f"{kind.name} ({percentage(kind.share)} of inputs, {cases} labelled cases)"
        for kind, cases in zip(found.kinds[:5], found.cases, strict=False)
    )
    return (
        bound_record(
            "inputs.new_cluster",
            agent,
            now,
            command=COMMAND,
            since=now - WEEK,
            n=found.inputs,
            passed=not found.harmful,
            detail=f"{found.inputs:,} inputs of the week against {found.compared_with or 0:,} seen before: "
            + (f"new are {news}" if news else "no new kind"),
            items=found.traces,
            counts={WARNINGS: len(found.kinds)} if found.kinds else {},
        ),
    )


def look_at_inputs(
    installation: Installation, agent: str | None, now: datetime, *, actor: str
) -> tuple[InputAnalysis, WeekOfInputs, int]:
    """Look at the week and analyse the month of one agent now; both go on record.

    Args:
        installation: Lake and ledger.
        agent: Agent id, or None for the only one.
        now: The moment, aware UTC.
        actor: Who asks.

    Returns:
        The analysis, the week, and how many records of the analysis there are: none where it saw too little.

    Raises:
        UsageError: No charter is in force, or several are and no agent was named.
    """
    ledger = installation.ledger
    name = Directory(ledger).one(agent).agent
    record = next(one for one in ledger.charters() if one.agent == name)
    week = look_at_week(installation, record, now)
    ledger.add_evidence(week_evidence(week, name, now))
    found = analyse_inputs(installation, record, now)
    return found, week, keep_analysis(ledger, found, name, now, actor=actor)


class InputsWatch:
    """Gives each agent its turn: a look at its week every six hours, an analysis once a week."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._looked: dict[str, datetime] = {}

    def look(self, now: datetime) -> int:
        """Work on the agents that have waited longest; return how many records were written."""
        due = [
            record
            for record in self._installation.ledger.charters()
            if record.agent not in self._looked or now - self._looked[record.agent] >= LOOK_EVERY
        ]
        due.sort(key=lambda record: self._looked.get(record.agent, record.accepted_at))
        written = 0
        for record in due[:AGENTS_AT_ONCE]:
            self._looked[record.agent] = now
            try:
                written += self._look_at(record, now)
            except CharterError:
                continue  # this program cannot read it, which every verdict on it says
        return written

    def _look_at(self, record: CharterInForce, now: datetime) -> int:
        installation, agent = self._installation, record.agent
        records = week_evidence(look_at_week(installation, record, now), agent, now)
        written = installation.ledger.add_evidence(records) if records else 0
        newest = installation.ledger.decisions(agent, kind=ANALYSED, limit=1)
        if not newest or now - newest[0].at >= ANALYSE_EVERY:
            found = analyse_inputs(installation, record, now)
            written += keep_analysis(installation.ledger, found, agent, now, actor="pilothouse up")
        return written
