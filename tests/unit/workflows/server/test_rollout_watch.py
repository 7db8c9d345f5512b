# SPDX-License-Identifier: Apache-2.0
"""New task types, overdue phases and stalls become incidents once; and a wider scope is refused with a date."""

from __future__ import annotations

from datetime import timedelta

import pytest
from control_rooms import AGENT, NOW
from evidence_made import V1, everything_holds, without

from pilothouse.core.evidence.task import UNDECLARED_TASK_TYPE, TaskResult
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.addition import AdditionKind
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.core.verdict.readiness import decide, verdict_digest, verdict_document
from pilothouse.ports.lake import TaskFilter
from pilothouse.testing import example_task
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.phase_log import MOVED
from pilothouse.workflows.phases.widening import ask_to_widen
from pilothouse.workflows.server.rollout_watch import OVERDUE, STALLED, UNDECLARED, watch_rollout
from pilothouse.workflows.watch.untyped_failures import untyped_failures


def rules(room):
    return [incident.rule for incident in room.incidents.incidents(agent=AGENT)]


def test_a_task_type_that_nobody_declared_is_one_incident(room, clock):
    for number, name in enumerate(["refunds", "refunds", "po_invoice"]):
        at = int((clock() - timedelta(minutes=5 + number)).timestamp()) * 10**9
        room.installation.lake.add(
            [example_task(trace_id=f"{number:032x}", start_ns=at, end_ns=at + 10**9, task_type=name)]
        )
    assert watch_rollout(room, clock()) == 1
    assert watch_rollout(room, clock()) == 0
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert (incident.rule, incident.task_type, len(incident.traces)) == (UNDECLARED, "refunds", 2)
    assert "'refunds' is in traffic" in incident.title


@pytest.mark.parametrize(("minutes", "opened"), [(90, 0), (30, 1)])
def test_tasks_of_a_type_that_the_charter_of_then_declared_are_no_incident(room, clock, minutes, opened):
    """Whoever filled a draft in was paged about the draft's own task type."""
    ledger = room.installation.ledger
    draft = ledger.charter(AGENT)
    text = draft.text.replace("non_po_invoice", "other_invoice")
    ledger.accept_charter(
        agent=AGENT, digest="e" * 64, text=text, path=draft.path, at=clock() - timedelta(hours=1)
    )
    at = unix_ns(clock() - timedelta(minutes=minutes))
    room.installation.lake.add([example_task(start_ns=at, end_ns=at + 10**9, task_type="non_po_invoice")])
    assert watch_rollout(room, clock()) == opened


def test_a_program_that_writes_a_new_type_for_each_task_is_one_incident_in_a_working_day(room, clock):
    number = 0
    for _ in range(8 * 4):
        clock.move(minutes=15)
        for _ in range(3):
            number += 1
            at = int((clock() - timedelta(minutes=5)).timestamp()) * 10**9 + number
            room.installation.lake.add(
                [
                    example_task(
                        trace_id=f"{number:032x}", start_ns=at, end_ns=at + 1, task_type=f"invoice {number}"
                    )
                ]
            )
        watch_rollout(room, clock())
    opened = room.incidents.incidents(agent=AGENT)
    assert len(opened) == 2, "the first types by their names, and then all of them together"
    assert opened[0].title == "More than 10 task types are in traffic and not in the charter."
    assert opened[0].task_type is None
    assert opened[0].traces


def test_tasks_without_a_type_are_not_called_a_type_of_that_name(room, clock):
    at = int((clock() - timedelta(minutes=5)).timestamp()) * 10**9
    task = example_task(trace_id="1" * 32, start_ns=at, end_ns=at + 10**9, task_type=UNDECLARED_TASK_TYPE)
    room.installation.lake.add([task])
    watch_rollout(room, clock())
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert incident.title.startswith("Tasks name no type, so nothing")


