# SPDX-License-Identifier: Apache-2.0
"""Failed tasks are sorted by what ended them; a kind that is new or grows is told, and an incident says who answers for it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from control_rooms import AGENT, Hands, control_room_at, reach, run
from sinks import web_sink
from tool_spans import tool_span

from pilothouse.core.evidence.failure import FailureKind
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.lake import TraceView
from pilothouse.ports.watch import WatchReading
from pilothouse.testing import MemoryLake
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.incidents.triage import failures, responsible_for, triage_lines
from pilothouse.workflows.watch.errors import KINDS_WATCHED_MAX, failure_groups, look_at_failures

START = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def room(tmp_path):
    with control_room_at(tmp_path, Hands()) as opened:
        yield opened


@pytest.fixture
def charter(room):
    return charter_in_force(room.installation.ledger, AGENT)


def task(number, day=0, *, error=None, **fields):
    begin = unix_ns(START + timedelta(days=day, seconds=number))
    result = TaskResult.FAILED if error else TaskResult.COMPLETED
    return Task(
        trace_id=f"{day:08x}{number:024x}", agent=AGENT, result=result, error_type=error, start_ns=begin,
        end_ns=begin + 1, **fields,
    )  # fmt: skip


class TracedLake(MemoryLake):
    """A lake whose tasks with several tools failed in the second of them."""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.read = 0

    def traces(self, trace_ids):
        self.read += len(trace_ids)
        found = super().traces(trace_ids)
        return {
            trace: TraceView(
                task=view.task,
                spans=tuple(
                    tool_span(name, place + 1, failed=place == 1)
                    for place, name in enumerate(view.task.tools)
                ),
                spans_total=2,
            )
            for trace, view in found.items()
        }


def live(charter, days, *, states=None, first=0, per_day=50, lake=None, **kinds):
    """Let days pass in which so many tasks of each error fail; return the looks and what is remembered."""
    looks, states = [], states or {}
    for day in range(first, first + days):
        names = [name for name, count in kinds.items() for _ in range(count)]
        tasks = [task(n, day, error=names[n] if n < len(names) else None) for n in range(per_day)]
        look = look_at_failures(
            lake or MemoryLake(), charter, tasks, states, (START + timedelta(days=day)).date()
        )
        states = look.states
        looks.append(look)
    return looks, states


def test_the_owner_of_the_integration_answers_for_its_tools_and_duties_answer_for_the_rest(charter):
    kinds = [("tool", "erp.find_po"), ("tool", ""), ("tool", "unheard.of"), ("model", ""), ("agent", "")]
    said = [responsible_for(charter, FailureKind("timeout", *kind)).words for kind in kinds]
    assert said == [
        "sam (owner of erp)",
        "sam (accountable for integration_maintenance)",
        "sam (accountable for integration_maintenance)",
        "dana (accountable for model_upgrades)",
        "sam (accountable for incident_response)",
    ]


def test_a_trace_is_read_only_where_the_task_alone_does_not_tell_the_tool():
    one = task(1, error="timeout", tool_errors=1, tools=("erp.find_po",))
    several = task(2, error="timeout", tool_errors=1, tools=("erp.find_po", "erp.route"))
    lake = TracedLake([one, several, task(3)])
    found = [kind.tool for _, kind in failures(lake, [one, several, task(3)])]
    assert (found, lake.read) == (["erp.find_po", "erp.route"], 1)


def test_an_incident_and_its_page_say_what_ended_the_tasks_and_who_answers_for_it(room, charter):
    tasks = [task(n, error="timeout", tool_errors=1, tools=("erp.find_po",)) for n in range(3)]
    tasks.append(task(9, error="KeyError"))
    room.installation.lake.add(tasks)
    firing = Firing(
        agent=AGENT, metric="completion", sentence="x", traces=tuple(one.trace_id for one in tasks)
    )
    with web_sink() as web:
        reach(room, "sam", web.url)
        incident = raise_alert(room, firing, room.work.now()).incident
        run(room)
        told = web.received[0][1]["message"]
    lines = [one.text for one in room.incidents.events(incident.number) if one.kind == "triage"]
    assert lines[0].startswith(
        "3 of 4 failed tasks: timeout in tool erp.find_po; sam (owner of erp) answers for it."
    )
    assert lines[1].startswith(
        "1 of 4 failed tasks: KeyError in the agent's code; sam (accountable for incident"
    )
    assert "3 of 4 failed tasks: timeout in tool erp.find_po" in told
    assert triage_lines(room.installation.lake, charter, [task(5).trace_id]) == ()


def test_a_kind_that_is_new_and_frequent_warns_within_days_and_names_who_answers(charter):
    looks, states = live(charter, 30, timeout=1)
    assert {one.layer for one in looks} == {"quiet"}
    looks, _ = live(charter, 6, states=states, first=30, timeout=1, KeyError=6)
    loud = [number for number, one in enumerate(looks) if one.layer == "warning"]
    assert loud[0] in {2, 3, 4}, "the first day brings it here and proves nothing"
    sentence = looks[loud[0]].document["sentence"]
    assert re.match("KeyError in the agent's code ended 6 of 50 tasks on [1-9] Oct 2026, ", sentence)
    assert " since 2 Oct 2026; " in sentence
    assert sentence.endswith("sam (accountable for incident_response) answers for it.")
    assert looks[loud[0]].document["risen"] == "2026-10-02"


def test_what_was_always_there_never_warns_and_the_states_stay_few(charter):
    looks, states = live(charter, 60, timeout=5, **{f"kind {n}": 1 for n in range(30)})
    assert {one.layer for one in looks} == {"quiet"}
    assert len(states) == KINDS_WATCHED_MAX + 1
    assert looks[0].document["others"] == 21


def test_a_frequent_kind_takes_the_place_of_a_rare_one_and_a_frequent_past_keeps_its_place(charter):
    rare = {f"kind {n}": 1 for n in range(KINDS_WATCHED_MAX - 1)}
    looks, states = live(charter, 30, timeout=10, **rare)
    assert len(states) == KINDS_WATCHED_MAX + 1
    looks, after = live(charter, 6, states=states, first=30, KeyError=6)
    assert {one.layer for one in looks[:2]} == {"quiet"}
    loud = [one for one in looks if one.layer == "warning"]
    assert loud, "a thirteenth kind was never looked at, however many tasks it ended"
    assert loud[0].document["sentence"].startswith("KeyError in the agent's code ended 6 of 50 tasks")
    assert len(after) == KINDS_WATCHED_MAX + 1
    assert json.dumps(["timeout", "agent", ""]) in after, "it was one in five before these quiet days"
    _, same = live(charter, 6, states=states, first=30, chance=2)
    assert set(same) == set(states)


def test_groups_say_what_is_new_what_rises_and_what_is_steady(charter):
    looks, states = live(charter, 30, timeout=1)
    more, _ = live(charter, 6, states=states, first=30, timeout=1, KeyError=6, new=1)
    readings = [
        WatchReading(
            agent=AGENT, task_type="", detector="errors", day=(START + timedelta(days=day)).date(), at=START,
            layer=one.layer, settled=True, document=json.dumps(one.document, default=str),
        )
        for day, one in enumerate([*looks, *more])
    ]  # fmt: skip
    found = {one.kind.error: one for one in failure_groups(charter, readings)}
    assert {name: one.trend for name, one in found.items()} == {
        "timeout": "steady", "KeyError": "rising", "new": "new",
    }  # fmt: skip
    assert (found["timeout"].count, found["timeout"].recent, found["KeyError"].recent) == (36, 7, 36)
    assert failure_groups(charter, []) == ()
