# SPDX-License-Identifier: Apache-2.0
"""Every drill on the demo's agent, behind the gateway of a running server: all are noticed and reach a person."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sinks import web_sink

from pilothouse.demo.furnish import furnish
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.place import DemoPlace
from pilothouse.demo.traffic import STORY_DAYS
from pilothouse.demo.triage_model import answer_as_provider
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PILOTHOUSE = [sys.executable, "-m", "pilothouse"]
MAILS = 6

MAIL_ARRIVES = """
import json, sys, time
from pathlib import Path
from pilothouse.demo.agent import main
inbox = Path(sys.argv[2])
mails = [json.loads(line) for line in inbox.read_text(encoding="utf-8").splitlines()]
inbox.write_text("".join(json.dumps(mail | {"arrived_ns": time.time_ns()}) + "\\n" for mail in mails), encoding="utf-8")
main(sys.argv[1:])
"""
"""The demo's agent, whose mails arrive at the moment it is started and not on simulated days."""


def typed(home, *words):
    return subprocess.run(
        [*PILOTHOUSE, *words],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "PILOTHOUSE_HOME": str(home)},
    )


@contextmanager
def running(home):
    command = [*PILOTHOUSE, "up", "--port", "0", "--grpc-port", "0", "--home", str(home)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "ACME_KEY": "x"}
    )
    try:
        assert any("Ctrl-C" in line for line in process.stderr)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture
def place(tmp_path):
    """The demo's agent at its desk, with a handful of mails."""
    found = DemoPlace(settings=load_settings({}, home=tmp_path / "home"))
    now = datetime.now(UTC)
    with open_ledger(found.settings.ledger_url) as ledger:
        furnish(found, ledger, began_at=now - timedelta(days=STORY_DAYS), scale=0.05)
    inbox = found.inbox("pilot")
    mails = [json.loads(line) for line in inbox.read_text(encoding="utf-8").splitlines()[:MAILS]]
    inbox.write_text("\n".join(map(json.dumps, mails)), encoding="utf-8")
    return found


def test_all_drills_are_noticed_with_the_demos_agent_behind_the_gateway(place):
    home = place.home
    late = datetime(2100, 1, 1, tzinfo=UTC)
    script = partial(answer_as_provider, changes_at=late, restored_at=late)
    agent = [sys.executable, "-c", MAIL_ARRIVES, "--inbox", str(place.inbox("pilot"))]
    agent += ["--erp", str(place.erp), "--prompt", str(place.prompt)]
    with ModelServer(script) as model, web_sink() as web:
        typed(home, "provider", "add", "acme", model.origin, "--credential-env", "ACME_KEY")
        assert typed(home, "contact", "set", "sam", web.url).returncode == 0
        with running(home):
            done = typed(home, "drill", "all", "--wait", "4", "--json", "--", *agent)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["drill"]: one for one in json.loads(done.stdout)}
    assert all(one["passed"] for one in found.values())
    assert f"{MAILS} of {MAILS} tasks met it" in found["model-timeout"]["said"]
    drilled = [title for title in web.titles if "DRILL" in title]
    assert len(drilled) >= 5, "somebody was really called for each fault"
    # The demo's sponsor has not signed for a month, which the running server rightly tells as well.
    assert all("sponsor" in title for title in web.titles if title not in drilled)
    assert model.calls == 0, "the gateway asked no model while it was cut off"
