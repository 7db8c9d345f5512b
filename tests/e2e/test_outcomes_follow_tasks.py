# SPDX-License-Identifier: Apache-2.0
"""While `pilothouse up` runs, each task is verified by itself, and a slip in the charter stops nothing."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from forked_process import command_line_process
from source_tree import ROOT

from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings

pytestmark = pytest.mark.slow

AGENT = "ap-invoice-triage"
WAIT_S = 90
"""A loaded machine needs seconds; more than this means that nobody verifies."""


@pytest.fixture
def charter(tmp_path):
    """The golden charter, asking one second after the task, with a verifier that knows one lie."""
    target = tmp_path / "repository"
    shutil.copytree(ROOT / "tests" / "golden" / "charters", target)
    (target / "verifiers").mkdir()
    (target / "verifiers" / "erp.py").write_text(
        "import json\n\ndef routing_matches(task):\n    return json.loads(task.claim)['true']\n",
        encoding="utf-8",
    )
    file = target / "ap-invoice-triage.yaml"
    text = file.read_text(encoding="utf-8")
    assert "after: 10m" in text
    file.write_text(text.replace("after: 10m", "after: 1s"), encoding="utf-8")
    return file


@contextmanager
def server(home, charter):
    words = ("up", "--port", "0", "--home", home, "--charter", charter)
    process = command_line_process(*words, cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                yield found[0], said
                return
        raise AssertionError(f"it did not start: {''.join(said)}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def send(address, claims):
    now_ns = int(datetime.now(UTC).timestamp() * 1e9)
    spans = []
    for number, claim in claims.items():
        named = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": AGENT,
            "pilothouse.task.type": "po_invoice",
            "pilothouse.task.result": "completed",
            "pilothouse.task.claim": json.dumps({"true": claim}),
        }
        spans.append(
            {
                "traceId": f"{number:032x}",
                "spanId": f"{number:016x}",
                "name": "invoke_agent",
                "kind": 1,
                "startTimeUnixNano": str(now_ns - 10**9),
                "endTimeUnixNano": str(now_ns),
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in named.items()],
            }
        )
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "t"}, "spans": spans}]}]}
    request = urllib.request.Request(
        f"{address}/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def settled(ledger, count):
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        outcomes = ledger.outcomes(AGENT, from_ns=0, to_ns=2**62)
        if len(outcomes) >= count:
            return {one.trace_id[-1]: one.status.value for one in outcomes}
        time.sleep(0.2)
    raise AssertionError("nothing was verified")


def test_an_outcome_follows_each_task_and_an_invalid_charter_at_the_next_start_stops_nothing(
    tmp_path, charter
):
    home = tmp_path / "home"
    url = load_settings({}, home=home).ledger_url
    with server(home, charter) as (address, _), open_ledger(url) as ledger:
        send(address, {1: True, 2: False})
        assert settled(ledger, 2) == {"1": "verified", "2": "contradicted"}
    text = charter.read_text(encoding="utf-8")
    charter.write_text(text.replace("agent: ", "onwer: dana\nagent: ", 1), encoding="utf-8")
    with server(home, charter) as (address, said), open_ledger(url) as ledger:
        assert "charter 1 of 'ap-invoice-triage' stays in force" in "".join(said)
        send(address, {3: True})
        assert settled(ledger, 3)["3"] == "verified"
