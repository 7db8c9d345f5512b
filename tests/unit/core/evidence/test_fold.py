# SPDX-License-Identifier: Apache-2.0
"""Folding a window of tasks and outcomes into evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from evidence_made import V1, V2, edited_charter, load_charter

from pilothouse.core.evidence.admission import refusal
from pilothouse.core.evidence.claim import ERASED_CLAIM
from pilothouse.core.evidence.evidence import Scope, Source
from pilothouse.core.evidence.fold import (
    Window,
    fold_volume,
    fold_window,
    released_versions,
    version_in_force,
)
from pilothouse.core.evidence.outcome import UNANSWERED, Outcome, OutcomeStatus
from pilothouse.core.evidence.stand_in import own_work, stand_ins_of
from pilothouse.core.evidence.task import CostState, Task, TaskResult, TaskState, TokenCount
from pilothouse.core.verdict.requirement import Ceiling
from pilothouse.core.verdict.rules import Proof, assess

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=7), end=NOW)
SOURCE = Source(command="pilothouse verdict")
CHARTER = load_charter()
BASE_NS = int(WINDOW.start.timestamp()) * 1_000_000_000
PIN = "acme-large-2026-04-12"
STAND_IN = "acme-medium-2026-02-01"


def task(number, **fields):
    values = {
        "trace_id": f"{number:032x}",
        "agent": CHARTER.agent,
        "task_type": "po_invoice",
        "version_digest": V1,
        "result": TaskResult.COMPLETED,
        "start_ns": BASE_NS + number * 1_000_000_000,
        "end_ns": BASE_NS + number * 1_000_000_000 + 500_000_000,
        "duration_ns": 500_000_000,
        "model_calls": 2,
        "models": (PIN,),
        "tokens": TokenCount(input=100),
        "cost_usd": Decimal("0.10"),
        "cost_known_usd": Decimal("0.10"),
        "cost_state": CostState.KNOWN,
    }
    return Task(**{**values, **fields})


def outcome(number, status, **fields):
    values = {
        "trace_id": f"{number:032x}",
        "agent": CHARTER.agent,
        "task_type": "po_invoice",
        "version_digest": V1,
        "task_start_ns": BASE_NS + number * 1_000_000_000,
        "claim": None,
        "status": status,
        "found": "",
        "critical": None,
        "verifier": "verifiers.erp",
        "verified_at": NOW,
    }
    return Outcome(**{**values, **fields})


def fold(tasks, outcomes=(), charter=CHARTER, **options):
    records = fold_window(charter, tasks, outcomes, WINDOW, NOW, source=SOURCE, **options)
    assert all(refusal(record, charter.agent, NOW) is None for record in records)
    keys = [(one.kind, one.scope, one.binds.version) for one in records]
    assert len(keys) == len(set(keys))
    return {(one.kind, one.scope.label, one.binds.version): one for one in records}


def po(records, kind, version=V1):
    return records.get((kind, "po_invoice", version))


def test_no_task_gives_no_record():
    assert fold([]) == {}


def test_completion_leaves_out_escalated_tasks_and_counts_silent_ones_as_unknown():
    results = [
        TaskResult.COMPLETED,
        TaskResult.FAILED,
        TaskResult.REFUSED,
        TaskResult.UNKNOWN,
        TaskResult.ESCALATED,
    ]
    found = po(fold([task(number, result=result) for number, result in enumerate(results)]), "completion")
    assert (found.n, found.good, found.counts) == (4, 1, {"unknown": 1})
    assert found.items == (f"{1:032x}", f"{2:032x}")


def test_a_type_with_escalated_tasks_only_has_an_escalation_rate_and_no_completion():
    records = fold([task(1, result=TaskResult.ESCALATED)])
    assert po(records, "completion") is None
    assert (po(records, "escalation").n, po(records, "escalation").good) == (1, 0)
    assert po(records, "cost_per_task") is None


def test_a_task_that_does_not_say_how_it_ended_may_have_been_escalated():
    found = po(fold([task(1), task(2, result=TaskResult.UNKNOWN)]), "escalation")
    assert (found.n, found.good, found.counts) == (2, 1, {"unknown": 1})


def test_each_version_has_records_of_its_own():
    records = fold([task(1), task(2, version_digest=V2), task(3, version_digest=None)])
    assert {version for kind, _, version in records if kind == "completion"} == {V1, V2, None}


def test_only_the_last_revision_of_a_trace_counts():
    records = fold([task(1, revision=1, result=TaskResult.FAILED), task(1)])
    assert po(records, "completion").good == 0


def test_other_agents_and_other_times_are_left_out():
    strangers = [task(1, agent="other"), task(2, start_ns=BASE_NS - 1)]
    assert fold(strangers, [outcome(1, OutcomeStatus.VERIFIED, agent="other")]) == {}


def test_cost_is_the_mean_for_each_finished_task_and_says_what_it_leaves_out():
    tasks = [
        task(number, result=TaskResult.COMPLETED if number % 2 else TaskResult.FAILED)
        for number in range(200)
    ]
    found = po(fold(tasks), "cost_per_task")
    assert found.value == pytest.approx(0.20)
    assert found.low == found.high == pytest.approx(0.20)
    assert found.counts == {"tokens": 20_000, "tokens_unpriced": 0, "unmeasured": 1}
    assert "fixed and review" in found.detail


def test_with_silent_tasks_only_the_low_end_of_a_cost_is_known():
    found = po(fold([task(number, result=TaskResult.UNKNOWN) for number in range(120)]), "cost_per_task")
    assert found.low == pytest.approx(0.10)
    assert found.high is None


def test_few_costs_have_no_ends():
    found = po(fold([task(1), task(2)]), "cost_per_task")
    assert (found.value, found.low, found.high) == (pytest.approx(0.10), None, None)


def test_tokens_without_a_price_are_counted():
    unpriced = task(1, cost_state=CostState.UNKNOWN, cost_usd=None, cost_known_usd=Decimal(0))
    silent = task(2, cost_state=CostState.PARTIAL, cost_usd=None, tokens=TokenCount())
    found = po(fold([unpriced, silent, task(3)]), "cost_per_task")
    assert (found.counts["tokens"], found.counts["tokens_unpriced"], found.counts["tokens_unsaid"]) == (
        300,
        200,
        100,
    )


def test_tasks_that_do_not_say_what_they_used_weigh_like_those_that_do():
    silent = {
        "cost_state": CostState.UNKNOWN,
        "cost_usd": None,
        "cost_known_usd": Decimal(0),
        "calls_without_usage": 1,
        "tokens": TokenCount(),
    }
    spoken = {"tokens": TokenCount(input=10_000)}
    tasks = [task(number, **(silent if number % 2 else spoken)) for number in range(400)]
    counts = po(fold(tasks), "cost_per_task").counts
    assert counts["tokens_unpriced"] / counts["tokens"] == 0.5
    none_speaks = po(fold([task(number, **silent) for number in range(3)]), "cost_per_task").counts
    assert (none_speaks["tokens"], none_speaks["tokens_unpriced"]) == (3, 3)


def test_a_charter_in_another_currency_gets_no_ends_and_the_reason(tmp_path):
    text = edited_charter(
        ("currency: USD", "currency: EUR"), ("includes: [model, review, fixed]", 'includes: "?"')
    )
    path = tmp_path / "charter.yaml"
    path.write_text(text)
    charter = load_charter(path)
    found = po(fold([task(number) for number in range(150)], charter=charter), "cost_per_task")
    assert found.low is None
    assert "priced in USD" in found.detail
    assert "all parts" in found.detail
    assert found.counts["other_currency"] == 1


def test_slow_tasks_that_do_not_say_how_long_they_took_prove_no_latency():
    """One task in ten took for ever and said end before start; the 95 % quantile of the others was proved."""
    quick = [task(number, duration_ns=10**9) for number in range(180)]
    silent = [task(1_000 + number, duration_ns=None) for number in range(20)]
    found = po(fold([*quick, *silent]), "latency")
    assert (found.n, found.low, found.high) == (200, 1.0, None)
    assert found.detail == "20 of 200 tasks do not say how long they took"
    assert found.counts == {"unmeasured": 20}
    few = po(fold([*quick, *silent[:2]]), "latency")
    assert (few.n, few.low, few.high, few.counts) == (182, 1.0, 1.0, {})
    slow = [task(number, duration_ns=9 * 10**9) for number in range(100)]
    both = po(fold([*slow, *silent]), "latency")
    assert (both.low, both.high) == (9.0, None)


def test_latency_needs_59_tasks_for_its_ends_and_leaves_out_contradicting_times():
    few = po(fold([task(number) for number in range(58)]), "latency")
    assert (few.value, few.low, few.high) == (0.5, None, None)
    many = po(fold([task(number) for number in range(59)]), "latency")
    assert many.high == 0.5
    assert po(fold([task(1, duration_ns=None)]), "latency") is None


def test_truth_counts_what_the_system_of_record_answers():
    statuses = [OutcomeStatus.VERIFIED] * 5 + [
        OutcomeStatus.CONTRADICTED,
        OutcomeStatus.UNVERIFIABLE,
        OutcomeStatus.PENDING,
    ]
    records = fold(
        [task(number) for number in range(10)],
        [outcome(number, status) for number, status in enumerate(statuses)],
    )
    assert (po(records, "discrepancy").n, po(records, "discrepancy").good) == (6, 5)
    assert po(records, "discrepancy").counts == {"pending": 1}
    assert po(records, "discrepancy").items == (f"{5:032x}",)
    assert (po(records, "unverifiable").n, po(records, "unverifiable").good) == (10, 6)
    assert po(records, "unverifiable").counts == {"pending": 1, "unknown": 3}
    assert (po(records, "quality").n, po(records, "quality").good) == (6, 5)
    assert (po(records, "sampling").n, po(records, "sampling").good) == (10, 6)


def test_a_claim_without_an_answer_has_its_time_and_then_counts_against_the_proof_that_claims_can_be_checked():
    """A verifier that cannot be loaded answers nothing: what it confirmed on Monday proved the whole week."""
    term_over = NOW - timedelta(hours=24, minutes=10)
    ends = [term_over - timedelta(minutes=1)] * 3 + [term_over + timedelta(minutes=1)] * 2
    asked = [task(number, end_ns=int(end.timestamp()) * 10**9) for number, end in enumerate(ends, start=100)]
    erased = replace(asked[0], trace_id="e" * 32, claim=ERASED_CLAIM)
    failed = replace(asked[0], trace_id="f" * 32, result=TaskResult.FAILED)
    told = [outcome(number, OutcomeStatus.VERIFIED) for number in range(60)]
    found = po(fold([*map(task, range(60)), *asked, erased, failed], told), "unverifiable")
    assert (found.n, found.good, found.counts) == (63, 60, {"unknown": 3})


@pytest.mark.parametrize(("answered", "proof"), [(400, Proof.PROVED), (40, Proof.OPEN)])
def test_claims_that_nobody_was_asked_about_are_not_proved_to_be_checked(answered, proof):
    told = [outcome(number, OutcomeStatus.VERIFIED) for number in range(answered)]
    found = po(fold(map(task, range(400)), told), "unverifiable")
    ruled = assess(Ceiling(bound=0.05, stream=True), 0.05, found)
    assert ruled.proof is proof
    assert ruled.why == (
        "" if answered == 400 else "360 of 400 still have no answer though their time for one is over"
    )


def test_an_outage_of_the_system_of_record_proves_nothing_and_breaches_nothing():
    """The ERP was away over a weekend, and the agent's version was rolled back for claims that nobody could check."""
    away = [outcome(one, OutcomeStatus.UNVERIFIABLE, found=f"{UNANSWERED}away") for one in range(300, 400)]
    told = [outcome(number, OutcomeStatus.VERIFIED) for number in range(300)]
    found = po(fold(map(task, range(400)), [*told, *away]), "unverifiable")
    assert (found.n, found.good, found.counts, found.items) == (400, 300, {"unknown": 100}, ())
    assert assess(Ceiling(bound=0.05, stream=True), 0.05, found).proof is Proof.OPEN
    never = [outcome(one, OutcomeStatus.UNVERIFIABLE, found="no such order") for one in range(300, 400)]
    found = po(fold(map(task, range(400)), [*told, *never]), "unverifiable")
    assert assess(Ceiling(bound=0.05, stream=True), 0.05, found).proof is Proof.BREACHED
    assert po(fold(map(task, range(300, 400)), away), "unverifiable") is None


