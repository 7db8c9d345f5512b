# SPDX-License-Identifier: Apache-2.0
"""The process that writes the run log gives the processor away again and again while it works on a group."""

from __future__ import annotations

import os

import pytest

from pilothouse.core.evidence.run_log import ModelRequest, RunOpened, Tap
from pilothouse.runtime.runlog import turns
from pilothouse.runtime.runlog.coding import values_of
from pilothouse.runtime.runlog.cut_runs import CutRuns
from pilothouse.runtime.runlog.file_process_main import _do
from pilothouse.runtime.runlog.group import GROUP_EVENTS_MAX, Pending
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.store import RunFile
from pilothouse.runtime.runlog.turns import Turns
from pilothouse.runtime.runlog.vault import KeyVault


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until a test moves it, and who was let through at which time."""

    class Clock:
        now, yielded = 0.0, []

    clock = Clock()
    clock.yielded = []
    monkeypatch.setattr(turns.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(os, "sched_yield", lambda: clock.yielded.append(clock.now))
    return clock


def test_a_turn_ends_when_its_time_is_over_and_not_before(clock):
    work = Turns(turn_s=0.5)
    for clock.now in (0.1, 0.4, 0.5, 0.9, 1.1):
        work.give_way()
    assert clock.yielded == [0.5, 1.1]


def test_who_is_behind_keeps_the_processor(clock):
    work = Turns(turn_s=0.5)
    work.is_hurried = True
    clock.now = 2.0
    work.give_way()
    work.is_hurried = False
    work.give_way()
    assert clock.yielded == [2.0]


def test_a_full_group_says_that_the_log_is_behind(tmp_path):
    vault = KeyVault(tmp_path / "keys.sqlite")
    file = RunFile(tmp_path / "runs.sqlite", vault, Redaction(vault.own_key()))
    work = Turns()
    row = (f"{1:032x}", values_of(RunOpened(agent="triage")), "", "gateway", 1, 1, 0)
    for size, expected in ((GROUP_EVENTS_MAX, True), (GROUP_EVENTS_MAX - 1, False)):
        assert _do(file, CutRuns(), work, "write", ([row] * size, {})) == ""
        assert work.is_hurried is expected
    file.close()
    vault.close()


def test_a_group_is_written_in_pieces_between_which_others_may_go_first(tmp_path):
    given = []
    vault = KeyVault(tmp_path / "keys.sqlite")
    file = RunFile(
        tmp_path / "runs.sqlite", vault, Redaction(vault.own_key()), give_way=lambda: given.append(1)
    )
    events = [RunOpened(agent="triage"), ModelRequest(route="/v1/chat/completions", headers={}, body=b"{}")]
    group = [
        Pending(f"{number:032x}", values_of(event), "", Tap.GATEWAY, at_ns=1, mono_ns=1, size=0)
        for number in range(100)
        for event in events
    ]
    file.write(group, {})
    file.close()
    vault.close()
    assert len(given) > len(group), "after each event, and after each statement"
