# SPDX-License-Identifier: Apache-2.0
"""Every requirement of the framework reaches its statuses and reasons from records alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, life_of, load_charter, make_record

from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.expansion import expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.requirement import AtLeast, Count, MeanMax, Paired, Quantile

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)
MEASURED = [one for one in FRAMEWORK if one.parts and one.id != "EVAL-11"]
NEVER_BREACHED = {"DATA-11", "PROD-1"}
"""Too few stable days or tasks are lack, not harm; the badge is breached with what it is made of."""
NEVER_AT_RISK = {"DATA-5", "DATA-9"}
"""What is sealed does not lapse; it is voided by an edit."""


def first_slot(part):
    return next(slot for slot in expand(part, CHARTER, "2") if slot.question is None)


def harmful(requirement):
    """Return the first part of a requirement that can be breached, with its slot."""
    for part in requirement.parts:
        slots = expand(part, CHARTER, "2")
        lack = isinstance(part.rule, Count) or not getattr(part.rule, "harm", True)
        if slots and not lack:
            return part, slots[0]
    return None


def bad(part):
    """Return the fields that breach a rule."""
    form = kind_named(part.kind).form
    if form in {Form.FACT, Form.SIGNATURE}:
        return {"passed": False}
    if form is Form.RATE:
        return {"n": 5_000, "good": 0}
    if isinstance(part.rule, (MeanMax, Quantile)):
        return {"n": 1_000, "value": 900.0, "low": 800.0, "high": 1_000.0}
    if isinstance(part.rule, (Paired, AtLeast)):
        return {"n": 1_000, "value": -60.0, "low": -70.0, "high": -50.0}
    raise AssertionError(part)


def kinds_of(requirement):
    """Return the kinds that a requirement and those it is made of rest on, and the datasets in force."""
    wanted = {requirement.id, *requirement.of}
    return {"dataset.labelled", "dataset.adversarial"} | {
        part.kind for one in FRAMEWORK if one.id in wanted for part in one.parts
    }


def status_with(requirement, record, *, drop=()):
    same = {(record.kind, record.scope)} if record else set()
    kinds = kinds_of(requirement)
    left = [
        one for one in HELD if one.kind in kinds and (one.kind, one.scope) not in same and one not in drop
    ]
    verdict = decide(CHARTER, [*left, *([record] if record else [])], NOW, phase="2", version=V1)
    return next(one for one in verdict.requirements if one.requirement == requirement.id)


@pytest.mark.parametrize("requirement", MEASURED, ids=lambda one: one.id)
def test_it_holds_on_good_evidence(requirement):
    assert status_with(requirement, None).status == "holds"


@pytest.mark.parametrize(
    "requirement", [one for one in MEASURED if one.id not in NEVER_BREACHED], ids=lambda one: one.id
)
def test_it_is_breached_by_one_bad_record(requirement):
    part, slot = harmful(requirement)
    record = make_record(CHARTER, requirement, part, slot, NOW, version=V1, **bad(part))
    found = status_with(requirement, record)
    assert found.status == "breached"
    assert found.deciding.kind == part.kind
    assert found.deciding.sentence


@pytest.mark.parametrize("requirement", MEASURED, ids=lambda one: one.id)
def test_it_is_missing_without_records(requirement):
    kinds = {part.kind for part in requirement.parts}
    found = status_with(requirement, None, drop=[one for one in HELD if one.kind in kinds])
    assert (found.status, found.reason) == ("no_evidence", "missing")
    assert found.deciding.remedy.startswith("pilothouse ")
    assert found.deciding.who


@pytest.mark.parametrize(
    "requirement", [one for one in MEASURED if one.id not in NEVER_AT_RISK], ids=lambda one: one.id
)
def test_it_goes_stale_with_age_and_is_at_risk_shortly_before(requirement):
    part = requirement.parts[0]
    slot = first_slot(part)
    life = life_of(part, slot, CHARTER)
    old = make_record(CHARTER, requirement, part, slot, NOW, version=V1, age=life)
    found = status_with(requirement, old)
    assert (found.status, found.reason) == ("no_evidence", "stale")
    soon = make_record(CHARTER, requirement, part, slot, NOW, version=V1, age=life - timedelta(minutes=1))
    assert status_with(requirement, soon).status == "at_risk"


@pytest.mark.parametrize("requirement", MEASURED, ids=lambda one: one.id)
def test_it_is_insufficient_with_one_case_where_cases_count(requirement):
    for part in requirement.parts:
        if kind_named(part.kind).form in {Form.FACT, Form.SIGNATURE}:
            continue
        slot = first_slot(part)
        fields = {"n": 1, "good": 1} if kind_named(part.kind).form is Form.RATE else {"n": 1}
        if kind_named(part.kind).form is Form.AMOUNT:
            fields |= {"low": None, "high": None}
        record = make_record(CHARTER, requirement, part, slot, NOW, version=V1, **fields)
        found = status_with(requirement, record)
        items = {one.scope.label: one for one in found.items if one.kind == part.kind and one.n == 1}
        lenient = getattr(part.rule, "n", 2) == 1 and kind_named(part.kind).form is Form.RATE
        census = part.rule.__class__.__name__ == "Census"
        expected = "holds" if lenient or census else "no_evidence"
        assert [one.status for one in items.values()] == [expected], part


def test_the_framework_has_63_requirements_with_parts_or_others():
    assert len(FRAMEWORK) == len({one.id for one in FRAMEWORK}) == 63
    assert all(one.parts or one.of for one in FRAMEWORK)