def test_an_open_term_of_a_verifier_leaves_what_is_asked_about_as_it_is(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(("retry_for: 24h", 'retry_for: "?"')), encoding="utf-8")
    charter = load_charter(path)
    tasks, told = [task(1), task(2)], [outcome(1, OutcomeStatus.VERIFIED)]
    records = fold_window(charter, tasks, told, WINDOW, NOW, source=SOURCE)
    found = next(one for one in records if one.kind == "unverifiable" and one.scope.task_type == "po_invoice")
    assert (found.n, found.counts) == (1, {})


def test_the_latest_answer_about_a_task_counts():
    early, late = outcome(1, OutcomeStatus.PENDING), outcome(1, OutcomeStatus.VERIFIED, attempts=2)
    assert po(fold([task(1)], [late, early]), "discrepancy").good == 1
    assert po(fold([task(1)], [early, late]), "discrepancy").good == 1


def test_without_outcomes_nothing_is_said_about_truth():
    records = fold([task(1)])
    assert {kind for kind, _, _ in records} & {"discrepancy", "unverifiable", "critical", "quality"} == set()
    assert po(records, "sampling").good == 0


def test_where_a_judge_is_the_metric_outcomes_are_no_quality(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(("metric: routed_correctly", "metric: rubric-v3")))
    records = fold([task(1)], [outcome(1, OutcomeStatus.VERIFIED)], charter=load_charter(path))
    assert po(records, "quality") is None
    assert po(records, "sampling") is None


