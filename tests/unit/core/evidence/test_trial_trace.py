# SPDX-License-Identifier: Apache-2.0
"""Trials of our harness are told from work by their trace, and count nowhere, whatever the charter calls its pilot."""

from __future__ import annotations

from evidence_made import load_charter

from pilothouse.core.evidence.trial_trace import TRIAL, is_load, is_trial, trial_trace
from pilothouse.core.evidence.work import work_environments


def test_the_trace_of_a_trial_is_a_trace_id_and_known_again():
    trace = trial_trace("ab" * 32)
    assert len(bytes.fromhex(trace)) == 16
    assert is_trial(trace)
    assert trial_trace("ab" * 32) != trial_trace("ac" * 32)
    assert not is_trial("ab" * 16)


def test_a_call_of_a_load_run_is_no_work_either_and_is_told_from_a_trial():
    load, trial = (trial_trace("ab" * 32, is_load=one) for one in (True, False))
    assert is_trial(load)
    assert [is_load(one) for one in (load, trial, "ab" * 16)] == [True, False, False]


def test_no_charter_makes_work_of_trials():
    charter = load_charter()
    pilot = charter.phases["pilot"].model_copy(update={"environment": TRIAL})
    named = charter.model_copy(update={"phases": {**charter.phases, "pilot": pilot}})
    assert TRIAL not in work_environments(named)
    assert "production" in work_environments(named)
