# SPDX-License-Identifier: Apache-2.0
"""The threshold stands on labels that one chance would have drawn; without enough of them nothing goes out alone."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.review import ItemState, ReviewItem, ReviewSource
from pilothouse.ports.review import ItemRecord
from pilothouse.workflows.routing_in_force import routed_types, threshold_in_force
from pilothouse.workflows.routing_threshold import _evenly_drawn, routing_evidence

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "golden/charters/ap-invoice-triage.yaml"
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

    def items(self, agent, sources=(), since=None):
        return tuple(self.records)


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


def test_the_threshold_lies_over_the_confidence_below_which_answers_are_wrong(charter):
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
    kept = _evenly_drawn(drawn)
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
    over = [one for one in after if one.item.confidence >= ledger.records[0].value]
    assert (audit.n, audit.good) == (len(over), 50)
