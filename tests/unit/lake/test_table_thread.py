# SPDX-License-Identifier: Apache-2.0
"""The thread of the tables outlives a disk that takes nothing aside, and one sender's numbers cost no other's task."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.lake import writer
from pilothouse.lake.node import open_node
from pilothouse.lake.prices import Price
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.ports.lake import TaskFilter

PRICE = Price(price_id="p", input=Decimal(15), cache_read=Decimal(1), output=Decimal(75))


class StillClock:
    def now(self):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=START_NS // 1_000 + 10**6)


@pytest.fixture
def opened(tmp_path):
    nodes = []

    def open_again():
        folder = tmp_path / "lake"
        nodes.append(open_node(folder, StillClock(), wal_file_bytes=1 << 16, prices=lambda *_: PRICE))
        return nodes[-1]

    yield open_again
    for node in nodes:
        if node._is_open:
            node.stop()


def send(node, spans):
    body = request(spans).SerializeToString()
    return node.accept(
        Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests"
    ).answer


def broken(monkeypatch):
    """Let no request be flattened, and none be set aside."""

    def defect(*_):
        raise ZeroDivisionError("injected")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "decode_rows", defect)
    monkeypatch.setattr(Path, "write_bytes", full)


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_request_that_cannot_even_be_set_aside_is_overtaken_by_nothing(opened, monkeypatch):
    node = opened()
    with monkeypatch.context() as patched:
        broken(patched)
        assert send(node, run_spans(1)) is IntakeAnswer.ACCEPTED
        until(lambda: node.counters.read()["commit_failures"] > 1)
        assert send(node, run_spans(2)) is IntakeAnswer.ACCEPTED
        assert "could not be set aside" in node.health().last_error
    node.settle()
    assert (node.health().rows, node.health().gap) == (8, 0)
    assert node.counters.read()["quarantined"] == 0


def test_what_could_not_be_set_aside_before_the_end_is_replayed(opened, monkeypatch):
    node = opened()
    with monkeypatch.context() as patched:
        broken(patched)
        send(node, run_spans(1))
        until(lambda: node.counters.read()["commit_failures"] > 1)
        node._is_open = False
        node._wal.stop()
        node._tables.stop()
        node._lock.release()
    assert not node._tables.is_running
    again = opened()
    again.settle()
    assert (again.health().rows, again.health().gap) == (4, 0)


def test_a_node_whose_tables_nobody_writes_takes_nothing(opened):
    node = opened()
    node._tables.stop()
    assert send(node, run_spans(1)) is IntakeAnswer.BUSY
    assert "nobody writes the tables" in node.health().busy_reason


def test_a_cost_of_many_millions_is_stored_and_takes_no_other_task_with_it(opened):
    """Tokens are what a sender says: 150 calls of a billion each were more than 64 bits hold, and every task due in that
    second was lost."""
    node = opened()
    dear = [
        {
            "trace_id": (7).to_bytes(16, "big"),
            "span_id": (number + 1).to_bytes(8, "big"),
            "parent_span_id": (1).to_bytes(8, "big") if number else b"",
            "name": "chat",
            "attributes": {
                "gen_ai.operation.name": "chat" if number else "invoke_agent",
                "gen_ai.request.model": "m",
                "gen_ai.response.id": f"r{number}",
                "gen_ai.usage.input_tokens": 10**9,
                "gen_ai.usage.output_tokens": 10**9,
            },
        }
        for number in range(151)
    ]
    assert send(node, dear) is send(node, run_spans(1)) is IntakeAnswer.ACCEPTED
    node.settle()
    costs = {task.trace_id: task.cost_usd for task in node.tasks(TaskFilter()).tasks}
    assert costs == {f"{7:032x}": Decimal(150 * 90_000), f"{1:032x}": costs[f"{1:032x}"]}
    assert node.counters.read()["defects"] == 0