def test_a_task_that_claims_nothing_needs_no_score():
    assert po(fold([task(1, result=TaskResult.FAILED)]), "sampling") is None


def test_a_critical_mistake_counts_for_its_type_and_for_the_agent():
    records = fold(
        [task(1), task(2)],
        [
            outcome(1, OutcomeStatus.VERIFIED),
            outcome(2, OutcomeStatus.UNVERIFIABLE, critical="paid_twice"),
        ],
    )
    for scope in ("po_invoice", "all"):
        found = records[("critical", scope, V1)]
        assert (found.n, found.good) == (2, 1)
        assert "paid_twice" in found.detail


def test_of_days_that_are_not_read_critical_mistakes_count_and_nothing_else():
    day_ns = 86_400 * 10**9
    before = [
        outcome(3, OutcomeStatus.CONTRADICTED, critical="paid_twice", task_start_ns=BASE_NS - day_ns),
        outcome(4, OutcomeStatus.CONTRADICTED, task_start_ns=BASE_NS - day_ns),
        outcome(5, OutcomeStatus.CONTRADICTED, critical="paid_twice", task_start_ns=BASE_NS - 9 * day_ns),
    ]
    said = [outcome(1, OutcomeStatus.VERIFIED), *before]
    found = fold([task(1)], said, mistakes_since=WINDOW.start - timedelta(days=7))
    assert (po(found, "critical").n, po(found, "critical").good) == (2, 1)
    assert po(fold([task(1)], said), "critical").n == 1


