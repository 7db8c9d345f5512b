# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pilothouse.core.statistics.quality import Stratum
from pilothouse.core.verdict.release import GateRules
from pilothouse.core.verdict.release_labelled import NO_ANSWER, judge_labelled_floor
from pilothouse.core.verdict.verdict import Reason, Status

CRITICAL = 1.645
FLOOR = GateRules(task_type="t", floor=0.9)


def strata(*rows):
    return [
        Stratum(name=name, judged=judged, labelled=labelled, good=good)
        for name, judged, labelled, good in rows
    ]


def found(*rows, rules=FLOOR, **more):
    return judge_labelled_floor(strata(*rows), rules, critical=CRITICAL, **more)


def test_without_a_floor_there_is_no_requirement():
    assert found(("pass", 100, 50, 50), rules=GateRules(task_type="t")) is None


def test_people_who_find_the_answers_good_prove_the_floor_whatever_the_judge_said():
    harsh = found(("pass", 200, 60, 60), ("fail", 200, 60, 59))
    assert harsh.item.status is Status.HOLDS
    assert harsh.labels_wanted == 0
    assert harsh.item.n == 120
    assert "people labelled 120 of the 400 answers" in harsh.item.sentence


def test_people_who_find_bad_what_the_judge_passes_breach_the_floor():
    kind = found(("pass", 400, 100, 70))
    assert kind.item.status is Status.BREACHED
    assert "proved: at most" in kind.item.sentence


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ((("pass", 380, 0, 0), ("fail", 20, 0, 0)), 100),
        ((("pass", 380, 40, 40), ("fail", 20, 0, 0)), 90),
        ((("pass", 400, 0, 0), ("fail", 1, 0, 0)), 30),
        (((NO_ANSWER, 40, 40, 0), ("pass", 60, 0, 0)), 5),
        ((("pass", 3, 0, 0),), 3),
        (((NO_ANSWER, 10, 10, 0),), 1),
        ((), 1),
    ],
)
def test_too_few_labels_say_how_many_show_a_rate(rows, wanted):
    nothing = found(*rows)
    assert nothing.item.status is Status.NO_EVIDENCE
    assert nothing.labels_wanted == wanted
    assert "a model judge alone shows no level" in nothing.item.sentence


def test_no_label_is_missing_and_some_are_too_few():
    assert found(("pass", 400, 0, 0)).item.reason is Reason.MISSING
    assert found(("pass", 400, 3, 3)).item.reason is Reason.INSUFFICIENT


def test_as_many_labels_as_are_asked_for_decide_when_the_rates_stay():
    before = found(("pass", 380, 40, 39), ("fail", 20, 10, 2))
    assert before.item.status is Status.NO_EVIDENCE
    assert f"about {before.labels_wanted} more labels would decide it" in before.item.sentence
    share = (50 + before.labels_wanted) / 50
    labelled = min(20, round(10 * share))
    passed = 50 + before.labels_wanted - labelled
    after = found(("pass", 380, passed, round(passed * 39 / 40)), ("fail", 20, labelled, round(labelled / 5)))
    assert after.item.status is Status.HOLDS
    share = (50 + 0.8 * before.labels_wanted) / 50
    labelled = min(20, round(10 * share))
    passed = 50 + round(0.8 * before.labels_wanted) - labelled
    less = found(("pass", 380, passed, round(passed * 39 / 40)), ("fail", 20, labelled, round(labelled / 5)))
    assert less.item.status is Status.NO_EVIDENCE, "a fifth fewer do not"


def test_where_all_labels_decide_nothing_more_cases_are_asked_for():
    near = found(("pass", 100, 92, 86), ("fail", 8, 0, 0), rules=GateRules(task_type="t", floor=0.88))
    assert near.item.status is Status.NO_EVIDENCE
    near = found(("pass", 100, 100, 94))
    assert near.labels_wanted is None
    assert near.item.n_needed > 100
    assert "no number of labels of these answers would decide it" in near.item.sentence
    at = found(("pass", 100, 100, 90))
    assert (at.labels_wanted, at.item.n_needed) == (None, None)


def test_answers_that_belong_together_are_fewer():
    rows = ("pass", 400, 80, 78)
    assert found(rows).item.low > found(rows, design_effect=3.0).item.low


def test_a_verdict_without_labels_and_of_little_weight_is_anything():
    rare = found(("pass", 400, 100, 99), ("fail", 2, 0, 0), rules=GateRules(task_type="t", floor=0.96))
    assert rare.item.status is Status.NO_EVIDENCE
    assert rare.labels_wanted > 0
