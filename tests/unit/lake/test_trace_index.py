# SPDX-License-Identifier: Apache-2.0
"""A trace is looked for only where it is, whoever wrote the file and when."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.lake import trace_index as module
from pilothouse.lake.node import open_node
from pilothouse.lake.trace_index import TraceIndex
from pilothouse.ports.intake import Signal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StillClock:
    def now(self):
        return EPOCH + timedelta(microseconds=START_NS // 1_000 + 10**6)


def test_every_trace_is_found_in_its_file_and_nowhere_else():
    index = TraceIndex()
    files = {f"f{number}": [os.urandom(16).hex() for _ in range(500)] for number in range(8)}
    for path, ids in files.items():
        index.add(path, [*ids, *ids, ""])
    for path, ids in files.items():
        assert all(index.split(list(files), ident) == ([path], []) for ident in ids)
    assert index.split([*files, "new"], os.urandom(16).hex()) == ([], ["new"])


def test_memory_is_bounded_and_files_that_are_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "BYTES_MAX", 8 * 300)
    index = TraceIndex()
    for number in range(9):
        index.add(f"f{number}", [os.urandom(16).hex() for _ in range(100)])
    everything = [f"f{number}" for number in range(9)]
    assert index.split(everything, os.urandom(16).hex()) == ([], everything[:6])
    assert index.keep(everything) == []  # there is no room for those that were forgotten
    assert index.keep(["f8"]) == []
    assert index.keep(["f7", "f8"]) == ["f7"]


def test_many_traces_are_looked_up_at_once_and_one_unknown_file_may_hold_all():
    index = TraceIndex()
    files = {f"f{number}": [os.urandom(16).hex() for _ in range(50)] for number in range(3)}
    for path, ids in files.items():
        index.add(path, ids)
    index.add("empty", [""])
    wanted = [files["f0"][0], os.urandom(16).hex(), files["f2"][49]]
    assert index.stored([*files, "empty"], wanted) == {wanted[0], wanted[2]}
    assert index.stored([*files, "new"], wanted) == set(wanted)
    assert index.stored([], wanted) == set()


def test_what_a_merged_file_holds_is_known_without_reading_it():
    index = TraceIndex()
    for path, ident in (("a", "1"), ("b", "2")):
        index.add(path, ["0" * 31 + ident, "0" * 31 + "7"])
    index.merge("ab", ["a", "b"])
    assert index.keep(["ab"]) == []
    assert [index.split(["ab"], "0" * 31 + ident) for ident in "127"] == [(["ab"], [])] * 3
    index.merge("abc", ["ab", "c"])
    assert index.split(["abc"], "0" * 31 + "1") == ([], ["abc"])


@pytest.fixture
def opened(tmp_path):
    return lambda: open_node(tmp_path / "lake", StillClock(), wal_file_bytes=1 << 16)


def send(node, trace):
    body = request(run_spans(trace)).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")
    node.settle()


def test_after_a_restart_the_start_and_each_commit_note_one_large_file_at_most(opened, monkeypatch):
    monkeypatch.setattr("pilothouse.lake.writer.INDEXED_ROWS", 1)
    node = opened()
    for trace in (1, 2, 3):
        send(node, trace)
    node.stop()
    again = opened()
    unknown = []
    for trace in (7, 8, 9):
        send(again, trace)
        view = again._writer.view()
        files = [file.path for file in (*view.span_files, *view.task_files)]
        unknown.append(len(again._database.traces.keep(files)))
    again.stop()
    assert unknown == [4, 3, 2]


def test_a_node_opens_only_the_file_of_the_trace_also_after_a_restart(opened):
    node = opened()
    for trace in range(1, 7):
        send(node, trace)
    files = node._writer.view().span_files
    assert len(files) == 6
    assert len(node._database.files_of_trace(files, f"{3:032x}")) == 1
    node.stop()
    again = opened()
    send(again, 9)
    files = again._writer.view().span_files
    assert again._database.traces.split([file.path for file in files], f"{3:032x}")[1] == []
    for trace in (1, 6, 9):
        assert len(again._database.files_of_trace(files, f"{trace:032x}")) == 1
        assert again.trace(f"{trace:032x}").spans_total == 4
    assert again.trace("f" * 32) is None
    again.stop()
