# SPDX-License-Identifier: Apache-2.0
"""An incident of one agent: its state machine and the steps allowed in each state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pilothouse.core.charter.people import SEVERITIES, SeverityName
from pilothouse.errors import UsageError

__all__ = [
    "CALLED_UNTIL",
    "ROUNDS_MAX",
    "STEPS",
    "Incident",
    "IncidentEvent",
    "IncidentState",
    "Named",
    "check_step",
    "joins",
    "worse",
]


class IncidentState(StrEnum):
    """The state of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    REVIEWED = "reviewed"


STEPS: dict[IncidentState, tuple[IncidentState, ...]] = {
    IncidentState.OPEN: (IncidentState.ACKNOWLEDGED,),
    IncidentState.ACKNOWLEDGED: (IncidentState.MITIGATED, IncidentState.RESOLVED),
    IncidentState.MITIGATED: (IncidentState.RESOLVED, IncidentState.ACKNOWLEDGED),
    IncidentState.RESOLVED: (IncidentState.REVIEWED, IncidentState.ACKNOWLEDGED),
    IncidentState.REVIEWED: (),
}
"""What may follow on what. Back to acknowledged is a relapse: somebody has it in hand again, nobody is paged anew."""

_VERBS = {
    IncidentState.ACKNOWLEDGED: "acknowledge",
    IncidentState.MITIGATED: "mitigate",
    IncidentState.RESOLVED: "resolve",
    IncidentState.REVIEWED: "review",
}

ROUNDS_MAX = 3
"""How often the whole path is called; who stayed silent three times is not reached by a fourth, until the alert fires anew."""

CALLED_UNTIL = "to be acknowledged by"
"""What the event that calls a level says before its moment; the page of an incident finds its clock by it."""

_TURN = ROUNDS_MAX + 1
"""Rounds of one turn of calling: those in which somebody is called, and the one that says that nobody is."""

