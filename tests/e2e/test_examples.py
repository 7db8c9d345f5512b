# SPDX-License-Identifier: Apache-2.0
"""The four example agents, started by `pilothouse run`, leave whole tasks and a verdict in a running Pilothouse."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from forked_process import command_line_process, run_command_line

from pilothouse.app import open_installation
from pilothouse.connectors.own_server import ask_health, read_server
from pilothouse.core.evidence.task import TaskState
from pilothouse.demo.model_server import ModelServer
from pilothouse.ports.lake import TaskFilter
from pilothouse.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {
    "plain_python": "orders-plain",
    "pydantic_ai": "orders-pydantic-ai",
    "openai_agents": "orders-openai-agents",
    "langgraph": "orders-langgraph",
}
HOW_TO = ROOT / "docs" / "how-to"
QUESTIONS_N = 3
MODEL = "stub-large-2026-01-15"
READY_WITHIN_S = 120
FOLDED_WITHIN_S = 120


def wait_for(claim, *, within_s, what):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = claim()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within {within_s} s")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    """A running Pilothouse with the four charters in force."""
    charters = [
        word for name in EXAMPLES for word in ("--charter", str(ROOT / "examples" / name / "charter.yaml"))
    ]
    log = home.parent / "server.log"
    words = ("up", "--home", home, "--port", "0", *charters)
    with log.open("w") as file, command_line_process(*words, stdout=file, stderr=file, cwd=home) as process:

        def ready():
            assert process.poll() is None, log.read_text()
            noted = read_server(home)
            return noted.url if noted and ask_health(noted.url) else None

        yield wait_for(ready, within_s=READY_WITHIN_S, what="the server's start")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


@pytest.fixture(scope="module")
def answers(server, home):
    """What each agent printed, after all of them have run against the stub model server."""
    printed = {}
    with ModelServer() as model:
        for name in EXAMPLES:
            words = ("run", "--home", home, "--base-url", model.base_url, "--", sys.executable, "agent.py")
            environment = {**os.environ, "OPENAI_API_KEY": "none"}
            done = run_command_line(*words, cwd=ROOT / "examples" / name, env=environment)
            assert done.returncode == 0, done.stderr
            assert "warning" not in done.stderr, done.stderr
            printed[name] = done.stdout.splitlines()
    return printed


@pytest.fixture(scope="module")
def tasks(answers, home):
    """The complete tasks of each agent, once the server has folded them."""
    del answers
    with open_installation(load_settings(home=home)) as installation:

        def complete():
            found = {}
            for name, agent in EXAMPLES.items():
                page = installation.lake.tasks(TaskFilter(agent=agent, state=TaskState.COMPLETE.value))
                found[name] = page.tasks
            return found if all(len(each) == QUESTIONS_N for each in found.values()) else None

        return wait_for(complete, within_s=FOLDED_WITHIN_S, what="folding of every task")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_agent_answers_with_what_its_tool_found(answers, name):
    assert answers[name] == [
        f"Here is what I found: {status}"
        for status in ("shipped on Monday", "waiting for stock", "delivered")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_task_is_complete(tasks, name):
    for task in tasks[name]:
        assert task.agent == EXAMPLES[name]
        assert task.task_type == "order_status"
        assert task.models == (MODEL,)
        assert task.model_calls == 2
        assert task.tools == ("find_order",)
        assert task.tool_calls == 1
        assert task.tokens.total > 0
        assert task.tokens.output > 0
        assert task.calls_without_usage == 0
        assert task.version_digest is not None
        assert re.search("A-[0-9]{4}", task.input_preview), task
        assert "Here is what I found" in task.output_preview, task
        assert task.duration_ns > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_work_costs_the_same_tokens_whoever_reports_it(tasks, name):
    """Prompts differ a little between frameworks; counting a call twice or not at all would differ much."""
    plain = sorted(task.tokens.total for task in tasks["plain_python"])
    mine = sorted(task.tokens.total for task in tasks[name])
    assert all(0.7 < a / b < 1.4 for a, b in zip(mine, plain, strict=True)), (mine, plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_agent_has_a_verdict_that_says_how_little_is_known(tasks, home, name):
    done = run_command_line("verdict", EXAMPLES[name], "--home", home, "--json", cwd=home)
    assert done.returncode == 3, done.stdout
    page = json.loads(done.stdout)
    assert page["word"] == "NOT ENOUGH EVIDENCE"
    assert [row["task_type"] for row in page["truth"]] == ["order_status"]


@pytest.mark.slow
def test_traces_lists_what_the_agents_did(tasks, home):
    done = run_command_line("traces", "--agent", "orders-langgraph", "--home", home, "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    listed = done.stdout
    assert all(task.trace_id in listed for task in tasks["langgraph"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_how_to_shows_what_the_example_runs(name):
    """Each passage of the how-to's code stands in the example, word for word."""
    page = (HOW_TO / f"instrument-{name.replace('_', '-')}.md").read_text(encoding="utf-8")
    agent = (ROOT / "examples" / name / "agent.py").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```py\n(.*?)```", page, re.DOTALL))
    lines = [line for line in code.splitlines() if line.strip() and line.strip() != "..."]
    assert lines
    assert [line for line in lines if line not in agent.splitlines()] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_in_the_agents_code_knows_pilothouse(name):
    assert "pilothouse" not in (ROOT / "examples" / name / "agent.py").read_text(encoding="utf-8").lower()
