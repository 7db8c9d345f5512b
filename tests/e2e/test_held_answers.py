# SPDX-License-Identifier: Apache-2.0
"""An unsure answer is held, the gateway is killed, a person corrects it in a terminal, and the client gets the correction."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from late_module import LateModule
from started_server import started_server
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import WireProtocol
from pilothouse.settings import load_settings
from pilothouse.workflows.gateway.keys import add_key, add_provider

openai = LateModule("openai")

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter"
MODEL, AGENT = "acme-large-2026-04-12", "ap-invoice-triage"
UNSURE = json.dumps({"queue": "payment", "sure": 0.4})


@contextmanager
def gateway(home, charter):
    """Start the gateway and give its base URL; at the end it is killed without a chance to tidy up."""
    words = ("--role", "gateway", "--home", str(home), "--charter", str(charter))
    with started_server(*words, kill=True, ACME_KEY="sk-1") as base:
        yield f"{base}/gw/v1"


def review(home, folder, answers):
    """Type answers into `pilothouse review`, with an editor that puts another queue in place of the proposed one."""
    editor = folder / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i s/payment/approval/ "$1"\n')
    editor.chmod(0o755)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answers.encode())
        done = subprocess.run(
            [sys.executable, "-m", "pilothouse", "review", "--as", "dana"],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PILOTHOUSE_HOME": str(home), "VISUAL": str(editor), "EDITOR": str(editor)},
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return done.stdout + done.stderr


def test_a_held_answer_outlives_a_killed_gateway_and_comes_back_corrected(tmp_path):
    home, charter = tmp_path / "home", shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
    guarded = "guardrails: {confidence: sure, "
    charter.write_text(charter.read_text().replace("guardrails: {", guarded))
    assert guarded in charter.read_text()
    (charter.parent / "schemas/routing.json").write_text('{"type": "object", "required": ["queue"]}')
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Where does invoice 7 go?"}]}
    with ProviderStub(default=Plan(text=UNSURE)) as stub:
        with open_ledger(load_settings(home=home).ledger_url) as ledger:
            store, now = SqlGatewayStore(ledger.database), datetime.now(UTC)
            add_provider(
                store,
                "acme",
                stub.origin,
                protocol=WireProtocol.OPENAI,
                credential_variable="ACME_KEY",
                credential_file=None,
                region="eu",
                actor="test",
                now=now,
            )
            made = add_key(
                store, AGENT, environment=None, models=(), spans=False, life=None, actor="test", now=now
            )
        with gateway(home, charter) as url, openai.OpenAI(base_url=url, api_key=made.key) as client:
            told = client.chat.completions.with_raw_response.create(**asked)
            hold = told.headers["x-pilothouse-held"]
            assert hold in told.parse().choices[0].message.content
            assert "payment" not in told.text
        shown = review(home, tmp_path, "2\n")
        assert "Where does invoice 7 go?" in shown
        assert "held: has confidence 0.40, and no threshold is shown valid yet" in " ".join(shown.split())
        with gateway(home, charter) as url, openai.OpenAI(base_url=url, api_key=made.key) as client:
            waiting = {"x-pilothouse-hold": hold, "x-pilothouse-hold-wait-ms": "60000"}
            answer = client.chat.completions.create(**asked, extra_headers=waiting)
        assert json.loads(answer.choices[0].message.content) == {"queue": "approval", "sure": 0.4}
        assert len(stub.seen) == 1