GROUP_WITHIN_S = 3_600.0
"""Alerts of one agent within an hour are one incident: they mostly have one cause, and one person at the pager."""


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody whom a sentence of the timeline speaks of, by the id of the charter."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEvent:
    """One line of the timeline.

    Attributes:
        at: When, aware UTC.
        kind: `alert`, `page`, `state`, `suspect`, `note` or `loud`; the last stands out everywhere.
        actor: Who: a person id or a part of the system.
        text: What happened, one sentence; people stand in it by id.
        people: Where in the text a person stands, and who, from left to right.
    """

    at: datetime
    kind: str
    actor: str
    text: str
    people: tuple[tuple[int, str], ...] = ()

    @classmethod
    def telling(cls, *parts: str | Named, at: datetime, kind: str, actor: str) -> IncidentEvent:
        """Return a line that is made of words and people, so that whoever shows it need not look for names in it.

        Args:
            parts: The sentence, from left to right.
            at: When, aware UTC.
            kind: As above.
            actor: As above.

        Example:
            >>> from datetime import UTC
            >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            >>> line = IncidentEvent.telling(Named("sam"), " was reached by chat.", at=noon, kind="page", actor="pager")
            >>> line.text, line.people
            ('sam was reached by chat.', ((0, 'sam'),))
        """
        text, people = "", []
        for part in parts:
            if isinstance(part, Named):
                people.append((len(text), part.id))
            text += part.id if isinstance(part, Named) else part
        return cls(at=at, kind=kind, actor=actor, text=text, people=tuple(people))

    def told(self, names: Mapping[str, str]) -> str:
        """Return the sentence with the people in it by name.

        Args:
            names: Person id → name; who has none is shown by the id.

        Example:
            >>> from datetime import UTC
            >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            >>> parts = (Named("sam"), " ended it: sam's own words stay")
            >>> IncidentEvent.telling(*parts, at=noon, kind="state", actor="sam").told({"sam": "S. Ortega"})
            "S. Ortega ended it: sam's own words stay"
        """
        said, end = "", 0
        for start, person in self.people:
            said += self.text[end:start] + names.get(person, person)
            end = start + len(person)
        return said + self.text[end:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident.

    Attributes:
        number: 1 for the first of the installation.
        agent: Agent id.
        group: What a repeated alert is recognised by.
        rule: Id of the alert rule, or the requirement when no rule watches it.
        task_type: Task type, or None for all.
        severity: From the rule.
        state: How far people are.
        title: The first sentence, as page, list and message show it.
        opened_at: When, aware UTC.
        level: Escalation level that was called last.
        round: 0, one more each time the whole path stayed silent, and each time it is called anew after it was given up.
        acknowledged_by: Person id, or None.
        acknowledged_at: When, or None.
        resolved_at: When, or None.
        runbook: Path of the runbook, or empty.
        traces: Linked traces, worst first.
        drill: Name of the drill, or empty: a drill is never production evidence.
        review: What the review found, by field; empty before.
        version: Rises with each change; a change of an older one is refused.
    """

    number: int
    agent: str
    group: str
    rule: str
    task_type: str | None
    severity: SeverityName
    state: IncidentState
    title: str
    opened_at: datetime
    level: int
    round: int = 0
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    runbook: str = ""
    traces: tuple[str, ...] = ()
    drill: str = ""
    review: tuple[tuple[str, str], ...] = ()
    version: int = 1

    @property
    def name(self) -> str:
        """How people call it."""
        return f"INC-{self.number}"

    @property
    def is_active(self) -> bool:
        """Whether it still needs action now."""
        return self.state not in {IncidentState.RESOLVED, IncidentState.REVIEWED}

    @property
    def round_of_turn(self) -> int:
        """How often the escalation path was called in this turn; `ROUNDS_MAX` once calling has stopped."""
        return self.round % _TURN

    @property
    def is_given_up(self) -> bool:
        """Whether calling has stopped without an acknowledgement, so that a new alert must page again."""
        return self.state is IncidentState.OPEN and self.round_of_turn == ROUNDS_MAX

    @property
    def called(self) -> str:
        """The people who are paged until somebody acknowledges, in words."""
        is_over = self.round_of_turn == ROUNDS_MAX
        return "nobody is called any more" if is_over else f"level {self.level} is called"

    def given_up(self) -> Incident:
        """Return the incident with calling stopped for this turn."""
        return replace(self, round=self.round - self.round_of_turn + ROUNDS_MAX)


def check_step(incident: Incident, to: IncidentState) -> None:
    """Raise for a step that is not allowed in the present state.

    Raises:
        UsageError: The step is not possible; says which are.

    Example:
        >>> STEPS[IncidentState.OPEN]
        (<IncidentState.ACKNOWLEDGED: 'acknowledged'>,)
    """
    possible = STEPS[incident.state]
    if to in possible:
        return
    if possible:
        remedy = "Possible from here: " + ", ".join(
            f"`pilothouse incident {_VERBS[state]} {incident.number}`" for state in possible
        )
    else:
        remedy = f"It is closed for good; `pilothouse incident show {incident.number}` shows what was found."
    raise UsageError(
        f"{incident.name} is {incident.state.value} and cannot become {to.value} now",
        remedy=remedy,
        subject=incident.name,
    )


def worse(one: SeverityName, other: SeverityName) -> SeverityName:
    """Return the worse of two severities.

    Example:
        >>> worse("sev3", "sev1")
        'sev1'
    """
    return min(one, other, key=SEVERITIES.index)


def joins(incident: Incident, *, agent: str, group: str, drill: str, at: datetime) -> bool:
    """Whether a new alert belongs to an incident: the same one again, or another one of its first hour.

    Args:
        incident: An incident that is not resolved.
        agent: Agent of the alert.
        group: What it is recognised by.
        drill: Name of its drill, or empty; a drill never joins a real incident.
        at: When it fired, aware UTC.
    """
    if not incident.is_active or incident.agent != agent or incident.drill != drill:
        return False
    return incident.group == group or (at - incident.opened_at).total_seconds() <= GROUP_WITHIN_S
