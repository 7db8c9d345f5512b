# SPDX-License-Identifier: Apache-2.0
"""The auditor's own program and the core make the same of any record: proof, value, ends and cases."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from evidence_made import everything_holds, load_charter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Census,
    Count,
    Floor,
    MeanMax,
    Paired,
    Quantile,
    Zero,
)
from pilothouse.core.verdict.rules import assess
from pilothouse.workflows.reports.evidence_bundle import rule_document
from pilothouse_verify.recompute import _proof
from pilothouse_verify.shown import _numbers

# Unit tests cover these branches; measuring them here again would only take time.
pytestmark = pytest.mark.no_cover

HELD = everything_holds(load_charter(), datetime(2026, 11, 20, 12, tzinfo=UTC))[0]
RATES = st.sampled_from(
    [
        *(kind(bound=0.9, stream=stream) for kind in (Floor, Ceiling) for stream in (False, True)),
        Zero(n=59),
        Census(bound=0.9),
        Census(bound=0.1, harm=False, least=100),
        Count(bound=30),
    ]
)
AMOUNTS = st.sampled_from(
    [MeanMax(bound=1.0), Quantile(bound=1.0), AtLeast(bound=1.0), Paired(bound=1.0, least=100)]
)
cases = st.integers(0, 400)


def both(rule, bound, record):
    """Return what the core and what the auditor's program make of a record."""
    found = assess(rule, bound, record)
    there = json.loads(record.model_dump_json())
    theirs = _proof(rule_document(rule), bound, there), _numbers(rule_document(rule), bound, there)
    return (str(found.proof), (found.value, found.low, found.high, found.n)), theirs


def agree(rule, bound, record):
    (proof, numbers), (their_proof, their_numbers) = both(rule, bound, record)
    # A bound for endless looks is beyond the auditor's program, which then says so.
    assert their_proof == proof or (their_proof == "unknown" and getattr(rule, "stream", False))
    assert their_numbers == pytest.approx(numbers, abs=1e-9)


counted = st.fixed_dictionaries(
    {"unknown": cases, "worth": cases},
    optional={"rest": cases, "rest_bad": cases, "rest_worth": cases},
)


@settings(max_examples=300, deadline=None)
@given(RATES, st.floats(0.01, 0.99), st.integers(1, 400), cases, counted)
@example(
    Floor(bound=0.95, stream=True),
    0.95,
    360,
    315,
    {"worth": 20, "rest": 300, "rest_bad": 45, "rest_worth": 300},
)
def test_of_any_rate(rule, bound, n, good, counts):
    agree(rule, bound, HELD.model_copy(update={"n": n, "good": min(good, n), "counts": counts}))


@settings(max_examples=200, deadline=None)
@given(
    AMOUNTS,
    st.integers(1, 300),
    cases,
    st.tuples(*[st.floats(0, 3)] * 3),
    st.sampled_from(["", "unmeasured", "tokens_unpriced"]),
)
def test_of_any_amount(rule, n, worth, ends, silent):
    low, value, high = sorted(ends)
    counts = {"worth": worth, "tokens": 1_000, "times": worth} | ({silent: 20} if silent else {})
    update = {"n": n, "good": None, "value": value, "low": low, "high": high, "counts": counts}
    agree(rule, 1.0, HELD.model_copy(update=update))
