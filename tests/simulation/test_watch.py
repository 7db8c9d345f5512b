# SPDX-License-Identifier: Apache-2.0
"""The watch end to end in a small world: a month is learnt, a fall buys labels and opens the incident in days."""

from __future__ import annotations

import json

import pytest

from pilothouse.workflows.label_rates import BURST
from simulation.watch_worlds import AGENT, QUALITY, SE, SP, simulation

pytestmark = pytest.mark.slow


def test_a_fall_of_ten_points_is_found_in_days_and_nothing_before_it(tmp_path):
    with simulation(tmp_path, seed=3, tasks_per_day=300) as agent:
        agent.run(lambda _t: (QUALITY, SE, SP), 30)
        assert agent.alarms() == []
        assert agent.quality_state().base is not None, "a month of labels makes the baseline"
        assert 10 * 29 <= agent.labels <= 30 * 29, "about 20 labels a day, by coins, more in the first days"
        days = agent.run(lambda _t: (QUALITY - 0.10, SE, SP), 12, until_alarm=True)
        assert days is not None
        assert days <= 6
        ledger, incidents = agent.watch.room.installation.ledger, agent.watch.room.incidents.incidents()
        assert [one.rule for one in incidents] == ["quality-drop"]
        bought = [json.loads(one.document) for one in ledger.decisions(AGENT, kind=BURST)]
        assert [one["labels"] for one in bought] in ([], [60])
        drop = [one.passed for one in ledger.evidence(AGENT) if one.kind == "quality_drop"]
        assert drop[-1] is False
        assert all(drop[:-2])
