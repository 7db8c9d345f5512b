# SPDX-License-Identifier: Apache-2.0
"""A subject is found and erased in telemetry, queue and datasets, and the audit chain still verifies."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import page_world as world
import pytest
from home_in_force import home_in_force
from otlp_bodies import PROTOBUF, request, run_spans
from pyarrow.parquet import ParquetFile
from review_world import QUESTION

from pilothouse.app.boundary import open_boundary
from pilothouse.app.opening import SystemClock, open_intake
from pilothouse.app.people import open_curation
from pilothouse.app.runs import open_run_log
from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.core.evidence.run_log import ModelRequest, Replayable, RunOpened
from pilothouse.evals.dataset import load_dataset
from pilothouse.lake.node import open_node
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import Signal
from pilothouse.ports.ledger import DECISIONS_MAX
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.curation.erasure import ask_to_empty, carry_out_erasures
from pilothouse.workflows.reports.audit import anchor_log, verify_log
from pilothouse.workflows.review.queue import rubric_of

AGENT, SUBJECT = world.AGENT, "K-4711-0815"
NOW_NS = time.time_ns() // 1_000 * 1_000 - 3_600 * 10**9


@pytest.fixture
def settings(tmp_path):
    found = home_in_force(tmp_path / "home")
    with open_intake(found) as intake:
        for trace, who in ((1, SUBJECT), (2, "K-4711-9999")):
            spans = run_spans(trace, start=NOW_NS)
            for span in spans:
                span["attributes"] |= {"pilothouse.agent": AGENT, "note": f"about {who}"}
            spans[0]["attributes"]["gen_ai.output.messages"] = (
                f'[{{"role": "assistant", "content": "for {who}"}}]'
            )
            body = request(spans).SerializeToString()
            intake.accept(
                Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests"
            )
    return found


def review(desk, trace, text):
    """Let a person accept what the agent answered in a trace."""
    now = desk.clock.now()
    desk.queue.add(
        [
            ReviewItem(
                item_id=f"i{trace}", agent=AGENT, task_type="po_invoice", trace_id=f"{trace:032x}",
                source=ReviewSource.SAMPLED, why="drawn", input=text, proposal="team", call_digest="c",
                created_at=now, due_at=now,
            )
        ]
    )  # fmt: skip
    rubric = rubric_of(desk.directory.charter(AGENT), "po_invoice").digest
    desk.queue.answer(
        Label(item_id=f"i{trace}", agent=AGENT, reviewer="lee", answer=Answer.ACCEPT, rubric=rubric, at=now)
    )


def held_by(settings, subject):
    with open_curation(settings) as desk:
        view = desk.lake.trace(f"{1:032x}")
        return any(
            subject in text
            for span in view.spans
            for text in (span.input, span.output, span.attributes, span.events)
        )


def on_the_disk(settings, subject):
    """The files of the lake in which a subject stands, packed or not."""
    files = [path for path in settings.lake_folder.rglob("*") if path.is_file()]
    unpacked = {
        path: str(ParquetFile(path).read().to_pylist()) for path in files if path.suffix == ".parquet"
    }
    return [path for path in files if subject in unpacked.get(path, path.read_bytes().decode("latin-1"))]


def test_a_subject_leaves_telemetry_and_datasets_and_the_audit_chain_still_verifies(settings, tmp_path):
    with open_curation(settings) as desk:
        review(desk, 1, f"invoice of {SUBJECT}")
        review(desk, 2, QUESTION.format(n=2))
        desk.cases(AGENT, tmp_path / "labelled")
    with open_boundary(settings) as room:
        anchor_log(room, tmp_path / "anchors", outside=True, actor="test", now=room.installation.clock.now())
    assert held_by(settings, SUBJECT)
    assert on_the_disk(settings, SUBJECT)

    with open_curation(settings) as desk:
        done = desk.erase(SUBJECT, [], actor="test")
    assert (done["traces"], done["cases"]) == ((f"{1:032x}",), 1), "the curated folder is known"
    assert done["telemetry"] == 5, "four spans and their task"
    assert not held_by(settings, SUBJECT)
    assert not on_the_disk(settings, SUBJECT), "no server runs that would delete the files of before"
    assert len(load_dataset(tmp_path / "labelled").cases) == 1

    with open_boundary(settings) as room:
        check = verify_log(room, room.installation.clock.now())
        assert (check.problems, check.anchored is not None) == ((), True)
        texts = [text for _, text in room.log.texts()]
    assert any("telemetry.erased" in text for text in texts)
    assert any("subject.erased" in text for text in texts)
    assert not any(SUBJECT in text for text in texts)
    with open_curation(settings) as desk:
        assert desk.lake.trace(f"{2:032x}").spans[0].output, "nobody else lost anything"
        assert desk.erase(SUBJECT, [], actor="test")["traces"] == ()


def test_however_many_persons_are_to_be_forgotten_at_once_nobody_is_left_out():
    class Lake:
        def __init__(self):
            self.erased = []

        def claims(self, traces):
            return {}

        def erase(self, traces):
            self.erased += traces
            return len(traces)

    ledger, lake, now = MemoryLedger(), Lake(), datetime(2026, 11, 20, 12, tzinfo=UTC)
    wanted = [f"{number:032x}" for number in range(DECISIONS_MAX + 5)]
    for trace in wanted:
        ask_to_empty(ledger, [trace], actor="test", now=now)
    assert carry_out_erasures(lake, ledger, now) == len(wanted)
    assert lake.erased == wanted
    assert carry_out_erasures(lake, ledger, now) == 0


def test_a_running_server_empties_telemetry_that_a_command_asked_for(settings):
    clock = SystemClock()
    node = open_node(settings.lake_folder, clock)
    try:
        with open_curation(settings) as desk:
            assert desk.erase(SUBJECT, [], actor="test")["telemetry"] is None
        with open_ledger(settings.ledger_url) as ledger:
            assert carry_out_erasures(node, ledger, clock.now()) == 5
            assert carry_out_erasures(node, ledger, clock.now()) == 0
        assert node.health().gap == 0
    finally:
        node.stop()
    assert not held_by(settings, SUBJECT)


def test_what_a_server_left_behind_goes_with_the_next_erasure_once_it_was_stopped(settings):
    node = open_node(settings.lake_folder, SystemClock())
    with open_curation(settings) as desk:
        desk.erase(SUBJECT, [], actor="test")
        assert carry_out_erasures(node, desk.ledger, desk.clock.now()) == 5
    node.stop()
    assert on_the_disk(settings, SUBJECT)
    with open_curation(settings) as desk:
        assert desk.erase(SUBJECT, [], actor="test")["traces"] == ()
    assert not on_the_disk(settings, SUBJECT)


def test_an_erasure_that_failed_is_carried_out_at_the_next_look(settings, monkeypatch):
    clock = SystemClock()
    node = open_node(settings.lake_folder, clock)
    try:
        with open_curation(settings) as desk:
            desk.erase(SUBJECT, [], actor="test")
        with open_ledger(settings.ledger_url) as ledger:
            with monkeypatch.context() as patched:
                patched.setattr(node._writer, "erase", lambda _traces: 1 // 0)
                with pytest.raises(ZeroDivisionError):
                    carry_out_erasures(node, ledger, clock.now())
            assert carry_out_erasures(node, ledger, clock.now()) == 5
    finally:
        node.stop()
    assert not held_by(settings, SUBJECT)


def test_recorded_runs_of_a_subject_lose_their_key_whichever_key_it_was(settings):
    other, own = f"{1:032x}", "7a" * 16
    with open_run_log(settings) as log:
        for run, named in ((other, None), (own, SUBJECT), (f"{2:032x}", None)):
            log.append(run, RunOpened(agent=AGENT, subject=named))
            log.append(
                run, ModelRequest(route="/v1/chat/completions", body=b'{"about": "K-4711-0815"}'), call="1"
            )
        log.flush()
        assert bodies(log, own) == {b'{"about": "K-4711-0815"}'}

    with open_curation(settings) as desk:
        assert desk.erase(SUBJECT, [], actor="test")["runs"] == 2, "that of its trace, and that in its name"
    with open_run_log(settings) as log:
        assert [log.read(run).summary.replayable for run in (other, own)] == [Replayable.ERASED] * 2
        assert bodies(log, other) == bodies(log, own) == {b""}
        assert bodies(log, f"{2:032x}") == {b'{"about": "K-4711-0815"}'}, "nobody else's key is gone"
    for file in settings.runs_folder.rglob("*"):
        assert not file.is_file() or b'"about"' not in file.read_bytes(), "what was said lay there encrypted"
    with open_boundary(settings) as room:
        assert verify_log(room, room.installation.clock.now()).problems == ()


def bodies(log, run):
    return {one.event.body for one in log.read(run).events if isinstance(one.event, ModelRequest)}


def test_a_subject_that_nobody_recorded_leaves_no_name_behind(settings):
    with open_curation(settings) as desk:
        assert desk.erase("K-4711-NONE", [], actor="test")["runs"] == 0
    for file in settings.runs_folder.rglob("*"):
        assert not file.is_file() or b"K-4711-NONE" not in file.read_bytes()