def test_a_model_that_is_neither_pinned_nor_a_fallback_is_named_with_its_first_task():
    tasks = [
        task(1),
        task(2, models=(STAND_IN,)),
        task(3, models=(PIN, "acme-next"), model_errors=1),
        task(4, models=(STAND_IN, "acme-next"), model_calls=9),
    ]
    found = fold(tasks)[("served_model", "all", V1)]
    assert (found.n, found.good) == (4, 2), "what a stand-in answered shows nothing good of the pin"
    assert found.detail.startswith("acme-next in 2 tasks since 13 Nov 2026")


def test_another_name_that_the_charter_says_a_pin_is_served_under_is_the_pin(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(
        edited_charter(("retires_on: 2032-06-30}", "retires_on: 2032-06-30, served_as: [acme-next]}"))
    )
    tasks = [task(1, models=("acme-next",)), task(2, models=("acme-other",))]
    found = fold(tasks, charter=load_charter(path))[("served_model", "all", V1)]
    assert (found.n, found.good) == (4, 3)
    assert found.detail.startswith("acme-other")


def test_an_open_pin_and_silent_spans_say_nothing_about_models(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(
        edited_charter(
            ("pin: {provider: acme, model: acme-large-2026-04-12,", 'pin: {provider: acme, model: "?",')
        )
    )
    assert ("served_model", "all", V1) not in fold([task(1)], charter=load_charter(path))
    assert ("served_model", "all", V1) not in fold([task(1, models=())])


def test_undeclared_hosts_are_counted_among_tasks_that_name_any():
    tasks = [
        task(1, hosts=("erp.corp.example:443",)),
        task(2, hosts=("erp.corp.example",)),
        task(3, hosts=("erp.corp.example:8080", "b:1", "c:1", "d:1")),
        task(4),
    ]
    found = fold(tasks)[("hosts_observed", "all", None)]
    assert (found.n, found.good) == (3, 2)
    assert found.detail.endswith("and 1 more")
    assert found.binds.section == "integrations"


def test_tools_match_with_and_without_their_version():
    tasks = [task(1, tools=("erp.route", "erp.find_po@2")), task(2, tools=("erp.delete",))]
    found = fold(tasks)[("tools_observed", "all", None)]
    assert (found.n, found.good, found.items) == (2, 1, (f"{2:032x}",))


def test_incomplete_traces_and_foreign_task_types_are_counted():
    records = fold([task(1), task(2, state=TaskState.INCOMPLETE), task(3, task_type="refund")])
    complete = records[("trace_complete", "all", None)]
    assert (complete.n, complete.good) == (3, 2)
    unknown = records[("unknown_task_type", "all", None)]
    assert (unknown.n, unknown.good, unknown.detail) == (3, 2, "Seen: refund")


def test_versions_are_held_against_the_released_ones_once_any_was_released():
    tasks = [task(1), task(2, version_digest=V2), task(3, version_digest=None)]
    assert ("versions_gated", "all", None) not in fold(tasks)
    found = fold(tasks, released={V1: WINDOW.start})[("versions_gated", "all", None)]
    assert (found.n, found.good) == (3, 1)
    assert "an unnamed version in 1 tasks" in found.detail


def test_what_served_before_the_first_version_passed_the_gate_went_around_nothing():
    """The first release of a pilot made a breach of all its weeks before, and called people for them."""
    first = WINDOW.start + timedelta(seconds=100)
    tasks = [task(1, version_digest=V2), task(2), task(3, version_digest=None)]
    found = fold(tasks, released={V1: first})[("versions_gated", "all", None)]
    assert (found.n, found.good) == (1, 1), "its own tasks of before stay"
    assert ("versions_gated", "all", None) not in fold(tasks[:1], released={V1: first}), (
        "nothing served since"
    )
    late = [*tasks, task(100, version_digest=V2), task(101, version_digest=None)]
    found = fold(late, released={V1: first, V2 + "x": first + timedelta(days=1)})[
        ("versions_gated", "all", None)
    ]
    assert (found.n, found.good) == (3, 1), "from that moment on each one counts"


@pytest.mark.parametrize("models", [(STAND_IN,), (PIN, STAND_IN)])
def test_what_a_stand_in_answered_changes_no_record_of_the_version_that_is_pinned(models):
    """An outage of the pin: 50 good tasks of another model counted as evidence of the pinned one, with its tests and its price."""
    own = [task(1), task(2, result=TaskResult.FAILED), task(3, result=TaskResult.UNKNOWN)]
    said = [outcome(1, OutcomeStatus.VERIFIED), outcome(2, OutcomeStatus.CONTRADICTED)]
    others = [task(10 + number, models=models, cost_usd=Decimal("0.01")) for number in range(50)]
    answered = [outcome(10 + number, OutcomeStatus.VERIFIED) for number in range(50)]
    alone, together = fold(own, said), fold([*own, *others], [*said, *answered])
    assert {key: one for key, one in together.items() if key[2]} == {
        key: one for key, one in alone.items() if key[2]
    }
    assert together["trace_complete", "all", None].n == 53, "what is said of all tasks is said of them too"


def test_a_critical_mistake_of_a_stand_in_counts_for_the_version_that_let_it_answer():
    """Nobody judges the stand-in by itself, and what must never happen has happened."""
    tasks = [task(1), task(2, models=(STAND_IN,))]
    wrong = outcome(2, OutcomeStatus.CONTRADICTED, critical="paid twice")
    records = fold(tasks, [outcome(1, OutcomeStatus.VERIFIED), wrong])
    for scope in ("po_invoice", "all"):
        found = records["critical", scope, V1]
        assert (found.n, found.good, found.items) == (2, 1, (wrong.trace_id,))
    assert po(records, "discrepancy") == po(
        fold(tasks[:1], [outcome(1, OutcomeStatus.VERIFIED)]), "discrepancy"
    )


@pytest.mark.parametrize(("model", "others"), [(PIN, set()), ("acme-server", set()), ("b-1", {"b-1", "far"})])
def test_the_pinned_model_at_a_second_provider_is_no_stand_in_by_none_of_its_names(model, others, tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(
        edited_charter(
            ("retires_on: 2032-06-30}", "retires_on: 2032-06-30, served_as: [acme-server]}"),
            (
                "model: acme-medium-2026-02-01, region: eu}",
                f"model: {model}, region: eu, served_as: [acme-server, far]}}",
            ),
        )
    )
    charter = load_charter(path)
    assert stand_ins_of(charter) == others
    tasks = [task(1), task(2, models=("acme-server",)), task(3, models=("far",))]
    assert own_work(charter, tasks) == tasks[: 2 if others else 3]


def test_the_version_in_force_is_the_one_that_served_last():
    assert version_in_force([task(2, version_digest=V2), task(1)]) == V2
    assert version_in_force([]) is None


def test_released_versions_are_those_whose_release_verdict_passed():
    gate = po(fold([task(1)]), "completion").model_copy(
        update={"kind": "release.verdict", "passed": True, "scope": Scope()}
    )
    failed = gate.model_copy(update={"passed": False, "binds": gate.binds.model_copy(update={"version": V2})})
    again = gate.model_copy(update={"recorded_at": NOW - timedelta(days=3)})
    records = [gate, again, failed, po(fold([task(1)]), "completion")]
    assert released_versions(records) == released_versions(records[::-1]) == {V1: again.recorded_at}


def test_volume_is_what_production_completed_of_the_target():
    tasks = [task(number, environment="production") for number in range(840)] + [task(900)]
    found = fold_volume(CHARTER, tasks, WINDOW, NOW, source=SOURCE)
    assert found.value == pytest.approx(0.1)
    assert found.n == 840


def test_no_production_task_or_no_target_gives_no_volume(tmp_path):
    assert fold_volume(CHARTER, [task(1)], WINDOW, NOW, source=SOURCE) is None
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(("target_volume: {per_day: 1200,", 'target_volume: {per_day: "?",')))
    production = [task(1, environment="production")]
    assert fold_volume(load_charter(path), production, WINDOW, NOW, source=SOURCE) is None


def test_records_say_window_source_and_moment():
    found = po(fold([task(1)]), "completion")
    assert (found.window_from, found.window_to, found.recorded_at) == (WINDOW.start, WINDOW.end, NOW)
    assert found.source == SOURCE


def test_outcomes_of_a_version_belong_to_that_version_only():
    records = fold(
        [task(1), task(2, version_digest=V2)],
        [
            outcome(1, OutcomeStatus.VERIFIED),
            replace(outcome(2, OutcomeStatus.CONTRADICTED), version_digest=V2),
        ],
    )
    assert po(records, "discrepancy", V1).good == 1
    assert po(records, "discrepancy", V2).good == 0


def test_an_answer_counts_for_the_version_that_a_late_span_named():
    records = fold([task(1, version_digest=V2, revision=1)], [outcome(1, OutcomeStatus.VERIFIED)])
    assert po(records, "discrepancy", V1) is None
    assert po(records, "discrepancy", V2).good == 1


def test_a_confirmed_claim_that_was_corrected_is_no_evidence():
    records = fold([task(1, claim='"paid"', revision=1)], [outcome(1, OutcomeStatus.VERIFIED)])
    assert po(records, "discrepancy") is None


def test_a_cost_of_model_calls_alone_leaves_nothing_out(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(("includes: [model, review, fixed]", "includes: [model]")))
    found = po(fold([task(1)], charter=load_charter(path)), "cost_per_task")
    assert (found.detail, found.counts["unmeasured"]) == ("", 0)
