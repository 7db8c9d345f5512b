# SPDX-License-Identifier: Apache-2.0
"""The auditor's own program and the core make the same of any record: proof, value, ends and cases."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, load_charter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilothouse.core.charter.digest import canonical_json, charter_document
from pilothouse.core.charter.operations import NUMBERED_PHASES, PHASES
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide, verdict_document
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
from pilothouse.workflows.reports.evidence_bundle import _rules, rule_document
from pilothouse_verify.recompute import _proof, recompute
from pilothouse_verify.shown import _numbers

# Unit tests cover these branches; measuring them here again would only take time.
pytestmark = pytest.mark.no_cover

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)[0]
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


RULES = json.loads(canonical_json(list(_rules())))
DOCUMENT = json.loads(canonical_json(charter_document(CHARTER)))
ALL = {phase: everything_holds(CHARTER, NOW, phase=phase) for phase in NUMBERED_PHASES}
KINDS = sorted({part.kind for one in FRAMEWORK for part in one.parts})


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(PHASES),
    st.sampled_from(NUMBERED_PHASES),
    st.sets(st.sampled_from(KINDS), max_size=4),
    st.sampled_from((0, 2, 30, 100)),
)
@example("2", "2", {"audit.anchored", "attested.data-5"}, 0)
def test_of_any_verdict(phase, measured, absent, days):
    """Whatever is there in whatever phase, also what one phase asks for and another does not."""
    records = [one for one in ALL[measured] if one.kind not in absent]
    verdict = json.loads(
        verdict_document(decide(CHARTER, records, NOW + timedelta(days=days), phase=phase, version=V1))
    )
    there = [json.loads(one.model_dump_json()) for one in records]
    assert recompute(verdict, there, RULES, DOCUMENT).problems == []
    asked = "1" if phase == "pilot" else phase
    other = {"1": "2", "2": "3", "3": "1"}[asked]
    for one in verdict["requirements"]:
        for item in one["items"]:
            if one["requirement"] == "DATA-5":
                assert item["scope"]["phase"] == asked
                item["scope"]["phase"] = other
        if one["requirement"] == "MON-10":
            one["items"] = [item for item in one["items"] if item["kind"] != "audit.anchored"]
    said = recompute(verdict, there, RULES, DOCUMENT).problems
    assert f"DATA-5 counts for phase {other} what phase {asked} asks for" in said
    left_out = f"MON-10 leaves out audit.anchored, which phase {asked} asks for"
    assert (left_out in said) == (asked != "1")
