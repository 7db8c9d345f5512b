# SPDX-License-Identifier: Apache-2.0
"""The cost of a task is all-in where every part is known; a part that nobody knows stays unknown, by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, edited_charter, load_charter

from pilothouse.core.evidence.binding import under_terms
from pilothouse.core.evidence.evidence import Binding, Evidence, Scope, Source
from pilothouse.core.evidence.further_cost import FURTHER_AGE_MAX, with_further_costs
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()


def record(kind, *, at=NOW, task_type="po_invoice", version=None, charter=CHARTER, **fields):
    scope = Scope(task_type=task_type)
    return Evidence(
        kind=kind, agent=CHARTER.agent, scope=scope,
        binds=under_terms(Binding(version=version), kind_named(kind), charter, scope),
        window_from=at - timedelta(days=7), window_to=at, source=Source(command="test"), recorded_at=at, **fields,
    )  # fmt: skip


def models(**fields):
    counts = {"tokens": 20_000, "tokens_unpriced": 0, "unmeasured": 1}
    detail = "the charter counts fixed and review too, which telemetry does not show"
    values = {
        "detail": detail,
        "value": 0.10,
        "low": 0.09,
        "high": 0.12,
        "n": 500,
        "method": "mean",
        "counts": counts,
    }
    return record("cost_per_task", version=V1, **{**values, **fields})


def further(parts=("review", "fixed"), **fields):
    values = {
        "value": 0.2,
        "low": 0.15,
        "high": 0.25,
        "n": 2_000,
        "method": "ranges",
        "detail": "review: 60 items",
    }
    return record("cost.further", counts=dict.fromkeys(parts, 1), **{**values, **fields})


def merged(*stored, charter=CHARTER, folded=None):
    return with_further_costs(charter, [folded or models()], stored)[0]


def status(one):
    verdict = decide(CHARTER, [one], NOW, version=V1)
    items = next(each for each in verdict.requirements if each.requirement == "MON-3").items
    return next(each for each in items if each.scope.task_type == "po_invoice")


def test_ends_are_added_to_ends_and_the_verdict_proves_the_whole():
    found = merged(further())
    assert (found.value, found.low, found.high) == (
        pytest.approx(0.3),
        pytest.approx(0.24),
        pytest.approx(0.37),
    )
    assert (found.counts["unmeasured"], found.n, found.binds.version) == (0, 500, V1)
    assert found.detail == "model calls 0.1000; review: 60 items"
    assert status(found).status is Status.HOLDS
    dear = merged(further(value=0.5, low=0.45, high=0.55))
    assert status(dear).status is Status.BREACHED


def test_model_calls_alone_never_prove_a_cost_that_counts_more():
    found = merged()
    assert found == models()
    assert status(found).status is Status.NO_EVIDENCE


def test_a_part_that_nobody_knows_stays_unknown_by_name_and_still_breaches_by_what_is_known():
    found = merged(further(parts=("fixed",)))
    assert found.counts["unmeasured"] == 1
    assert "the charter counts review too" in found.detail
    assert status(found).status is Status.NO_EVIDENCE
    dear = merged(further(parts=("fixed",), value=0.5, low=0.45, high=0.55))
    assert status(dear).status is Status.BREACHED


@pytest.mark.parametrize(
    "stored",
    [
        [further(at=NOW - FURTHER_AGE_MAX - timedelta(days=1))],
        [further(task_type="credit_note")],
        [further(parts=("tools",))],
        [record("latency", n=1, value=1.0)],
    ],
    ids=["old", "another type", "not counted by the charter", "another kind"],
)
def test_what_says_nothing_about_these_tasks_is_left_out(stored):
    assert merged(*stored) == models()


def test_the_newest_count_counts_whatever_the_order():
    old, new = further(at=NOW - timedelta(days=2), value=9.0, low=9.0, high=9.0), further()
    assert merged(old, new) == merged(new, old) == merged(new)


def test_few_costs_stay_without_ends():
    found = merged(further(), folded=models(low=None, high=None, method=""))
    assert (found.value, found.low, found.high, found.method) == (pytest.approx(0.3), None, None, "")


def test_an_open_question_about_what_counts_leaves_the_cost_as_it_is(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(("includes: [model, review, fixed]", 'includes: "?"')))
    assert merged(further(), charter=load_charter(path)) == models()
