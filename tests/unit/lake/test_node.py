# SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from otlp_bodies import JSON, PROTOBUF, START_NS, request, run_spans, to_json

from pilothouse.errors import Conflict, StorageUnavailable
from pilothouse.lake import closed_traces, free_space, segments
from pilothouse.lake.backlog import WAITING_BYTES_MAX
from pilothouse.lake.lock import find_holder
from pilothouse.lake.node import open_node
from pilothouse.lake.quota import Quota
from pilothouse.lake.store import open_lake
from pilothouse.ports.intake import IntakeAnswer, Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.upkeep import RetentionRule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL = TaskFilter()


class StillClock:
    def __init__(self):
        self.ns = START_NS + 10**9

    def now(self):
        return EPOCH + timedelta(microseconds=self.ns // 1_000)


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def opened(tmp_path, clock):
    nodes = []

    def open_again(**options):
        node = open_node(tmp_path / "lake", clock, wal_file_bytes=1 << 16, **options)
        nodes.append(node)
        return node

    yield open_again
    for node in nodes:
        if node._is_open:
            node.stop()


def send(node, spans, *, body=None, content_type=PROTOBUF, encoding="", signal=Signal.TRACES, source="t"):
    data = request(spans).SerializeToString() if body is None else body
    return node.accept(signal, content_type=content_type, content_encoding=encoding, body=data, source=source)


def kill(node):
    """End a node without any of its goodbyes; the log's thread has synced what it acknowledged."""
    node._is_open = False
    node._wal.stop()
    node._writer.flush = lambda: None
    node._tables.stop()
    node._lock.release()


def test_what_was_accepted_can_be_asked_for(opened):
    node = opened()
    receipt = send(node, run_spans(1))
    assert (receipt.answer, receipt.items, receipt.rejected) == (IntakeAnswer.ACCEPTED, 4, 0)
    node.settle()
    (task,) = node.tasks(ALL).tasks
    assert (task.agent, task.spans, task.tokens.total) == ("triage", 4, 2_600)
    assert node.trace(task.trace_id).spans_total == 4


def test_spans_can_be_seen_before_their_task_is_folded(opened):
    node = opened(grace_s=3600)
    *children, _ = run_spans(1)
    send(node, children)
    node.settle()
    view = node.trace((1).to_bytes(16, "big").hex())
    assert (view.task, view.spans_total) == (None, 3)


@pytest.mark.parametrize(
    ("content_type", "encoding", "pack"),
    [
        (PROTOBUF, "", lambda m: m.SerializeToString()),
        (PROTOBUF, "gzip", lambda m: gzip.compress(m.SerializeToString())),
        (JSON, "", to_json),
        ("application/json; charset=utf-8", "GZIP", lambda m: gzip.compress(to_json(m))),
        (PROTOBUF, "identity", lambda m: m.SerializeToString()),
    ],
)
def test_every_encoding_arrives(opened, content_type, encoding, pack):
    node = opened()
    receipt = send(node, (), body=pack(request(run_spans())), content_type=content_type, encoding=encoding)
    assert receipt.answer is IntakeAnswer.ACCEPTED
    node.settle()
    assert len(node.tasks(ALL).tasks) == 1


@pytest.mark.parametrize(
    ("options", "answer", "reason"),
    [
        ({"body": b"garbage"}, IntakeAnswer.MALFORMED, "ExportTraceServiceRequest"),
        ({"body": b"garbage", "encoding": "gzip"}, IntakeAnswer.MALFORMED, "gzip"),
        ({"content_type": "text/plain"}, IntakeAnswer.UNSUPPORTED, "text/plain"),
        ({"encoding": "br"}, IntakeAnswer.UNSUPPORTED, "br"),
        ({"packed": 30 << 20, "encoding": "gzip"}, IntakeAnswer.TOO_LARGE, "200 times"),
        ({"body": bytes(17 << 20)}, IntakeAnswer.TOO_LARGE, "16777216"),
    ],
)
def test_a_broken_request_is_refused_with_a_reason_and_the_node_goes_on(opened, options, answer, reason):
    node = opened()
    if "packed" in options:  # made here: each worker collects the parameters of every test
        options = {**options, "body": gzip.compress(bytes(options["packed"]))}
        del options["packed"]
    receipt = send(node, run_spans(1), **options)
    assert receipt.answer is answer
    assert reason in receipt.reason
    assert send(node, run_spans(2)).answer is IntakeAnswer.ACCEPTED


def test_good_spans_beside_broken_ones_are_taken(opened):
    node = opened()
    spans = run_spans()
    receipt = send(node, [{**spans[0], "trace_id": b"x"}, *spans[1:]])
    assert (receipt.answer, receipt.items, receipt.rejected) == (IntakeAnswer.ACCEPTED, 4, 1)
    assert "span 0" in receipt.reason
    node.settle()
    assert node.tasks(ALL).tasks[0].spans == 3
    assert send(node, [{**spans[0], "trace_id": b"x"}]).answer is IntakeAnswer.MALFORMED


def test_metrics_are_counted_and_answered(opened):
    node = opened()
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a"},{"name":"b"}]}]}]}'
    receipt = send(node, (), body=body, content_type=JSON, signal=Signal.METRICS)
    assert (receipt.answer, receipt.items) == (IntakeAnswer.ACCEPTED, 2)
    health = node.health()
    assert (health.count("metrics_not_stored"), health.count("received")) == (2, 0)


@pytest.mark.parametrize("as_text", [lambda m: m.SerializeToString(), to_json], ids=["protobuf", "json"])
def test_a_secret_that_an_agent_sends_is_neither_in_the_log_nor_in_a_table(opened, tmp_path, as_text):
    key = "sk-ant-0123456789abcdef0123"
    spans = run_spans(1)
    spans[-1]["attributes"] = {**spans[-1]["attributes"], "pilothouse.task.claim": json.dumps({"used": key})}
    node = opened()
    content_type = JSON if as_text is to_json else PROTOBUF
    assert (
        send(node, (), body=as_text(request(spans)), content_type=content_type).answer
        is IntakeAnswer.ACCEPTED
    )
    written = [path.read_bytes() for path in (tmp_path / "lake" / "wal").rglob("*") if path.is_file()]
    assert any(b"[redacted]" in content for content in written)
    assert not any(key.encode() in content for content in written)
    node.settle()
    (task,) = node.tasks(ALL).tasks
    assert json.loads(task.claim) == {"used": "[redacted]"}
    assert node.health().count("secrets_removed") == 1


def test_requests_that_are_lost_are_counted(opened):
    """`doctor` was to say what was refused, and named broken items only."""
    node = opened()
    for content_type in (JSON, "text/plain"):
        send(node, (), body=b"{", content_type=content_type)
    assert node.health().refused_for_good == 2


def test_after_a_kill_everything_acknowledged_is_there_and_nothing_twice(opened):
    node = opened()
    for trace in range(1, 6):
        send(node, run_spans(trace))
    kill(node)
    again = opened()
    again.settle()
    tasks = again.tasks(ALL).tasks
    assert len(tasks) == 5
    assert all(task.spans == 4 and again.trace(task.trace_id).spans_total == 4 for task in tasks)
    kill(again)
    third = opened()
    third.settle()
    assert [task.revision for task in third.tasks(ALL).tasks] == [0] * 5


def test_a_trace_that_was_open_when_the_process_died_is_folded_whole(opened):
    node = opened(grace_s=3600)
    *children, root = run_spans(1)
    send(node, children)
    node.settle()
    kill(node)
    again = opened()
    send(again, [root])
    again.settle()
    (task,) = again.tasks(ALL).tasks
    assert (task.spans, task.revision, task.state) == (4, 0, "complete")


def test_a_late_span_corrects_the_task_with_a_new_revision(opened):
    node = opened()
    *children, root = run_spans(1)
    send(node, [*children[1:], root])
    node.settle()
    send(node, [children[0]])
    node.settle()
    (task,) = node.tasks(ALL).tasks
    assert (task.spans, task.revision, task.model_calls) == (4, 1, 2)
    assert len(node.window(TaskFilter(from_ns=0, to_ns=1 << 62))) == 1


def test_once_closed_traces_were_forgotten_only_those_that_have_a_row_are_read_again(opened, monkeypatch):
    monkeypatch.setattr(closed_traces, "REMEMBERED_MAX", 2)
    node = opened()
    asked = []
    monkeypatch.setattr(
        node._database,
        "run",
        lambda *told, run=node._database.run, **more: asked.append(told) or run(*told, **more),
    )
    for trace in range(1, 20):
        send(node, run_spans(trace))
        node.settle()
        if trace == 17:
            node._tables.ask(node._writer.upkeep)  # of spans, then of tasks
            node._tables.ask(node._writer.upkeep)
    assert any(file.rows > 1 for file in node._writer.view().task_files)
    assert not asked
    late = {**run_spans(3)[0], "span_id": (99).to_bytes(8, "big")}
    send(node, [late])
    node.settle(also_rootless=True)
    assert asked
    corrected = node.trace(f"{3:032x}").task
    assert (corrected.spans, corrected.revision) == (5, 1)
    assert len(node.tasks(ALL).tasks) == 19


def test_a_late_span_after_a_restart_corrects_too(opened):
    node = opened()
    *children, root = run_spans(1)
    send(node, [*children[1:], root])
    node.stop(drain=True)
    again = opened()
    send(again, [children[0]])
    again.settle()
    (task,) = again.tasks(ALL).tasks
    assert (task.spans, task.revision) == (4, 1)


def test_another_root_of_a_trace_after_a_restart_hours_later_makes_no_second_task(opened, clock):
    node = opened()
    spans = run_spans(1)
    send(node, spans)
    node.stop()
    clock.ns += 3 * 3_600 * 10**9
    again = opened()
    root = spans[-1]
    later = {**root, "span_id": b"\x77" * 8, "start": clock.ns - 10**9, "end": clock.ns}
    send(again, [later])
    again.settle()
    (task,) = again.tasks(ALL).tasks
    assert (task.spans, task.revision) == (5, 1)


def test_the_same_spans_again_change_nothing(opened):
    node = opened()
    for _ in range(2):
        send(node, run_spans(1))
    node.settle()
    send(node, run_spans(1))
    node.settle()
    (task,) = node.tasks(ALL).tasks
    assert (task.spans, task.revision) == (4, 0)
    assert node.trace(task.trace_id).spans_total == 4
    assert node.counters.read()["deduplicated"] == 4


def test_a_score_without_a_time_that_is_sent_again_counts_once(opened, clock):
    node = opened(grace_s=0.0)
    send(node, run_spans())
    node.settle()
    said = [
        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "tone"}},
        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 1}},
    ]
    event = {"traceId": f"{1:032x}", "eventName": "gen_ai.evaluation.result", "attributes": said}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]}).encode()
    for source in ("a", "a", "b"):
        send(node, (), body=body, content_type=JSON, signal=Signal.LOGS, source=source)
        node.settle()
        clock.ns += 10**9
    found = node.scores(from_ns=START_NS, to_ns=START_NS + 10**11)
    assert sorted(score.source for score in found) == ["a", "b"]


