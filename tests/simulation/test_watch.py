# SPDX-License-Identifier: Apache-2.0
"""The watch end to end in a small world: a month is learnt, a fall buys labels and opens the incident in days."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.ports.watch import WatchReading, WatchStep
from pilothouse.workflows.review.label_rates import BURST
from pilothouse.workflows.watch.effects import settle_all
from pilothouse.workflows.watch.quality import SUSPICION
from simulation.watch_counts import Counted, counts_of
from simulation.watch_worlds import AGENT, FIRST, QUALITY, SE, SP, TYPE, charter_text, simulation

pytestmark = pytest.mark.slow


def quiet(_t):
    return QUALITY, SE, SP


def fallen(_t):
    return QUALITY - 0.10, SE, SP


def test_a_fall_of_ten_points_is_found_in_days_and_nothing_before_it(tmp_path):
    """The same days without a database have the same counts and the same evidence, those of a burst too."""
    charter = Charter.model_validate(read_charter_text(charter_text(), file="charter.yaml").value)
    counted = Counted(charter=charter, rng=np.random.default_rng(3), tasks=300)
    with simulation(tmp_path, seed=3, tasks_per_day=300) as agent:
        agent.run(quiet, 30)
        assert agent.alarms() == []
        assert agent.quality_state().base is not None, "a month of labels makes the baseline"
        assert 10 * 29 <= agent.labels <= 30 * 29, "about 20 labels a day, by coins, more in the first days"
        days = agent.run(fallen, 12, until_alarm=True)
        assert days is not None
        assert days <= 6
        ledger, incidents = agent.watch.room.installation.ledger, agent.watch.room.incidents.incidents()
        assert [one.rule for one in incidents] == ["quality-drop"]
        bought = [json.loads(one.document) for one in ledger.decisions(AGENT, kind=BURST)]
        assert {one["labels"] for one in bought} <= {60}
        assert all(one["from"] > "2026-01-30" for one in bought), "the quiet month bought nothing"
        drop = [one.passed for one in ledger.evidence(AGENT) if one.kind == "quality_drop"]
        assert drop[-1] is False
        assert all(drop[:-2])
        counted.run(quiet, 30)
        assert counted.run(fallen, days) == [days]
        assert counts_of(agent) == (counted.tallies, counted.evidence)
        assert counted.bought, "a burst is compared too"


def test_a_false_warning_of_another_detector_does_not_take_the_labels_of_the_judges(tmp_path):
    with simulation(tmp_path, seed=3) as agent:
        store, ledger = agent.watch.room.watch, agent.watch.room.installation.ledger

        def warn(detector, task_type, day):
            document = {"n": 300, "good": 240, "labels": 60, "sentence": f"{detector} of {day}"}
            reading = WatchReading(
                agent=AGENT, task_type=task_type, detector=detector, day=day, at=at(day), layer="warning",
                settled=False, document=json.dumps(document),
            )  # fmt: skip
            version = store.states(AGENT).get((task_type, detector))
            step = WatchStep(
                task_type=task_type, detector=detector, before=version.version if version else 0, document="{}",
                readings=(reading,),
            )  # fmt: skip
            store.advance(AGENT, [step])
            settle_all(agent.watch, at(day))
            return {json.loads(one.document)["by"] for one in ledger.decisions(AGENT, kind=BURST)}

        def at(day):
            return datetime.combine(day + timedelta(days=1), time(1, 5), tzinfo=UTC)

        assert warn("drift", "", FIRST) == {"drift"}
        assert warn("complaint", TYPE, FIRST + timedelta(days=3)) == {"drift"}, (
            "those share one burst in 20 days"
        )
        assert warn("judge", TYPE, FIRST + timedelta(days=5)) == {"drift", "judge"}
        warn("judge", TYPE, FIRST + timedelta(days=9))
        warn(SUSPICION, TYPE, FIRST + timedelta(days=14))
        warn(SUSPICION, TYPE, FIRST + timedelta(days=15))
        bought = [json.loads(one.document) for one in ledger.decisions(AGENT, kind=BURST)]
        assert [(one["from"], one["to"]) for one in bought] == [
            ("2026-01-17", "2026-01-17"),
            ("2026-01-07", "2026-01-16"),
            ("2026-01-02", "2026-01-11"),
        ], "the judge's come once in 20 days too; a suspicion buys the next day when nobody has"
