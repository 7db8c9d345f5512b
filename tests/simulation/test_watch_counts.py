# SPDX-License-Identifier: Apache-2.0
"""A road without its database is the same road; chances of a day are fixed by the days before it, and within people's time."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import numpy as np
import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import Answer, ItemState, Label
from pilothouse.workflows.review.label_rates import rates_fixed, rates_of_day
from simulation.watch_counts import Counted, after_a_month, counts_of, delay
from simulation.watch_worlds import (
    AGENT,
    FIRST,
    QUALITY,
    SE,
    SP,
    TYPE,
    charter_text,
    simulation,
)

CHARTER = Charter.model_validate(read_charter_text(charter_text(), file="charter.yaml").value)
TASKS = 400


def quiet_then_a_fall(number):
    return (QUALITY, SE, SP) if number < 30 else (QUALITY - 0.10, SE, SP)


def quiet(_t):
    return QUALITY, SE, SP


@pytest.mark.parametrize("days", [4, pytest.param(35, marks=[pytest.mark.slow, pytest.mark.long])])
def test_the_same_seed_has_the_same_counts_and_evidence_through_the_product(tmp_path, days):
    counted = Counted(charter=CHARTER, rng=np.random.default_rng(2), tasks=TASKS)
    counted.run(quiet_then_a_fall, days)
    with simulation(tmp_path, seed=2, tasks_per_day=TASKS) as agent:
        agent.run(quiet_then_a_fall, days)
        found = counts_of(agent)
    assert len(counted.tallies) == days
    assert found == (counted.tallies, counted.evidence)
    assert days < 30 or counted.bought, "bursts are compared too"


def test_falls_through_the_whole_road_are_found_as_soon_as_by_the_detector_alone():
    months = [after_a_month(CHARTER, 900 + seed, tasks=TASKS) for seed in range(20)]
    days = [
        delay(month, lambda _t: (QUALITY - 0.05, SE, SP), 900 + seed) for seed, month in enumerate(months)
    ]
    # The median is 8 and the spread about 5 days, so a median of twenty has a standard error of 1.3.
    assert 4 <= np.median(days) <= 12


def test_a_first_day_asks_for_no_more_than_was_agreed(tmp_path):
    with simulation(tmp_path, seed=1, tasks_per_day=2_000) as agent:
        agent.run(quiet, 1)
        # 20 by coins, and the volume is guessed from about 25 judged tasks: 20 ± 6.
        assert 3 <= agent.labels <= 45


def test_a_few_tasks_of_a_first_hour_are_no_low_volume_for_which_people_have_no_time(tmp_path):
    with simulation(tmp_path, seed=1, tasks_per_day=1_000) as agent:
        tasks, _ = agent._tasks(QUALITY, SE, SP)
        agent.lake.put(FIRST, tasks, [])
        morning = datetime.combine(FIRST, time.min, tzinfo=agent.watch.room.installation.clock.now().tzinfo)
        now = morning + timedelta(minutes=57)
        rates = rates_of_day(
            agent.watch.room.installation, agent.watch.queue, CHARTER, FIRST.isoformat(), now
        )[TYPE]
    assert 0.03 <= rates["unknown"] <= 0.08, "people have time for 60 of a thousand"


def rates_of_second_day(folder, *, quality=QUALITY, first=quiet, answer_seconds=False):
    """Chances of the second day after the same first one."""
    with simulation(folder, seed=4, tasks_per_day=TASKS) as agent:
        agent.run(first, 1)
        queue = agent.watch.queue
        seconds = [one for one in queue.items(AGENT, states=(ItemState.WAITING,)) if one.item.pair_of]
        assert seconds, "the seed has second opinions"
        for one in seconds if answer_seconds else ():
            queue.answer(
                Label(
                    item_id=one.item.item_id, agent=AGENT, reviewer="kim", answer=Answer.ACCEPT,
                    at=one.item.created_at + timedelta(minutes=6),
                )
            )  # fmt: skip
        agent.live(quality)
        ledger = agent.watch.room.installation.ledger
        return rates_fixed(ledger, AGENT, (FIRST + timedelta(days=1)).isoformat())


def test_chances_of_a_day_do_not_look_at_its_own_tasks(tmp_path):
    assert rates_of_second_day(tmp_path / "a") == rates_of_second_day(tmp_path / "b", quality=0.2)


def test_a_second_opinion_is_no_second_label(tmp_path):
    bad = {"first": lambda _t: (0.7, SE, SP)}
    once = rates_of_second_day(tmp_path / "a", **bad)
    assert once[TYPE]["fail"] > 1.1 * once[TYPE]["pass"], "no floor hides what labels say"
    assert once == rates_of_second_day(tmp_path / "b", answer_seconds=True, **bad)
