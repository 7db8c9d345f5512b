# SPDX-License-Identifier: Apache-2.0
"""An agent that knows nothing but a base URL and a key: `pilothouse up` gives it tasks, spending and a verdict.

Half of its calls go through the server, half through a gateway in a process of its own beside it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import Spent

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
GRPC = ("--grpc-port", "0")
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
SECRET = "sk-canary-11d2ff07"
EVENTS = 3
"""Of each run of one call: its beginning, the request, the answer."""


def pilothouse(home, *words):
    done = run_command_line(*words, env={**os.environ, "PILOTHOUSE_HOME": str(home)})
    return done.stdout + done.stderr


def test_a_base_url_and_a_key_are_enough(tmp_path):
    home = tmp_path / "home"
    shutil.copytree(DEMO, tmp_path / "charter")
    schema = json.dumps({"type": "object", "required": ["queue"]})
    (tmp_path / "charter/schemas/routing.json").write_text(schema)
    plan = Plan(text='{"queue": "approval"}')
    with ProviderStub(default=plan) as stub:
        pilothouse(home, "provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
        key = json.loads(pilothouse(home, "key", "add", AGENT, "--json"))["key"]
        charter = str(tmp_path / "charter/charter.yaml")
        with (
            started_server(*GRPC, "--home", str(home), "--charter", charter, ACME_KEY=SECRET) as base,
            started_server(*GRPC, "--home", str(home), "--role", "gateway", ACME_KEY=SECRET) as apart,
        ):
            doors = [f"{place}/gw/v1/chat/completions" for place in (base, apart)]
            answers = [ask(door, key) for door in doors for _ in range(30)]
            assert {status for status, _ in answers} == {200}
            assert stub.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
            assert ask(f"{apart}/incidents", key)[0] == 404
            pilothouse(home, "pause", AGENT)
            time.sleep(2.0)
            assert [ask(door, key)[0] for door in doors] == [403, 403]
            with urllib.request.urlopen(f"{apart}/metrics", timeout=20) as counters:
                counted = dict(line.split() for line in counters.read().decode().splitlines())
            assert counted["pilothouse_gateway_events_recorded"] == str(EVENTS * 30)
            assert (
                counted["pilothouse_gateway_events_lost"]
                == counted["pilothouse_gateway_record_restarts"]
                == "0"
            )
    tasks = pilothouse(home, "traces", "--agent", AGENT)
    assert "where is it?" in tasks
    said = pilothouse(home, "verdict", AGENT, "--json")
    page, _ = json.JSONDecoder().raw_decode(said)
    judged = {one["id"]: one for domain in page["domains"] for one in domain["requirements"]}
    assert judged["EVAL-8"]["mark"]["status"] == "holds"
    assert "0 in 60 answers" in judged["EVAL-8"]["deciding"]["sentence"]
    assert "60 of about 1,000 calls" in judged["EVAL-7"]["deciding"]["sentence"]
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert SECRET.encode() not in stored
    assert key.encode() not in stored


def test_the_page_of_a_streamed_call_says_when_the_first_words_came(tmp_path):
    home = tmp_path / "home"
    with ProviderStub(default=Plan(text="It waits for approval.", pause_s=0.3)) as stub:
        pilothouse(home, "provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
        key = json.loads(pilothouse(home, "key", "add", "plain", "--json"))["key"]
        with started_server(*GRPC, "--home", str(home), ACME_KEY=SECRET) as base:
            body = json.dumps(
                {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
            )
            request = urllib.request.Request(
                f"{base}/gw/v1/chat/completions", body.encode(), {"authorization": f"Bearer {key}"}
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                run = answer.headers["x-pilothouse-run"]
                answer.read()
            waits_until = time.monotonic() + 30
            found = None
            while found is None and time.monotonic() < waits_until:
                time.sleep(0.2)
                found = re.search(
                    r"first words after ([\d.]+) (ms|s)\b", page_of(f"{base}/agents/plain/tasks/{run}")
                )
    assert found is not None
    assert float(found[1]) >= (300 if found[2] == "ms" else 0.3)


def test_a_background_answer_outlives_the_process_that_was_asked(tmp_path):
    """Killed without a word; another one on the same folder is asked for the answer, and has the whole call."""
    home = tmp_path / "home"
    promised = {"id": "resp_7", "object": "response", "model": MODEL, "status": "queued", "output": []}
    used = {"input_tokens": 900, "output_tokens": 5_000}
    answered = {**promised, "status": "completed", "usage": used}
    with ProviderStub() as stub:
        stub.plan(*(Plan(body=json.dumps(one).encode()) for one in (promised, promised, answered)))
        pilothouse(home, "provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
        key = json.loads(pilothouse(home, "key", "add", "plain", "--json"))["key"]
        gateway = (*GRPC, "--home", str(home), "--role", "gateway")
        with started_server(*gateway, kill=True, ACME_KEY=SECRET) as first:
            body = {"model": MODEL, "input": "Write a report.", "background": True}
            run = call(f"{first}/gw/v1/responses", key, body)[0]
            time.sleep(0.5)  # the run log gathers for a twentieth of a second
        estimated = spent(home)
        assert (estimated.calls, estimated.estimated) == (1, 1)
        assert estimated.tokens > 0
        with started_server(*gateway, ACME_KEY=SECRET) as second:
            fetched = [call(f"{second}/gw/v1/responses/resp_7", key)[1]["status"] for _ in range(2)]
    assert fetched == ["queued", "completed"]
    assert spent(home) == Spent(tokens=5_900, calls=1, estimated=1, usd_pico=estimated.usd_pico), "no price"
    shown = pilothouse(home, "replay", run, "--show")
    *lines, told = shown.splitlines()[2:]
    kinds = [next(word for word in line.split() if "." in word) for line in lines]
    kinds.remove("run.close")  # by the writer of the killed process
    assert kinds == ["run.open", "model.request", "model.response", "model.response"]
    assert told.startswith("it may be shorter than what happened: its gateway was killed")


def spent(home):
    with open_ledger(f"sqlite:///{home / 'ledger.sqlite'}") as ledger:
        return SqlGatewayStore(ledger.database).spent(datetime.now(UTC).date())["plain"]


def call(url, key, body=None):
    """Return the run and the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["x-pilothouse-run"], json.loads(answer.read())


def page_of(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError:  # the span is not stored yet
        return ""


def ask(url, key):
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "where is it?"}]}).encode()
    request = urllib.request.Request(url, body, {"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
