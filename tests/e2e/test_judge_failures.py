# SPDX-License-Identifier: Apache-2.0
"""A judge endpoint that times out, answers nonsense, refuses or changes its model: `gate` goes on, and says so."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from agent_repository import command_line, make_repository, write_lines

pytestmark = pytest.mark.slow

CASES = 160
MODEL = "other-judge-2026-03-03"
PATIENCE_S = 5.0
"""Long enough for a good judgement on a busy machine."""

FAULTS = {0: "timeout", 1: "parse_failed", 2: "judge_refused", 3: "model_changed"}
"""What happens to one case in forty each; the limit of results without a score is 2 %."""


@contextmanager
def judge_server(faults):
    """A real endpoint that judges well, and fails where it is told to."""
    over = threading.Event()

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = body["messages"][-1]["content"]
            fault = faults.get(int(re.search(r'"amount": (\d+)', text)[1]) % 40)
            message = {"role": "assistant", "content": json.dumps({"verdict": "pass", "quote": "ap"})}
            if fault == "timeout":
                over.wait(4 * PATIENCE_S)
            elif fault == "parse_failed":
                message["content"] = "I would say that this is rather good, on the whole."
            elif fault == "judge_refused":
                message |= {"content": None, "refusal": "I cannot judge invoices."}
            answer = json.dumps(
                {
                    "id": "c", "object": "chat.completion", "created": int(time.time()),
                    "model": "other-judge-2026-09-09" if fault == "model_changed" else body["model"],
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
                }
            ).encode()  # fmt: skip
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                pass  # who asked has given up

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request, client_address):
            pass

    server = Server(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def pilothouse(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("judge")
    repository = make_repository(tmp_path / "repository")
    rows = [
        {"id": f"c{n}", "task_type": "t", "input": {"amount": n}, "expected": {"queue": f"ap-{n % 7}"}}
        for n in range(CASES)
    ]
    write_lines(repository / "cases.jsonl", rows)
    (repository / "charter.yaml").unlink()
    return command_line(tmp_path / "home", repository)


def gate(pilothouse, url):
    scorer = {"url": url, "model": MODEL, "rubric": "Names a queue.", "timeout_s": PATIENCE_S}
    done = pilothouse(
        "gate", "--candidate", "python:app:route", "--dataset", "cases.jsonl", "--floor", "0.9", "--complete",
        "--scorer", f"judge={json.dumps(scorer)}", "--json",
    )  # fmt: skip
    verdict = json.loads(done.stdout)
    return done, verdict, next(one for one in verdict["items"] if one["requirement"] == "scored")


def test_every_failure_is_a_missing_score_with_its_reason_and_above_the_limit_nothing_is_decided(pilothouse):
    with judge_server(FAULTS) as url:
        done, verdict, scored = gate(pilothouse, url)
    assert done.returncode == 3, done.stdout + done.stderr
    assert verdict["cost"]["cases"] == CASES, "the run went on to its end"
    assert (scored["status"], scored["reason"]) == ("no_evidence", "insufficient")
    (note,) = [note for note in verdict["notes"] if "without a score" in note and "counting" not in note]
    for why in FAULTS.values():
        assert f"{CASES // 40} {why}" in note, note
    assert "asked 'other-judge-2026-03-03', 'other-judge-2026-09-09' answered" in note
    assert not any(one["status"] == "breached" for one in verdict["items"]), "a missing score is no failure"


def test_the_same_command_asks_again_where_the_trouble_may_have_passed_and_keeps_a_refusal(pilothouse):
    with judge_server({}) as url:
        done, verdict, scored = gate(pilothouse, url)
    # Refusals and nonsense are answers of this judge; a timeout and another model are none, so they are asked again.
    assert done.returncode == 3, done.stdout + done.stderr
    assert verdict["cost"]["calls"] == 0, "no agent was called again"
    (note,) = [note for note in verdict["notes"] if "without a score" in note and "counting" not in note]
    assert "timeout" not in note
    assert "model_changed" not in note
    assert scored["n"] == CASES
