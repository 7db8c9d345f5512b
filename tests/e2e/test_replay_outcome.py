# SPDX-License-Identifier: Apache-2.0
"""What a changed run ends with is what its agent's last request got, and nothing where the agent failed."""

from __future__ import annotations

import sys

import pytest
from recorded_runs import RUN, agent_code, conversation, record
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.app.replay import replay
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.sandbox import is_sandbox_supported
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.settings import load_settings
from pilothouse.workflows.replay.run import ReplayRequest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_sandbox_supported(), reason="this system gives no namespaces"),
]

OTHER = Substitution(model="m-2026-02-02")


@pytest.fixture
def played(tmp_path):
    """Replay the recorded run with the code of an agent that does something more, its live model answering at once."""
    with Recorder(tmp_path / "home" / "runs") as log:
        record(log, conversation(2))
    settings = load_settings(home=tmp_path / "home")
    (tmp_path / "agent").mkdir()

    def play(code, change=OTHER, mode=ReplayMode.FORK):
        (tmp_path / "agent/agent.py").write_text(code)
        with ProviderStub(default=Plan(text="At once.")) as stub:
            request = ReplayRequest(
                mode=mode,
                command=f"{sys.executable} agent.py",
                folder=tmp_path / "agent",
                substitution=change,
                live=stub.origin,
            )
            (report,) = replay(settings, RUN, request)
        return report

    return play


def test_an_agent_that_is_answered_sooner_ends_with_that_answer(played):
    report = played(agent_code())
    assert (report.counts.served, report.counts.live, report.exit_status) == (0, 1, 0)
    assert (report.recorded.text, report.final.text) == ("It is in Lyon.", "At once.")


@pytest.mark.parametrize("mode", [ReplayMode.FORK, ReplayMode.PIN_TOOLS])
def test_an_agent_that_fails_ends_with_nothing(mode, played):
    change = Substitution(prompt="Be brief.") if mode is ReplayMode.FORK else Substitution()
    assert played(agent_code() + "\nsys.exit(3)\n", change, mode).final is None
    assert played("raise SystemExit(3)", change, mode).final is None


def test_an_agent_that_asks_nothing_ends_with_nothing(played):
    assert played("print('done')").final is None
