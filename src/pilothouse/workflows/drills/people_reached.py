# SPDX-License-Identifier: Apache-2.0
"""Drills of people: the escalation path level by level, a runbook to its end, and the powers of the owner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pilothouse.core.action.escalation import plan_level
from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import DUTIES
from pilothouse.core.charter.powers import Action, may_act
from pilothouse.core.charter.review_need import review_minutes
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.expansion import runbooks_of
from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import Denied, UsageError
from pilothouse.ports.contacts import Message
from pilothouse.ports.controls import Pause
from pilothouse.workflows.controls.controls import ControlsCache
from pilothouse.workflows.drills.records import DrillResult, record_drill
from pilothouse.workflows.drills.waiting import (
    EFFECTIVE_WITHIN_S,
    REAL_TIME,
    Pace,
    rehearsed,
    seconds_to_roll_back,
    seconds_until,
    wait_for,
)
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.incidents.alerts import Firing

__all__ = ["drill_owner_powers", "drill_page", "drill_runbook"]

NEED_SHARE_MAX = 0.8
"""Share of the reviewers' minutes that may be planned: a fifth is for days with more than the mean, and for who is away (OWN-7)."""

_PAGE = "page"

INCIDENTS_LOOKED_AT, INCIDENTS_WITHIN = 100, timedelta(days=90)
"""The last incidents and calls of drills whose answers count for OWN-7, as long as its drill does: their timelines are read one by one."""


def drill_page(
    room: ControlRoom, agent: str, *, wait_s: float, tell: Callable[[str], None], pace: Pace = REAL_TIME
) -> DrillResult:
    """Call every level of the escalation path and wait for each to answer within its own time.

    Everybody with a duty gets a test message too: evidence for OWN-2, as the answers are for OWN-3 and OWN-7.

    Args:
        room: Opened parts.
        agent: Agent id.
        wait_s: How long to wait for each level at most, seconds.
        tell: Told each step in one sentence.
        pace: How time passes.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    levels = sorted(level.level for level in known(charter.escalation) or ())
    numbers, silent = [], []
    for level in levels:
        firing = Firing(
            agent=agent, metric="page", sentence=f"Test of level {level}.", drill=_PAGE, level=level
        )
        plan = plan_level(charter, level)
        with rehearsed(room, firing, room.work.now()) as answer:
            opened = answer.incident
            if opened is None:
                continue
            tell(
                f"{opened.name}: level {level} is called; waiting for `pilothouse incident acknowledge {opened.number} --as "
                f"{plan.calls[0].person if plan and plan.calls else 'PERSON'}`."
            )
            found = wait_for(room, opened.number, wait_s, tell, _answered_or_late(room), pace=pace)
            numbers.append(found.number)
            events = room.incidents.events(found.number)
            if found.acknowledged_at is None or any(_is_late(one) for one in events):
                silent.append(str(level))
    unreached = _reach_duties(room, charter, room.work.now())
    passed = bool(levels) and not silent
    said = (
        f"{len(levels)} levels answered in time."
        if passed
        else f"No answer in time from level {', '.join(silent) or '(none is named)'}."
    )
    if unreached:
        said += f" Not reached: {', '.join(unreached)}; `pilothouse contact list` shows who has an address."
    done = room.work.now()
    team = known(charter.operations.team) or ()
    staffed = bool(team) and (known(charter.operations.minutes_per_day) or 0) > 0
    suffices, need = _review_need(charter)
    in_time, incidents = _answered_incidents(room, agent, done)
    answered = staffed and passed and in_time
    roster = suffices if answered else False
    record_drill(room, charter, "roster", done, passed=roster, said=f"{said} {incidents}{need}")
    record_drill(room, charter, "drill.page", done, passed=passed, said=said)
    return DrillResult(name="page", passed=passed, sentence=said, incidents=tuple(numbers))


def _answered_incidents(room: ControlRoom, agent: str, now: datetime) -> tuple[bool, str]:
    """Return whether the median call was answered within the time of the level that was called, and what was counted.

    It was where at least half were, of incidents and of page drills: a team whose one incident waited has a way to show that the
    next will not. One that still waits within its time says nothing yet.
    """
    found = room.incidents.incidents(agent=agent, limit=INCIDENTS_LOOKED_AT)
    late = [
        is_late
        for one in found
        if one.drill in {"", _PAGE} and one.opened_at > now - INCIDENTS_WITHIN
        for is_late in [any(_is_late(event) for event in room.incidents.events(one.number))]
        if is_late or one.acknowledged_at is not None
    ]
    good = late.count(False)
    said = f"Of {len(late)} incidents and calls of drills in {INCIDENTS_WITHIN.days} days, {good} answered in time; half is asked for. "
    return 2 * good >= len(late), said


def _review_need(charter: Charter) -> tuple[bool | None, str]:
    """Return whether reviewers have the minutes that reviews need, None where the charter does not say, and what was compared."""
    minutes, roster = review_minutes(charter), known(charter.reviewers.minutes_per_day)
    if minutes is None or roster is None:
        return None, "The charter leaves open how many minutes reviews need or have."
    need = math.fsum(minutes.values())
    said = f"Reviews at their accepted limits need {need:,.0f} minutes a day of the {roster:,.0f} that reviewers have"
    return (
        need <= NEED_SHARE_MAX * roster,
        f"{said}; at most {percentage(NEED_SHARE_MAX, decimals=0)} may be planned.",
    )


def drill_runbook(
    room: ControlRoom,
    agent: str,
    runbook: str,
    *,
    person: str,
    wait_s: float,
    tell: Callable[[str], None],
    pace: Pace = REAL_TIME,
) -> DrillResult:
    """Open a rehearsal in which somebody follows a runbook and says at its end how it went.

    Args:
        room: Opened parts.
        agent: Agent id.
        runbook: Path of the runbook, as the charter names it.
        person: Ignored but for the text: who was asked.
        wait_s: How long to wait for the end, seconds.
        tell: Told each step in one sentence.
        pace: How time passes.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    names = runbooks_of(charter)
    if runbook not in names:
        raise UsageError(
            f"the charter of {agent} names no runbook {runbook!r}",
            remedy=f"One of: {', '.join(names)}. `pilothouse drill runbook {names[0] if names else 'PATH'}`",
            subject=runbook,
        )
    sentence = f"Follow {runbook} step by step, then resolve this with what you found."
    rule = next((one for one in known(charter.alerts) or () if one.runbook == runbook), None)
    metric = "runbook" if rule is None else str(rule.on)
    firing = Firing(agent=agent, metric=metric, sentence=sentence, drill=f"runbook {runbook}"[:64])
    with rehearsed(room, firing, room.work.now()) as answer:
        opened = answer.incident
        if opened is None:
            raise UsageError(
                "the rehearsal could not be opened", remedy="Run `pilothouse doctor`.", subject=runbook
            )
        tell(
            f"{opened.name} is open{f' for {person}' if person else ''}: acknowledge it, follow {runbook}, resolve it."
        )
        found = wait_for(room, opened.number, wait_s, tell, lambda one: not one.is_active, pace=pace)
    passed = not found.is_active
    said = (
        f"{found.acknowledged_by} followed {runbook}"
        if passed
        else f"nobody followed {runbook} to its end within {wait_s:g} s"
    )
    if passed:
        record_drill(
            room, charter, "drill.runbook", room.work.now(), passed=True, said=said, scope=Scope(part=runbook)
        )
    return DrillResult(name="runbook", passed=passed, sentence=said, incidents=(found.number,))


