# SPDX-License-Identifier: Apache-2.0
"""A client of MCP that gets to know a server does no task; what belongs to a task is kept with it."""

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter


@pytest.fixture
def node(opened):
    return opened()


def greeting(number, name, **attributes):
    return {
        "trace_id": number.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "name": name,
        "attributes": attributes,
        "start": START_NS,
        "end": START_NS + 1_000,
    }


def listed(node, spans):
    body = request(spans).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")
    node.settle()
    return {int(task.trace_id, 16) for task in node.tasks(TaskFilter()).tasks}


@pytest.mark.parametrize("name", ["MCP send initialize", "MCP send tools/list", "tools/list"])
def test_getting_to_know_a_server_is_no_task(node, name):
    assert listed(node, [greeting(7, name), *run_spans(1)]) == {1}
    assert [span.name for span in node.trace("7".zfill(32)).spans] == [name], "the span itself is kept"


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("MCP send tools/call find", {}),
        ("initialize", {}),
        ("tools/list", {"gen_ai.operation.name": "invoke_agent"}),
    ],
)
def test_whatever_does_something_is_one(node, name, attributes):
    assert listed(node, [greeting(7, name, **attributes)]) == {7}


def test_a_task_that_comes_later_in_the_same_trace_is_one(node):
    assert listed(node, [greeting(1, "MCP send tools/list")]) == set()
    assert listed(node, run_spans(1)) == {1}
