# SPDX-License-Identifier: Apache-2.0
"""`pilothouse pause | resume | rollback` as somebody types them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pilothouse.app import command_tree, open_installation
from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.settings import load_settings

AGENT = "ap-invoice-triage"


@pytest.fixture
def home(tmp_path):
    with open_installation(load_settings({}, home=tmp_path)) as installation:
        now = installation.clock.now()
        installation.ledger.accept_charter(
            agent=AGENT, digest="a" * 64, text="agent: x\n", path="/repo/charter.yaml", at=now
        )
        installation.ledger.add_evidence(
            [
                Evidence(
                    kind="release.verdict",
                    agent=AGENT,
                    binds=Binding(version="v7f3a"),
                    window_from=now,
                    window_to=now,
                    n=1,
                    passed=True,
                    source=Source(command="pilothouse gate"),
                    recorded_at=now,
                )
            ]
        )
    return tmp_path


def typed(home, *words):
    return CliRunner().invoke(command_tree(), [*words, "--home", str(home)])


def test_pause_and_resume_say_what_is_so_and_what_to_type_next(home):
    done = typed(home, "pause", AGENT, "--reason", "wrong queue")
    assert "is paused, since" in done.stdout
    assert "wrong queue" in done.stdout
    assert f"`pilothouse resume {AGENT}`" in done.stdout
    assert "paused already" in typed(home, "pause", AGENT).stdout
    assert "may act again" in typed(home, "resume", AGENT).stdout
    assert "was not paused" in typed(home, "resume", AGENT).stdout


def test_json_carries_who_when_and_why(home):
    record = json.loads(typed(home, "pause", AGENT, "--json").stdout)
    assert record["state"] == "paused"
    assert record["reason"] == "no reason was given"
    assert "command line" in record["by"]


def test_an_unknown_agent_is_named_with_the_nearest(home):
    done = typed(home, "pause", "ap-invoice-triagg")
    assert "Did you mean 'ap-invoice-triage'?" in str(done.exception)


def test_rollback_chooses_the_last_version_that_held_or_the_one_named(home):
    assert "rolled back to v7f3a" in typed(home, "rollback", AGENT).stdout
    assert "rolled back to v7f3a" in typed(home, "rollback", AGENT, "--to", "v7").stdout
    assert "no version 'v9'" in str(typed(home, "rollback", AGENT, "--to", "v9").exception)
    assert "may serve again" in typed(home, "rollback", AGENT, "--undo").stdout
    assert "was not rolled back" in typed(home, "rollback", AGENT, "--undo").stdout


def test_resume_says_that_a_rollback_still_stands(home):
    typed(home, "pause", AGENT)
    typed(home, "rollback", AGENT)
    assert "Still in force: ap-invoice-triage is rolled back to v7f3a" in typed(home, "resume", AGENT).stdout