def drill_owner_powers(room: ControlRoom, agent: str, *, person: str, now: datetime) -> DrillResult:
    """Let the owner pause and roll back a shadow of the agent, each obeyed within 2 seconds, and see that the owner may approve.

    Args:
        room: Opened parts.
        agent: Agent id.
        person: Who uses the powers; must be the owner.
        now: The moment, aware UTC.

    Raises:
        Denied: Somebody else than the owner asks.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    owner = charter.owner.person
    if person != owner:
        raise Denied(
            f"{person} is not the owner of {agent}"
            if person
            else f"only the owner of {agent} holds this drill, and nobody said who does it",
            remedy=f"The owner does it: `pilothouse drill owner-powers --as {owner}`.",
            subject=agent,
        )
    shadow = f"{agent}~drill"
    cache = ControlsCache(room.controls)
    cache.start()
    try:
        room.controls.pause(Pause(agent=shadow, tool=None, reason="drill owner-powers", actor=person, at=now))
        paused_s = seconds_until(lambda: cache.state().pause_of(shadow) is not None)
        room.controls.resume(shadow, None, reason="drill owner-powers", actor=person, at=now)
        resumed_s = seconds_until(lambda: cache.state().pause_of(shadow) is None)
        back_s, ended_s = seconds_to_roll_back(
            room, cache, shadow, drill="owner-powers", actor=person, now=now
        )
    finally:
        cache.stop()
    lacking = [str(one) for one in (Action.OPERATE, Action.APPROVE) if not may_act(charter, owner, one)]
    passed = None not in {paused_s, resumed_s, back_s, ended_s} and not lacking
    said = f"{owner} paused and resumed a shadow, and rolled it back and ended that; each was obeyed, and {owner} may approve"
    if lacking:
        said = f"{owner} may not {' or '.join(lacking)}: `people.{owner}.role` says less than owning asks"
    elif not passed:
        said = f"a pause or rollback by {owner} was not obeyed within {EFFECTIVE_WITHIN_S:.0f} s"
    record_drill(room, charter, "drill.owner-powers", now, passed=passed, said=said, person=owner)
    return DrillResult(name="owner-powers", passed=passed, sentence=said)


def _answered_or_late(room: ControlRoom) -> Callable[[Incident], bool]:
    def done(incident: Incident) -> bool:
        return incident.state is not IncidentState.OPEN or any(
            _is_late(one) for one in room.incidents.events(incident.number)
        )

    return done


def _is_late(event: IncidentEvent) -> bool:
    return event.kind == "loud" and ("did not answer in time" in event.text or "can be reached" in event.text)


def _reach_duties(room: ControlRoom, charter: Charter, now: datetime) -> Sequence[str]:
    """Send a test message to everybody who is accountable or responsible; write down each duty; return who was not reached."""
    reached: dict[str, bool] = {}
    for duty in DUTIES:
        row = charter.raci.row(duty)
        people = [one for one in (row.accountable, *(known(row.responsible) or ())) if one in charter.people]
        for person in people:
            if person not in reached:
                reached[person] = _reach(room, charter, person, now)
        missing = [person for person in people if not reached[person]]
        said = f"not reached: {', '.join(missing)}" if missing else f"reached: {', '.join(people)}"
        record_drill(
            room,
            charter,
            "duty.reached",
            now,
            passed=bool(people) and not missing,
            said=said,
            scope=Scope(duty=duty),
        )
    return [person for person, ok in reached.items() if not ok]


def _reach(room: ControlRoom, charter: Charter, person: str, now: datetime) -> bool:
    identity = charter.identity_of(person) or ""
    message = Message(
        key=f"drill/{charter.agent}/{person}/{now:%Y%m%dT%H%M%S}",
        title=f"DRILL: test message for {person} about {charter.agent}",
        body="Nothing is wrong. It proves that you can be reached for your duties; nothing has to be done.",
    )
    return any(not room.notifier.send(one.url, message) for one in room.contacts.of(identity))
