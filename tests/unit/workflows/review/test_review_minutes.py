# SPDX-License-Identifier: Apache-2.0
"""Reviews leave minutes by those whose they are, and their calendar says what is due."""

from __future__ import annotations

import page_world as world
import pytest

from pilothouse.core.charter.people import REVIEWS
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Denied, UnknownName, UsageError
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.review.minutes import hold_review, review_calendar

TEXT = "Quality of all task types held; we decided to look at credit notes again next week."


@pytest.fixture
def ledger():
    return MemoryLedger()


def hold(ledger, kind="quality", person="dana", text=TEXT):
    return hold_review(ledger, world.charter(), kind, person=person, minutes=text, now=world.NOW)


def test_minutes_are_the_evidence_of_own_9(ledger):
    for kind in REVIEWS:
        hold(ledger, kind, "vp" if kind == "sponsor" else "dana")
    verdict = decide(world.charter(), ledger.evidence(world.AGENT), world.NOW)
    found = next(one for one in verdict.requirements if one.requirement == "OWN-9")
    assert {one.status for one in found.items} == {Status.HOLDS}


def test_the_calendar_says_when_each_is_due(ledger):
    assert all(one.held_at is None and one.due_at is None for one in review_calendar(ledger, world.charter()))
    hold(ledger)
    quality = review_calendar(ledger, world.charter())[0]
    assert quality.due_at - quality.held_at == quality.cadence
    assert quality.minutes == f"dana: {TEXT}"


@pytest.mark.parametrize(
    ("kind", "person", "text", "error"),
    [
        ("colours", "dana", TEXT, UnknownName),
        ("sponsor", "dana", TEXT, Denied),
        ("quality", "vp", TEXT, Denied),
        ("quality", "dana", "fine", UsageError),
    ],
)
def test_what_is_no_review_is_refused(ledger, kind, person, text, error):
    with pytest.raises(error):
        hold(ledger, kind, person, text)


@pytest.mark.parametrize(
    ("person", "said"), [("", "nobody said who held the quality"), ("vp", "vp does not hold the quality")]
)
def test_whoever_may_not_hold_a_review_is_told_apart_from_who_gave_no_name(ledger, person, said):
    with pytest.raises(Denied, match=said):
        hold(ledger, "quality", person, TEXT)
    assert ledger.evidence(world.AGENT) == ()
