# SPDX-License-Identifier: Apache-2.0
"""A trace whose stored spans cannot be read just now is folded later, and takes no other task with it."""

import time
from dataclasses import replace

import pytest
from otlp_bodies import PROTOBUF, request, run_spans

from pilothouse.errors import LimitExceeded
from pilothouse.lake import fold_retries
from pilothouse.lake.assembler import Closing
from pilothouse.lake.fold_retries import FoldRetries
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter


def send(node, spans):
    body = request(spans).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")


def too_slow(*_, **_more):
    raise LimitExceeded("the query took longer than 10 s and was stopped", remedy="Wait.")


def counted(node):
    return {int(task.trace_id, 16): task.spans for task in node.tasks(TaskFilter()).tasks}


def a_late_span_that_cannot_be_folded(node, monkeypatch):
    """A task, a late span of it, and a new task that is due in the same moment."""
    *late, root = run_spans(1)
    send(node, [root])
    node.settle()
    monkeypatch.setattr(node._writer._stored_rows, "core_spans", too_slow)
    send(node, late)
    send(node, run_spans(2))
    node.settle()
    assert counted(node) == {1: 1, 2: 4}, (
        "before, the second was lost for good, and the first stayed as it was"
    )
    assert "longer than 10 s" in node.health().last_error


def test_it_is_tried_again_and_the_others_are_there_at_once(opened, monkeypatch):
    monkeypatch.setattr(fold_retries, "AGAIN_S", 0.1)
    node = opened()
    with monkeypatch.context() as patched:
        a_late_span_that_cannot_be_folded(node, patched)
    end = time.monotonic() + 10
    while counted(node) != {1: 4, 2: 4}:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert node._writer._fold_retries.first_seq is None
    assert node.health().gap == 0


def test_a_restart_folds_what_was_left(opened, monkeypatch):
    node = opened()
    with monkeypatch.context() as patched:
        a_late_span_that_cannot_be_folded(node, patched)
        node.stop()
    again = opened()
    again.settle()
    assert counted(again) == {1: 4, 2: 4}


@pytest.mark.parametrize("table", ["spans", "tasks"])
def test_a_server_starts_on_a_damaged_file_and_folds_what_is_new(opened, tmp_path, table):
    """It kept `pilothouse up` from starting, so that nothing at all came in."""
    node = opened()
    *late, root = run_spans(1)
    send(node, run_spans(9))
    node.settle()
    damaged = next((tmp_path / "lake" / table).glob("day=*/*.parquet"))
    send(node, late)
    while node.health().rows != 7 or node.health().pending:
        time.sleep(0.01)
    node._writer.flush()
    node._is_open = False
    node._wal.stop()
    node._writer.flush = lambda: None
    node._tables.stop()
    node._lock.release()
    whole = damaged.read_bytes()
    damaged.write_bytes(b"X" * len(whole))
    node = opened()
    assert damaged.name in node.health().last_error
    send(node, run_spans(2))
    node.settle()
    assert node._writer._fold_retries.first_seq is not None
    damaged.write_bytes(whole)
    assert counted(node) == {9: 4, 2: 4}
    node.stop()
    node = opened()
    send(node, [root])
    node.settle()
    assert counted(node) == {9: 4, 2: 4, 1: 4}
    assert node._writer._fold_retries.first_seq is None


def test_only_files_that_were_written_lately_are_read_for_what_was_closed_lately(opened, tmp_path):
    node = opened()
    send(node, run_spans(1))
    node.settle()
    file = node._writer.view().task_files[0]
    written = int(file.path.rpartition("part-")[2][:20])
    assert (file.is_from_before(written + 1), file.is_from_before(written)) == (True, False)
    assert not replace(file, path="/lake/tasks/part-00001-0b5c.zstd.parquet").is_from_before(written + 1)


def test_what_came_is_committed_while_nothing_can_be_folded(opened, monkeypatch):
    node = opened()
    with monkeypatch.context() as patched:
        patched.setattr(node._writer, "_fold", too_slow)
        send(node, run_spans(1))
        end = time.monotonic() + 10
        while node._writer.committed_seq < 0:
            assert time.monotonic() < end
            time.sleep(0.05)
    node.settle()
    assert counted(node) == {1: 4}


def test_a_trace_that_goes_on_meanwhile_is_corrected_once(opened, monkeypatch):
    node = opened()
    with monkeypatch.context() as patched:
        a_late_span_that_cannot_be_folded(node, patched)
    monkeypatch.setattr(fold_retries, "AGAIN_S", 0.0)
    node._writer._fold_retries._again_at = 0.0
    send(node, [{**run_spans(1)[0], "span_id": bytes([5] * 8)}])
    node.settle()
    node._tables.ask(node._writer.tick)
    table = node._database.run(
        node._writer.view(),
        "SELECT revision, count(*) AS n FROM tasks WHERE trace_id = ? GROUP BY 1",
        [f"{1:032x}"],
    )
    assert {row["n"] for row in table.to_pylist()} == {1}
    assert counted(node) == {1: 5, 2: 4}


def test_what_is_kept_is_bounded_and_what_is_left_out_is_read_at_the_next_start(monkeypatch):
    monkeypatch.setattr(fold_retries, "RETRIES_MAX", 2)
    kept = FoldRetries()
    closings = [
        Closing(trace_id=f"{number:032x}", spans=(), has_root=True, reason="late_span", is_known=True)
        for number in range(3)
    ]
    kept.add(closings, 0.0)
    assert kept.due(59.0) == []
    assert [one.trace_id for one in kept.due(60.0)] == [one.trace_id for one in closings[1:]]
    kept.done(closings)
    assert kept.due(99.0) == []
