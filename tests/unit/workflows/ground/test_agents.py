# SPDX-License-Identifier: Apache-2.0
"""Which agent is meant, and what to type when that is not clear."""

from __future__ import annotations

import pytest

from pilothouse.errors import UnknownName, UsageError
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.agents import choose_agent
from pilothouse.workflows.ground.installation import Installation


def installation(tmp_path, *, charters=(), seen=()):
    ledger = MemoryLedger()
    for agent in charters:
        ledger.accept_charter(
            agent=agent,
            digest="a" * 64,
            text="",
            path=str(tmp_path / "x" / ".." / agent / "charter.yaml"),
            at=EXAMPLE_NOW,
        )
    tasks = [example_task(agent=agent, trace_id=f"{n:032x}") for n, agent in enumerate(seen)]
    return Installation(
        settings=load_settings({}, home=tmp_path), clock=FixedClock(), lake=MemoryLake(tasks), ledger=ledger
    )


def test_the_only_agent_need_not_be_named(tmp_path):
    assert choose_agent(installation(tmp_path, charters=["triage"], seen=["other"]), None) == "triage"


def test_a_named_agent_is_taken(tmp_path):
    assert choose_agent(installation(tmp_path, charters=["triage", "refunds"]), "refunds") == "refunds"


def test_with_several_one_must_be_named(tmp_path):
    with pytest.raises(UsageError, match="'refunds', 'triage'") as caught:
        choose_agent(installation(tmp_path, charters=["triage", "refunds"]), None)
    assert "`--agent refunds`" in caught.value.remedy


def test_in_the_folder_of_an_agent_it_need_not_be_named(tmp_path, monkeypatch):
    place = installation(tmp_path, charters=["triage", "refunds"])
    for agent in ("triage", "elsewhere"):
        (tmp_path / agent).mkdir()
        (tmp_path / agent / "charter.yaml").write_text("agent: whatever")
    monkeypatch.chdir(tmp_path / "triage")
    assert choose_agent(place, None) == "triage"
    assert choose_agent(place, "refunds") == "refunds", "what is typed comes first"
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="2 agents"):
        choose_agent(place, None)


def test_a_misspelt_agent_gets_the_nearest_of_charters_and_telemetry(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'triage'"):
        choose_agent(installation(tmp_path, charters=["refunds"], seen=["triage"]), "tirage")


@pytest.mark.parametrize("asked", ["triage", None])
def test_an_agent_without_a_charter_gets_the_command_that_drafts_one(tmp_path, asked):
    with pytest.raises(UsageError, match="triage") as caught:
        choose_agent(installation(tmp_path, seen=["triage"]), asked)
    assert "pilothouse init" in caught.value.remedy


def test_many_agents_are_not_all_listed(tmp_path):
    with pytest.raises(UsageError, match="and 2 more"):
        choose_agent(installation(tmp_path, seen=[f"agent-{n:02}" for n in range(12)]), None)


def test_an_empty_installation_says_how_to_begin(tmp_path):
    with pytest.raises(UsageError, match="nothing to judge yet") as caught:
        choose_agent(installation(tmp_path), None)
    assert "pilothouse demo" in caught.value.remedy
