# SPDX-License-Identifier: Apache-2.0
"""The threshold stands on labels that one chance would have drawn; without enough of them nothing goes out alone."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.answers import OPEN
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import Answer, ItemState, Label, ReviewItem, ReviewSource
from pilothouse.core.statistics.intervals import anytime_interval
from pilothouse.ports.review import ItemRecord
from pilothouse.workflows.gateway.routing_in_force import routed_types, threshold_in_force
from pilothouse.workflows.labels.routing_threshold import routing_evidence
from pilothouse.workflows.review.label_thinning import evenly_drawn

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[3] / "golden/charters/ap-invoice-triage.yaml"
TYPE = "po_invoice"


class Ledger:
    """Keeps evidence."""

    def __init__(self):
        self.records = []

    def evidence(self, agent, since=None, kinds=None):
        return [one for one in self.records if since is None or one.window_to >= since]


class Queue:
    """Gives out what it was made with."""

    def __init__(self, records):
        self.records = records
        self.said = ()

    def items(self, agent, sources=(), since=None):
        return tuple(self.records)

    def labels(self, agent, since=None):
        return self.said


@pytest.fixture(scope="module")
def charter():
    return Charter.model_validate(read_charter_file(EXAMPLE).value)


def labelled(n, *, wrong_below, chance=0.1, name=TYPE, first=0, at=NOW - timedelta(days=2), version="v1"):
    """Labels whose confidence runs evenly from 0 to 1, wrong under a confidence."""
    return [
        ItemRecord(
            item=ReviewItem(
                item_id=f"{name} {first + k}",
                agent="ap-invoice-triage",
                task_type=name,
                trace_id=f"{first + k:032x}",
                version=version,
                source=ReviewSource.SAMPLED,
                why="drawn",
                input="in",
                proposal="out",
                call_digest="d",
                confidence=k / n,
                probability=chance,
                created_at=at,
                due_at=at + timedelta(days=1),
            ),
            state=ItemState.REJECTED if k / n < wrong_below else ItemState.ACCEPTED,
        )
        for k in range(n)
    ]


def all_types(charter, **given):
    return [
        record
        for number, name in enumerate(routed_types(charter))
        for record in labelled(name=name, first=10_000 * number, **given)
    ]


def said(charter, records, ledger=None):
    return list(routing_evidence(ledger or Ledger(), Queue(records), charter, NOW))


def without_costs(charter):
    """The charter where nobody knows yet what a wrong answer costs."""
    types = {
        name: terms.model_copy(update={"cost_of_error": OPEN}) for name, terms in charter.task_types.items()
    }
    return charter.model_copy(update={"task_types": types})


def test_the_threshold_lies_over_the_confidence_below_which_answers_are_wrong(charter):
    charter = without_costs(charter)
    records = said(charter, all_types(charter, n=800, wrong_below=0.3))
    assert [(one.kind, one.scope.task_type, one.passed) for one in records] == [
        ("routing.threshold", name, True) for name in routed_types(charter)
    ]
    assert all(0.28 <= one.value <= 0.35 for one in records)
    assert records[0].binds.version == "v1"
    found = threshold_in_force(records, charter, "v1", NOW)
    assert found == max(one.value for one in records)
    assert threshold_in_force(records, charter, "v2", NOW) is None
    assert threshold_in_force(records[1:], charter, "v1", NOW) is None
    assert threshold_in_force(records, charter, "v1", NOW + timedelta(days=8)) is None
    halved = wide_budget(charter, budget=0.5)
    assert threshold_in_force(records, halved, "v1", NOW) is None, "it was chosen for another budget"


def test_labels_of_turns_of_one_conversation_are_worth_fewer(charter):
    """Eight hundred labels of twenty conversations chose a threshold, and show no more than twenty."""
    charter = without_costs(charter)
    alone = all_types(charter, n=800, wrong_below=0.3)
    talks = [
        replace(one, item=replace(one.item, conversation=f"talk {int(one.item.trace_id, 16) // 40}"))
        for one in alone
    ]
    assert len(said(charter, alone)) == len(routed_types(charter))
    assert said(charter, talks) == []


def test_labels_of_what_a_stand_in_answered_change_nothing_though_they_are_the_newest(charter):
    own = all_types(charter, n=800, wrong_below=0.3)
    others = labelled(400, wrong_below=0.0, first=90_000, at=NOW - timedelta(days=1), version=None)
    assert said(charter, [*own, *others]) == said(charter, own) != []


def test_too_few_labels_say_nothing_and_always_wrong_ones_say_no(charter):
    assert said(charter, all_types(charter, n=60, wrong_below=0.3)) == []
    equal = [
        replace(one, item=replace(one.item, confidence=0.9))
        for one in all_types(charter, n=800, wrong_below=1.0)
    ]
    failed = said(charter, equal)
    assert {(one.passed, one.value) for one in failed} == {(False, None)}
    assert "everything is held" in failed[0].detail
    assert threshold_in_force(failed, charter, "v1", NOW) is None


def test_labels_by_a_rubric_that_is_not_in_force_any_more_choose_no_threshold(charter):
    charter = without_costs(charter)
    queue = Queue(all_types(charter, n=800, wrong_below=0.3))
    queue.said = [
        Label(
            item_id=one.item.item_id, agent="ap-invoice-triage", reviewer="lee", answer=Answer.ACCEPT,
            rubric="0" * 64, at=NOW,
        )
        for one in queue.records
        if one.item.task_type == TYPE
    ]  # fmt: skip
    found = list(routing_evidence(Ledger(), queue, charter, NOW))
    assert {one.scope.task_type for one in found} == {*routed_types(charter)} - {TYPE}


def test_labels_of_unequal_chances_are_thinned_to_what_one_chance_would_have_drawn():
    rng = random.Random(9)
    drawn = []
    for k in range(40_000):
        is_rare = rng.random() < 0.1
        chance = 0.5 if is_rare else 0.05
        if rng.random() < chance:
            (one,) = labelled(1, wrong_below=0.0, chance=chance, first=k)
            drawn.append(replace(one, item=replace(one.item, confidence=0.1 if is_rare else 0.9)))
    share = sum(one.item.confidence < 0.5 for one in drawn) / len(drawn)
    kept = evenly_drawn(drawn)
    thinned = sum(one.item.confidence < 0.5 for one in kept) / len(kept)
    assert share > 0.4
    assert thinned == pytest.approx(0.1, abs=0.03)


def test_only_answers_after_a_threshold_and_over_it_are_audited(charter):
    ledger = Ledger()
    ledger.records = said(charter, all_types(charter, n=800, wrong_below=0.3))
    before = labelled(800, wrong_below=0.3)
    later = NOW + timedelta(days=1)
    after = labelled(100, wrong_below=0.5, first=50_000, at=later)
    (audit,) = [
        one
        for one in routing_evidence(ledger, Queue([*before, *after]), charter, later + timedelta(hours=1))
        if one.kind == "routing.audit"
    ]
    obeyed = threshold_in_force(ledger.records, charter, "v1", later)
    over = [one for one in after if one.item.confidence >= obeyed]
    assert (audit.n, audit.good) == (100, 100 - (len(over) - 50)), (
        "the budget is for each task, held ones too"
    )


def test_wrong_answers_that_state_no_confidence_are_not_known_to_have_been_held(charter):
    """A stream is sent before it is whole: an agent that streams nine answers of ten passed its audit by the tenth."""
    one_type, ledger = wide_budget(charter, 3.0), Ledger()
    ledger.records = said(one_type, labelled(800, wrong_below=0.3))
    later = NOW + timedelta(days=1)
    sure = [
        replace(one, item=replace(one.item, confidence=0.95))
        for one in labelled(100, wrong_below=0.0, first=50_000, at=later)
    ]
    streamed = [
        replace(one, item=replace(one.item, confidence=None))
        for one in labelled(900, wrong_below=0.2, first=60_000, at=later)
    ]
    found = routing_evidence(ledger, Queue([*sure, *streamed]), one_type, later + timedelta(hours=1))
    (audit,) = [one for one in found if one.kind == "routing.audit"]
    assert (audit.n, audit.good, audit.counts) == (1_000, 820, {"unknown": 180})
    assert "180 wrong ones say no confidence" in audit.detail


def test_labels_that_were_drawn_where_answers_are_doubtful_do_not_speak_for_all_others(charter):
    """Contradicted tasks, one in twenty, are drawn eight times as often: 0.6 % wrong answers were 3.6 %, and a breach."""
    one_type, breached, shares = wide_budget(charter, 1.0), 0, []
    for seed in range(12):
        rng, ledger = random.Random(seed), Ledger()
        ledger.records = said(one_type, labelled(800, wrong_below=0.3))
        later, drawn = NOW + timedelta(days=1), []
        for k in range(40_000):
            is_doubtful = rng.random() < 0.05
            chance = 0.4 if is_doubtful else 0.05
            if rng.random() < chance:
                is_wrong = rng.random() < (0.12 if is_doubtful else 0.0)
                (one,) = labelled(1, wrong_below=0.0, chance=chance, first=50_000 + k, at=later)
                state = ItemState.REJECTED if is_wrong else ItemState.ACCEPTED
                drawn.append(replace(one, item=replace(one.item, confidence=0.95), state=state))
        found = routing_evidence(ledger, Queue(drawn), one_type, later + timedelta(hours=1))
        (audit,) = [one for one in found if one.kind == "routing.audit"]
        shares.append(1 - audit.good / audit.n)
        breached += anytime_interval(audit.n - audit.good, audit.n, 0.95).low > 0.01
    assert sum(shares) / len(shares) == pytest.approx(0.006, abs=0.002)
    assert breached <= 1


def wide_budget(charter, budget=3.0, **costs):
    """The charter with one routed type, a budget and costs."""
    types = {
        name: terms.model_copy(
            update={"routing": terms.routing.model_copy(update={"wrong_auto_per_100": budget, "mode": mode})}
            | costs
        )
        for name, terms, mode in (
            (name, terms, "hold" if name == TYPE else "off") for name, terms in charter.task_types.items()
        )
    }
    return charter.model_copy(update={"task_types": types})


def a_day(day, rng, *, error, labels=40, first):
    """Labels of one day: a third is unsure and half wrong, of the others a share is wrong."""
    drawn = []
    for k in range(labels):
        is_unsure = rng.random() < 1 / 3
        is_wrong = rng.random() < (0.5 if is_unsure else error)
        (one,) = labelled(1, wrong_below=0.0, first=first + k, at=day)
        drawn.append(
            replace(
                one,
                item=replace(
                    one.item, confidence=rng.uniform(0.0, 0.5) if is_unsure else rng.uniform(0.5, 1.0)
                ),
                state=ItemState.REJECTED if is_wrong else ItemState.ACCEPTED,
            )
        )
    return drawn


def live(charter, *, days, error_on, seed):
    """Let an agent serve day by day; return what its labels said in the end of each day."""
    rng, ledger, queue, said_on = random.Random(seed), Ledger(), Queue([]), []
    for number in range(days):
        morning = NOW + timedelta(days=number)
        queue.records = [*queue.records, *a_day(morning, rng, error=error_on(number), first=number * 1_000)]
        found = list(routing_evidence(ledger, queue, charter, morning + timedelta(hours=20)))
        ledger.records = [*ledger.records, *found]
        said_on.append({one.kind: one for one in found})
    return said_on


def test_an_audit_that_breaks_the_budget_takes_the_threshold_away_until_later_labels_show_another(charter):
    one_type, fell = wide_budget(without_costs(charter)), 25
    days = live(one_type, days=40, error_on=lambda day: 0.005 if day < fell else 0.12, seed=4)
    passed = [day["routing.threshold"].passed if "routing.threshold" in day else None for day in days]
    assert all(passed[5:fell]), "a budget that is kept is not disturbed"
    away = passed.index(False, fell)
    assert away - fell <= 12, (
        "the fall is seen in days, although the threshold rests on a month of good labels"
    )
    failed = days[away]["routing.threshold"]
    assert failed.value is None
    assert "everything is held until labels from after that day" in failed.detail
    assert "broke the budget" in days[away]["routing.audit"].detail
    assert threshold_in_force([failed], one_type, "v1", failed.window_to) is None
    stricter = days[-1]["routing.threshold"]
    assert stricter.passed
    assert stricter.value > days[fell - 1]["routing.threshold"].value + 0.1


def test_a_budget_that_is_just_kept_raises_no_alarm_in_most_years_of_audits(charter):
    one_type = wide_budget(without_costs(charter), budget=4.0)
    alarms = 0
    for seed in range(8):  # two thirds are sure, and 2/3 of 4.5 % is 3 %
        days = live(one_type, days=20, error_on=lambda day: 0.045, seed=100 + seed)
        alarms += any(
            "broke the budget" in day["routing.audit"].detail for day in days if "routing.audit" in day
        )
    assert alarms <= 2


def test_costs_ask_for_more_confidence_than_the_guarantee(charter):
    rng = random.Random(5)
    records = [
        replace(one, state=ItemState.ACCEPTED if rng.random() < one.item.confidence else ItemState.REJECTED)
        for one in labelled(800, wrong_below=0.0)
    ]
    lenient = wide_budget(charter, 30.0, cost_of_error=100, cost_of_review=40)
    strict = wide_budget(charter, 30.0, cost_of_error=100, cost_of_review=5)
    never = wide_budget(charter, 30.0, cost_of_error=100_000, cost_of_review=1)
    free = wide_budget(charter, 30.0, cost_of_error=100, cost_of_review=200)
    found = {}
    for label, given in (("lenient", lenient), ("strict", strict), ("never", never), ("free", free)):
        (found[label],) = said(given, records)
    assert found["lenient"].value == pytest.approx(0.6, abs=0.12), (
        "right six times in ten is worth a review of 40"
    )
    assert found["strict"].value == pytest.approx(0.95, abs=0.05)
    assert "Costs ask for more than the guarantee" in found["strict"].detail
    assert (found["never"].passed, found["never"].value) == (False, None)
    assert "Everything is held" in found["never"].detail
    assert "review never pays" in found["free"].detail


def test_a_confidence_that_orders_nothing_lets_nothing_go_where_reviews_are_cheap(charter):
    rng = random.Random(6)
    records = [
        replace(one, state=ItemState.ACCEPTED if rng.random() < 0.8 else ItemState.REJECTED)
        for one in labelled(400, wrong_below=0.0)
    ]
    (found,) = said(wide_budget(charter, 30.0, cost_of_error=100, cost_of_review=5), records)
    assert found.passed is False
    assert "labels show that of no stated confidence" in found.detail


def test_a_day_with_an_answer_that_is_waited_for_is_not_judged_yet(charter):
    ledger = Ledger()
    one_type = wide_budget(charter)
    ledger.records = said(one_type, labelled(800, wrong_below=0.3))
    bad = labelled(60, wrong_below=1.0, first=9_000, at=NOW + timedelta(days=1))
    waiting = [replace(bad[0], state=ItemState.WAITING), *bad[1:]]
    for records, later in ((waiting, timedelta(days=1, hours=23)), (bad, timedelta(days=2))):
        breaks = records is bad
        looked = {
            one.kind: one
            for one in routing_evidence(
                ledger,
                Queue([*labelled(800, wrong_below=0.3), *records]),
                one_type,
                NOW + later,
            )
        }
        assert ("broke the budget" in looked["routing.audit"].detail) is breaks
        assert looked["routing.threshold"].passed is not breaks
