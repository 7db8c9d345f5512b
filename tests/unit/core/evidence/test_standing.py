# SPDX-License-Identifier: Apache-2.0
"""An answer of the system of record speaks of the claim it was asked about, whatever late spans make of the task."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidence_made import load_charter

from pilothouse.core.evidence.claim import ERASED_CLAIM, OTHER_CLAIMS, erased_claim, is_erased
from pilothouse.core.evidence.outcome import UNANSWERED, Outcome, OutcomeStatus
from pilothouse.core.evidence.standing import (
    ONE_OF_SEVERAL,
    answers_in_force,
    replaces,
    standing_outcome,
    standing_outcomes,
)
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.evidence.truth import count_truth
from pilothouse.testing import EXAMPLE_NOW, example_task

TASK = example_task(claim='"draft"', result=TaskResult.COMPLETED)
CONFIRMED = Outcome(
    trace_id=TASK.trace_id,
    agent=TASK.agent,
    task_type=TASK.task_type,
    version_digest=TASK.version_digest,
    task_start_ns=TASK.start_ns,
    claim=TASK.claim,
    status=OutcomeStatus.VERIFIED,
    found="",
    critical=None,
    verifier="v",
    verified_at=EXAMPLE_NOW,
)
CORRECTIONS = [
    {"claim": '"paid"'},
    {"claim": None},
    {"task_type": "another"},
    {"agent": "another-agent"},
    {"result": TaskResult.FAILED},
    {"result": TaskResult.ESCALATED},
]


def test_an_answer_about_the_task_as_it_stands_is_taken_as_it_is():
    assert standing_outcome(TASK, CONFIRMED) == CONFIRMED
    assert standing_outcome(TASK, None) is None


@pytest.mark.parametrize("corrected", CORRECTIONS)
@pytest.mark.parametrize(
    "status", [OutcomeStatus.VERIFIED, OutcomeStatus.UNVERIFIABLE, OutcomeStatus.PENDING]
)
def test_a_confirmation_confirms_no_other_claim(corrected, status):
    assert standing_outcome(replace(TASK, **corrected), replace(CONFIRMED, status=status)) is None


def test_a_task_that_claims_several_things_is_never_confirmed():
    """Of two refunds in one trace only the first was asked about, and the task counted as confirmed."""
    several = replace(TASK, flags=(OTHER_CLAIMS,))
    stands = standing_outcome(several, replace(CONFIRMED, found="booked"))
    assert stands is not None
    assert (stands.status, stands.found) == (OutcomeStatus.UNVERIFIABLE, f"{ONE_OF_SEVERAL}: booked")
    assert not stands.is_unanswered
    wrong = replace(CONFIRMED, status=OutcomeStatus.CONTRADICTED)
    assert standing_outcome(several, wrong) == wrong
    (count,) = count_truth([several], {TASK.trace_id: CONFIRMED})
    assert (count.agrees, count.not_asked) == (0, 0)


def test_the_truth_line_counts_a_corrected_claim_as_not_asked():
    (count,) = count_truth([replace(TASK, claim='"paid"')], {TASK.trace_id: CONFIRMED})
    assert (count.agrees, count.not_asked) == (0, 1)


@pytest.mark.parametrize("corrected", CORRECTIONS)
def test_what_was_found_wrong_is_not_undone_by_saying_something_else(corrected):
    task = replace(TASK, **corrected)
    wrong = standing_outcome(task, replace(CONFIRMED, status=OutcomeStatus.CONTRADICTED))
    assert wrong is not None
    assert (wrong.status, wrong.agent, wrong.task_type) == ("contradicted", task.agent, task.task_type)
    critical = standing_outcome(task, replace(CONFIRMED, critical="paid_twice"))
    assert critical is not None
    assert (critical.status, critical.critical) == (OutcomeStatus.PENDING, "paid_twice")


def test_an_answer_counts_for_the_version_and_the_time_that_the_task_has_now():
    task = replace(TASK, version_digest="b" * 64, start_ns=TASK.start_ns - 5)
    stands = standing_outcome(task, CONFIRMED)
    assert stands is not None
    assert (stands.version_digest, stands.task_start_ns) == ("b" * 64, TASK.start_ns - 5)


def test_without_its_task_only_what_speaks_against_it_stays():
    wrong = replace(CONFIRMED, trace_id="f" * 32, status=OutcomeStatus.CONTRADICTED)
    strange = replace(CONFIRMED, trace_id="e" * 32)
    corrected = replace(TASK, trace_id="d" * 32, claim='"paid"')
    about_it = replace(CONFIRMED, trace_id="d" * 32)
    found = standing_outcomes([TASK, corrected], [CONFIRMED, wrong, strange, about_it])
    assert found == {TASK.trace_id: CONFIRMED, "f" * 32: wrong}


def test_a_settled_answer_gives_way_only_to_one_about_another_claim():
    other = replace(CONFIRMED, claim='"paid"', status=OutcomeStatus.PENDING)
    assert replaces(other, CONFIRMED)
    assert replaces(replace(CONFIRMED, task_type="another"), CONFIRMED)
    assert replaces(CONFIRMED, other)
    assert not replaces(replace(CONFIRMED, status=OutcomeStatus.CONTRADICTED), CONFIRMED)
    assert not replaces(other, replace(CONFIRMED, status=OutcomeStatus.CONTRADICTED))
    assert not replaces(other, replace(CONFIRMED, critical="paid_twice"))


def test_an_outage_that_outlasted_the_time_of_a_claim_is_no_answer_and_gives_way_to_one():
    away = replace(CONFIRMED, status=OutcomeStatus.UNVERIFIABLE, found=f"{UNANSWERED}erp is away")
    assert away.is_unanswered
    assert replaces(CONFIRMED, away)
    never = replace(away, found="no such order")
    assert not never.is_unanswered
    assert not replaces(CONFIRMED, never)
    assert not replace(CONFIRMED, found=away.found).is_unanswered


def test_erased_claims_go_on_to_agree_or_not_and_nothing_takes_their_place():
    task = replace(TASK, claim=ERASED_CLAIM)
    same, other = (
        replace(CONFIRMED, claim=erased_claim(claim, TASK.claim)) for claim in (TASK.claim, '"paid"')
    )
    assert is_erased(same.claim)
    assert is_erased(other.claim)
    assert not is_erased(None)
    assert standing_outcome(task, same) == same
    assert standing_outcome(task, other) is None
    assert erased_claim(None, TASK.claim) is None
    assert erased_claim(other.claim, ERASED_CLAIM) == other.claim, "twice changes nothing"
    assert erased_claim(TASK.claim, None) == ERASED_CLAIM
    for erased in (same, other, replace(same, status=OutcomeStatus.PENDING)):
        assert not replaces(CONFIRMED, erased)


NAMED = "verifiers.erp:routing_matches@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("verifier", "fields", "counts"),
    [
        (NAMED, {}, True),
        (NAMED.replace("0", "1"), {}, True),  # a comment in its file
        (NAMED.replace("routing_matches", "says_yes"), {}, False),
        (NAMED.replace("routing_matches", "says_yes"), {"status": OutcomeStatus.UNVERIFIABLE}, False),
        (NAMED.replace("routing_matches", "says_yes"), {"status": OutcomeStatus.CONTRADICTED}, True),
        (NAMED.replace("routing_matches", "says_yes"), {"critical": "paid_twice"}, True),
        (NAMED.replace("routing_matches", "says_yes"), {"task_type": "of no charter"}, True),
        ("drill", {}, True),
    ],
)
def test_what_another_verifier_confirmed_does_not_count(verifier, fields, counts):
    asked = replace(CONFIRMED, **{"task_type": "po_invoice", "verifier": verifier, **fields})
    assert answers_in_force(load_charter(), [asked]) == ([asked] if counts else [])


@pytest.mark.parametrize("verifier", ["?", None])
def test_where_the_charter_names_no_verifier_none_has_confirmed_anything(verifier):
    charter = load_charter()
    terms = charter.task_types["po_invoice"]
    named = {**charter.task_types, "po_invoice": terms.model_copy(update={"verifier": verifier})}
    asked = replace(CONFIRMED, task_type="po_invoice", verifier=NAMED)
    assert answers_in_force(charter.model_copy(update={"task_types": named}), [asked]) == []
