# SPDX-License-Identifier: Apache-2.0
"""What people are likely to mistype or forget is answered with what is true, and with what to type."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.errors import UsageError

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
AGENT = "ap-invoice-triage"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    cli = command_tree()

    def typed(*words):
        return CliRunner().invoke(cli, list(words))

    return typed


@pytest.fixture
def agent(run):
    """An agent whose charter is in force."""
    assert run("verdict", "--charter", str(CHARTER)).exit_code == 3
    return AGENT


@pytest.mark.parametrize("words", [("--kind", "call.decided"), ("another",)])
def test_a_log_with_records_is_not_called_empty(run, agent, words):
    assert agent in run("audit", "list").output
    said = run("audit", "list", *words).output
    assert said == "No record of that agent or kind. `pilothouse audit list` shows the newest of all.\n"


def test_an_empty_log_says_what_makes_the_first_record(run):
    assert run("audit", "list").output.startswith("No record yet")


@pytest.mark.parametrize("words", [("{agent}",), ("{agent}", "bundle.zip"), ("bundle", "{agent}")])
def test_the_auditors_file_is_named_before_the_agent(run, agent, tmp_path, words):
    error = run("report", "auditor", *(word.format(agent=agent) for word in words)).exception
    assert isinstance(error, UsageError)
    assert f"`pilothouse report auditor bundle.zip {agent}`" in error.remedy
    assert not (tmp_path / agent).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("people", "check", "--directory", "no.csv"), "no.csv cannot be read (No such file or directory)"),
        (
            ("mcp", "pin", "crm", "--servers", "no.json"),
            "'no.json' is no list of MCP servers (No such file or directory)",
        ),
    ],
)
def test_a_file_that_is_not_there_is_said_in_words(run, words, said):
    error = run(*words).exception
    assert isinstance(error, UsageError)
    assert error.message == said


def test_minutes_that_were_just_kept_are_the_first_line(run, agent):
    said = run(
        "minutes", "sponsor", "--as", "vp", "--text", "Cost, volume and the incident were seen."
    ).output
    assert said.startswith("sponsor      held on ")