def test_an_incomplete_trace_is_shown_and_becomes_complete_with_its_root(opened):
    node = opened()
    *children, root = run_spans(1)
    send(node, children)
    node.settle(also_rootless=True)
    (task,) = node.tasks(ALL).tasks
    assert (task.state, task.result) == ("incomplete", "unknown")
    send(node, [root])
    node.settle()
    (task,) = node.tasks(ALL).tasks
    assert (task.state, task.result, task.revision) == ("complete", "completed", 1)


def test_old_traces_keep_their_times(opened):
    node = opened()
    old = START_NS - 14 * 86_400 * 10**9
    send(node, run_spans(1, start=old))
    node.settle()
    assert node.tasks(TaskFilter(from_ns=old, to_ns=old + 1)).tasks[0].start_ns == old


def test_spans_of_very_many_days_are_few_files_and_keep_their_times(opened, monkeypatch):
    monkeypatch.setattr(segments, "DAYS_MAX", 5)
    node = opened()
    day_ns = 86_400 * 10**9
    spans = [
        {
            "trace_id": (number + 1).to_bytes(16, "big"),
            "span_id": (number + 1).to_bytes(8, "big"),
            "start": number // 2 * day_ns + 1,
            "end": number // 2 * day_ns + 2,
        }
        for number in range(2, 43)
    ]
    send(node, spans)
    node.settle()
    files = node._writer.view().span_files
    assert sorted(file.day for file in files) == [17, 18, 19, 20, 21]
    assert sum(file.rows for file in files) == 41
    tasks = node.tasks(ALL).tasks
    assert [task.start_ns for task in tasks] == sorted((span["start"] for span in spans), reverse=True)
    early = node.window(TaskFilter(from_ns=day_ns, to_ns=2 * day_ns))
    assert [task.start_ns for task in early] == [day_ns + 1] * 2
    assert node.trace(early[0].trace_id).spans_total == 1


