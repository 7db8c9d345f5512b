# SPDX-License-Identifier: Apache-2.0
"""Rehearsals of what a team does with an agent: swap its model and take it back, undo planted faults, look at drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pilothouse.core.action.incident import Incident
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.releases import RELEASE_VERDICT, standing_releases
from pilothouse.core.evidence.task import TokenCount
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.errors import Denied, UsageError
from pilothouse.interruption import unbroken
from pilothouse.workflows.controls.controls import ControlsCache
from pilothouse.workflows.drills.faults import FAULTS, noticed_in
from pilothouse.workflows.drills.records import DrillResult, record_drill
from pilothouse.workflows.drills.shadow_stream import Fault, shadow_traffic
from pilothouse.workflows.drills.waiting import (
    REAL_TIME,
    Pace,
    close_rehearsal,
    seconds_to_roll_back,
    wait_for,
)
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.incidents.alerts import METRIC_OF_KIND, Firing, raise_alert
from pilothouse.workflows.incidents.incidents import incident_named
from pilothouse.workflows.people.directory import told_for
from pilothouse.workflows.watch.drift import look_at_drift

__all__ = ["GAME_DAY", "drill_drift", "drill_game_day", "drill_model_upgrade"]

GAME_DAY = ("completion-drop", "cost-burst", "lying-completion")
"""The three faults of a game day; the team is not told which one is which."""

WORDS = {"completion": "completion", "cost_per_task": "cost", "discrepancy": "claim"}
"""The word by which who resolves an incident shows that the fault was found."""

GATE_MAX_AGE = timedelta(days=180)
"""OWN-4: a rehearsal counts for half a year, and so does the gate that it begins with."""


def drill_model_upgrade(room: ControlRoom, agent: str, *, person: str, now: datetime) -> DrillResult:
    """Rehearse the way of a model update: the gate let a version in, who approves says yes, and a shadow is taken back within 2 s.

    Args:
        room: Opened parts.
        agent: Agent id.
        person: Who approves; one of `model.upgrade.approve`, or the substitute of one who is gone.
        now: The moment, aware UTC.

    Raises:
        Denied: The charter does not let this person approve.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    _check_approver(room, charter, person)
    judged = standing_releases(
        room.installation.ledger.evidence(agent, since=now - GATE_MAX_AGE, kinds=[RELEASE_VERDICT])
    )
    let_in = [one for one in judged.values() if one.passed and one.basis is Basis.MEASURED]
    shadow = f"{agent}~drill"
    cache = ControlsCache(room.controls)
    cache.start()
    try:
        back_s, ended_s = seconds_to_roll_back(
            room, cache, shadow, drill="model-upgrade", actor=person, now=now
        )
    finally:
        cache.stop()
    passed = bool(let_in) and back_s is not None and ended_s is not None
    decided = (
        f"version {short_digest(let_in[-1].binds.version)} passed the gate on {day(let_in[-1].window_to)}"
        if let_in
        else f"no version that stands has passed the gate in {GATE_MAX_AGE.days} days: `pilothouse gate`"
    )
    way = (
        "was not obeyed"
        if back_s is None or ended_s is None
        else f"was obeyed after {back_s:.1f} s and ended"
    )
    said = f"{decided}; {person} approved; a rollback of a shadow {way}"
    record_drill(room, charter, "drill.model-upgrade", now, passed=passed, said=said)
    return DrillResult(name="model-upgrade", passed=passed, sentence=said)


def _check_approver(room: ControlRoom, charter: Charter, person: str) -> None:
    named = [one for one in known(charter.model.upgrade.approve) or () if not is_open(one)]
    may = [one for name in named if (one := told_for(room.installation.ledger, charter, name)) is not None]
    if person in may:
        return
    whom = ", ".join(may) or "nobody who is here"
    said = f"{person} does not approve" if person else "nobody said who approves"
    raise Denied(
        f"{said} the model update of {charter.agent}: `model.upgrade.approve` of the charter names {whom}",
        remedy=f"Who approves says yes: `pilothouse drill model-upgrade --as {may[0]}`."
        if may
        else "Name somebody there, then `pilothouse check`.",
        subject=charter.agent,
    )


