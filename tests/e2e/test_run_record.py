# SPDX-License-Identifier: Apache-2.0
"""`pilothouse run --record`: calls that nobody wants recorded leave a run that says so, and nothing of what was said."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from forked_process import run_command_line
from started_server import started_server
from tests.stubs.gateway_site import MODEL
from tests.stubs.provider_stub import ProviderStub

from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.phase_log import MOVED

ASKS = f"""
import json, os, urllib.request
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps({{"model": "{MODEL}", "messages": [{{"role": "user", "content": "a word that nobody keeps"}}]}}).encode(),
    {{"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"}},
)
print(urllib.request.urlopen(request).status)
"""


def enter_phase_1(home):
    now = datetime.now(UTC)
    event = PhaseEvent(move=PhaseMove.ENTERED, phase="1", at=now, by=("dana",), reason="held")
    with open_ledger(load_settings(home=home).ledger_url) as ledger:
        ledger.record(kind=MOVED, agent="triage", at=now, actor="dana", document=event.model_dump_json())


@pytest.mark.slow
def test_a_run_that_is_not_recorded_says_that_this_was_chosen(tmp_path):
    home = tmp_path / "home"
    environment = {**os.environ, "PILOTHOUSE_HOME": str(home)}

    def typed(*words):
        return run_command_line(*words, env=environment)

    def launched(*words):
        return subprocess.run(
            [sys.executable, "-m", "pilothouse", "run", "--agent", "triage", "--task", "answer", *words, "--", sys.executable, "-c", ASKS],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    with ProviderStub() as stub:
        typed("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
        alone = launched("--record", "required", "--port", "1")
        assert alone.returncode == 2
        assert "none would be recorded" in alone.stderr
        with started_server("--grpc-port", "0", "--home", str(home), ACME_KEY="sk-none"):
            done = launched("--record", "off")
            assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
            assert "and are not recorded" in done.stderr
            run = done.stderr.partition("as run ")[2][:32]
            assert "record off" in " ".join(typed("key", "list").stdout.split())
            tapped = launched("--record", "off", "--taps", "clock")
            assert (tapped.returncode, "Leave one of them out" in tapped.stderr) == (2, True)
            assert (launched("--record", "best_effort").stdout) == "200\n"
            enter_phase_1(home)
            refused = launched("--record", "off")
            assert (refused.returncode, refused.stdout) == (2, "")
            assert "it is in phase 1, where every model call must be recorded" in " ".join(
                refused.stderr.split()
            )
    listed = typed("replay", "--list").stdout
    assert ("unrecorded" in listed, "model_side" in listed) == (True, True), listed
    assert "not recorded by choice" in typed("replay", run).stderr
    assert "0 model calls, replayable unrecorded" in typed("replay", run, "--show").stdout
