# SPDX-License-Identifier: Apache-2.0
"""An agent that knows nothing but a base URL and a key: `pilothouse up` gives it tasks, spending and a verdict."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.stubs.provider_stub import Plan, ProviderStub

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
UP = [sys.executable, "-m", "pilothouse", "up", "--port", "0", "--grpc-port", "0"]
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
SECRET = "sk-canary-11d2ff07"


def pilothouse(home, *words):
    done = subprocess.run(
        [sys.executable, "-m", "pilothouse", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PILOTHOUSE_HOME": str(home)},
    )
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
        process = subprocess.Popen(
            [*UP, "--home", str(home), "--charter", str(tmp_path / "charter/charter.yaml")],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "ACME_KEY": SECRET},
        )
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            base = next(word for line in lines for word in line.split() if word.startswith("http")).rstrip(
                "/"
            )
            answers = [ask(f"{base}/gw/v1/chat/completions", key) for _ in range(60)]
            assert {status for status, _ in answers} == {200}
            assert stub.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
            pilothouse(home, "pause", AGENT)
            time.sleep(2.0)
            assert ask(f"{base}/gw/v1/chat/completions", key)[0] == 403
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            process.stderr.close()
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


def ask(url, key):
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "where is it?"}]}).encode()
    request = urllib.request.Request(url, body, {"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