def test_another_process_reads_what_is_committed_and_replays_after_a_kill(opened, tmp_path, clock):
    node = opened()
    send(node, run_spans(1))
    node.settle()
    reader = open_lake(tmp_path / "lake", clock)
    assert len(reader.tasks(ALL).tasks) == 1
    send(node, run_spans(2))
    kill(node)
    assert len(open_lake(tmp_path / "lake", clock).tasks(ALL).tasks) == 2
    assert len(reader.tasks(ALL).tasks) == 2


def test_a_reader_of_a_lake_that_does_not_exist_sees_nothing(tmp_path, clock):
    reader = open_lake(tmp_path / "nowhere", clock)
    assert reader.tasks(ALL).tasks == ()
    assert reader.agents() == ()
    assert reader.trace("0" * 32) is None
    assert not (tmp_path / "nowhere").exists()


def test_only_one_process_writes_and_it_says_who_and_where(opened, tmp_path, clock):
    node = opened()
    node.announce("http://127.0.0.1:4318")
    with pytest.raises(Conflict, match="is writing"):
        open_node(tmp_path / "lake", clock)
    assert find_holder(tmp_path / "lake").address == "http://127.0.0.1:4318"
    node.stop()
    assert find_holder(tmp_path / "lake") is None


def test_a_reader_that_was_not_the_first_to_replay_reads_all_the_same(opened, tmp_path, clock, monkeypatch):
    node = opened()
    send(node, run_spans())
    node.settle()
    monkeypatch.setattr("pilothouse.lake.store.find_holder", lambda _folder: None)
    assert len(open_lake(tmp_path / "lake", clock).tasks(ALL).tasks) == 1