@pytest.mark.parametrize(("done", "failed", "opened"), [(0, 6, 1), (900, 20, 0), (60, 0, 0), (900, 100, 1)])
def test_an_agent_that_fails_before_it_names_its_tasks_is_an_incident_of_completion(
    room, clock, done, failed, opened
):
    at = int((clock() - timedelta(minutes=30)).timestamp()) * 10**9
    tasks = [
        example_task(
            trace_id=f"{number:032x}", start_ns=at + number, end_ns=at + 10**9, task_type="po_invoice"
        )
        for number in range(done)
    ]
    tasks += [
        example_task(
            trace_id=f"{10_000 + number:032x}",
            start_ns=at + number,
            end_ns=at + 10**9,
            task_type=UNDECLARED_TASK_TYPE,
            result=TaskResult.FAILED,
        )
        for number in range(failed)
    ]
    charter = charter_in_force(room.installation.ledger, AGENT)
    found = untyped_failures(charter, tasks, clock())
    assert (found is not None) is bool(opened)
    if opened:
        room.installation.lake.add(tasks)
        watch_rollout(room, clock())
        (incident,) = room.incidents.incidents(agent=AGENT)
        assert (incident.rule, incident.runbook) == ("completion", "runbooks/completion.md")
        assert incident.title.startswith(
            "Tasks fail before they say their type; completion of all tasks of an hour is"
        )
        assert len(incident.traces) == min(failed, 10)
    assert untyped_failures(charter, tasks, clock() + timedelta(hours=1)) is None, "an hour later it is over"


def test_failures_that_go_on_are_one_line_an_hour_whatever_their_number(room, clock):
    began, number = clock(), 0
    for _ in range(8):  # two hours, a look each quarter of one
        for minute in range(0, 15, 5):
            number += 1
            at = int((clock() + timedelta(minutes=minute)).timestamp()) * 10**9
            failed = example_task(
                trace_id=f"{number:032x}", start_ns=at, end_ns=at + 10**9, task_type=UNDECLARED_TASK_TYPE,
                result=TaskResult.FAILED,
            )  # fmt: skip
            room.installation.lake.add([failed])
        clock.move(minutes=15)
        watch_rollout(room, clock())
    told = sorted(
        event.at - began
        for incident in room.incidents.incidents(agent=AGENT)
        for event in room.incidents.events(incident.number)
        if "Tasks fail before they say their type" in event.text
    )
    assert told == [timedelta(minutes=30), timedelta(minutes=90)]
    charter = charter_in_force(room.installation.ledger, AGENT)
    tasks = room.installation.lake.window(TaskFilter(agent=AGENT, from_ns=0, to_ns=unix_ns(clock())))
    found = untyped_failures(charter, tasks, clock())
    assert found.onset == clock() - timedelta(hours=1), "the first failure of the hour"


def test_a_phase_beyond_its_longest_stay_is_an_incident(room, clock):
    begun = NOW - timedelta(weeks=7)
    entered = PhaseEvent(move=PhaseMove.ENTERED, phase="1", at=begun, by=("dana",), reason="held")
    room.installation.ledger.record(
        kind=MOVED, agent=AGENT, at=begun, actor="dana", document=entered.model_dump_json()
    )
    assert watch_rollout(room, clock()) == 1
    assert rules(room) == [OVERDUE]
    clock.move(days=1)
    assert watch_rollout(room, clock()) == 0


def test_a_stall_of_143_days_is_an_incident_however_long_it_lasts(room, clock):
    charter = charter_in_force(room.installation.ledger, AGENT)
    records = without(everything_holds(charter, clock()), "roster")
    verdict = decide(charter, records, clock(), version=V1)
    for days in (150, 100, 50, 0):
        at = clock() - timedelta(days=days)
        frozen = verdict.model_copy(update={"as_of": at})
        room.installation.ledger.save_verdict(
            agent=AGENT,
            at=at,
            status=frozen.status.value,
            document=verdict_document(frozen),
            digest=verdict_digest(frozen),
        )
    assert watch_rollout(room, clock()) == 1
    assert rules(room) == [STALLED]
    assert "OWN-7" in room.incidents.incidents(agent=AGENT)[0].title
    clock.move(days=2)
    assert watch_rollout(room, clock()) == 0


def test_a_wider_scope_is_refused_with_the_first_day_and_the_answer_is_recorded(room, clock):
    kind = AdditionKind.TASK_TYPE
    asked = ask_to_widen(room.installation, AGENT, kind, "refunds", clock(), actor="dana")
    answer = asked.answer
    assert not asked.is_open
    assert not answer.allowed
    assert answer.earliest == (NOW + timedelta(weeks=10, days=90)).date()
    (row,) = room.installation.ledger.decisions(AGENT, kind="phase.widening")
    assert '"name":"refunds"' in row.document
