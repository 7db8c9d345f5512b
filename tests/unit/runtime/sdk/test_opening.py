# SPDX-License-Identifier: Apache-2.0
"""A forked process decides by a runtime of its own: a pause that is typed later reaches no thread of its parent's."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from permissions_stub import call
from tool_world import governed

import pilothouse
from pilothouse.app.control_room import running_controls
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.controls import Pause
from pilothouse.ports.permissions import TaskOpening
from pilothouse.runtime.permissions.open_tasks import OpenTasks
from pilothouse.runtime.sdk import opening
from pilothouse.runtime.sdk.opening import set_runtime, tool_runtime
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.guards import PauseGuard
from pilothouse.runtime.tools.runtime import ToolRuntime


@pilothouse.tool("erp.route@1")
def route():
    return {"ok": True}


def in_child(work):
    """Return what a forked process makes of it."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(tell, said.encode())
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(told, encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def paused(tmp_path, monkeypatch):
    """The runtime of a ledger, as a process opens it, and what pauses the agent there."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with ExitStack() as held:

        def composed():
            ledger = held.enter_context(open_ledger(url))
            guard = PauseGuard(held.enter_context(running_controls(ledger)))
            tool = governed(input={"type": "object"}, output={})
            return ToolRuntime(
                agent="triage", version=None, tools={tool.name: tool}, door=Door(guards=(guard,))
            )

        def pause():
            with open_ledger(url) as ledger:
                SqlControls(ledger.database).pause(
                    Pause(agent="triage", tool=None, reason="stop", actor="ana", at=datetime.now(UTC))
                )

        monkeypatch.setattr(sys.modules[__name__], "composed", composed, raising=False)
        monkeypatch.setenv("PILOTHOUSE_TOOL_RUNTIME", f"{__name__}:composed")
        set_runtime(None)
        yield pause
        set_runtime(None)


def test_a_forked_process_hears_of_a_pause(paused):
    assert route() == {"ok": True}

    def later():
        before = route()  # its threads are its own, too
        paused()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            route()
            time.sleep(0.1)
        return before

    assert "ToolError: triage is paused" in in_child(later)


def test_a_runtime_that_was_given_holds_in_the_process_that_it_was_given_to():
    set_runtime(ToolRuntime(agent="triage", version=None, tools={}, door=Door()))
    try:
        assert "forked from one" in in_child(tool_runtime)
        assert tool_runtime() is not None
    finally:
        set_runtime(None)


def test_what_a_task_has_read_stays_read_in_a_forked_process():
    tasks = OpenTasks()
    token = tasks.open(
        TaskOpening(agent="t", run="f" * 32, task_type="a", requester="ana", segments=(), opened_by="service")
    )
    tasks.context("f" * 32).tainted = True

    def look():
        return tasks.context_of(call("mail.find@1", run="f" * 32)).tainted, tasks.run_of(token)

    with tasks._lock:
        assert in_child(look) == str((True, "f" * 32))


def test_nothing_of_the_parent_is_collected_in_a_forked_process(paused):
    tool_runtime()
    assert in_child(lambda: len(opening._OF_PARENT)) == "1"
    assert route() == {"ok": True}
