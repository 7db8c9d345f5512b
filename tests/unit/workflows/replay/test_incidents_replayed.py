# SPDX-License-Identifier: Apache-2.0
"""MON-13 in a verdict: the command for the incident that lacks a replay, and what `INC-1` means to `pilothouse replay`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from control_rooms import AGENT
from recorded_runs import RUN, conversation, record

from pilothouse.core.evidence.run_log import NOT_RECORDED, RunOpened
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import EvidenceError, UnknownName
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.replay.evidence import keep_no_run, keep_reproduction
from pilothouse.workflows.replay.of_incident import incident_meant, run_of_incident
from pilothouse.workflows.replay.run import ReplayRequest, replay_run
from pilothouse.workflows.verdict.assess import assess


@pytest.fixture
def room(room):
    return replace(room, installation=replace(room.installation, incidents=room.incidents))


@pytest.fixture
def log(tmp_path):
    with Recorder(tmp_path / "runs") as opened:
        yield opened


def reports(log, run=RUN):
    """Strict replays that are equal, as with the agent's code."""
    found = replay_run(log.read(run), log.redaction, ReplayRequest(), None)
    return tuple(replace(one, grain="code", mode=ReplayMode.STRICT, agent=AGENT) for one in found)


def fire(room, *traces):
    sentence = "Quality fell to 79 %."
    firing = Firing(agent=AGENT, metric="quality", sentence=sentence, traces=traces)
    return raise_alert(room, firing, room.work.now()).incident


def judged(room, now):
    requirements = assess(room.installation, AGENT, now, freeze=False).ahead
    (item,) = next(one for one in requirements if one.requirement == "MON-13").items
    return item


def test_the_incident_without_a_replay_is_named_with_its_command_and_another_run_does_not_stand_in(
    room, log, clock
):
    record(log, conversation(2))
    keep_reproduction(room.installation.ledger, reports(log), clock())
    assert judged(room, clock()).status is Status.HOLDS, "without an incident a drill is enough"
    incident = fire(room, "a" * 32)
    item = judged(room, clock())
    assert (item.status, item.remedy) == (
        Status.NO_EVIDENCE,
        "pilothouse replay INC-1 --exec 'python agent.py' --evidence",
    )
    assert item.sentence == "Replay of incidents: not known. INC-1 has not been replayed yet."
    with pytest.raises(EvidenceError, match=r"INC-1 has no run .* \(1 not in the run log") as told:
        run_of_incident(log, incident)
    keep_no_run(room.installation.ledger, incident, told.value.message, clock())
    said = judged(room, clock())
    assert (said.status, said.remedy) == (Status.NO_EVIDENCE, "pilothouse replay")
    assert "no other run has been replayed since" in said.sentence
    clock.move(minutes=1)
    keep_reproduction(room.installation.ledger, reports(log), clock())
    assert judged(room, clock()).status is Status.HOLDS


def test_an_incident_is_replayed_by_its_own_run(room, log, clock):
    record(log, conversation(2))
    incident = replace(fire(room, "b" * 32, RUN), agent=log.read(RUN).summary.agent)
    assert incident_meant(room.incidents, "inc-1").number == 1
    assert incident_meant(room.incidents, RUN) is None
    with pytest.raises(UnknownName, match="no incident INC-2"):
        incident_meant(room.incidents, "INC-2")
    assert run_of_incident(log, incident) == RUN
    keep_reproduction(room.installation.ledger, reports(log), clock())
    assert judged(room, clock()).status is Status.HOLDS
    log.erase(log.read(RUN).summary.subject)
    with pytest.raises(
        EvidenceError, match="1 not in the run log: never recorded, or no longer kept, 1 erased"
    ):
        run_of_incident(log, incident)
    assert judged(room, clock()).status is Status.HOLDS, "what was shown before it was erased still counts"


def test_a_run_whose_calls_were_not_recorded_by_choice_is_no_run_of_its_incident(room, log, clock):
    log.append(RUN, RunOpened(agent=AGENT, taps=(NOT_RECORDED,)))
    log.flush()
    incident = fire(room, RUN)
    with pytest.raises(EvidenceError, match="1 not recorded by choice"):
        run_of_incident(log, incident)
