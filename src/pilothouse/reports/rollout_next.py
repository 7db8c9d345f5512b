# SPDX-License-Identifier: Apache-2.0
"""What stands between an agent and its next phase, and the one thing to do about it (verdict, standing → words)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.action.demotion import Act
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.dates import day
from pilothouse.core.verdict.phases import PhaseEvent, PhaseState
from pilothouse.core.verdict.stability import StabilityClock
from pilothouse.core.verdict.verdict import AgentVerdict, GateVerdict, RequirementVerdict, Status
from pilothouse.reports.domain import shown_names
from pilothouse.reports.next_step import make_sure
from pilothouse.reports.view_models import ActionOffer, Frozen, StatusMark, mark_of, shown_text
from pilothouse.reports.words import phase_words, plural

__all__ = [
    "Asked",
    "Standing",
    "approval_words",
    "asked_row",
    "blocking_next",
    "look_words",
    "next_action",
    "rollout_sentence",
    "waived_next",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger says about the phases of an agent.

    Attributes:
        state: The phase in force.
        events: What moved it, oldest first.
        looks: Looks taken in this phase, oldest first.
        approved_by: Person ids who have approved the open request.
        waiting_for: Person ids it waits for; empty without an open request.
        clock: The stability clock, or None while its terms are open questions.
        acts: What verdicts made necessary and still stands, newest first, with the words of who lifted it since.
        request: Number of the open request; empty without one.
    """

    state: PhaseState
    events: tuple[PhaseEvent, ...]
    looks: tuple[datetime, ...]
    approved_by: tuple[str, ...]
    waiting_for: tuple[str, ...]
    clock: StabilityClock | None
    acts: tuple[tuple[Act, str], ...] = ()
    request: str = ""


class Asked(Frozen):
    """One requirement that stands in the way of the next phase."""

    requirement: str
    statement: str
    mark: StatusMark
    sentence: str
    command: str
    who: tuple[str, ...]


def asked_row(charter: Charter, found: RequirementVerdict) -> Asked:
    """Return a requirement that stands in the way.

    Args:
        charter: The charter, for names.
        found: What the verdict says of it.
    """
    item = found.deciding
    names = shown_names(charter)
    return Asked(
        requirement=found.requirement,
        statement=found.statement,
        mark=mark_of(found.status, found.reason),
        sentence=shown_text(item.sentence),
        command=item.remedy,
        who=tuple(names.get(person, person) for person in item.who),
    )


def blocking_next(
    verdict: AgentVerdict, ahead: Sequence[RequirementVerdict], target: PhaseName | None
) -> list[RequirementVerdict]:
    """Return what the next phase asks for and neither holds nor is waived, breached ones first.

    Args:
        verdict: The verdict.
        ahead: Every requirement as that phase asks for it.
        target: The next phase, or None after the last.
    """
    if target is None:
        return []
    by_id = {found.requirement: found for found in ahead}
    return [by_id[name] for name in _gate(verdict, target).closed]


def waived_next(
    verdict: AgentVerdict, ahead: Sequence[RequirementVerdict], target: PhaseName | None
) -> tuple[datetime, ...]:
    """Return when the waiver ends of each requirement of the next phase that does not hold and is waived.

    Args:
        verdict: The verdict.
        ahead: Every requirement as that phase asks for it.
        target: The next phase, or None after the last.
    """
    if target is None:
        return ()
    waived = set(_gate(verdict, target).waived)
    return tuple(one.waiver.until for one in ahead if one.waiver and one.requirement in waived)


def _gate(verdict: AgentVerdict, target: PhaseName) -> GateVerdict:
    return next(found for found in verdict.gates if found.gate == target)


def look_words(due: datetime | None, now: datetime) -> str:
    """Return when the next look may be taken, in words."""
    if due is None or due <= now:
        return "A look may be taken now."
    return f"The next look may be taken on {day(due)}."


def rollout_sentence(
    target: PhaseName | None,
    blocking: Sequence[RequirementVerdict],
    standing: Standing,
    *,
    waived: Sequence[datetime],
    due: datetime | None,
    now: datetime,
) -> str:
    """Return where the agent stands on its way, in one sentence.

    Args:
        target: The next phase, or None after the last.
        blocking: What stands in the way.
        standing: What the ledger says about its phases.
        waived: When each waiver of a requirement of the next phase ends.
        due: When a look may be taken next, or None.
        now: The moment, aware UTC.
    """
    here = phase_words(standing.state.phase)
    if target is None:
        return f"{here} is the last; it is kept by evidence that goes on holding."
    if standing.waiting_for:
        return f"{here}: the gate of phase {target} held at the last look and waits for approval."
    if blocking:
        breached = sum(one.status is Status.BREACHED for one in blocking)
        parts = [plural(len(blocking), "requirement")]
        parts += [f"{breached} of them breached"] if breached else []
        return f"{here}: phase {target} still waits for {', '.join(parts)}."
    holds = f"everything that phase {target} asks for holds"
    if waived:
        holds = f"all that phase {target} asks for holds or is waived ({len(waived)})"
    if due is not None and due > now:
        ended = sum(until <= due for until in waived)
        gone = f", and by then {plural(ended, 'waiver has', 'waivers have')} ended" if ended else ""
        return f"{here}: {holds}; phase {target} can be requested from {day(due)}{gone}."
    return f"{here}: {holds}; it may be requested."


def approval_words(charter: Charter, standing: Standing) -> str:
    """Return who has approved the open request and who is asked; empty without one."""
    if not standing.waiting_for:
        return ""
    asked = ", ".join(charter.name_of(person) for person in standing.waiting_for)
    given = ", ".join(charter.name_of(person) for person in standing.approved_by)
    return f"Approved by {given}; waits for {asked}." if given else f"Waits for {asked}."


def next_action(
    charter: Charter,
    target: PhaseName | None,
    blocking: Sequence[RequirementVerdict],
    standing: Standing,
    *,
    due: datetime | None,
    now: datetime,
) -> ActionOffer:
    """Return the one thing to do next.

    Args:
        charter: The charter in force.
        target: The next phase, or None after the last.
        blocking: What stands in the way.
        standing: What the ledger says about its phases.
        due: When a look may be taken next, or None.
        now: The moment, aware UTC.
    """
    if target is None:
        return ActionOffer(
            label="Keep the evidence fresh", command=f"pilothouse verdict {charter.agent} --plan"
        )
    if standing.waiting_for:
        person = standing.waiting_for[0]
        return ActionOffer(
            label=f"Approve phase {target}",
            command=f"pilothouse phase approve {charter.agent} --as {person}",
            who=tuple(charter.name_of(one) for one in standing.waiting_for),
        )
    if blocking:
        first = blocking[0].deciding
        title = blocking[0].statement
        return ActionOffer(
            label=make_sure(first.requirement, title),
            command=first.remedy,
            who=tuple(charter.name_of(person) for person in first.who),
        )
    early = f" on {day(due)}, not before" if due is not None and due > now else ""
    return ActionOffer(label=f"Request phase {target}{early}", command=f"pilothouse phase request {target}")
