# SPDX-License-Identifier: Apache-2.0
"""Every filter of tasks selects the same on the writing node, on a reader, and on the double in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.app import SystemClock
from pilothouse.errors import UsageError
from pilothouse.lake.node import open_node
from pilothouse.lake.store import open_lake
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.testing import MemoryLake
from pilothouse.workflows.ground.query_line import parse_query

ALL = TaskFilter()


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters") / "lake"
    node = open_node(folder, SystemClock(), wal_file_bytes=1 << 20)
    for number in range(24):
        spans = run_spans(number + 1, start=START_NS + number * 60 * 10**9)
        body = request(spans, {"service.name": "svc"})
        node.accept(
            Signal.TRACES,
            content_type=PROTOBUF,
            content_encoding="",
            body=body.SerializeToString(),
            source="t",
        )
    node.settle()
    reader = open_lake(folder, SystemClock())
    yield {"node": node, "reader": reader, "memory": MemoryLake(node.tasks(ALL).tasks)}
    reader.close()
    node.stop()


def ids(lake, wanted):
    return [task.trace_id for task in lake.tasks(wanted).tasks]


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("", True),
        ("tool:look*", True),
        ("tool:lookup", True),
        ("tool:look", False),
        ("tool:l_okup", False),
        ("tool:*%*", False),
        ("model:*", True),
        ("model:gpt*", True),
        ("model:claude*", False),
        ("error:*", None),
        ("cost:>0", None),
        ("cost:<1000", None),
        ("took:>1ms", True),
        ("took:<1ms", False),
        ("tokens:>0", True),
        ("tokens:<1", False),
        ("invoice tokens:>0 model:*", True),
    ],
)
def test_all_three_select_the_same(lakes, line, some):
    wanted = parse_query(line, datetime(2026, 11, 20, tzinfo=UTC))
    found = {name: ids(lake, wanted) for name, lake in lakes.items()}
    assert found["node"] == found["reader"] == found["memory"]
    if some is not None:
        assert bool(found["node"]) is some


@pytest.mark.parametrize("name", ["node", "reader"])
def test_whole_texts_are_searched_within_a_bounded_time(lakes, name):
    lake = lakes[name]
    task = lake.tasks(ALL).tasks[3]
    span = next(span for span in lake.trace(task.trace_id).spans if span.input or span.output)
    phrase = (span.input or span.output)[:60].upper()
    window = {"from_ns": START_NS, "to_ns": START_NS + 24 * 3600 * 10**9}
    assert task.trace_id in ids(lake, TaskFilter(said=phrase, **window))
    assert not ids(lake, TaskFilter(said="nobody ever said this", **window))
    assert not ids(lake, TaskFilter(said=phrase, from_ns=task.start_ns + 3600 * 10**9, to_ns=window["to_ns"]))
    for bounds in ({}, {"from_ns": 0}, {"from_ns": 0, "to_ns": 1 << 62}):
        with pytest.raises(UsageError, match="7 days"):
            lake.tasks(TaskFilter(said=phrase, **bounds))
