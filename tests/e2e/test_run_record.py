# SPDX-License-Identifier: Apache-2.0
"""`pilothouse run` records model calls: with no server by a gateway of its own, and what nobody wants recorded says so."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
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
        alone = launched("--record", "required", "--port", "1")
        assert alone.returncode == 2
        assert "none would be recorded" in alone.stderr
        assert "neither pinned nor recorded" in launched("--port", "1").stderr
        typed("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY")
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


def launch_alone(tmp_path, stub, words, *, charter=None, code=ASKS):
    """Start an agent where no server runs, and a provider is known."""
    environment = {
        **os.environ,
        "PILOTHOUSE_HOME": str(tmp_path / "home"),
        "PILOTHOUSE_PORT": "1",
        "ACME_KEY": "sk-1",
    }
    if charter is not None:
        (tmp_path / "charter.yaml").write_text(charter)
    run_command_line("provider", "add", "acme", stub.origin, "--credential-env", "ACME_KEY", env=environment)
    return environment, subprocess.Popen(
        [sys.executable, "-m", "pilothouse", "run", *words, "--", sys.executable, "-uc", code],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_without_a_server_a_gateway_lives_as_long_as_the_agent_and_keeps_its_calls(tmp_path):
    code = ASKS + "import time; time.sleep(600)"
    (tmp_path / "home").mkdir()
    # Of a gateway that was killed, whose number another process has by now.
    killed = {"url": "http://127.0.0.1:1", "pid": os.getpid(), "host": socket.gethostname()}
    (tmp_path / "home" / "gateway-of-before.json").write_text(json.dumps(killed))
    with ProviderStub() as stub:
        environment, agent = launch_alone(
            tmp_path, stub, ("--task", "answer", "--agent", "triage"), code=code
        )
        with agent:
            answered = agent.stdout.readline()
            agent.kill()
            told = agent.stderr.read()
            assert answered == "200\n", told
            address = re.search(r"go through http://127\.0\.0\.1:(\d+)/gw, as run ([0-9a-f]{32})", told)
            until = time.monotonic() + 60
            with contextlib.suppress(ConnectionRefusedError):
                while time.monotonic() < until:  # nobody has asked yet how the agent ended
                    socket.create_connection(("127.0.0.1", int(address[1])), timeout=5).close()
                    time.sleep(0.1)
                pytest.fail("the gateway outlived its agent")
    shown = run_command_line("replay", address[2], "--show", env=environment).stdout
    assert "1 model calls, replayable model_side" in shown
    assert not list((tmp_path / "home").glob("launched-*"))


@pytest.mark.slow
def test_where_a_gateway_of_its_own_cannot_start_the_agent_does_not_and_is_told_why(tmp_path):
    with ProviderStub() as stub:
        _, agent = launch_alone(tmp_path, stub, (), charter="agent: triage\n")
        out, said = agent.communicate(timeout=60)
    told = " ".join(said.split())
    assert (agent.returncode, out) == (4, "")
    assert "a gateway for this launch did not start" in told
    assert "charter" in told
    assert "--no-gateway" in told


def test_only_a_gateway_stops_with_another_process(tmp_path):
    done = run_command_line("up", "--until-ends", "1", "--home", str(tmp_path))
    assert (done.returncode, "only a gateway stops with another process" in done.stderr) == (2, True)
