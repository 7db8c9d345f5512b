# SPDX-License-Identifier: Apache-2.0
"""The Rollout page: the phase an agent is in, what the next one asks for, and the clock of stable days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pilothouse.core.action.demotion import Act, ActState, Move
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.charter.quantities import format_duration
from pilothouse.core.verdict.phases import LOOKS_MAX, NEXT_PHASE, PhaseEvent, PhaseState, next_look_at
from pilothouse.core.verdict.stability import DayState, Forecast, StabilityClock
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict, Status
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.pictures import Strip
from pilothouse.reports.stable_days import STATE_WORDS, clock_strip
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Frozen,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import phase_words, plural

__all__ = [
    "ActShown",
    "Asked",
    "ClockShown",
    "DayShown",
    "Moved",
    "PhaseShown",
    "RolloutPage",
    "Standing",
    "build_rollout",
]

ASKED_MAX = 20
"""Requirements listed that stand in the way; the Readiness page lists all."""

RESETS_MAX = 10
"""Resets listed; older ones have been outlived."""

_ACT_WORDS = {
    Move.PAUSE: "Paused",
    Move.ROLL_BACK: "Rolled back to an earlier version",
    Move.DEMOTE: "Fell",
    Move.BLOCK_PROMOTION: "Promotion blocked",
    Move.GRACE: "Days of grace",
}


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
    """

    state: PhaseState
    events: tuple[PhaseEvent, ...]
    looks: tuple[datetime, ...]
    approved_by: tuple[str, ...]
    waiting_for: tuple[str, ...]
    clock: StabilityClock | None
    acts: tuple[tuple[Act, str], ...] = ()


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


class Asked(Frozen):
    """One requirement that stands in the way of the next phase."""

    requirement: str
    mark: StatusMark
    sentence: str
    command: str
    who: tuple[str, ...]


class DayShown(Frozen):
    """One day of the strip: `counted`, `paused` or `reset`, and why."""

    day: str
    state: str
    text: str


