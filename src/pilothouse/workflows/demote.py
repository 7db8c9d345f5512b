# SPDX-License-Identifier: Apache-2.0
"""Carry out what verdicts make necessary: pause, roll back or demote an agent, record it, and tell its owner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from pilothouse.core.action.demotion import Act, ActState, Demotion, Move, Standing, plan_demotion
from pilothouse.core.action.incident import Incident
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.phases import fold_phase
from pilothouse.core.verdict.verdict import AdditionVerdict, AgentVerdict, Status
from pilothouse.ports.controls import Pause, Rollback
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.act_log import ACTOR, read_acts, write_act
from pilothouse.workflows.alerts import (
    METRIC_OF_KIND,
    SEVERITY_DEFAULT,
    rule_for,
)
from pilothouse.workflows.control_room import ControlRoom
from pilothouse.workflows.controls import versions_that_held
from pilothouse.workflows.demotion_told import tell_of
from pilothouse.workflows.every_agent import for_every_agent
from pilothouse.workflows.in_force import charter_of, newest_verdict
from pilothouse.workflows.phase_log import additions_of, phase_events
from pilothouse.workflows.phases import demote_phase
from pilothouse.workflows.work import new_holder

__all__ = ["LEASE_NAME", "act_on_verdicts"]

LEASE_NAME = "demotion"
"""Only one process acts on verdicts at a time."""

_WARNINGS = frozenset({Move.GRACE, Move.BLOCK_PROMOTION})


def act_on_verdicts(room: ControlRoom, now: datetime, *, holder: str = "") -> int:
    """Do for every agent what its newest verdict makes necessary and was not done yet.

    Args:
        room: Opened parts.
        now: The moment, aware UTC.
        holder: Name of this run of the process, for the lease.

    Returns:
        How many steps were recorded; none when run again at once, or while another process does it.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """
    lease = room.work.acquire(LEASE_NAME, holder or new_holder())
    if lease is None:
        return 0
    try:
        return for_every_agent(room.installation.ledger, lambda record: _act(room, record, now))
    finally:
        room.work.release(lease)


def _act(room: ControlRoom, record: CharterInForce, now: datetime) -> int:
    ledger, agent = room.installation.ledger, record.agent
    verdict = _verdict(room, record)
    if verdict is None:
        return 0
    charter, acts = charter_of(record), read_acts(ledger, agent)
    steps = 0
    standing = _standing(room, charter, verdict, acts)
    plans = plan_demotion(verdict, now, standing)
    told: dict[tuple[Move, str | None], Incident] = {}
    for plan in plans:
        act = acts.get(plan.requirement)
        if act is None or not act.covers(plan):
            _carry_out(room, charter, plan, now, told)
            steps += 1
    steps += sum(_let_fall(room, charter, verdict, one, now) for one in verdict.additions)
    for name in acts.keys() - {plan.requirement for plan in plans}:
        ended = acts[name].model_copy(update={"state": ActState.ENDED, "at": now})
        write_act(ledger, agent, ended)
        steps += 1
    return steps


def _let_fall(
    room: ControlRoom, charter: Charter, verdict: AgentVerdict, one: AdditionVerdict, now: datetime
) -> bool:
    """Take an addition out of service whose own items are breached; the old scope stays where it is.

    There is no grace: it was let in on the word that it can leave again.
    """
    ledger, agent, item = room.installation.ledger, charter.agent, one.breach
    there = next(found for found in additions_of(ledger, agent) if found.label == one.label)
    is_seen = there.state.since is not None and there.state.since <= verdict.as_of
    if item is None or not is_seen or there.joined_at is not None:
        return False
    fell = demote_phase(ledger, agent, now, to="pilot", actor=ACTOR, reason=item.sentence, addition=there)
    if fell is None:
        return False
    plan = Demotion(
        move=Move.DEMOTE,
        requirement=item.requirement,
        item=item,
        phase="pilot",
        version=verdict.version,
        since=verdict.as_of,
        due_at=now,
        sentence=f"{item.sentence} The {one.label} is out of service; the rest of {agent} stays where it is.",
        remedy=item.remedy,
    )
    tell_of(room, charter, plan, f"the {one.label} of {agent} is out of service", now)
    return True


def _verdict(room: ControlRoom, record: CharterInForce) -> AgentVerdict | None:
    """Return the newest verdict if it speaks of the charter and the phase in force; a new one comes in minutes."""
    ledger = room.installation.ledger
    verdict = newest_verdict(ledger, record.agent)
    state = fold_phase(phase_events(ledger, record.agent))
    if verdict is None or verdict.charter_digest != record.digest or verdict.phase != state.phase:
        return None
    return None if state.since is not None and verdict.as_of < state.since else verdict


def _standing(
    room: ControlRoom, charter: Charter, verdict: AgentVerdict, acts: Mapping[str, Act]
) -> Standing:
    rollback = room.controls.read().rollback_of(charter.agent)
    return Standing(
        acts=acts,
        phase_since=fold_phase(phase_events(room.installation.ledger, charter.agent)).since,
        rolled_back_to=rollback.to_version if rollback else None,
        has_earlier_version=_earlier_version(room, verdict) is not None,
        resolve=_times_to_cure(charter, verdict),
    )


def _earlier_version(room: ControlRoom, verdict: AgentVerdict) -> str | None:
    held = versions_that_held(room.installation, verdict.agent)
    return next((version for version in held if version != verdict.version), None)


def _times_to_cure(charter: Charter, verdict: AgentVerdict) -> Mapping[str, timedelta]:
    """Return how long a breach of each requirement may last: what the charter gives the severity of its alert."""
    terms = known(charter.severities) or {}
    found: dict[str, timedelta] = {}
    for requirement in verdict.requirements:
        if requirement.status is not Status.BREACHED:
            continue
        item = requirement.deciding
        rule = rule_for(charter, METRIC_OF_KIND.get(item.kind, item.requirement), item.scope.task_type)
        severity = SEVERITY_DEFAULT if rule is None or is_open(rule.severity) else rule.severity
        term = terms.get(severity)
        resolve = known(term.resolve) if term is not None else None
        if resolve is not None:
            found[requirement.requirement] = resolve
    return MappingProxyType(found)


def _carry_out(
    room: ControlRoom,
    charter: Charter,
    plan: Demotion,
    now: datetime,
    told: dict[tuple[Move, str | None], Incident],
) -> None:
    """Do one step: the control first, then people, then the record, so that a kill between them repeats, not skips.

    Several requirements may ask for the same step at once; people are told of it once.
    """
    agent, ledger = charter.agent, room.installation.ledger
    if plan.move is Move.PAUSE:
        room.controls.pause(Pause(agent=agent, tool=None, reason=plan.sentence, actor=ACTOR, at=now))
        what = f"{agent} is paused"
    elif plan.move is Move.ROLL_BACK:
        what = f"{agent} is rolled back to {_roll_back(room, agent, plan, now)}"
    elif plan.move is Move.DEMOTE and plan.phase is not None:
        demote_phase(ledger, agent, now, to=plan.phase, actor=ACTOR, reason=plan.sentence)
        what = f"{agent} is in {'the pilot' if plan.phase == 'pilot' else f'phase {plan.phase}'} from now on"
    else:
        what = ""
    same = (plan.move, plan.phase)
    if what and same not in told:
        told[same] = tell_of(room, charter, plan, what, now)
    incident = told.get(same)
    write_act(
        ledger,
        agent,
        Act(
            state=ActState.WAITS if plan.move in _WARNINGS else ActState.DONE,
            move=plan.move,
            requirement=plan.requirement,
            phase=plan.phase,
            version=plan.version,
            since=plan.since,
            due_at=plan.due_at,
            at=now,
            sentence=plan.sentence[:1_000],
            remedy=plan.remedy[:500],
            incident=incident.name if incident else "",
        ),
    )


def _roll_back(room: ControlRoom, agent: str, plan: Demotion, now: datetime) -> str:
    held = versions_that_held(room.installation, agent)
    target = next(version for version in held if version != plan.version)
    there = room.controls.read().rollback_of(agent)
    if there is None or there.to_version != target:
        room.controls.roll_back(
            Rollback(
                agent=agent,
                to_version=target,
                from_version=plan.version,
                reason=plan.sentence,
                actor=ACTOR,
                at=now,
            )
        )
    return target