def test_a_node_whose_id_was_not_written_whole_gets_one(opened, tmp_path, clock):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "node_id").write_text("")
    node = opened()
    send(node, run_spans())
    kill(node)
    assert (tmp_path / "lake" / "node_id").read_text()
    assert len(open_lake(tmp_path / "lake", clock).tasks(ALL).tasks) == 1


def test_a_stopped_node_asks_senders_to_come_again(opened):
    node = opened()
    node.stop()
    assert send(node, run_spans()).answer is IntakeAnswer.BUSY


def test_a_data_folder_that_is_gone_asks_senders_to_come_again(opened, monkeypatch):
    """An exception was answered with 500, after which exporters drop what they hold."""
    node = opened()

    def gone(_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(free_space.shutil, "disk_usage", gone)
    monkeypatch.setattr(free_space, "CHECK_S", -1.0)
    receipt = send(node, run_spans(1))
    assert receipt.answer is IntakeAnswer.BUSY
    assert "the data folder cannot be looked at (No such file or directory)" in receipt.reason


def test_below_the_disk_floor_nothing_is_accepted_but_reading_goes_on(opened, monkeypatch):
    node = opened()
    send(node, run_spans(1))
    node.settle()
    usage = type("Usage", (), {"free": 10, "total": 1 << 40})
    monkeypatch.setattr(free_space.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(free_space, "CHECK_S", -1.0)
    receipt = send(node, run_spans(2))
    assert (receipt.answer, "floor" in receipt.reason) == (IntakeAnswer.BUSY, True)
    assert len(node.tasks(ALL).tasks) == 1
    usage.free = 1 << 40
    assert send(node, run_spans(2)).answer is IntakeAnswer.ACCEPTED


def test_a_key_that_sent_all_it_may_is_told_when_to_come_again_and_others_go_on(opened):
    node = opened(quota=Quota(items_per_s=0.5))
    assert send(node, run_spans(1), source="noisy").answer is IntakeAnswer.ACCEPTED
    assert send(node, run_spans(2), source="noisy").answer is IntakeAnswer.ACCEPTED
    receipt = send(node, run_spans(3), source="noisy")
    assert receipt.answer is IntakeAnswer.OVER_QUOTA
    assert 4 <= receipt.retry_after_s <= 6
    assert send(node, run_spans(4), source="calm").answer is IntakeAnswer.ACCEPTED
    assert node.counters.read()["refused_over_quota"] == 1


def test_one_key_may_fill_only_half_of_what_waits(opened, monkeypatch):
    node = opened()
    node._backlog.add("noisy", WAITING_BYTES_MAX // 2 + 1, 0)
    assert send(node, run_spans(1), source="noisy").answer is IntakeAnswer.BUSY
    assert send(node, run_spans(1), source="calm").answer is IntakeAnswer.ACCEPTED


def test_a_failing_commit_loses_nothing_and_is_tried_again(opened, monkeypatch):
    node = opened()
    table = node._writer._spans
    append, failures = table.append, iter([True] * 3)

    def flaky(*arguments):
        if next(failures, False):
            raise StorageUnavailable("injected", remedy="Wait.")
        return append(*arguments)

    monkeypatch.setattr(table, "append", flaky)
    send(node, run_spans(1))
    for _ in range(4):
        node.settle()
    assert node.counters.read()["commit_failures"] == 3
    assert len(node.tasks(ALL).tasks) == 1
    assert node.trace((1).to_bytes(16, "big").hex()).spans_total == 4


def test_a_defect_in_flattening_sets_the_request_aside_and_the_intake_goes_on(opened, monkeypatch, tmp_path):
    node = opened()

    def defect(*_):
        raise ZeroDivisionError("injected")

    take = node._writer.take
    monkeypatch.setattr(node._writer, "take", defect)
    assert send(node, run_spans(1)).answer is IntakeAnswer.ACCEPTED
    node.settle()
    monkeypatch.setattr(node._writer, "take", take)
    send(node, run_spans(2))
    node.settle()
    assert len(node.tasks(ALL).tasks) == 1
    assert node.counters.read()["quarantined"] == 4
    kept = sorted(path.suffix for path in (tmp_path / "lake").glob("wal/*/quarantine/*"))
    assert kept == [".record", ".txt"]


def test_a_clock_that_jumps_loses_nothing_and_deletes_nothing(opened, clock, tmp_path):
    """Years forward, back before the start, hours either way, with kills between: contents by hash."""
    rules = [RetentionRule(agent="", payload_days=30, spans_days=90, tasks_days=730)]
    start, calm = clock.ns, open_node(tmp_path / "calm", StillClock(), wal_file_bytes=1 << 16)
    node, trace, last_ns = opened(grace_s=0), 0, 0
    for days in (0, 400, -30, 0, 1.5, 900, -0.04, 0):
        clock.ns = start + int(days * 86_400 * 10**9)
        for _ in range(3):
            trace += 1
            for one in (node, calm):
                assert send(one, run_spans(trace)).answer is IntakeAnswer.ACCEPTED
        assert node._clock.now_ns() >= last_ns
        last_ns = node._clock.now_ns()
        node.settle()
        assert node.retain(rules) == ()
        assert node.health().gap == 0
        if days == 1.5:
            jumps = dict(node.health().counters)["clock_jumps"]
            kill(node)
            clock.ns, last_ns = start, 0
            node = opened(grace_s=0)
    calm.settle()
    assert jumps == 4
    assert stored_contents(node) == stored_contents(calm)
    assert len(node.tasks(ALL).tasks) == trace
    calm.stop()


def stored_contents(node):
    """Hashes of the stored spans, sorted, without what says how and when they arrived."""
    table = node._database.run(node._writer.view(), "SELECT * FROM spans")
    arrival = {"received_ns", "seq", "node", "day", "source", "time_flags"}
    return sorted(
        hashlib.sha256(repr([(name, row[name]) for name in row if name not in arrival]).encode()).hexdigest()
        for row in table.to_pylist()
    )


def test_the_counters_close_after_duplicates_broken_items_a_restart_and_a_defect(opened, monkeypatch):
    node = opened()
    spans = run_spans(1)
    send(node, [{**spans[0], "trace_id": b"x"}, *spans[1:]])
    send(node, spans)
    node.settle()
    health = node.health()
    assert (health.gap, health.pending, health.rows) == (0, 0, 4)
    assert dict(health.counters)["deduplicated"] == 3
    send(node, run_spans(2))
    kill(node)
    again = opened()
    again.settle()
    assert (again.health().gap, again.health().rows) == (0, 8)
    monkeypatch.setattr(again._writer, "take", lambda *_: 1 / 0)
    send(again, run_spans(3))
    again.settle()
    assert again.health().gap == 0
    again._rows_at_start += 1
    assert again.health().gap == 1


def test_small_files_are_merged_and_nothing_changes_for_readers(opened, monkeypatch, tmp_path, clock):
    monkeypatch.setattr("pilothouse.lake.merging.FILES_MIN", 5)
    node = opened()
    for trace in range(1, 9):
        send(node, run_spans(trace))
        node.settle()
    before = node.tasks(ALL).tasks
    files = len(node._writer.view().span_files)
    node._writer.upkeep()
    assert len(node._writer.view().span_files) == files - 7 == 1
    assert node.tasks(ALL).tasks == before
    assert open_lake(tmp_path / "lake", clock).tasks(ALL).tasks == before
    assert node.trace(before[0].trace_id).spans_total == 4
    assert node.health().gap == 0
    node.stop()
    again = opened()
    send(again, run_spans(8))
    again.settle()
    assert again.tasks(ALL).tasks == before


def test_no_segment_stands_in_memory_beside_a_merge(opened, monkeypatch):
    monkeypatch.setattr("pilothouse.lake.merging.FILES_MIN", 2)
    monkeypatch.setattr("pilothouse.lake.writer.SEGMENT_S", 1e6)  # nothing is committed by its age
    node = opened()
    writer = node._writer
    writer._upkeep_at = float("inf")  # nor merged before it is asked for
    seen = []
    merge = writer._spans.merge
    monkeypatch.setattr(
        writer._spans, "merge", lambda **kind: seen.append(writer.uncommitted_s > 0) or merge(**kind)
    )
    for trace in (1, 2, 3):
        send(node, run_spans(trace))
        node._tables.ask(writer.upkeep)
        writer._upkeep_at = float("inf")
        if trace < 3:
            assert writer.uncommitted_s > 0  # nothing to merge, so it waits for its age
            node.settle()
    assert seen == [True, True, False]
    assert len(writer.view().span_files) == 1
    assert writer.rows() == 12


def test_upkeep_leaves_time_for_requests_and_a_failed_one_is_not_tried_with_each(opened, monkeypatch):
    monkeypatch.setattr("pilothouse.lake.merging.FILES_MIN", 2)
    node = opened()
    for trace in range(1, 3):
        send(node, run_spans(trace))
        node.settle()
    writer = node._writer
    began = time.monotonic()
    monkeypatch.setattr(writer._spans, "merge", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.upkeep()
    assert writer._upkeep_at >= began + 300
    merges = [2, 0, 0]
    monkeypatch.setattr(writer._spans, "merge", lambda **_: time.sleep(0.01) or merges.pop(0))
    monkeypatch.setattr(writer._tasks, "merge", lambda **_: 0)
    began = time.monotonic()
    writer.upkeep()
    assert 0.05 <= writer._upkeep_at - began < 5
    writer.upkeep()
    assert writer._upkeep_at - began >= 5


def test_once_an_hour_days_that_are_over_are_merged_to_the_last_file(opened, monkeypatch):
    node = opened()
    for trace in range(1, 4):
        send(node, run_spans(trace, start=START_NS - 2 * 86_400 * 10**9))
        node.settle()
    writer = node._writer
    writer.upkeep()
    assert len(writer.view().span_files) == 3
    writer._vacuum_at = 0.0
    writer.upkeep()
    writer.upkeep()
    assert (len(writer.view().span_files), len(writer.view().task_files)) == (1, 1)
    assert writer._over_before
    writer.upkeep()
    assert not writer._over_before


def test_a_segment_is_full_by_its_bytes_too(opened, monkeypatch):
    monkeypatch.setattr("pilothouse.lake.writer.SEGMENT_BYTES", 1)
    monkeypatch.setattr("pilothouse.lake.writer.BATCH_ROWS", 1)
    monkeypatch.setattr("pilothouse.lake.writer.SEGMENT_S", 3600.0)
    node = opened()
    send(node, run_spans(1))
    while not node._writer.view().span_files:
        time.sleep(0.01)
    assert not node._writer.is_full


def test_a_span_that_comes_after_the_others_are_gone_does_not_undo_the_task(opened):
    node = opened()
    *children, root = run_spans(1, start=START_NS - 95 * 86_400 * 10**9)
    send(node, [*children, root])
    node.settle()
    node.retain([])
    (before,) = node.tasks(ALL).tasks
    send(node, [{**children[0], "span_id": b"\x77" * 8}])
    node.settle()
    (after,) = node.tasks(ALL).tasks
    assert after == before
    assert node.counters.read()["late_after_retention"] == 1


def test_days_past_their_retention_are_dropped_whole_and_counted(opened):
    node = opened()
    send(node, run_spans(1, start=START_NS - 95 * 86_400 * 10**9))
    send(node, run_spans(2))
    node.settle()
    node.retain([RetentionRule(agent="", payload_days=30, spans_days=90, tasks_days=90)])
    health = node.health()
    assert (health.rows, dict(health.counters)["expired"], health.gap) == (4, 4, 0)
    assert len(node.tasks(ALL).tasks) == 2
