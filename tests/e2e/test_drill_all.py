# SPDX-License-Identifier: Apache-2.0
"""Every drill on the demo's agent, behind the gateway of a running server: all are noticed and reach a person."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from forked_process import run_command_line
from sinks import web_sink
from started_server import started_server

from pilothouse.app.control_room import open_control_room
from pilothouse.core.action.incident import IncidentState
from pilothouse.demo.furnish import furnish
from pilothouse.demo.model_server import ModelServer
from pilothouse.demo.place import DemoPlace
from pilothouse.demo.traffic import STORY_DAYS
from pilothouse.demo.triage_model import answer_as_provider
from pilothouse.errors import Conflict
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.incidents.incidents import move

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MAILS = 6

MAIL_ARRIVES = """
import json, sys, time
from functools import partial
from pathlib import Path
from opentelemetry import trace
import pilothouse
from pilothouse.demo import agent_tools
from pilothouse.demo.agent import main
from pilothouse.errors import ToolError

def through_the_tool_layer(name, act, desk, **arguments):
    call = pilothouse.tool(f"{name}@1")(lambda **given: json.loads(act(desk, **given)))
    try:
        return json.dumps(call(**arguments))
    except ToolError as error:
        trace.get_current_span().set_attribute("error.type", error.kind)
        trace.get_current_span().set_status(trace.StatusCode.ERROR, str(error))
        return f"error: {error}"

tools = agent_tools._RUN
for name in sys.argv.pop(1).split(","):
    tools[name] = partial(through_the_tool_layer, name, tools[name])
inbox = Path(sys.argv[2])
mails = [json.loads(line) for line in inbox.read_text(encoding="utf-8").splitlines()]
inbox.write_text("".join(json.dumps(mail | {"arrived_ns": time.time_ns()}) + "\\n" for mail in mails), encoding="utf-8")
main(sys.argv[1:])
"""
"""The demo's agent, whose mails arrive at the moment it is started and not on simulated days; the tools that are named call
through the tool layer, as a user wraps them."""


def typed(home, *words):
    return run_command_line(*words, timeout=400, env={**os.environ, "PILOTHOUSE_HOME": str(home)})


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


@contextmanager
def sam_at_the_pager(place):
    """Somebody who acknowledges each page of a drill that has come, so that no drill waits longer than it takes."""
    over = threading.Event()

    def answer():
        with open_control_room(place.settings) as room:
            while not over.wait(0.1):
                for incident in room.incidents.incidents(active=True):
                    events = room.incidents.events(incident.number)
                    if incident.state is IncidentState.OPEN and any(
                        " was reached by " in one.text for one in events
                    ):
                        with suppress(Conflict):  # the pager took a step at the same moment
                            acknowledge(room, incident.number)

    def acknowledge(room, number):
        move(room, number, IncidentState.ACKNOWLEDGED, person="sam", text="", now=datetime.now(UTC))

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def the_agent(place, *, governed):
    agent = [sys.executable, "-c", MAIL_ARRIVES, ",".join(governed), "--inbox", str(place.inbox("pilot"))]
    return [*agent, "--erp", str(place.erp), "--prompt", str(place.prompt)]


@contextmanager
def behind_the_gateway(place):
    """A running server with a provider, somebody at the pager and the agent's command; yields them all."""
    late = datetime(2100, 1, 1, tzinfo=UTC)
    script = partial(answer_as_provider, changes_at=late, restored_at=late)
    agent = the_agent(place, governed=["route_invoice"])
    home = place.home
    with ModelServer(script) as model, web_sink() as web:
        typed(home, "provider", "add", "acme", model.origin, "--credential-env", "ACME_KEY")
        assert typed(home, "contact", "set", "sam", web.url).returncode == 0
        server = started_server("--grpc-port", "0", "--home", str(home), ACME_KEY="x")
        with server, sam_at_the_pager(place):
            yield agent, model, web


def assert_only_drills_and_the_sponsor_called(web, *, drills_min):
    drilled = [title for title in web.titles if "DRILL" in title]
    assert len(drilled) >= drills_min, "somebody was really called for each fault"
    # The demo's sponsor has not signed for a month, which the running server rightly tells as well.
    assert all("sponsor" in title for title in web.titles if title not in drilled)


def assert_the_fallback_decided(fallback, judged):
    assert fallback.returncode == 0, fallback.stdout + fallback.stderr
    assert "The fallback drill on erp passed" in judged.stdout, "the verdict on INT-11 rests on it"


def test_a_silent_model_and_a_tool_that_is_down_are_noticed_with_the_demos_agent_behind_the_gateway(place):
    """One outage of each kind; every drill in one go is `test_drills.py`'s, and the long lane's with this agent."""
    home = place.home
    with behind_the_gateway(place) as (agent, _, web):
        done = typed(home, "drill", "model-timeout", "--runs", "1", "--wait", "60", "--json", "--", *agent)
        fallback = typed(
            home, "drill", "fallback", "erp", "--runs", "1", "--as", "sam", "--as-declared", "--", *agent
        )
        judged = typed(home, "verdict", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Acknowledged by sam" in done.stdout
    assert f"{MAILS} of {MAILS} tasks met it" in done.stdout
    assert_only_drills_and_the_sponsor_called(web, drills_min=1)
    assert_the_fallback_decided(fallback, judged)


@pytest.mark.long
def test_all_drills_are_noticed_with_the_demos_agent_behind_the_gateway(place):
    home = place.home
    with behind_the_gateway(place) as (agent, model, web):
        done = typed(home, "drill", "all", "--integration", "erp", "--wait", "60", "--json", "--", *agent)
        asked = model.calls
        fallback = typed(home, "drill", "fallback", "erp", "--as", "sam", "--as-declared", "--", *agent)
        judged = typed(home, "verdict", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["drill"]: one for one in json.loads(done.stdout)}
    assert len(found) == 8
    assert sum("Acknowledged by sam" in one["said"] for one in found.values()) >= 6
    assert all(one["passed"] for one in found.values())
    assert f"{MAILS} of {MAILS} tasks met it" in found["model-timeout"]["said"]
    assert " tasks met it: " in found["tool-outage erp"]["said"]
    assert_only_drills_and_the_sponsor_called(web, drills_min=6)
    assert asked > 0, "the gateway asks its model while a tool is down"
    assert_the_fallback_decided(fallback, judged)
