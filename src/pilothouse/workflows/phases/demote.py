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
from pilothouse.core.charter.operations import PHASES, PhaseName
from pilothouse.core.verdict.phases import fold_phase
from pilothouse.core.verdict.verdict import AdditionVerdict, AgentVerdict, ItemVerdict, Status
from pilothouse.ports.controls import Pause, Rollback
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.controls.controls import version_before
from pilothouse.workflows.ground.act_log import ACTOR, read_acts, write_act
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of, newest_verdict
from pilothouse.workflows.ground.phase_log import additions_of, phase_events, phase_now
from pilothouse.workflows.ground.work import new_holder
from pilothouse.workflows.incidents.alerts import (
    METRIC_OF_KIND,
    SEVERITY_DEFAULT,
    rule_for,
    said_as,
)
from pilothouse.workflows.phases.demotion_told import tell_of
from pilothouse.workflows.phases.phases import demote_phase

__all__ = ["LEASE_NAME", "act_on_verdicts"]

LEASE_NAME = "demotion"
"""Only one process acts on verdicts at a time."""

_SHARED = ("move", "requirement", "phase", "version", "since", "due_at", "sentence", "remedy")
"""What a planned step and its record have in common."""

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
    name = holder or new_holder()
    lease = room.work.acquire(LEASE_NAME, name)
    if lease is None:
        return 0

    def act(record: CharterInForce) -> int:
        """Act on one agent while the lease, which lives for seconds, is still ours."""
        return 0 if room.work.acquire(LEASE_NAME, name) is None else _act(room, record, now)

    try:
        return for_every_agent(room.installation.ledger, act)
    finally:
        room.work.release(lease)


def _act(room: ControlRoom, record: CharterInForce, now: datetime) -> int:
    ledger, agent, charter = room.installation.ledger, record.agent, charter_of(record)
    steps = _finish(room, charter, now)
    verdict = _verdict(room, record)
    if verdict is None:
        return steps
    acts = read_acts(ledger, agent)
    plans = plan_demotion(verdict, now, _standing(room, charter, verdict, acts))
    due = [one for one in plans if one.requirement not in acts or not acts[one.requirement].covers(one)]
    # All of them before the first is done: a fall that only some of them knew of would be theirs to repeat.
    for plan in due:
        if plan.move not in _WARNINGS:
            _write(room, charter, plan, ActState.BEGUN, now)
    told: dict[tuple[Move, PhaseName | None], Incident] = {}
    for plan in due:
        _carry_out(room, charter, plan, now, told)
    steps += len(due)
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
    if item is None or not is_seen or there.joined_at is not None or there.state.phase == "pilot":
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
    # People first: once it is out, no verdict asks for it any more, and after a kill in between nobody would hear of it.
    tell_of(room, charter, plan, f"the {one.label} of {agent} is out of service", now)
    demote_phase(ledger, agent, now, to="pilot", actor=ACTOR, reason=item.sentence, addition=there)
    return True


def _verdict(room: ControlRoom, record: CharterInForce) -> AgentVerdict | None:
    """Return the newest verdict if it speaks of the charter and the phase in force; a new one comes in minutes."""
    ledger = room.installation.ledger
    verdict = newest_verdict(ledger, record.agent)
    state = fold_phase(phase_events(ledger, record.agent))
    if verdict is None or verdict.charter_digest != record.digest or verdict.phase != state.phase:
        return None
    return None if state.since is not None and verdict.as_of < state.since else verdict


def _finish(room: ControlRoom, charter: Charter, now: datetime) -> int:
    """Tell of what a killed process put into force and wrote down only as begun; what it had not done is planned anew.

    A fall changes the phase that verdicts speak of, so no plan would come back to it.
    """
    ledger, agent = room.installation.ledger, charter.agent
    acts = read_acts(ledger, agent).values()
    told = {
        (one.move, one.phase): found
        for one in acts
        if one.incident and (found := room.incidents.incident(int(one.incident.partition("-")[2])))
        if any(begun.state is ActState.BEGUN and begun.at == one.at for begun in acts)
    }
    finished = 0
    for act in acts:
        what = _in_force(room, act, agent) if act.state is ActState.BEGUN else ""
        item = _item_of(newest_verdict(ledger, agent, at=act.at), act) if what else None
        if item is not None:
            plan = Demotion(item=item, **{name: getattr(act, name) for name in _SHARED})
            _tell(room, charter, plan, what, now, told)
            finished += 1
    return finished