def drill_game_day(
    room: ControlRoom, agent: str, *, wait_s: float, tell: Callable[[str], None], pace: Pace = REAL_TIME
) -> DrillResult:
    """Plant three faults; the operations team alone must take each, and name it when it ends it.

    Args:
        room: Opened parts.
        agent: Agent id.
        wait_s: How long the team has, seconds.
        tell: Told each step in one sentence.
        pace: How time passes.

    Raises:
        UsageError: The charter names no operations team.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    team = set(known(charter.operations.team) or ())
    if not team:
        raise UsageError(
            f"the charter of {agent} names no operations team that could receive it",
            remedy="Name people under `operations.team`, then `pilothouse check`.",
            subject=agent,
        )
    planted: dict[int, str] = {}
    try:
        _open_all(room, charter, team, tell, planted)
        for number in planted:
            wait_for(room, number, wait_s / max(len(planted), 1), tell, _is_over, pace=pace)
        missed = [f"INC-{number}" for number, word in planted.items() if not _found(room, number, word, team)]
    finally:  # also when somebody stops the drill while it waits
        with unbroken():
            for number in planted:
                close_rehearsal(room, incident_named(room, number))
    passed = len(planted) == len(GAME_DAY) and not missed
    said = (
        f"{len(planted)} planted faults were taken, named and ended by {', '.join(sorted(team))} alone"
        if passed
        else f"{len(planted) - len(missed)} of {len(GAME_DAY)} planted faults were taken, named and ended by the team; "
        f"not so {', '.join(missed) or 'those that no rule noticed'}"
    )
    record_drill(room, charter, "drill.game-day", room.work.now(), passed=passed, said=said)
    return DrillResult(name="game-day", passed=passed, sentence=said, incidents=tuple(planted))


def drill_drift(room: ControlRoom, agent: str, *, now: datetime) -> DrillResult:
    """Let a shadow's inputs change and see whether the weekly tests notice; nobody is paged, for drift buys labels."""
    charter = charter_in_force(room.installation.ledger, agent)
    before, _ = shadow_traffic(charter, Fault(metric="drift"), now)
    plain = [
        replace(
            task, tokens=TokenCount(input=900 + number % 200), input_preview=f"invoice {number} of a supplier"
        )
        for number, task in enumerate(before)
    ]
    changed = [
        replace(
            task,
            tokens=TokenCount(input=2_700 + number % 200),
            input_preview=f"reminder {number} by a lawyer",
        )
        for number, task in enumerate(before)
    ]
    same = look_at_drift(room.installation.lake, plain, plain)
    other = look_at_drift(room.installation.lake, plain, changed)
    passed = not same.changed and {"inputs", "words"} & set(other.p_values) != set() and bool(other.changed)
    said = (
        f"planted change: {', '.join(other.changed) or 'nothing'} noticed ({other.detail}); no change: "
        + ("nothing noticed" if not same.changed else f"{', '.join(same.changed)} noticed")
    )
    return DrillResult(name="drift", passed=passed, sentence=said)


def _open_all(
    room: ControlRoom, charter: Charter, team: set[str], tell: Callable[[str], None], planted: dict[int, str]
) -> None:
    """Plant the faults of a game day; note the number of each incident, and the word that names its fault."""
    for number, name in enumerate(GAME_DAY, start=1):
        now = room.work.now()
        item = noticed_in(charter, FAULTS[name], now)
        if item is None:
            continue
        firing = Firing(
            agent=charter.agent,
            metric=METRIC_OF_KIND[item.kind],
            sentence=f"Something is wrong with {charter.agent} (fault {number} of the game day).",
            traces=item.items,
            onset=now,
            drill=f"game-day {number}",
        )
        with unbroken():  # a stop while it is opened comes when its end is sure
            opened = raise_alert(room, firing, now).incident
            if opened is not None:
                planted[opened.number] = WORDS[METRIC_OF_KIND[item.kind]]
        if opened is None:
            continue
        tell(
            f"{opened.name} is open: one of {', '.join(sorted(team))} takes it, finds the fault, and says which one "
            f"with `pilothouse incident resolve {opened.number} --as PERSON --text …`."
        )


def _is_over(incident: Incident) -> bool:
    return not incident.is_active


def _found(room: ControlRoom, number: int, word: str, team: set[str]) -> bool:
    """Whether the team alone took an incident, and ended it with words that name the fault."""
    incident = room.incidents.incident(number)
    if incident is None or incident.is_active or incident.acknowledged_by not in team:
        return False
    steps = [one for one in room.incidents.events(number) if one.kind == "state" and one.actor != "watch"]
    return all(one.actor in team for one in steps) and any(word in one.text.lower() for one in steps)
