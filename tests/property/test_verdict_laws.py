# SPDX-License-Identifier: Apache-2.0
"""Laws of every verdict: nothing typed raises it, bad news and time never improve it, order does not matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from evidence_made import V1, V2, everything_holds, load_charter
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.evidence.evidence import Basis, Evidence
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.readiness import decide, verdict_document
from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Census,
    Floor,
    MeanMax,
    Paired,
    Quantile,
    Zero,
)
from pilothouse.core.verdict.rules import assess
from pilothouse.core.verdict.verdict import Status

# Unit tests cover these branches; measuring them here again would only take time.
pytestmark = pytest.mark.no_cover

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = tuple(everything_holds(CHARTER, NOW))
RATES_AND_FACTS = [record for record in HELD if KINDS[record.kind].form in {Form.RATE, Form.FACT}]
ORDER = {status: rank for rank, status in enumerate(Status)}
PROOFS = {"breached": 0, "open": 1, "proved": 2}
SLOW = settings(max_examples=25, deadline=None)
FAST = settings(max_examples=200, deadline=None)

subsets = st.lists(st.sampled_from(range(len(HELD))), max_size=60, unique=True).map(
    lambda indices: [HELD[index] for index in indices]
)
versions = st.sampled_from([V1, V2, None])
phases = st.sampled_from(["pilot", "1", "2", "3"])


def spoilt(record, good_share, age_days, n_share=1.0):
    """Return a record with other counts, another outcome and another age."""
    document = record.model_dump()
    shift = timedelta(days=age_days)
    for name in ("window_from", "window_to", "recorded_at"):
        document[name] = document[name] - shift
    form = KINDS[record.kind].form
    if form is Form.RATE:
        document["n"] = max(1, int(record.n * n_share))
        document["good"] = int(document["n"] * good_share)
    elif form is Form.FACT:
        document["passed"] = good_share > 0.5
    return Evidence.model_validate(document)


shares = st.sampled_from([1.0, 0.0005])
mixed = st.lists(
    st.builds(
        spoilt, st.sampled_from(HELD), st.sampled_from([0.0, 0.5, 0.9, 0.97, 1.0]), st.integers(0, 40), shares
    ),
    max_size=40,
)


def statuses(evidence, *, now=NOW, phase="2", version=V1):
    found = decide(CHARTER, evidence, now, phase=phase, version=version)
    return {one.requirement: one.status for one in found.requirements} | {"overall": found.status}


def never_better(before, after):
    return all(ORDER[after[name]] <= ORDER[before[name]] for name in before)


def measured_items(evidence):
    found = decide(CHARTER, evidence, NOW, phase="2", version=V1)
    return {
        (item.requirement, item.scope): item.status
        for one in found.requirements
        for item in one.items
        if item.kind and KINDS[item.kind].form is not Form.SIGNATURE
    }


def typed(record, basis):
    """Return what somebody could type in: the same record, signed or imported instead of measured."""
    if KINDS[record.kind].form is Form.SIGNATURE:
        return record
    signer = "dana" if basis is Basis.ATTESTED else None
    return Evidence.model_validate({**record.model_dump(), "basis": basis, "signer": signer})


@SLOW
@given(
    mixed,
    st.lists(
        st.builds(typed, st.sampled_from(HELD), st.sampled_from([Basis.ATTESTED, Basis.IMPORTED])),
        max_size=60,
    ),
)
def test_nothing_typed_raises_what_must_be_measured(evidence, claims):
    assert never_better(measured_items(evidence), measured_items([*evidence, *claims]))


@SLOW
@given(mixed, st.sampled_from(RATES_AND_FACTS), st.integers(0, 20), shares, st.booleans())
def test_one_more_bad_record_never_improves_anything(evidence, record, age_days, n_share, again):
    bad = spoilt(record, 0.0, age_days, n_share)
    before = [*evidence, spoilt(record, 0.0, age_days + 2)] if again else evidence
    assert never_better(statuses(before), statuses([*before, bad]))


@SLOW
@given(mixed, st.lists(st.integers(0, 4_000), min_size=1, max_size=4), phases)
def test_later_never_improves_anything(evidence, hours, phase):
    moments = [NOW + timedelta(hours=sum(hours[: index + 1])) for index in range(len(hours))]
    found = [statuses(evidence, now=moment, phase=phase) for moment in [NOW, *moments]]
    assert all(never_better(before, after) for before, after in pairwise(found))


@SLOW
@given(mixed, st.randoms(use_true_random=False), versions, phases)
def test_order_and_duplicates_do_not_change_a_byte(evidence, random, version, phase):
    before = verdict_document(decide(CHARTER, evidence, NOW, phase=phase, version=version))
    again = [*evidence, *evidence]
    random.shuffle(again)
    assert verdict_document(decide(CHARTER, again, NOW, phase=phase, version=version)) == before


@SLOW
@given(subsets, mixed)
def test_what_another_version_did_never_makes_anything_hold(evidence, other):
    bound = [record for record in [*evidence, *other] if record.binds.version is not None]
    found = decide(CHARTER, bound, NOW, phase="2", version=V2)
    assert not [one.requirement for one in found.requirements if one.status in {Status.HOLDS, Status.AT_RISK}]
    assert found.status is Status.NO_EVIDENCE


@FAST
@given(st.integers(1, 3_000), st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99), st.booleans())
def test_a_further_bad_case_never_turns_a_rate_for_the_better(n, share, unknown_share, bound, stream):
    good = int(n * share)
    unknown = int((n - good) * unknown_share)
    record = HELD[0].model_copy(update={"n": n, "good": good, "counts": {"unknown": unknown}})
    worse = record.model_copy(update={"n": n + 1})
    for rule in (
        Floor(bound=bound, stream=stream),
        Ceiling(bound=bound, stream=stream),
        Zero(n=59),
        Census(bound=bound),
    ):
        assert PROOFS[assess(rule, bound, worse).proof] <= PROOFS[assess(rule, bound, record).proof], rule


amounts = st.floats(-100, 100)


@FAST
@given(st.integers(1, 500), st.tuples(amounts, amounts, amounts), st.floats(0, 50), st.floats(0, 100))
def test_a_worse_amount_never_turns_for_the_better(n, ends, worse_by, bound):
    low, value, high = sorted(ends)
    record = HELD[0].model_copy(update={"n": n, "good": None, "value": value, "low": low, "high": high})

    def moved(by):
        return record.model_copy(update={"value": value + by, "low": low + by, "high": high + by})

    for rule in (MeanMax(bound=bound), Quantile(bound=bound)):
        assert PROOFS[assess(rule, bound, moved(worse_by)).proof] <= PROOFS[assess(rule, bound, record).proof]
    for rule in (AtLeast(bound=bound), Paired(bound=bound)):
        assert (
            PROOFS[assess(rule, bound, moved(-worse_by)).proof] <= PROOFS[assess(rule, bound, record).proof]
        )
