# SPDX-License-Identifier: Apache-2.0
"""The Rollout page: the phase an agent is in, what the next one asks for, and the clock of stable days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.action.demotion import Act, ActState, Move
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.phases import LOOKS_MAX, NEXT_PHASE, PhaseEvent, next_look_at
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict
from pilothouse.reports.moments import Moment, moment, span_text
from pilothouse.reports.rollout_additions import AdditionShown, AdditionStanding, addition_rows
from pilothouse.reports.rollout_clock import ClockShown, clock_empty, clock_shown
from pilothouse.reports.rollout_next import (
    Asked,
    Standing,
    approval_words,
    asked_row,
    blocking_next,
    look_words,
    next_action,
    rollout_sentence,
    waived_next,
)
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Frozen,
    Page,
    Sentence,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import phase_words

__all__ = ["ActShown", "Moved", "PhaseShown", "RolloutPage", "build_rollout"]

ASKED_MAX = 20
"""Requirements listed that stand in the way; the Readiness page lists all."""


_ACT_WORDS = {
    Move.PAUSE: "Paused",
    Move.ROLL_BACK: "Rolled back to an earlier version",
    Move.DEMOTE: "Fell",
    Move.BLOCK_PROMOTION: "Promotion blocked",
    Move.GRACE: "Days of grace",
}


class PhaseShown(Frozen):
    """One phase in the row of four.

    Attributes:
        name: `Pilot` or `Phase 1` to `Phase 3`.
        is_current: Whether the agent is in it.
        scope: Users, integrations and share in words.
        stay: Shortest and longest stay in words.
    """

    name: str
    is_current: bool
    scope: str
    stay: str


class Moved(Frozen):
    """One move between phases."""

    at: Moment
    text: str


class ActShown(Frozen):
    """One thing that a verdict made necessary.

    Attributes:
        at: When it was done or said.
        what: What, in two or three words, for example `Paused`.
        text: Why, in a sentence, and who lifted it since.
        requirement: Requirement id.
        command: What to do.
        incident: Name of the incident that tells people, or empty.
        is_done: Whether it was done; otherwise it waits.
    """

    at: Moment
    what: str
    text: str
    requirement: str
    command: str
    incident: str
    is_done: bool


class RolloutPage(Page):
    """Where an agent is on its way, and what it needs to go on.

    Attributes:
        phase: The phase it is in, as the charter names it.
        phases: The four phases in order.
        since: When the present phase began, or None for a pilot that nothing ever left.
        looks: Planned looks taken, in words.
        next_look: Earliest date of the next look, in words.
        approvals: Who has approved and who is asked, in words; empty without an open request.
        request: Number of the open request, which an approval names; empty without one.
        additions: What came into the scope and goes through the phases by itself, and what has joined.
        acts: What verdicts made necessary and still stands, newest first.
        asked: What stands in the way of the next phase, worst first.
        clock: The stability clock, or None.
        clock_empty: What fills it, where there is none.
        history: What moved it, newest first.
        action: The one thing to do next.
        may_request: The phase that may be requested now, or empty.
        may_go_back: Whether there is an earlier phase to go back to.
    """

    phase: str
    phases: tuple[PhaseShown, ...]
    since: Moment | None
    looks: str
    next_look: str
    approvals: str
    request: str
    additions: tuple[AdditionShown, ...]
    acts: tuple[ActShown, ...]
    asked: tuple[Asked, ...]
    clock: ClockShown | None
    clock_empty: Empty | None
    history: tuple[Moved, ...]
    action: ActionOffer
    may_request: str
    may_go_back: bool


def build_rollout(
    charter: Charter,
    verdict: AgentVerdict,
    standing: Standing,
    now: datetime,
    *,
    ahead: Sequence[RequirementVerdict],
    additions: Sequence[AdditionStanding] = (),
) -> RolloutPage:
    """Return the Rollout page of an agent.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        standing: What the ledger says about its phases.
        now: The moment, aware UTC.
        ahead: Every requirement as the next phase asks for it.
        additions: What came into the scope.
    """
    state = standing.state
    target = NEXT_PHASE.get(state.phase)
    blocking = blocking_next(verdict, ahead, target)
    asked = tuple(asked_row(charter, one) for one in blocking[:ASKED_MAX])
    due = next_look_at(charter, state, standing.looks)
    waived = waived_next(verdict, ahead, target)
    sentence = rollout_sentence(target, blocking, standing, waived=waived, due=due, now=now)
    mark = mark_of(verdict.status, verdict.reason)
    return RolloutPage(
        name="rollout",
        title=f"{mark.spoken} · rollout of {charter.agent}",
        heading="Rollout",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=sentence),
        notices=tuple(shown_text(note) for note in verdict.notes),
        phase=state.phase,
        phases=tuple(_phase(charter, name, state.phase) for name in ("pilot", *NEXT_PHASE.values())),
        since=None if state.since is None else moment(state.since, now),
        looks=f"{len(standing.looks)} of {LOOKS_MAX} planned looks taken",
        next_look="" if target is None else look_words(due, now),
        approvals=approval_words(charter, standing),
        request=standing.request,
        additions=addition_rows(charter, additions, now),
        acts=tuple(_act(act, lifted, now) for act, lifted in standing.acts),
        asked=asked,
        clock=None if standing.clock is None else clock_shown(standing.clock),
        clock_empty=clock_empty(standing.clock),
        history=tuple(_moved(event, charter, now) for event in reversed(standing.events)),
        action=next_action(charter, target, blocking, standing, due=due, now=now),
        may_request=target if target and not standing.waiting_for and (due is None or due <= now) else "",
        may_go_back=state.phase != "pilot",
    )


def _phase(charter: Charter, name: PhaseName, current: PhaseName) -> PhaseShown:
    phase = charter.phase(name)
    if phase is None:
        return PhaseShown(
            name=phase_words(name), is_current=name == current, scope="open question", stay="open question"
        )
    users = "?" if is_open(phase.users) else ", ".join(str(user) for user in phase.users)
    systems = phase.integrations
    joined = systems if isinstance(systems, str) else ", ".join(systems)
    share = known(charter.target_volume.share_pilot) if name == "pilot" else known(phase.share)
    scope = f"users {users}; integrations {joined}"
    scope += f"; at most {percentage(share, decimals=0)} of the volume" if share is not None else ""
    shortest, longest = known(phase.min), known(phase.max)
    stay = " to ".join(span_text(one) for one in (shortest, longest) if one) or "no fixed stay"
    return PhaseShown(name=phase_words(name), is_current=name == current, scope=scope, stay=stay)


def _act(act: Act, lifted: str, now: datetime) -> ActShown:
    what = _ACT_WORDS[act.move]
    if act.move is Move.DEMOTE and act.phase is not None:
        what = f"Fell to {'the pilot' if act.phase == 'pilot' else f'phase {act.phase}'}"
    return ActShown(
        at=moment(act.at, now),
        what=what,
        text=shown_text(f"{act.sentence} {lifted}".strip()),
        requirement=act.requirement,
        command=act.remedy,
        incident=act.incident,
        is_done=act.state is ActState.DONE,
    )


def _moved(event: PhaseEvent, charter: Charter, now: datetime) -> Moved:
    names = person_names(charter)
    by = ", ".join(names.get(person, person) for person in event.by)
    return Moved(
        at=moment(event.at, now),
        text=shown_text(f"{phase_words(event.phase)} {event.move} by {by}: {event.reason}"),
    )
