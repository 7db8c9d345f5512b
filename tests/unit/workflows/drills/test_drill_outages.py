# SPDX-License-Identifier: Apache-2.0
"""A drill of an outage judges what the agent did meanwhile; a fallback is what its integration's owner declared."""

from __future__ import annotations

from datetime import timedelta

import pytest
from control_rooms import AGENT, reach
from sinks import web_sink

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Denied, LimitExceeded, UnknownName
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.planted import FAULT_LIFE_MAX, SHADOW, FaultKind, PlantedFault, planted_for
from pilothouse.workflows.drills.faults import Rehearsal
from pilothouse.workflows.drills.outages import (
    Outage,
    declared_fallback,
    drill_outage,
    observe,
    record_fallback,
)
from pilothouse.workflows.drills.waiting import Pace
from pilothouse.workflows.ground.in_force import charter_in_force, charter_of

VERSION = "v1"


def rehearsal(room, clock, name):
    return Rehearsal(
        room=room,
        charter=charter_in_force(room.installation.ledger, AGENT),
        name=name,
        began_s=clock().timestamp(),
        wait_s=1.0,
        tell=lambda _text: None,
        pace=Pace(monotonic=lambda: clock().timestamp(), sleep=lambda seconds: clock.move(seconds=seconds)),
    )


class Shadow:
    """An agent that asks a model, or a tool of an integration, and ends as it was told when that is down."""

    def __init__(self, room, clock, kind, *, integration="", result=TaskResult.FAILED, wrong=False):
        self.room, self.clock, self.kind, self.integration = room, clock, kind, integration
        self.result, self.wrong, self.worked = result, wrong, 0

    def __call__(self):
        for _ in range(4):
            self.clock.move(seconds=2)
            down = planted_for(
                self.room.controls.read().planted,
                AGENT,
                self.kind,
                environment=SHADOW,
                now=self.clock(),
                integration=self.integration,
            )
            start, self.worked = unix_ns(self.clock()), self.worked + 1
            task = Task(
                trace_id=f"{self.worked:032x}",
                agent=AGENT,
                task_type="po_invoice",
                version_digest=VERSION,
                environment=SHADOW,
                result=self.result if down else TaskResult.COMPLETED,
                error_type="circuit_open" if down else None,
                start_ns=start,
                end_ns=start + 10**9,
                duration_ns=10**9,
            )
            self.room.installation.lake.add([task])
            if self.wrong:
                self.room.installation.ledger.save_outcomes(
                    [
                        Outcome(
                            trace_id=task.trace_id, agent=AGENT, task_type="po_invoice", version_digest=VERSION,
                            task_start_ns=start, claim="{}", found="", critical=None, verifier="v", attempts=1,
                            status=OutcomeStatus.CONTRADICTED, verified_at=self.clock(),
                        )
                    ]
                )  # fmt: skip


def outage(kind, drive, integration=""):
    return Outage(kind=kind, integration=integration, life=timedelta(minutes=5), actor="test", drive=drive)


def test_an_outage_of_a_model_is_seen_in_the_tasks_of_a_shadow_and_reaches_somebody(room, clock):
    shadow = Shadow(room, clock, FaultKind.MODEL_TIMEOUT)
    with web_sink() as web:
        reach(room, "sam", web.url)
        done = drill_outage(rehearsal(room, clock, "model-timeout"), outage(FaultKind.MODEL_TIMEOUT, shadow))
    assert done.passed, done.sentence
    assert done.sentence.startswith("4 of 4 tasks met it: 4 failed; alert completion after ")
    assert room.controls.read().planted == (), "the fault ends with its drill"
    kinds = [one.kind for one in room.installation.ledger.decisions(AGENT)]
    assert (kinds.count("drill.planted"), kinds.count("drill.uprooted")) == (1, 1)
    window = {"agent": AGENT, "from_ns": 0, "to_ns": unix_ns(clock()) + 1}
    assert room.installation.lake.window(TaskFilter(**window)) == (), "a shadow counts for nothing"
    assert len(room.installation.lake.window(TaskFilter(**window, environment=SHADOW))) == 4


