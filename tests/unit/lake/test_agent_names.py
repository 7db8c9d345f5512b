# SPDX-License-Identifier: Apache-2.0
"""The names of a day outlast a restart, a kill in the middle of a line and a day that comes again, and a disk that takes nothing."""

from __future__ import annotations

import pytest

from pilothouse.lake import agent_names
from pilothouse.lake.agent_names import NAMES_FILE, AgentNames

DAY_NS = 86_400 * 10**9


@pytest.fixture(autouse=True)
def _two(monkeypatch):
    monkeypatch.setattr(agent_names, "NAMES_MAX", 2)


def shown(names, *agents, day=1, key="key"):
    return [names.shown(key, agent, day * DAY_NS) for agent in agents]


def test_a_restart_gives_no_key_a_thousand_names_more(tmp_path):
    assert shown(AgentNames(tmp_path), "a", "b") == ["a", "b"]
    again = AgentNames(tmp_path)
    assert shown(again, "c", "a") == ["__overflow__", "a"]
    assert shown(again, "c", key="other") == ["c"]
    assert shown(again, "c", day=2) == ["c"]
    assert shown(AgentNames(tmp_path), "d", "e", day=2) == ["d", "__overflow__"]


def test_half_a_line_and_foreign_ones_spoil_nothing(tmp_path):
    shown(AgentNames(tmp_path), "a")
    with (tmp_path / NAMES_FILE).open("ab") as file:
        file.write(b"\xff\xfe no line\n1 0123")
    assert shown(AgentNames(tmp_path), "b", "c", "a") == ["b", "__overflow__", "a"]
    assert shown(AgentNames(tmp_path), "b", "c", "a") == ["b", "__overflow__", "a"]


def test_a_clock_that_is_set_back_over_midnight_finds_both_days(tmp_path):
    names = AgentNames(tmp_path)
    assert shown(names, "a", "b", day=2) == ["a", "b"]
    assert shown(names, "c", day=1) == ["c"]
    assert shown(names, "c", "a", day=2) == ["__overflow__", "a"]


def test_hostile_names_stand_nowhere_but_as_digests(tmp_path):
    assert shown(AgentNames(tmp_path), "x\n1 0 0\n\0\ud800", key="k\n") == ["x\n1 0 0\n\0\ud800"]
    text = (tmp_path / NAMES_FILE).read_text("ascii")
    assert len(text.split()) == 3


def test_where_nothing_can_be_written_names_count_in_this_process(tmp_path):
    (tmp_path / NAMES_FILE).mkdir()
    assert shown(AgentNames(tmp_path), "a", "b", "c") == ["a", "b", "__overflow__"]
