# SPDX-License-Identifier: Apache-2.0
"""A gate that asks the agent by its own production key leaves no work behind: its trials are told from tasks by their traces."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.app.opening import SystemClock
from pilothouse.lake.node import open_node

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
TASKS, TRIALS = 3, 20


def test_trials_by_the_production_key_count_for_nothing(tmp_path):
    home = tmp_path / "home"
    shutil.copytree(DEMO, tmp_path / "charter")
    schema = json.dumps({"type": "object", "required": ["queue"]})
    (tmp_path / "charter/schemas/routing.json").write_text(schema)
    cases = [
        {"id": str(n), "input": f"invoice {n}", "expected": {"queue": "approval"}, "task_type": "po_invoice"}
        for n in range(TRIALS)
    ]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))

    def typed(*words, **variables):
        done = run_command_line(
            *words, cwd=tmp_path, env={**os.environ, "PILOTHOUSE_HOME": str(home), **variables}
        )
        return done.stdout + done.stderr

    with ProviderStub(default=Plan(text='{"queue": "approval"}')) as stub:
        typed("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
        key = json.loads(typed("key", "add", AGENT, "--environment", "production", "--json"))["key"]
        charter = str(tmp_path / "charter/charter.yaml")
        words = ("--grpc-port", "0", "--home", str(home), "--charter", charter)
        with started_server(*words, ACME_KEY="sk-canary") as base:
            for _ in range(TASKS):
                work(f"{base}/gw/v1/chat/completions", key)
            said = typed(
                "gate", "--candidate", f"openai:{base}/gw/v1?model={MODEL}", "--dataset", "cases.jsonl",
                OPENAI_API_KEY=key,
            )  # fmt: skip
    node = open_node(home / "lake", SystemClock())
    node.stop(drain=True)  # a trial has its root elsewhere: ten minutes later its trace is a task without
    assert len(stub.seen) == TASKS + TRIALS, said
    whole = typed("verdict", AGENT, "--json")
    page, _ = json.JSONDecoder().raw_decode(whole)
    judged = {one["id"]: one for domain in page["domains"] for one in domain["requirements"]}
    assert f"{TASKS} of about" in judged["EVAL-7"]["deciding"]["sentence"]
    tasks = json.loads(typed("traces", "--agent", AGENT, "--limit", "50", "--json"))["tasks"]
    environments = Counter(task["environment"] for task in tasks)
    assert environments == {"production": TASKS, "trial": TRIALS}


def work(url, key):
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "where is it?"}]})
    request = urllib.request.Request(
        url, body.encode(), {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
