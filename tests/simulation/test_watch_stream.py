# SPDX-License-Identifier: Apache-2.0
"""A fall of five points is found about as soon as the statistics expect, a quiet half year is quiet: a dozen seeds of each.

`benchmarks/watch/delays.py` lives two hundred.
"""

from __future__ import annotations

import numpy as np

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from simulation.watch_stream import Stream
from simulation.watch_worlds import QUALITY, SE, SP, charter_text

CHARTER = Charter.model_validate(read_charter_text(charter_text(), file="charter.yaml").value)


def quiet(_t):
    return QUALITY, SE, SP


def after_a_month(seed):
    agent = Stream(charter=CHARTER, rng=np.random.default_rng(seed))
    assert agent.run(quiet, 30) == []
    assert agent.quality.base is not None
    return agent


def test_a_fall_of_five_points_is_found_in_days():
    agents = [after_a_month(seed) for seed in range(12)]
    days = [one.until_alarm(lambda _t: (QUALITY - 0.05, SE, SP), 60) for one in agents]
    # Of 200 seeds half need 9 days at most and nine of ten 16; a median of twelve has a standard error of about 2 days.
    assert 4 <= np.median(days) <= 14
    assert sum(one.bursts for one in agents) >= 9, "nearly every fall buys labels"


def test_a_fall_of_three_points_is_suspected_and_buys_labels_until_it_is_found():
    agents = [after_a_month(seed) for seed in range(6)]
    assert sum(one.suspected for one in agents) == 0
    before = [one.labels for one in agents]
    days = [one.until_alarm(lambda _t: (QUALITY - 0.03, SE, SP), 60) for one in agents]
    assert sum(one.suspected for one in agents) >= 6
    spent = [
        (one.labels - labels) / min(day, 60) for one, labels, day in zip(agents, before, days, strict=True)
    ]
    assert np.mean(spent) >= 25


def test_a_first_month_buys_nothing_however_bad_it_is():
    agent = Stream(charter=CHARTER, rng=np.random.default_rng(5))
    agent.run(lambda _t: (QUALITY - 0.12, SE, SP), 27)
    assert agent.quality.base is None
    assert agent.bought == [], "more labels where they are worse would bend the baseline"


def test_a_quiet_half_year_opens_nothing_and_spends_what_was_agreed():
    for seed in range(3):
        agent = after_a_month(100 + seed)
        before = agent.labels
        assert agent.run(quiet, 182) == []
        assert 18 <= (agent.labels - before) / 182 <= 24
