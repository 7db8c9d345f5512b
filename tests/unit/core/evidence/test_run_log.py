# SPDX-License-Identifier: Apache-2.0
"""A run that was cut once says so for ever, also when it goes on."""

from __future__ import annotations

import pytest

from pilothouse.core.evidence.run_log import (
    Denied,
    IdentitySource,
    LoggedEvent,
    RecordedRun,
    Replayable,
    RunClosed,
    RunState,
    RunSummary,
    Tap,
)

SAID = Denied(code="x", reason="y")


@pytest.mark.parametrize(
    ("events", "is_cut"),
    [
        ((), False),
        ((SAID, RunClosed(state=RunState.COMPLETED)), False),
        ((SAID, RunClosed(state=RunState.CUT), SAID), True),
    ],
)
def test_a_run_is_cut_by_what_its_record_says(events, is_cut):
    logged = tuple(
        LoggedEvent(seq=seq, at_ns=0, mono_ns=0, tap=Tap.GATEWAY, call="", digest="", event=event)
        for seq, event in enumerate(events, 1)
    )
    summary = RunSummary(
        run="5e" * 16, agent="triage", version=None, identity=IdentitySource.PATH, state=RunState.OPEN,
        opened_ns=0, last_ns=0, events=len(logged), calls=0, lost=0, replayable=Replayable.NO, subject="", head="",
    )  # fmt: skip
    assert RecordedRun(summary=summary, events=logged).is_cut is is_cut
