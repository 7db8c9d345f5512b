# SPDX-License-Identifier: Apache-2.0
"""Labels are counted on, however bad the first month was and however high the charter's floor is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from evidence_made import load_charter

from pilothouse.workflows.watch.judge import JudgeState, look_at_judge
from pilothouse.workflows.watch.labels import LabelledDay
from pilothouse.workflows.watch.quality import QualityState, look_at_labels, quality_line

CHARTER, TYPE = load_charter(), "po_invoice"


def with_floor(least):
    terms = CHARTER.task_types[TYPE]
    changed = terms.model_copy(update={"quality": terms.quality.model_copy(update={"min": least})})
    return CHARTER.model_copy(update={"task_types": {**CHARTER.task_types, TYPE: changed}})


def live(charter, days, *, judged=40, good, state=None, first=0):
    """Let days pass on which every task is labelled and so many of them are good."""
    state, looks = state or QualityState(), []
    for number in range(days):
        day = date(2026, 9, 1) + timedelta(days=first + number)
        labelled = LabelledDay(tallies={"all": (judged, judged, judged, good)}, rates={"all": 1.0}, bad=())
        state, look = look_at_labels(charter, TYPE, state, day, labelled, arl_days=365.0, detectors=1)
        looks.append(look)
    return state, looks


@pytest.mark.parametrize("least", [0.999, 0.9995])
def test_a_floor_above_all_that_labels_can_be_held_against_is_watched_all_the_same(least):
    charter = with_floor(least)
    assert quality_line(charter, TYPE, QualityState()) == 0.998
    _, looks = live(charter, 5, good=40)
    assert not any(one.alarm for one in looks)
    _, looks = live(charter, 8, good=30)
    assert looks[-1].alarm


def test_a_first_month_in_which_nothing_was_good_ends_no_watch():
    state, looks = live(CHARTER, 30, good=0)
    assert state.base is not None
    assert looks[-1].line is None
    assert looks[-1].missing == "quality of the first month is so low that no fall below it can be told"


def test_of_a_first_month_below_the_accepted_drop_a_fall_is_told_and_no_drop_proved():
    state, _ = live(CHARTER, 30, good=2)
    assert 0.01 < quality_line(CHARTER, TYPE, state) < 0.05
    state, looks = live(CHARTER, 60, good=0, state=state, first=30)
    assert any(one.alarm for one in looks)
    assert state.certifier is None


def test_a_judge_that_always_passed_almost_nothing_warns_of_no_fall():
    state, warned = JudgeState(), []
    for number in range(120):
        day = date(2026, 9, 1) + timedelta(days=number)
        state, bought, _ = look_at_judge(state, day, 300, 3, j=0.5, labels=10, capacity=100)
        warned.append(bought)
    assert set(warned) == {None}
