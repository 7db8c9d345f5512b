# SPDX-License-Identifier: Apache-2.0
"""What the gate says when there is nothing to compare with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pilothouse.workflows.gate.arms import resolve_baseline


@pytest.mark.parametrize(
    ("wanted", "agent", "said"),
    [
        ("current", "ap", "there is no current version on record yet: this run can become it"),
        ("anchor", "ap", "there is no anchor version on record yet: this run can become it"),
        ("current", None, "no other version has run on this dataset here, and without `--agent NAME`"),
        ("anchor", None, "an anchor belongs to an agent, and none is named: `--agent NAME`"),
    ],
)
def test_without_an_agent_no_run_is_said_to_become_its_current_version(wanted, agent, said):
    nothing = SimpleNamespace(runs_on=lambda _dataset: (), evidence=lambda *_a, **_k: ())
    arm, (note,) = resolve_baseline(
        SimpleNamespace(baseline=wanted, scorer=None, pass_at=0.5),
        SimpleNamespace(version="a" * 64),
        journal=nothing,
        ledger=nothing,
        agent=agent,
        dataset="d",
        scored_by="exact",
        lake=None,
    )
    assert arm is None
    assert note.startswith(said)
