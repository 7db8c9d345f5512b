# SPDX-License-Identifier: Apache-2.0
"""Turns of conversations that fail together raise no more false alarms than promised, and falls of them are found."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from pilothouse.core.evidence.effective_counts import effective_counts
from pilothouse.core.statistics.change import DropDetector
from pilothouse.core.statistics.daily import DayCounts, DayStratum
from pilothouse.core.statistics.rates import RateState, RateWatch

FIRST = date(2026, 1, 1)
LINE = 0.94


def answers(rng, conversations, turns, correlation, quality):
    """Return answers, a row for each conversation: a turn shares its conversation's with chance sqrt(correlation)."""
    shared = rng.random(conversations) < quality
    own = rng.random((conversations, turns)) < quality
    together = rng.random((conversations, turns)) < math.sqrt(correlation)
    return np.where(together, shared[:, None], own)


def alarms_of_rate(rng, world, quality, days, *, apart):
    conversations, turns, correlation = world
    watch, state, alarms = RateWatch(committed=LINE), RateState(), 0
    names = np.repeat(np.arange(conversations), turns).tolist()
    for number in range(days):
        good = answers(rng, conversations, turns, correlation, quality).ravel().tolist()
        worth = None if apart else effective_counts(good, names)["worth"]
        state, reading = watch.update(state, FIRST + timedelta(days=number), len(good), int(sum(good)), worth)
        alarms += reading.alarm
    return alarms


def alarms_of_labels(rng, world, quality, days, *, apart):
    conversations, turns, correlation, chance = world
    detector = DropDetector(m0=LINE)
    state, alarms = detector.start(), 0
    for number in range(days):
        good = answers(rng, conversations, turns, correlation, quality)
        labelled = rng.random(good.shape) < chance
        one = DayStratum(
            name="all", judged=good.size, labelled_good=int((labelled & good).sum()), predicted=0.94,
            labelled_bad=int((labelled & ~good).sum()), probability=chance,
        )  # fmt: skip
        day = DayCounts(
            day=FIRST + timedelta(days=number), strata=(one,), turns=1.0 if apart else float(turns)
        )
        state = detector.fold(state, day)
        alarms += detector.is_alarmed(state)
    return alarms


@pytest.mark.parametrize(
    ("alarms", "world"),
    [
        (alarms_of_rate, (60, 5, 0.7)),
        (alarms_of_rate, (10, 5, 0.3)),
        (alarms_of_labels, (10, 5, 0.7, 1.0)),
        (alarms_of_labels, (15, 20, 0.7, 0.2)),
    ],
)
def test_at_the_line_there_is_at_most_one_false_alarm_a_year_and_a_fall_is_found(alarms, world):
    years = 4
    quiet = alarms(np.random.default_rng(11), world, LINE, 365 * years, apart=False)
    assert quiet <= years + 3 * math.sqrt(years)
    assert alarms(np.random.default_rng(11), world, LINE, 365 * years, apart=True) > 2 * max(quiet, years)
    assert alarms(np.random.default_rng(12), world, LINE - 0.12, 100, apart=False) >= 1
