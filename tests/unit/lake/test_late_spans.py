# SPDX-License-Identifier: Apache-2.0
"""What comes late corrects its task for two days, and only files that may hold something of its trace are read for it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.lake import agent_names, stored_rows
from pilothouse.lake.node import open_node
from pilothouse.lake.prices import Price
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.testing import FixedClock

DAY_NS = 86_400 * 10**9


@pytest.fixture
def clock():
    return FixedClock(datetime.fromtimestamp(START_NS // 10**9 + 1, UTC))


@pytest.fixture
def opened(tmp_path, clock):
    nodes = []

    def open_again():
        def elapsed_s():
            return clock.now().timestamp()

        nodes.append(open_node(tmp_path / "lake", clock, wal_file_bytes=1 << 16, elapsed_s=elapsed_s))
        return nodes[-1]

    yield open_again
    for node in nodes:
        if node._is_open:
            node.stop()


def send(node, spans):
    body = request(spans).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")
    node.settle()


def counters(node):
    return dict(node.health().counters)


def test_after_two_days_a_task_stays_as_it_is_and_what_comes_is_stored_and_counted(opened, clock):
    node = opened()
    first, second, *rest = run_spans(1)
    send(node, rest)
    clock.advance(timedelta(hours=47))
    send(node, [first])
    (task,) = node.tasks(TaskFilter()).tasks
    assert (task.spans, task.revision) == (3, 1)
    clock.advance(timedelta(hours=49))
    send(node, [second])
    (sealed,) = node.tasks(TaskFilter()).tasks
    assert sealed == task
    assert node.trace(task.trace_id).spans_total == 4
    assert (counters(node)["late"], counters(node)["late_after_seal"]) == (1, 1)
    assert node.health().gap == 0


def sealed_with_a_late_failure(node, clock):
    first, second, *rest = run_spans(1)
    send(node, [first, *rest])
    clock.advance(timedelta(hours=50))
    send(node, [{**second, "status": 2}])
    (task,) = node.tasks(TaskFilter()).tasks
    assert (task.spans, task.tool_errors, counters(node)["late_after_seal"]) == (3, 0, 1)
    return task


def test_a_price_that_comes_later_brings_no_late_span_into_a_sealed_task(opened, clock, monkeypatch):
    node = opened()
    task = sealed_with_a_late_failure(node, clock)
    price = Price(
        price_id="p", input=Decimal(1), output=Decimal(1), cache_read=Decimal(1), cache_creation=Decimal(1),
        reasoning=Decimal(1),
    )  # fmt: skip
    monkeypatch.setattr(node._writer, "_prices", lambda _provider, _model, _at: price)
    assert node.reprice(since_ns=0) == 1
    (priced,) = node.tasks(TaskFilter()).tasks
    assert priced.cost_usd > 0
    assert (priced.spans, priced.tool_errors) == (task.spans, task.tool_errors)


def test_a_sealed_task_is_rebuilt_when_a_person_asks_and_only_then(opened, clock):
    node = opened()
    task = sealed_with_a_late_failure(node, clock)
    send(node, run_spans(2, start=START_NS + 40 * DAY_NS))
    late = run_spans(3, start=START_NS + 40 * DAY_NS)
    send(node, late[1:])
    assert node.late_tasks() == (task.trace_id,)
    assert node.rebuild(node.late_tasks()) == 1
    rebuilt = node.trace(task.trace_id).task
    assert (rebuilt.spans, rebuilt.tool_errors, rebuilt.revision) == (4, 1, task.revision + 1)
    assert node.late_tasks() == ()
    assert node.rebuild([task.trace_id]) == 0
    assert node.health().gap == 0


def test_late_tasks_are_looked_for_in_pieces_that_each_take_little_time(opened, clock, monkeypatch):
    node = opened()
    task = sealed_with_a_late_failure(node, clock)
    for number in range(2, 5):
        send(node, run_spans(number, start=START_NS + 40 * DAY_NS))
        send(node, run_spans(number, start=START_NS + 40 * DAY_NS))  # once more: stored twice, and not late
    clock.advance(timedelta(days=50))
    node.stop(drain=True)
    node = opened()
    database, asked = node._writer._stored_rows._database, []

    def noted(view, *arguments, run=database.run):
        asked.append(max(len(view.span_files), len(view.task_files)))
        return run(view, *arguments)

    monkeypatch.setattr(database, "run", noted)
    monkeypatch.setattr(stored_rows, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(stored_rows, "TRACE_IDS_MAX", 1)
    assert node.late_tasks() == (task.trace_id,)
    files = len(node._writer._spans.files()) + len(node._writer._tasks.files())
    assert len(asked) > files > 6
    assert max(asked[: files + 2]) == 1


@pytest.mark.parametrize("are_noted", [True, False], ids=["noted", "not noted"])
def test_only_files_that_may_hold_something_of_a_late_trace_are_read(opened, monkeypatch, are_noted):
    node = opened()
    send(node, run_spans(1, start=START_NS - 80 * DAY_NS))
    send(node, run_spans(2, start=START_NS - 40 * DAY_NS))
    *children, root = run_spans(3)
    send(node, [*children[1:], root])
    if not are_noted:
        node._database.traces.keep(())
    read = []
    run = node._database.run

    def spied(view, *told, **more):
        read.append((len(view.span_files), len(view.task_files)))
        return run(view, *told, **more)

    monkeypatch.setattr(node._database, "run", spied)
    send(node, children[:1])
    assert read
    assert max(read) == (1, 1), "before, every file of every day was"
    corrected = node.trace(f"{3:032x}").task
    assert (corrected.spans, corrected.revision) == (4, 1)


def test_what_a_key_sends_under_more_names_than_a_day_may_have_is_kept_under_one(opened, clock, monkeypatch):
    monkeypatch.setattr(agent_names, "NAMES_MAX", 2)
    node = opened()

    def named(trace, name):
        return [
            {**one, "attributes": {**one["attributes"], "gen_ai.agent.name": name}}
            for one in run_spans(trace)
        ]

    for trace, name in ((1, "a"), (2, "b"), (3, "c"), (4, "a")):
        send(node, named(trace, name))
    tasks = node.tasks(TaskFilter()).tasks
    assert {int(one.trace_id, 16): one.agent for one in tasks} == {1: "a", 2: "b", 3: "__overflow__", 4: "a"}
    assert "gen_ai.agent.name" in str(node.trace(f"{3:032x}").spans)
    assert counters(node)["over_agent_names"] == 4
    assert node.health().gap == 0
    node.stop()
    node = opened()
    send(node, named(6, "d"))
    send(node, named(7, "b"))
    assert {one.agent for one in node.tasks(TaskFilter(trace_prefix=f"{6:032x}")).tasks} == {"__overflow__"}
    assert {one.agent for one in node.tasks(TaskFilter(trace_prefix=f"{7:032x}")).tasks} == {"b"}
    clock.advance(timedelta(days=1))
    send(node, named(5, "c"))
    assert {one.agent for one in node.tasks(TaskFilter(trace_prefix=f"{5:032x}")).tasks} == {"c"}