def test_an_outage_that_nobody_meets_or_that_the_agent_survives_fails_the_drill_with_the_reason(room, clock):
    idle = drill_outage(
        rehearsal(room, clock, "model-timeout"), outage(FaultKind.MODEL_TIMEOUT, lambda: None)
    )
    assert "the agent did no task while it was down" in idle.sentence
    other = Shadow(room, clock, FaultKind.TOOL_OUTAGE, integration="mail")
    past = drill_outage(
        rehearsal(room, clock, "tool-outage"), outage(FaultKind.TOOL_OUTAGE, other, integration="erp")
    )
    assert "none of 4 tasks asked a tool of erp through Pilothouse" in past.sentence
    brave = Shadow(room, clock, FaultKind.TOOL_OUTAGE, integration="erp", result=TaskResult.COMPLETED)
    brave.worked = 10
    survived = drill_outage(
        rehearsal(room, clock, "tool-outage"), outage(FaultKind.TOOL_OUTAGE, brave, integration="erp")
    )
    assert survived.sentence == "4 of 4 tasks met it: 4 completed; planted, and no rule noticed it"
    assert not any((idle.passed, past.passed, survived.passed))


@pytest.mark.parametrize(
    ("wrong", "as_declared", "status"),
    [(False, True, Status.HOLDS), (False, False, Status.BREACHED), (True, True, Status.BREACHED)],
    ids=["as declared", "otherwise", "a false claim"],
)
def test_the_fallback_drill_decides_int_11_for_its_integration(room, clock, wrong, as_declared, status):
    shadow = Shadow(
        room,
        clock,
        FaultKind.TOOL_OUTAGE,
        integration="erp",
        result=TaskResult.ESCALATED,
        wrong=wrong,
    )
    drill, down = (
        rehearsal(room, clock, "fallback"),
        outage(FaultKind.TOOL_OUTAGE, shadow, integration="erp"),
    )
    done = record_fallback(drill, down, observe(drill, down), person="sam", as_declared=as_declared)
    assert done.passed is (status is Status.HOLDS), done.sentence
    assert "4 of 4 tasks met it: 4 escalated" in done.sentence
    assert "hold task, retry after window" in done.sentence
    charter = charter_of(room.installation.ledger.charter(AGENT))
    verdict = decide(charter, room.installation.ledger.evidence(AGENT), clock())
    items = next(one for one in verdict.requirements if one.requirement == "INT-11").items
    assert {one.scope.integration: one.status for one in items}["erp"] is status


def test_only_who_answers_for_an_integration_says_what_happened(room):
    charter = charter_of(room.installation.ledger.charter(AGENT))
    with pytest.raises(Denied, match="vp does not answer for erp"):
        declared_fallback(charter, "erp", "vp")
    with pytest.raises(Denied, match="nobody said who saw what became of the tasks without erp"):
        declared_fallback(charter, "erp", "")
    with pytest.raises(UnknownName, match="no integration 'erpp'"):
        declared_fallback(charter, "erpp", "sam")


def test_a_planted_fault_is_bounded_and_ends_by_itself(room, clock):
    now = clock()
    fault = PlantedFault(
        agent=AGENT,
        kind=FaultKind.MODEL_TIMEOUT,
        hang_s=0.25,
        actor="sam",
        at=now,
        until=now + FAULT_LIFE_MAX,
    )
    room.controls.inject_fault(fault)
    assert room.controls.read().planted == (fault,)

    def met(**fields):
        given = {"environment": SHADOW, "now": now} | fields
        return planted_for(room.controls.read().planted, AGENT, FaultKind.MODEL_TIMEOUT, **given)

    assert met() == fault
    assert met(environment="production") is None
    assert met(environment=None) is None
    assert met(now=fault.until) is None
    with pytest.raises(LimitExceeded, match="a planted fault lives at most 0:30:00"):
        room.controls.inject_fault(
            PlantedFault(
                agent=AGENT,
                kind=FaultKind.TOOL_OUTAGE,
                actor="sam",
                at=now,
                until=now + timedelta(hours=1),
            )
        )
    clock.move(hours=1)
    room.controls.inject_fault(
        PlantedFault(
            agent=AGENT,
            kind=FaultKind.TOOL_OUTAGE,
            integration="erp",
            environment=None,
            actor="sam",
            at=clock(),
            until=clock() + timedelta(minutes=1),
        )
    )
    (left,) = room.controls.read().planted
    assert (left.integration, left.environment) == ("erp", None), "what is over goes with the next one"
    assert not room.controls.clear_fault(AGENT, FaultKind.MODEL_TIMEOUT, "", actor="sam", at=clock())