class ClockShown(Frozen):
    """The stability clock.

    Attributes:
        days: Days that counted since the last reset.
        target: The charter's target.
        strip: Day by day, oldest first.
        picture: The same days, drawn.
        resets: Days that reset, newest first.
        forecast: When the target is reached, in words.
    """

    days: int
    target: int
    strip: tuple[DayShown, ...]
    picture: Strip
    resets: tuple[DayShown, ...]
    forecast: str


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
        phases: The four phases in order.
        since: When the present phase began, or None for a pilot that nothing ever left.
        looks: Planned looks taken, in words.
        next_look: Earliest date of the next look, in words.
        approvals: Who has approved and who is asked, in words; empty without an open request.
        acts: What verdicts made necessary and still stands, newest first.
        asked: What stands in the way of the next phase, worst first.
        clock: The stability clock, or None.
        clock_empty: What fills it, where there is none.
        history: What moved it, newest first.
        action: The one thing to do next.
        may_request: The phase that may be requested now, or empty.
        may_go_back: Whether there is an earlier phase to go back to.
    """

    phases: tuple[PhaseShown, ...]
    since: Moment | None
    looks: str
    next_look: str
    approvals: str
    acts: tuple[ActShown, ...]
    asked: tuple[Asked, ...]
    clock: ClockShown | None
    clock_empty: Empty | None
    history: tuple[Moved, ...]
    action: ActionOffer
    may_request: str
    may_go_back: bool


def build_rollout(charter: Charter, verdict: AgentVerdict, standing: Standing, now: datetime) -> RolloutPage:
    """Return the Rollout page of an agent.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        standing: What the ledger says about its phases.
        now: The moment, aware UTC.
    """
    state = standing.state
    target = NEXT_PHASE.get(state.phase)
    blocking = _blocking(verdict, target)
    asked = tuple(_asked(charter, one) for one in blocking[:ASKED_MAX])
    due = next_look_at(charter, state, standing.looks)
    sentence = _sentence(target, blocking, standing, due=due, now=now)
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
        phases=tuple(_phase(charter, name, state.phase) for name in ("pilot", *NEXT_PHASE.values())),
        since=None if state.since is None else moment(state.since, now),
        looks=f"{len(standing.looks)} of {LOOKS_MAX} planned looks taken",
        next_look="" if target is None else _look_words(due, now),
        approvals=_approvals(charter, standing),
        acts=tuple(_act(act, lifted, now) for act, lifted in standing.acts),
        asked=asked,
        clock=None if standing.clock is None else _clock(standing.clock),
        clock_empty=_clock_empty(standing.clock),
        history=tuple(_moved(event, now) for event in reversed(standing.events)),
        action=_action(charter, target, blocking, standing),
        may_request=target if target and not standing.waiting_for and (due is None or due <= now) else "",
        may_go_back=state.phase != "pilot",
    )


def _blocking(verdict: AgentVerdict, target: PhaseName | None) -> list[RequirementVerdict]:
    if target is None:
        return []
    gate = next(found for found in verdict.gates if found.gate == target)
    by_id = {found.requirement: found for found in verdict.requirements}
    return [by_id[name] for name in (*gate.breached, *gate.no_evidence) if by_id[name].waiver is None]


def _asked(charter: Charter, found: RequirementVerdict) -> Asked:
    item = found.deciding
    return Asked(
        requirement=found.requirement,
        mark=mark_of(found.status, found.reason),
        sentence=shown_text(item.sentence),
        command=item.remedy,
        who=tuple(_name(charter, person) for person in item.who),
    )


def _name(charter: Charter, person: str) -> str:
    entry = charter.people.get(person)
    return (known(entry.name) if entry else None) or person


def _look_words(due: datetime | None, now: datetime) -> str:
    if due is None or due <= now:
        return "A look may be taken now."
    return f"The next look may be taken on {due:%Y-%m-%d}."


def _sentence(
    target: PhaseName | None,
    blocking: Sequence[RequirementVerdict],
    standing: Standing,
    *,
    due: datetime | None,
    now: datetime,
) -> str:
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
    if due is not None and due > now:
        return f"{here}: everything that phase {target} asks for holds; the next look may be taken on {due:%Y-%m-%d}."
    return f"{here}: everything that phase {target} asks for holds; it may be requested."


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
    scope += f"; at most {share:.0%} of the volume" if share is not None else ""
    shortest, longest = known(phase.min), known(phase.max)
    stay = " to ".join(format_duration(one) for one in (shortest, longest) if one) or "no fixed stay"
    return PhaseShown(name=phase_words(name), is_current=name == current, scope=scope, stay=stay)


def _approvals(charter: Charter, standing: Standing) -> str:
    if not standing.waiting_for:
        return ""
    asked = ", ".join(_name(charter, person) for person in standing.waiting_for)
    given = ", ".join(_name(charter, person) for person in standing.approved_by)
    return f"Approved by {given}; waits for {asked}." if given else f"Waits for {asked}."


def _clock(clock: StabilityClock) -> ClockShown:
    return ClockShown(
        days=clock.stable_days,
        target=clock.target_days,
        strip=tuple(_day(cell.day, cell.state, cell.text) for cell in clock.strip),
        picture=clock_strip(clock),
        resets=tuple(_day(cell.day, cell.state, cell.text) for cell in clock.resets[:RESETS_MAX]),
        forecast=_forecast(clock, clock.forecast),
    )


def _day(day: date, state: DayState, text: str) -> DayShown:
    return DayShown(day=day.isoformat(), state=STATE_WORDS[state], text=shown_text(text))


def _forecast(clock: StabilityClock, found: Forecast | None) -> str:
    if clock.stable_days >= clock.target_days:
        return "The target is reached."
    if found is None:
        return "No date can be told: none of the last 28 days counted."
    return f"The target is reached between {found.earliest} and {found.latest}, if days go on as they did."


def _clock_empty(clock: StabilityClock | None) -> Empty | None:
    if clock is None:
        return Empty(
            missing="The terms of the clock are open questions.",
            asked_by="`stability` of the charter",
            command="pilothouse check",
        )
    if not clock.strip:
        return Empty(
            missing="No day is written down yet.",
            asked_by="DATA-11",
            command="pilothouse up",
        )
    return None


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


def _moved(event: PhaseEvent, now: datetime) -> Moved:
    by = ", ".join(event.by)
    return Moved(
        at=moment(event.at, now),
        text=shown_text(f"{phase_words(event.phase)} {event.move} by {by}: {event.reason}"),
    )


def _action(
    charter: Charter, target: PhaseName | None, blocking: Sequence[RequirementVerdict], standing: Standing
) -> ActionOffer:
    if target is None:
        return ActionOffer(
            label="Keep the evidence fresh", command=f"pilothouse verdict {charter.agent} --plan"
        )
    if standing.waiting_for:
        person = standing.waiting_for[0]
        return ActionOffer(
            label=f"Approve phase {target}",
            command=f"pilothouse phase approve {charter.agent} --as {person}",
            who=tuple(_name(charter, one) for one in standing.waiting_for),
        )
    if blocking:
        first = blocking[0].deciding
        return ActionOffer(
            label=f"Bring what {first.requirement} asks for",
            command=first.remedy,
            who=tuple(_name(charter, person) for person in first.who),
        )
    return ActionOffer(label=f"Request phase {target}", command=f"pilothouse phase request {target}")
