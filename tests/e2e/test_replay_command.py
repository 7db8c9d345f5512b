# SPDX-License-Identifier: Apache-2.0
"""`pilothouse replay` as a user types it: the agent's code runs again, closed off, and the report says what came of it."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forked_process import run_command_line
from otlp_bodies import request, to_json
from recorded_runs import RUN, agent_code, conversation, record

from pilothouse.core.evidence.run_log import Draw, RunClosed, RunState, Tap
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.replay.sandbox import is_sandbox_supported
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.verdict.accept import accept_file

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter/charter.yaml"

needs_namespaces = pytest.mark.skipif(not is_sandbox_supported(), reason="this system gives no namespaces")


@pytest.fixture
def home(tmp_path):
    with Recorder(tmp_path / "home" / "runs") as log:
        record(log, conversation(2))
    return tmp_path / "home"


@pytest.fixture
def sink():
    """A server that counts who reaches it: the outside world."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    reached = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            reached.append(1)
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1], reached
    listener.close()


def pilothouse(home, *words, cwd):
    environment = {**os.environ, "PILOTHOUSE_HOME": str(home), "ERP_TOKEN": "real-secret-1", "NO_COLOR": "1"}
    return run_command_line("replay", *words, cwd=cwd, env=environment)


def agent(tmp_path, extra="pass"):
    folder = tmp_path / "agent"
    folder.mkdir()
    (folder / "agent.py").write_text(agent_code(extra))
    return folder


@pytest.mark.slow
def test_runs_are_listed_shown_and_replayed_by_their_calls(home, tmp_path):
    listed = pilothouse(home, "--list", cwd=tmp_path)
    assert "5e5e5e5e  orders" in listed.stdout
    assert "pilothouse replay RUN --exec 'python agent.py' --evidence" in listed.stderr
    assert "model.request" in pilothouse(home, RUN[:4], "--show", cwd=tmp_path).stdout
    equal = pilothouse(home, RUN[:4], cwd=tmp_path)
    assert (equal.returncode, "every call was the recorded one" in equal.stdout) == (0, True)
    assert "may be shorter" not in equal.stdout
    with Recorder(home / "runs") as log:
        log.append(RUN, RunClosed(state=RunState.CUT))
        log.flush()
    cut = pilothouse(home, RUN[:4], cwd=tmp_path)
    assert (
        cut.returncode,
        "the run may be shorter than what happened: its gateway was killed" in cut.stdout,
    ) == (0, True)
    missing = pilothouse(home, "ffff", cwd=tmp_path)
    assert (missing.returncode, "no run 'ffff'" in missing.stderr) == (2, True)
    missing = pilothouse(home, "INC-9", cwd=tmp_path)
    assert (missing.returncode, "there is no incident INC-9" in missing.stderr) == (2, True)


@pytest.mark.slow
@needs_namespaces
def test_the_agents_code_replays_equal_with_canaries_for_keys(home, tmp_path):
    folder = agent(tmp_path, "assert os.environ['ERP_TOKEN'].startswith('ph-canary')")
    done = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", "--json", cwd=folder)
    (report,) = json.loads(done.stdout)
    assert (done.returncode, report["is_equal"], report["counts"]["served"]) == (0, True, 2), done.stderr
    assert report["exit_status"] == 0


@pytest.mark.slow
@needs_namespaces
def test_a_tool_that_changes_its_answer_is_named_and_the_agent_is_stopped(home, tmp_path):
    folder = agent(tmp_path, "order = order + '!'")
    done = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", cwd=folder)
    assert done.returncode == 1
    assert "first divergence: call 2, tool_result(look_up) at $.messages[3].content" in done.stdout
    assert "replayed: order 7! is in Lyon" in done.stdout
    pinned = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", "--mode", "pin-tools", cwd=folder)
    assert (pinned.returncode, "1 put back" in pinned.stdout) == (0, True)


@pytest.mark.slow
@needs_namespaces
def test_nothing_outside_is_reached_started_or_deleted(home, tmp_path, sink):
    port, reached = sink
    kept = tmp_path / "kept"
    kept.write_text("here")
    extra = f"""
    import ctypes, subprocess
    for attempt in (
        lambda: urllib.request.urlopen("http://127.0.0.1:{port}/pay"),
        lambda: urllib.request.urlopen("http://192.0.2.1/pay", timeout=2),
        lambda: subprocess.run(["/bin/rm", {str(kept)!r}]),
        lambda: os.remove({str(kept)!r}),
        lambda: ctypes.CDLL(None).unlink({str(kept)!r}.encode()),
        lambda: open({str(kept)!r}, "w"),
    ):
        try:
            attempt()
        except Exception:
            pass
"""
    folder = agent(tmp_path, extra)
    done = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", "--json", cwd=folder)
    (report,) = json.loads(done.stdout)
    assert (reached, kept.read_text()) == ([], "here")
    assert {each["what"] for each in report["refusals"]} >= {"connect", "start", "delete"}
    assert all("agent.py:" in each["site"] for each in report["refusals"]), report["refusals"]


