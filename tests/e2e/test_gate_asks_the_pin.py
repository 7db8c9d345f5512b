# SPDX-License-Identifier: Apache-2.0
"""The release gate is answered by the model that is pinned or by nobody: what a stand-in did releases no version, and a load run keeps it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.provider_stub import Plan, ProviderStub

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
SPARE, AGENT = "other-large-2026-03-01", "ap-invoice-triage"
FALLBACK = f"[{{provider: second, model: {SPARE}, region: eu}}]"
TRIALS = 60
CALLER = """
import json, os, urllib.request

def answer(case, context):
    body = json.dumps({"model": "acme-large-2026-04-12", "messages": [{"role": "user", "content": case}]})
    headers = {"authorization": "Bearer " + os.environ["KEY"], "content-type": "application/json"}
    headers |= context.headers()
    url = os.environ["BASE"] + "/gw/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers)) as given:
        return json.loads(json.load(given)["choices"][0]["message"]["content"])
"""


def test_a_stand_in_answers_no_trial_of_the_gate_and_those_of_a_load_run(tmp_path):
    home = tmp_path / "home"
    shutil.copytree(DEMO, tmp_path / "charter")
    charter = tmp_path / "charter/charter.yaml"
    said = charter.read_text().replace("  fallback: []\n", f"  fallback: {FALLBACK}\n")
    charter.write_text(said.replace("  require_evidence: true\n", "  require_evidence: false\n"))
    schema = json.dumps({"type": "object", "required": ["queue"]})
    (tmp_path / "charter/schemas/routing.json").write_text(schema)
    (tmp_path / "caller.py").write_text(CALLER)
    cases = [
        {"id": str(n), "input": f"invoice {n}", "expected": {"queue": "approval"}, "task_type": "po_invoice"}
        for n in range(TRIALS)
    ]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))

    def typed(*words, **variables):
        env = {**os.environ, "PILOTHOUSE_HOME": str(home), **variables}
        return run_command_line(*words, cwd=tmp_path, env=env)

    down, right = Plan(status=500), Plan(text='{"queue": "approval"}')
    with ProviderStub(default=down) as pinned, ProviderStub(default=right) as spare:
        typed("provider", "add", "acme", pinned.origin, "--credential-env", "ACME_KEY")
        typed("provider", "add", "second", spare.origin, "--credential-env", "ACME_KEY")
        key = json.loads(typed("key", "add", AGENT, "--environment", "production", "--json").stdout)["key"]
        words = ("--grpc-port", "0", "--home", str(home), "--charter", str(charter))
        with started_server(*words, ACME_KEY="sk-canary") as base:
            asked = ("--dataset", "cases.jsonl", "--deadline", "20")
            place = {"BASE": base, "KEY": key}
            gate = typed("gate", "--candidate", "python:caller:answer", *asked, "--floor", "0.8", **place)
            judged = len(spare.seen)
            load = typed("load", "python:caller:answer", *asked, "--rate", "6000", "--times", "2", **place)
    assert (gate.returncode, judged) == (4, 0), gate.stdout + gate.stderr
    assert len(spare.seen) == 3 * TRIALS, load.stdout + load.stderr
