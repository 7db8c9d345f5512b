# SPDX-License-Identifier: Apache-2.0
"""`pilothouse dataset`, `eval` and `gate` as a newcomer types them in an empty folder, in one process."""

from __future__ import annotations

import json

import pytest
from agent_repository import write_lines
from typer.testing import CliRunner

from pilothouse.app import command_tree

CASES = 150
AGENT = """
def old(question):
    return 2 * question

def new(question):
    return question + question

def wrong(question):
    return 0 if question % 5 == 0 else 2 * question
"""


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Type a command in a folder that holds an agent and cases, and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "doubling.py").write_text(AGENT, encoding="utf-8")
    write_lines(tmp_path / "cases.jsonl", [{"input": n, "expected": 2 * n} for n in range(1, CASES + 1)])

    def run(line, exits=0):
        done = CliRunner().invoke(command_tree(), line.split())
        assert done.exit_code == exits, done.output
        return done.stdout

    return run


def test_the_plan_says_power_cases_money_and_time_and_runs_nothing(typed, tmp_path):
    sides = "--candidate python:doubling:new --baseline python:doubling:old --dataset cases.jsonl"
    said = typed(f"eval plan {sides}", exits=3)
    assert "if nothing changed: released with" in said
    assert "371 cases would do" in said
    assert "cost: unknown expected" in said
    plan = json.loads(typed(f"eval plan {sides} --margin 10 --json"))
    assert plan["is_sufficient"]
    assert plan["types"][0]["unchanged"]["released"] >= 0.8
    assert 0 < plan["calls_expected"] < plan["calls_max"] == 2 * CASES
    assert typed(f"gate {sides} --margin 10 --plan").startswith("task: margin 10")


def test_two_runs_are_compared_by_the_addresses_that_were_run(typed):
    said = typed("eval run python:doubling:old --dataset cases.jsonl")
    assert f"task: {CASES} of {CASES} good" in said
    assert "gate runs" not in said
    version = json.loads(typed("eval run python:doubling:wrong --dataset cases.jsonl --json"))["version"]
    for wrong in ("python:doubling:wrong", version[:12]):
        said = typed(f"eval compare python:doubling:old {wrong} --dataset cases.jsonl")
        assert "-20.0 points [-27" in said
        assert "30 worse: " in said