def _in_force(room: ControlRoom, act: Act, agent: str) -> str:
    """Return in a few words what of a begun step is in force, or nothing."""
    controls = room.controls.read()
    rollback = controls.rollback_of(agent)
    if act.move is Move.PAUSE and controls.pause_of(agent) is not None:
        return f"{agent} is paused"
    if act.move is Move.ROLL_BACK and rollback is not None and rollback.from_version == act.version:
        return f"{agent} is rolled back to {rollback.to_version}"
    here = phase_now(room.installation.ledger, agent)
    if act.phase is not None and PHASES.index(here) <= PHASES.index(act.phase):
        return _fallen(agent, act.phase)
    return ""


def _item_of(verdict: AgentVerdict | None, act: Act) -> ItemVerdict | None:
    """Return the item for which a step was begun, by the verdict that asked for it."""
    found = () if verdict is None else verdict.requirements
    asked = next((one for one in found if one.requirement == act.requirement), None)
    if asked is None:
        return None
    return next((item for item in asked.items if act.sentence.startswith(item.sentence)), asked.deciding)


def _standing(
    room: ControlRoom, charter: Charter, verdict: AgentVerdict, acts: Mapping[str, Act]
) -> Standing:
    rollback = room.controls.read().rollback_of(charter.agent)
    state = fold_phase(phase_events(room.installation.ledger, charter.agent))
    return Standing(
        acts=acts,
        phase_since=state.since,
        fell_at=state.since if state.re_entered else None,
        rolled_back_to=rollback.to_version if rollback else None,
        has_earlier_version=version_before(room.installation, charter.agent, verdict.version) is not None,
        resolve=_times_to_cure(charter, verdict),
    )


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
    told: dict[tuple[Move, PhaseName | None], Incident],
) -> None:
    """Do one step: the control first, then people, then the record, so that a kill between them repeats, not skips."""
    agent, ledger = charter.agent, room.installation.ledger
    if plan.move is Move.PAUSE:
        room.controls.pause(Pause(agent=agent, tool=None, reason=said_as(plan.sentence), actor=ACTOR, at=now))
        what = f"{agent} is paused"
    elif plan.move is Move.ROLL_BACK:
        what = f"{agent} is rolled back to {_roll_back(room, agent, plan, now)}"
    elif plan.move is Move.DEMOTE and plan.phase is not None:
        demote_phase(ledger, agent, now, to=plan.phase, actor=ACTOR, reason=plan.sentence)
        what = _fallen(agent, plan.phase)
    else:
        what = ""
    _tell(room, charter, plan, what, now, told)


def _tell(  # noqa: PLR0917 - a step, what came of it, and who knows already
    room: ControlRoom,
    charter: Charter,
    plan: Demotion,
    what: str,
    now: datetime,
    told: dict[tuple[Move, PhaseName | None], Incident],
) -> None:
    """Tell people of a step, and write down that it is done.

    Several requirements may ask for the same step at once; people are told of it once.
    """
    same = (plan.move, plan.phase)
    if what and same not in told:
        told[same] = tell_of(room, charter, plan, what, now)
    incident = told.get(same)
    state = ActState.WAITS if plan.move in _WARNINGS else ActState.DONE
    _write(room, charter, plan, state, now, incident=incident.name if incident else "")


def _write(
    room: ControlRoom,
    charter: Charter,
    plan: Demotion,
    state: ActState,
    now: datetime,
    *,
    incident: str = "",
) -> None:
    fields = {name: getattr(plan, name) for name in _SHARED}
    fields |= {"sentence": plan.sentence[:1_000], "remedy": plan.remedy[:500]}
    write_act(room.installation.ledger, charter.agent, Act(state=state, at=now, incident=incident, **fields))


def _fallen(agent: str, phase: PhaseName) -> str:
    return f"{agent} is in {'the pilot' if phase == 'pilot' else f'phase {phase}'} from now on"


def _roll_back(room: ControlRoom, agent: str, plan: Demotion, now: datetime) -> str:
    there = room.controls.read().rollback_of(agent)
    if there is not None and there.to_version != plan.version:
        return there.to_version  # it serves no more, and what serves instead a person may have chosen
    target = version_before(room.installation, agent, plan.version)
    assert target is not None  # noqa: S101 - such a move is planned only where there is one
    room.controls.roll_back(
        Rollback(
            agent=agent,
            to_version=target,
            from_version=plan.version,
            reason=said_as(plan.sentence),
            actor=ACTOR,
            at=now,
        )
    )
    return target
