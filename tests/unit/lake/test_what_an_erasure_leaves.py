# SPDX-License-Identifier: Apache-2.0
"""What an erasure and retention took stands nowhere else, whoever asks finds it, and what failed is not taken for done."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from otlp_bodies import PROTOBUF, START_NS, request, run_spans

from pilothouse.errors import StorageUnavailable
from pilothouse.lake import wal
from pilothouse.lake.node import open_node
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter

TRACE = f"{1:032x}"
WINDOW = {"from_ns": START_NS, "to_ns": START_NS + 3600 * 10**9}


class StillClock:
    def now(self):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=START_NS // 1_000 + 10**6)


@pytest.fixture
def node(tmp_path):
    opened = open_node(tmp_path / "lake", StillClock(), wal_file_bytes=1 << 16)
    yield opened
    opened.stop()


def send(node, spans):
    body = request(spans).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")


def saying(**attributes):
    return [{**span, "attributes": {**span["attributes"], **attributes}} for span in run_spans()]


def stored(node):
    """Every value of both tables, as text."""
    tables = (node._database.run(node._writer.view(), f"SELECT * FROM {name}") for name in ("spans", "tasks"))
    return " ".join(str(row) for table in tables for row in table.to_pylist())


def test_a_trace_that_was_open_when_it_was_erased_does_not_repeat_it_in_its_task(node):
    send(node, run_spans())
    while node.trace(TRACE) is None:
        time.sleep(0.01)
    assert node.trace(TRACE).task is None
    assert node.erase([TRACE]) == 4
    node.settle()
    task = node.trace(TRACE).task
    assert (task.input_preview, task.output_preview, task.tokens.total) == ("", "", 2_600)


def test_nothing_of_a_person_is_left_in_any_column(node):
    spans = saying(**{"user.id": "kim@customer.example", "gen_ai.system_instructions": "You talk to Kim"})
    spans[0] |= {"status": 2, "message": "ValueError: no account kim@customer.example"}
    spans[1]["attributes"] = {"gen_ai.system_instructions": "You talk to Kim"}  # and nothing else
    send(node, spans)
    node.settle()
    assert "kim" in stored(node).lower()
    assert node.erase([TRACE]) == 5
    assert "kim" not in stored(node).lower()
    assert node.erase([TRACE]) == 0


@pytest.mark.parametrize(
    "subject", ["Jürgen Grün", "O'Brien", 'the "boss"', "a/b", "two\nlines", "😀", "ÖZIL"]
)
@pytest.mark.parametrize("packed", [1, 2])
def test_a_subject_is_found_however_its_sender_wrote_json(node, subject, packed):
    said = f"ask {subject} please"
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": said}]}])
    for _ in range(packed - 1):
        text = json.dumps([{"role": "tool", "parts": [{"type": "text", "content": text}]}])
    send(node, saying(**{"gen_ai.input.messages": text.replace("'", "\\u0027").replace("/", "\\/")}))
    node.settle()
    for asked in (subject, subject.lower(), subject.swapcase()):
        assert [task.trace_id for task in node.tasks(TaskFilter(said=asked, **WINDOW)).tasks] == [TRACE]
    assert not node.tasks(TaskFilter(said=f"x{subject}", **WINDOW)).tasks


def test_a_subject_is_found_by_its_id_too(node):
    send(node, saying(**{"user.id": "Kim-4711"}))
    node.settle()
    assert len(node.tasks(TaskFilter(said="kim-4711", **WINDOW)).tasks) == 1
    assert not node.tasks(TaskFilter(said="kim-471", **WINDOW)).tasks


@pytest.mark.parametrize("fault", [ZeroDivisionError, KeyboardInterrupt, None])
def test_an_erasure_that_failed_is_not_recorded_as_done(node, monkeypatch, fault):
    """A defect, a panic below deltalake, a thread that has ended: before, each was an erasure of no rows."""

    def fails(_traces):
        raise fault

    if fault is None:
        node._tables.stop()
    monkeypatch.setattr(node._writer, "erase", fails)
    with pytest.raises(StorageUnavailable if fault is None else fault):
        node.erase([TRACE])


def test_the_log_of_requests_keeps_nothing_once_its_node_rests(node, monkeypatch, tmp_path):
    """Else what retention and erasure took would stay in the last file until somebody sends again."""
    monkeypatch.setattr(wal, "FILE_SECONDS", 0.2)
    send(node, run_spans())
    node.settle()
    send(node, run_spans(2))
    end = time.monotonic() + 10
    while list((tmp_path / "lake").glob("wal/*/*.wal")):
        assert time.monotonic() < end, "the log is still there"
        time.sleep(0.05)
    assert node.trace(f"{2:032x}").spans_total == 4
    send(node, run_spans(3))
    node.settle()
    assert len(node.tasks(TaskFilter()).tasks) == 3