@pytest.mark.slow
def test_an_incident_becomes_a_case_of_a_dataset(tmp_path):
    home, expected = tmp_path / "home", tmp_path / "answer.json"
    expected.write_text('{"queue": "approval"}')
    with Recorder(home / "runs") as log:
        record(log, conversation(2), agent="ap-invoice-triage")
    with open_ledger(f"sqlite:///{home}/ledger.sqlite") as ledger:
        accept_file(ledger, DEMO, datetime.now(UTC), actor="test")
    words = (RUN, "--to-case", "cases", "--expect", str(expected), "--task-type", "po_invoice")
    done = pilothouse(home, *words, "--by", "dana", cwd=tmp_path)
    assert (done.returncode, "is a case of cases 1.0.0" in done.stdout) == (0, True), done.stderr
    (case,) = [
        json.loads(line)
        for file in (tmp_path / "cases").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert (case["source"], case["expected"]) == (f"production:{RUN}", {"queue": "approval"})


@pytest.mark.slow
@needs_namespaces
def test_a_changed_document_is_named_as_retrieval_by_the_spans_of_the_run(home, tmp_path):
    """The record holds the prompt; only telemetry knows that a retrieval step brought this part of it in."""
    document = "order 7 is in Lyon"
    said = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.documents": [{"id": "d1", "content": document}],
    }
    spans = [
        {"trace_id": bytes.fromhex(RUN), "span_id": bytes([1] * 8), "name": "retrieval", "attributes": said},
    ]
    (tmp_path / "spans.json").write_bytes(to_json(request(spans)))
    folder = agent(tmp_path, 'return "order 7 is at sea"')

    def kind():
        done = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", "--json", cwd=folder)
        (report,) = json.loads(done.stdout)
        return report["divergence"]["kind"]

    assert kind() == "tool_result"
    environment = {**os.environ, "PILOTHOUSE_HOME": str(home), "NO_COLOR": "1"}
    taken = run_command_line("import", "spans.json", cwd=tmp_path, env=environment)
    assert taken.returncode == 0, taken.stderr
    assert kind() == "retrieval"


@pytest.mark.slow
@needs_namespaces
def test_what_differs_by_itself_is_learnt_approved_by_a_person_and_shown(tmp_path):
    home = tmp_path / "home"
    pairs = conversation(2)
    pairs[1][0]["messages"][3]["content"] = '{"order": 7, "at": "2026-11-30T09:00:00", "paid": 12.5}'
    with Recorder(home / "runs") as log:
        record(log, pairs, agent="ap-invoice-triage")
    with open_ledger(f"sqlite:///{home}/ledger.sqlite") as ledger:
        accept_file(ledger, DEMO, datetime.now(UTC), actor="test")
    answer = (
        "import datetime; return json.dumps(dict(order=7, at=datetime.datetime.now().isoformat(), paid={}))"
    )
    folder = agent(tmp_path, answer.format("12.5"))
    code = ("--exec", f"{sys.executable} agent.py")
    unmasked = pilothouse(home, RUN, *code, cwd=folder)
    assert (unmasked.returncode, "--learn --exec CMD" in unmasked.stdout) == (1, True)
    shown = pilothouse(home, RUN, "--learn", *code, cwd=folder)
    assert "iso_time in tool_result(look_up) at $.messages[*].content > $.at" in shown.stdout, shown.stderr
    ident = shown.stdout.splitlines()[1].split()[0]
    assert pilothouse(home, RUN, *code, cwd=folder).returncode == 1, "a mask that nobody approved covers"
    approve = (RUN, "--learn", *code, "--approve", ident)
    for words, missing in (((), "what a person decides"), (("--by", "nobody"), "no person of the charter")):
        refused = pilothouse(home, *approve, *words, cwd=folder)
        assert (refused.returncode, missing in refused.stderr) == (2, True)
    assert "dana approved: masks version 1" in pilothouse(home, *approve, "--by", "dana", cwd=folder).stdout
    covered = pilothouse(home, RUN, *code, cwd=folder)
    assert (covered.returncode, "but for what masks cover" in covered.stdout) == (0, True)
    assert f"mask {ident} (version 1): iso_time in tool_result(look_up)" in covered.stdout
    (folder / "agent.py").write_text(agent_code(answer.format("13.5")))
    moved = pilothouse(home, RUN, *code, cwd=folder)
    assert (moved.returncode, "replayed: " in moved.stdout, '"paid": 13.5' in moved.stdout) == (1, True, True)
    other = pilothouse(home, RUN, "--learn", *code, cwd=folder)
    assert "no mask   number in tool_result(look_up) at $.messages[*].content > $.paid" in other.stdout
    (folder / "agent.py").write_text(agent_code(answer.format("12.5")))
    assert "0 left" in pilothouse(home, RUN, "--withdraw", ident, "--by", "dana", cwd=folder).stdout
    assert pilothouse(home, RUN, *code, cwd=folder).returncode == 1


@pytest.mark.slow
@needs_namespaces
def test_a_difference_that_equal_commands_may_have_made_is_no_divergence_and_no_evidence(home, tmp_path):
    with Recorder(home / "runs") as log:
        log.append(
            RUN, Draw(source="process.order", site="#1a2b3c4d-1", ordinal=0, value="1"), tap=Tap.LAUNCHER
        )
        log.flush()
    folder = agent(tmp_path, "order = order + '!'")
    done = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", cwd=folder)
    assert (done.returncode, "it may be none: 1 command of the run came up" in done.stdout) == (3, True), done
    kept = pilothouse(home, RUN, "--exec", f"{sys.executable} agent.py", "--evidence", cwd=folder)
    assert (kept.returncode, "equal commands of it ran at once" in kept.stderr) == (2, True), kept
