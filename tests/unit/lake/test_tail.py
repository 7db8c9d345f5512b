# SPDX-License-Identifier: Apache-2.0
"""Rows come into a file exactly once, whichever step of a commit fails, and a damaged file stops neither start nor commit."""

import os
import time

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from otlp_bodies import PROTOBUF, request, run_spans

from pilothouse.lake import segments
from pilothouse.lake.segments import SegmentTable
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.ports.lake import TaskFilter

SPANS = 4
"""Of each run that is sent."""


def send(node, trace):
    body = request(run_spans(trace)).SerializeToString()
    receipt = node.accept(
        Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests"
    )
    assert receipt.answer is IntakeAnswer.ACCEPTED
    node.settle()


def failing(monkeypatch, owner, name, *, times, after=False):
    """Let a method fail so often, before or after it did its work."""
    real, left = getattr(owner, name), [times]

    def call(*arguments, **options):
        if not left[0]:
            return real(*arguments, **options)
        left[0] -= 1
        if after:
            real(*arguments, **options)
        raise (OSError(28, "no space") if owner is segments else DeltaError("no space"))

    monkeypatch.setattr(owner, name, call)


def is_whole(node, runs):
    health = node.health()
    assert (health.rows, health.pending, health.gap) == (runs * SPANS, 0, 0)
    assert len(node.tasks(TaskFilter()).tasks) == runs


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (DeltaTable, "create_write_transaction", False),
        (DeltaTable, "create_write_transaction", True),
        (DeltaTable, "update_incremental", False),
        (DeltaTable, "update_incremental", True),
        (DeltaTable, "create_checkpoint", False),
        (segments, "fsync_path", False),
    ],
)
def test_a_commit_that_fails_at_any_step_stores_each_row_once(
    opened, monkeypatch, *, owner, name, after, times
):
    monkeypatch.setattr(segments, "CHECKPOINT_EVERY", 1)
    node = opened()
    send(node, 1)
    with monkeypatch.context() as patched:
        failing(patched, owner, name, times=times, after=after)
        send(node, 2)
        time.sleep(0.2)
        send(node, 3)
        for _ in range(times):
            node.settle()
    node.settle()
    is_whole(node, 3)
    node.stop()
    is_whole(opened(), 3)


def test_a_log_that_is_not_synced_keeps_the_requests_in_the_write_ahead_log(opened, monkeypatch):
    node = opened()
    send(node, 1)
    before = node._writer.committed_seq
    with monkeypatch.context() as patched:
        failing(patched, segments, "fsync_path", times=10**6)
        send(node, 2)
        assert node._writer.committed_seq == before
    node.settle()
    assert node._writer.committed_seq == before + 1
    is_whole(node, 2)


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_file_that_cannot_be_read_stops_neither_the_start_nor_a_commit(opened, tmp_path, harm):
    node = opened()
    for trace in range(1, 4):
        send(node, trace)
    node.stop()
    newest = max((tmp_path / "lake" / "spans").glob("day=*/*.parquet"))
    if harm == "gone":
        newest.unlink()
    else:
        newest.write_bytes(newest.read_bytes()[:-4] + b"XXXX")
    node = opened()
    for trace in range(4, 7):
        send(node, trace)
        node.settle()
    is_whole(node, 6)


def test_a_merge_whose_commit_was_taken_for_failed_doubles_nothing(opened, monkeypatch):
    node = opened()
    for trace in range(1, 6):
        send(node, trace)
    table: SegmentTable = node._writer._spans
    with monkeypatch.context() as patched:
        failing(patched, DeltaTable, "update_incremental", times=1)
        with pytest.raises(Exception, match="no space"):
            table.merge(files_min=2)
    while table.merge(files_min=2):
        pass
    node._writer._publish()
    send(node, 6)
    is_whole(node, 6)


def test_a_file_that_no_commit_ever_named_is_deleted_after_a_day(opened, tmp_path):
    """A kill between a file and its commit leaves one: retention and erasure would not reach what was said in it."""
    node = opened()
    send(node, 1)
    named = next((tmp_path / "lake" / "spans").glob("day=*/*.parquet"))
    young, old = (named.with_name(f"part-{name}.parquet") for name in ("young", "old"))
    for path, age_s in ((young, 60), (old, 2 * 86_400)):
        path.write_bytes(named.read_bytes())
        os.utime(path, (time.time() - age_s, time.time() - age_s))
    assert node._writer._spans.vacuum() == 1
    assert (named.exists(), young.exists(), old.exists()) == (True, True, False)
    is_whole(node, 1)
