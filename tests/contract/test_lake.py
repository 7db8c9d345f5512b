# SPDX-License-Identifier: Apache-2.0
"""What every `Lake` promises, on the writing node and on a reader in another process."""

from __future__ import annotations

from dataclasses import replace

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.app import SystemClock
from pilothouse.errors import UsageError
from pilothouse.lake.node import open_node
from pilothouse.lake.store import open_lake
from pilothouse.ports.intake import Intake, IntakeAnswer, Signal
from pilothouse.ports.lake import CANARY_AGENT, Lake, TaskFilter

MINUTE_NS = 60 * 10**9
ALL = TaskFilter()
NAMES = ("triage", "refunds")


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract") / "lake"
    node = open_node(folder, SystemClock(), wal_file_bytes=1 << 20)
    for number in range(30):
        task = {"pilothouse.agent": NAMES[number % 2], "pilothouse.version": f"v{number // 20}"}
        if number % 3 == 0:
            task |= {"pilothouse.task.type": "refund", "pilothouse.task.result": "escalated"}
        spans = run_spans(number + 1, start=START_NS + number * MINUTE_NS, task=task)
        body = request(spans, {"service.name": "svc", "deployment.environment.name": "prod"})
        receipt = node.accept(
            Signal.TRACES,
            content_type=PROTOBUF,
            content_encoding="",
            body=body.SerializeToString(),
            source="t",
        )
        assert receipt.answer is IntakeAnswer.ACCEPTED
    node.settle()
    reader = open_lake(folder, SystemClock())
    yield {"node": node, "reader": reader}
    reader.close()
    node.stop()


@pytest.fixture(params=["node", "reader"])
def lake(lakes, request):
    return lakes[request.param]


def test_traces_of_our_own_are_no_tasks_of_anybody(lakes):
    spans = run_spans(900, start=START_NS, task={"pilothouse.agent": CANARY_AGENT})
    lakes["node"].accept(
        Signal.TRACES,
        content_type=PROTOBUF,
        content_encoding="",
        body=request(spans, {"service.name": "svc"}).SerializeToString(),
        source="t",
    )
    lakes["node"].settle()
    for lake in lakes.values():
        assert len(lake.tasks(ALL).tasks) == 30
        (own,) = lake.tasks(TaskFilter(agent=CANARY_AGENT)).tasks
        assert lake.tasks(TaskFilter(trace_prefix=own.trace_id)).tasks == (own,)


def test_it_has_the_methods_of_the_port(lakes):
    assert all(isinstance(lake, Lake) for lake in lakes.values())
    assert isinstance(lakes["node"], Intake)


def test_both_see_exactly_the_same_tasks(lakes):
    assert lakes["node"].tasks(ALL).tasks == lakes["reader"].tasks(ALL).tasks


def test_tasks_come_newest_first(lake):
    starts = [task.start_ns for task in lake.tasks(ALL).tasks]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == 30


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (TaskFilter(agent="triage"), 15),
        (TaskFilter(agent="nobody"), 0),
        (TaskFilter(task_type="refund"), 10),
        (TaskFilter(version_digest="v1"), 10),
        (TaskFilter(environment="prod"), 30),
        (TaskFilter(result="escalated"), 10),
        (TaskFilter(state="incomplete"), 0),
        (TaskFilter(text="INVOICE 17"), 30),
        (TaskFilter(text="invoice absent"), 0),
        (TaskFilter(text="100%_'; DROP"), 0),
        (TaskFilter(agent="triage", task_type="refund", result="escalated"), 5),
        (TaskFilter(from_ns=START_NS + MINUTE_NS, to_ns=START_NS + 3 * MINUTE_NS), 2),
        (TaskFilter(from_ns=START_NS + MINUTE_NS + 1, to_ns=START_NS + 3 * MINUTE_NS + 1), 2),
    ],
)
def test_filters_select_and_windows_are_half_open(lake, wanted, count):
    assert len(lake.tasks(wanted).tasks) == count
    bounded = replace(wanted, from_ns=wanted.from_ns or 0, to_ns=wanted.to_ns or 1 << 62)
    assert len(lake.window(bounded)) == count


def test_pages_follow_each_other_without_gap_or_repetition(lake):
    seen, cursor = [], None
    while True:
        page = lake.tasks(ALL, limit=7, before=cursor)
        seen.extend(task.trace_id for task in page.tasks)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [task.trace_id for task in lake.tasks(ALL).tasks]


def test_a_page_that_ends_exactly_has_no_next(lake):
    assert lake.tasks(ALL, limit=30).next_cursor is None
    assert lake.tasks(ALL, limit=29).next_cursor is not None


def test_a_window_is_in_the_order_of_time_and_needs_both_ends(lake):
    window = lake.window(TaskFilter(from_ns=0, to_ns=1 << 62))
    assert [task.start_ns for task in window] == sorted(task.start_ns for task in window)
    with pytest.raises(UsageError):
        lake.window(TaskFilter(from_ns=0))


@pytest.mark.parametrize("limit", [0, 10_001])
def test_a_limit_out_of_bounds_is_refused(lake, limit):
    with pytest.raises(UsageError):
        lake.tasks(ALL, limit=limit)


def test_a_trace_has_its_spans_in_start_order_and_its_task(lake):
    view = lake.trace((1).to_bytes(16, "big").hex())
    assert [span.operation for span in view.spans] == ["invoke_agent", "chat", "execute_tool", "chat"]
    assert view.task == next(task for task in lake.tasks(ALL).tasks if task.trace_id == view.task.trace_id)
    assert view.spans[2].input == '{"id": 17}'
    assert view.spans[1].tokens_total == 1_120
    assert view.spans[1].cost_usd_text is None


def test_many_traces_at_once_are_what_one_by_one_gives(lake):
    wanted = [(number).to_bytes(16, "big").hex() for number in (2, 1, 3)]
    assert lake.traces([*wanted, "f" * 32]) == {trace_id: lake.trace(trace_id) for trace_id in wanted}


def test_a_trace_longer_than_the_limit_says_how_long_it_is(lake):
    view = lake.trace((1).to_bytes(16, "big").hex(), limit=2)
    assert (len(view.spans), view.spans_total) == (2, 4)


def test_an_unknown_trace_is_none(lake):
    assert lake.trace("f" * 32) is None
    assert lake.traces(["f" * 32]) == {}
    assert lake.trace("' OR 1=1 --") is None


def test_agents_are_counted_by_name(lake):
    refunds, triage = lake.agents()
    assert (refunds.agent, triage.agent) == ("refunds", "triage")
    assert (triage.tasks, triage.first_ns, triage.last_ns) == (15, START_NS, START_NS + 28 * MINUTE_NS)
    assert triage.versions == ("v1", "v0")
