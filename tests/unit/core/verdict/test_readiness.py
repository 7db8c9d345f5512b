# SPDX-License-Identifier: Apache-2.0
"""From items to the verdict about an agent."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from evidence_made import V1, V2, edited_charter, everything_holds, load_charter, replaced, without

from pilothouse.core.evidence.evidence import UNKNOWN, WARNINGS, Basis, Evidence
from pilothouse.core.verdict.expansion import people_in_role
from pilothouse.core.verdict.framework import requirement_named
from pilothouse.core.verdict.readiness import decide, exit_status, verdict_document
from pilothouse.core.verdict.remediation import plan_steps
from pilothouse.core.verdict.ruling import Judged
from pilothouse.core.verdict.sentence import at_risk_sentence
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.core.verdict.waiver import WAIVER_MAX, Waiver, end_of_waiver, valid_waivers, waived_items
from pilothouse.errors import UnknownName

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)


def verdict(evidence=HELD, *, charter=CHARTER, now=NOW, phase="1", version=V1, **options):
    return decide(charter, evidence, now, phase=phase, version=version, **options)


def by_id(found):
    return {one.requirement: one for one in found.requirements}


def charter_with(tmp_path, *edits):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(*edits))
    return load_charter(path)


def waiver(**fields):
    values = {
        "requirement": "OWN-7",
        "signer": "vp",
        "reason": "roster follows",
        "signed_at": NOW - timedelta(days=2),
        "until": NOW + timedelta(days=10),
        "version": V1,
        "thresholds_digest": CHARTER.section_digests["thresholds"],
    }
    return Waiver(**{**values, **fields})


def test_when_everything_holds_the_word_is_go_and_the_tightest_is_named():
    found = verdict()
    assert (found.word, found.status, int(exit_status(found))) == ("GO", "holds", 0)
    assert found.sentence.startswith("All 41 requirements hold. The tightest: Cost per task on po_invoice: ")
    assert "First lapse:" in found.sentence


def test_in_the_pilot_the_gate_of_phase_1_decides():
    found = verdict(phase="pilot")
    assert (found.gates[0].gate, found.next_gate) == ("1", "1")
    assert found.status == found.gates[0].status


@pytest.mark.parametrize(
    ("phase", "first", "following"), [("1", "1", "2"), ("2", "2", "3"), ("3", "3", None)]
)
def test_the_gate_in_force_comes_first_and_the_next_is_named(phase, first, following):
    found = verdict(phase=phase)
    assert (found.gates[0].gate, found.next_gate) == (first, following)
    assert {gate.gate for gate in found.gates} == {"1", "2", "3", "R", "X"}


def test_the_next_gate_asks_for_the_integrations_that_join():
    one = verdict(phase="2")
    gate = {gate.gate: gate for gate in one.gates}
    assert gate["2"].status == "holds"
    assert "INT-2" in gate["3"].no_evidence


def test_the_worst_item_decides_and_nothing_is_averaged():
    found = verdict(replaced(HELD, "completion", task_type="credit_note", n=2_000, good=1_000))
    assert (found.deciding, found.word) == ("MON-1", "NO-GO")
    assert found.requirements[0].status == "holds"
    assert not {"score", "grade", "percentage", "points"} & set(AgentVerdict.model_fields)


def test_among_equals_the_largest_share_of_margin_lost_comes_first_then_the_oldest():
    small = replaced(HELD, "completion", task_type="po_invoice", n=5_000, good=4_500)
    large = replaced(small, "discrepancy", task_type="po_invoice", n=5_000, good=3_000)
    assert verdict(large).deciding == "MON-7"
    older = {"window_from": NOW - timedelta(days=60), "window_to": NOW - timedelta(days=50), "passed": False}
    two = replaced(replaced(HELD, "correction", passed=False), "drill.page", **older)
    assert verdict(two).deciding == "OWN-3"


def aged(records, kind, days):
    at = NOW - timedelta(days=days)
    fields = {"window_from": at, "window_to": at, "recorded_at": at}
    return [one.model_copy(update=fields) if one.kind == kind else one for one in records]


@pytest.mark.parametrize(
    ("requirement", "edit", "aged_by", "status"),
    [
        ("OWN-1", ("reattest: 90d", "reattest: 7d"), ("attested.own-1", 8), "no_evidence"),
        ("OWN-1", ("reattest: 90d", "reattest: 7d"), ("attested.own-1", 5), "holds"),
        ("MON-5", ("drill: 90d}}", "drill: 14d}}"), ("drill.runbook", 15), "no_evidence"),
        ("MON-5", ("drill: 90d}}", "drill: 90d}}"), ("drill.runbook", 15), "holds"),
        ("OWN-6", ("review: 30d}", "review: 30d}"), ("attested.own-6", 44), "holds"),
        ("OWN-6", ("review: 30d}", "review: 30d}"), ("attested.own-6", 46), "at_risk"),
        ("OWN-6", ("review: 30d}", "review: 30d}"), ("attested.own-6", 61), "no_evidence"),
        ("OWN-6", ("review: 30d}", "review: 7d}"), ("attested.own-6", 15), "no_evidence"),
    ],
)
def test_what_is_done_again_counts_as_long_as_the_charter_says(tmp_path, requirement, edit, aged_by, status):
    """Each of these stood in the charter, and evidence counted as long as the framework says."""
    charter = charter_with(tmp_path, edit)
    found = verdict(aged(everything_holds(charter, NOW), *aged_by), charter=charter, phase="2")
    assert by_id(found)[requirement].status == status


@pytest.mark.parametrize(
    ("requirement", "edit", "changed", "status"),
    [
        ("MON-12", ("uptime: 0.995", "uptime: 0.999"), {"kind": "uptime", "n": 10_000, "good": 9_960}, "breached"),
        ("MON-12", ("uptime: 0.995, ", ""), {"kind": "uptime", "n": 10_000, "good": 9_960}, "holds"),
        ("MON-12", ("uptime: 0.995, ", ""), {"kind": "uptime", "n": 10_000, "good": 9_940}, "breached"),
        ("MON-12", ("p95_s: per_type", "p95_s: 0.5"), {"kind": "latency", "value": 0.7, "low": 0.6, "high": 0.8}, "breached"),
        ("MON-12", ("p95_s: per_type", "p95_s: 99"), {"kind": "latency", "value": 9.0, "low": 8.5, "high": 9.5}, "breached"),
        ("EVAL-6", ("volume_times: 10", "volume_times: 100"), {"kind": "load.difference", "counts": {"times": 99}}, "no_evidence"),
        ("EVAL-6", ("volume_times: 10", "volume_times: 100"), {"kind": "load.difference", "counts": {"times": 100}}, "holds"),
        ("EVAL-6", ("volume_times: 10, ", ""), {"kind": "load.difference", "counts": {}}, "holds"),
        ("EVAL-6", ("volume_times: 10, ", ""), {"kind": "load.difference", "value": -2.5, "low": -4.0}, "holds"),
        ("EVAL-6", ("volume_times: 10, ", ""), {"kind": "load.difference", "value": -2.6, "low": -4.0}, "at_risk"),
        ("MON-2", ("min_per_window: 140", "min_per_window: 140"), {"kind": "sampling", "n": 1_000, "good": 139}, "no_evidence"),
        ("MON-2", ("min_per_window: 140", "min_per_window: 140"), {"kind": "sampling", "n": 1_000, "good": 140}, "holds"),
        ("MON-2", ("min_per_window: 140", "min_per_window: 140"), {"kind": "sampling", "n": 60, "good": 60}, "holds"),
        ("MON-2", ("min_per_window: 140", 'min_per_window: "?"'), {"kind": "sampling", "n": 60, "good": 60}, "no_evidence"),
    ],
)  # fmt: skip
def test_what_a_phase_and_a_window_ask_for_is_what_decides(tmp_path, requirement, edit, changed, status):
    """Whatever the exit of a phase and the least number of a window said, fixed numbers decided."""
    charter = charter_with(tmp_path, edit)
    fields = dict(changed)
    kind = fields.pop("kind")
    task_type = None if kind == "uptime" else "po_invoice"
    held = replaced(everything_holds(charter, NOW), kind, task_type=task_type, **fields)
    assert by_id(verdict(held, charter=charter, phase="2"))[requirement].status == status


@pytest.mark.parametrize(
    ("days", "status"), [(7.0, "at_risk"), (8.74, "at_risk"), (8.75, "no_evidence"), (9.0, "no_evidence")]
)
def test_a_review_may_come_a_quarter_of_its_cadence_late(days, status):
    """It lapsed on the very day on which it was due, which the rule says in its own words that it does not."""
    held = NOW - timedelta(days=days)
    late = [
        one.model_copy(update={"window_from": held, "window_to": held, "recorded_at": held})
        if (one.kind, one.scope.part) == ("review.held", "quality")
        else one
        for one in HELD
    ]
    items = by_id(verdict(late, phase="2"))["OWN-9"].items
    (item,) = [one for one in items if one.scope.part == "quality"]
    assert item.status == status
    assert item.lapses_at == held + timedelta(days=8.75)


def test_an_imported_record_that_harms_nothing_does_not_stand_before_what_was_measured():
    """Scores that come in every minute were always newer than labels, so a proved floor was never proved."""
    (newest,) = [one for one in HELD if one.kind == "quality" and one.scope.task_type == "po_invoice"]
    measured = newest.model_copy(
        update={
            "window_to": newest.window_to - timedelta(hours=1),
            "recorded_at": newest.window_to - timedelta(hours=1),
        }
    )
    held = [measured if one is newest else one for one in HELD]
    later = {"window_to": NOW, "recorded_at": NOW, "basis": Basis.IMPORTED}
    for good, status in (
        (measured.n, "holds"),
        (round(0.95 * measured.n), "holds"),
        (0, "breached"),
    ):
        said = measured.model_copy(update={**later, "good": good})
        items = by_id(verdict([*held, said]))["MON-2"].items
        (item,) = [one for one in items if one.kind == "quality" and one.scope.task_type == "po_invoice"]
        assert item.status == status, good
    at_once = {"window_to": measured.window_to, "recorded_at": measured.recorded_at, "basis": Basis.IMPORTED}
    thin = measured.model_copy(update={**at_once, "n": 3, "good": 3})
    items = by_id(verdict([*held, thin]))["MON-2"].items
    assert [one.status for one in items if one.kind == "quality"] == ["holds"] * 3


def test_an_imported_record_proves_nothing_and_can_still_harm():
    imported = replaced(HELD, "canary.trace", basis=Basis.IMPORTED)
    item = by_id(verdict(imported))["MON-6"].deciding
    assert (item.status, item.reason, item.basis) == ("no_evidence", "insufficient", "imported")
    harm = replaced(HELD, "canary.trace", basis=Basis.IMPORTED, passed=False)
    assert by_id(verdict(harm))["MON-6"].status == "breached"


def test_a_signature_of_somebody_else_does_not_count_and_a_declared_substitute_does():
    alien = replaced(HELD, "attested.int-6", part="integrations by dana", signer="sam")
    assert by_id(verdict(alien))["INT-6"].reason == "missing"
    substitute = replaced(HELD, "attested.int-6", part="integrations by dana", signer="lee")
    assert by_id(verdict(substitute))["INT-6"].status == "holds"


def test_the_owner_signs_the_exit_criteria_for_each_phase_anew():
    for_one = [one for one in HELD if one.kind != "attested.data-5" or one.scope.phase == "1"]
    assert by_id(verdict(for_one, phase="pilot"))["DATA-5"].status == "holds"
    assert by_id(verdict(for_one, phase="1"))["DATA-5"].status == "holds"
    found = by_id(verdict(for_one, phase="2"))["DATA-5"].deciding
    assert (found.status, found.reason) == ("no_evidence", "missing")
    assert found.sentence == "D. Ruiz has not signed 'stability' for phase 2 as it is in force."


def test_whoever_does_the_work_of_a_duty_signs_it_and_a_group_signs_nothing(tmp_path):
    def duty(found, name):
        return {
            one.scope.part: one.status
            for one in by_id(found)["OWN-2"].items
            if one.scope.duty == name and one.kind == "attested.own-2"
        }

    accountable = [one for one in HELD if one.kind != "attested.own-2" or one.scope.part is None]
    assert duty(verdict(accountable), "model_upgrades") == {
        "accepted": "holds",
        "accepted · by sam": "no_evidence",
    }
    assert duty(verdict(accountable), "feedback_review") == {"accepted": "holds"}
    assert by_id(verdict())["OWN-2"].status == "holds"
    edit = (
        "model_upgrades:          {A: dana, R: [sam],",
        "model_upgrades:          {A: dana, R: [sam, dana, '?'],",
    )
    some = charter_with(tmp_path, edit)
    assert duty(verdict(everything_holds(some, NOW), charter=some), "model_upgrades") == {
        "accepted": "holds",
        "accepted · by sam": "holds",
        "accepted · by R": "no_evidence",
    }
    open_all = charter_with(tmp_path, (edit[0], edit[0].replace("[sam]", '"?"')))
    assert duty(verdict(everything_holds(open_all, NOW), charter=open_all), "model_upgrades") == {
        "accepted": "holds",
        "accepted · by R": "no_evidence",
    }


def test_the_log_needs_an_anchor_under_other_rights_from_phase_2_on():
    unanchored = [
        one.model_copy(update={"counts": {WARNINGS: 1}, "detail": "none under other rights"})
        if one.kind == "audit.verified"
        else one
        for one in HELD
        if one.kind != "audit.anchored"
    ]
    before, after = (by_id(verdict(unanchored, phase=phase))["MON-10"] for phase in ("1", "2"))
    assert (before.status, after.status, after.reason) == ("at_risk", "no_evidence", "missing")
    remedies = {one.remedy for found in (before, after) for one in found.items}
    assert remedies == {"pilothouse audit anchor FOLDER --outside"}
    assert by_id(verdict(phase="2"))["MON-10"].status == "holds"


def test_an_edit_of_a_section_voids_its_signatures(tmp_path):
    charter = charter_with(tmp_path, ("completion: {min: 0.95}", "completion: {min: 0.93}"))
    found = by_id(verdict(charter=charter))
    assert (found["EVAL-4"].reason, found["OWN-5"].reason) == ("stale", "stale")
    assert "in force is" in found["EVAL-4"].deciding.sentence
    assert found["DATA-5"].status == "holds"


def test_an_older_breach_ends_only_when_a_newer_record_proves_the_opposite():
    def at(days, good, n):
        one = next(record for record in HELD if record.kind == "completion")
        to = NOW - timedelta(days=days)
        return Evidence.model_validate(
            {**one.model_dump(), "window_from": to, "window_to": to, "recorded_at": to, "n": n, "good": good}
        )

    held = [one for one in HELD if not (one.kind == "completion" and one.scope.task_type == "po_invoice")]
    bad, thin, good = at(3, 500, 1_000), at(2, 3, 3), at(1, 1_000, 1_000)
    assert by_id(verdict([*held, bad, thin]))["MON-1"].status == "breached"
    assert by_id(verdict([*held, bad, thin, good]))["MON-1"].status == "holds"
    assert by_id(verdict([*held, at(3, 1_000, 1_000), thin]))["MON-1"].reason == "insufficient"
    ancient = at(300, 500, 1_000)
    assert by_id(verdict([*held, ancient]))["MON-1"].status == "breached"


@pytest.mark.parametrize("detail", ["a", "b", "c", "d", "e", "f"])
def test_of_two_records_of_one_moment_the_worse_decides_whatever_they_say(detail):
    held = next(record for record in HELD if record.kind == "roster")
    good = held.model_copy(update={"detail": f"{detail} suffices"})
    bad = held.model_copy(update={"passed": False, "detail": f"{detail} does not"})
    found = by_id(verdict([*without(HELD, "roster"), good, bad]))["OWN-7"]
    assert (found.status, found.deciding.basis) == ("breached", "measured")
    assert by_id(verdict([*HELD, good]))["OWN-7"].status == "holds"
    held = next(one for one in HELD if one.kind == "trace_complete")
    few = held.model_copy(update={"n": 5, "good": 5, "value": None, "detail": detail})
    found = by_id(verdict([*HELD, few]))["MON-6"]
    assert (found.status, found.reason) == ("no_evidence", "insufficient")


def test_an_open_question_is_missing_with_its_path_and_asks_for_an_answer(tmp_path):
    charter = charter_with(tmp_path, ("completion: {min: 0.95}", 'completion: {min: "?"}'))
    item = by_id(verdict(charter=charter))["MON-1"].deciding
    assert (item.reason, item.bound) == ("missing", None)
    assert "task_types.po_invoice.completion.min" in item.sentence
    assert "leaves open" in item.rule
    assert item.remedy == "pilothouse check"


def test_how_long_evidence_counts_may_not_stay_open(tmp_path):
    edit = ("fallback_drill: 90d}\n  mail", 'fallback_drill: "?"}\n  mail')
    charter = charter_with(tmp_path, edit)
    item = by_id(verdict(charter=charter, phase="2"))["INT-11"].deciding
    assert (item.status, item.reason, item.remedy) == ("no_evidence", "missing", "pilothouse check")
    assert "integrations.erp.fallback_drill" in item.sentence
    broken = replaced(HELD, "drill.fallback", integration="erp", passed=False)
    assert by_id(verdict(broken, charter=charter, phase="2"))["INT-11"].status == "breached"


@pytest.mark.parametrize(
    ("edit", "requirement", "path"),
    [
        (('integrations: {max_age: "?"', ""), "", ""),
        (("sponsor: {person: vp, review: 30d}", 'sponsor: "?"'), "OWN-5", "sponsor.person"),
        (
            ("{A: sam,  R: [kim], C: [dana], I: [vp]}", '{A: "?", R: [kim], C: [dana], I: [vp]}'),
            "OWN-2",
            "raci.incident_response.A",
        ),
        (("regulations: [gdpr, sox]", 'regulations: "?"'), "INT-9", "regulations"),
        (("auth: mtls,", 'auth: "?",'), "INT-1", "integrations.erp.auth"),
        (
            (
                "families: {permission: 0.0, injection: 0.0, malformed: 0.10, ambiguous: 0.10}",
                'families: "?"',
            ),
            "EVAL-2",
            "datasets.adversarial.families",
        ),
        (
            ("benchmarks:              {A: sam, ", 'benchmarks:              {A: "?", '),
            "EVAL-5",
            "raci.benchmarks.A",
        ),
        (
            (
                "judges: [{name: rubric-v3, pin: {provider: other, model: other-judge-2026-03-03}, card_max_age: 90d}]",
                'judges: "?"',
            ),
            "EVAL-11",
            "model.judges",
        ),
        (
            ("integrations: [erp], share: 0.10", 'integrations: "?", share: 0.10'),
            "INT-2",
            "phases.1.integrations",
        ),
        (("fallback_drill: 90d}\n  mail", 'fallback_drill: "?"}\n  mail'), "INT-11", ""),
        (
            (
                "sources: [{name: supplier handbook, kind: document, owner: lee, max_age: 180d}]",
                'sources: "?"',
            ),
            "DATA-8",
            "sources",
        ),
    ][1:],
)
def test_what_the_charter_leaves_open_is_asked_for(tmp_path, edit, requirement, path):
    found = by_id(verdict([], charter=charter_with(tmp_path, edit)))[requirement]
    assert found.reason == "missing"
    assert any(path in item.sentence for item in found.items)


@pytest.mark.parametrize(
    ("name", "requirements"),
    [
        ("integrations", ("INT-2", "INT-3", "INT-5", "INT-11")),
        ("tools", ("INT-3",)),
        ("alerts", ("MON-5", "MON-8")),
        ("outcomes", ("DATA-10",)),
        ("task_types", ("MON-1",)),
    ],
)
def test_a_whole_section_left_open_gives_one_item_for_each_part(name, requirements):
    value = {} if name == "task_types" else "?"
    charter = CHARTER.model_copy(update={name: value})
    found = by_id(verdict([], charter=charter))
    for requirement in requirements:
        assert any(name in item.sentence for item in found[requirement].items)


def test_an_alert_that_promises_no_time_has_none_to_keep(tmp_path):
    """No command could ever show it, and the paper's own charter never held MON-8; a drop has to promise."""
    asked = {one.scope.part for one in HELD if one.kind == "alert.delay"}
    assert asked == {"quality-drop", "completion", "lying"}
    charter = charter_with(
        tmp_path, ("runbook: runbooks/quality.md, detect_within: 28d", "runbook: runbooks/quality.md")
    )
    held = [one for one in everything_holds(charter, NOW) if one.scope.part != "quality-drop"]
    found = by_id(verdict(held, charter=charter))["MON-8"]
    assert (found.status, found.deciding.scope.part) == ("no_evidence", "delay · quality-drop")


def test_nothing_declared_is_nothing_asked(tmp_path):
    charter = charter_with(
        tmp_path,
        ("sources: [{name: supplier handbook, kind: document, owner: lee, max_age: 180d}]", "sources: []"),
    )
    found = by_id(verdict(charter=charter))["DATA-8"]
    assert found.gates == ()
    assert "no gate asks" in found.deciding.sentence


def test_a_judge_that_is_a_metric_must_be_trusted(tmp_path):
    charter = charter_with(tmp_path, ("metric: routed_correctly", "metric: rubric-v3"))
    found = by_id(verdict([], charter=charter))["EVAL-11"]
    assert (found.gates, found.deciding.remedy) == (("1",), "pilothouse eval judge rubric-v3")


def test_a_metric_that_is_open_may_be_any_of_the_judges(tmp_path):
    charter = charter_with(tmp_path, ("metric: routed_correctly", 'metric: "?"'))
    found = by_id(verdict([], charter=charter))["EVAL-11"]
    assert (found.gates, found.deciding.remedy) == (("1",), "pilothouse check")
    assert "task_types.po_invoice.metric" in found.deciding.sentence


def test_routing_that_is_off_needs_no_threshold(tmp_path):
    charter = charter_with(tmp_path, ("routing: {mode: hold,", "routing: {mode: off,"))
    labels = {item.scope.label for item in by_id(verdict([], charter=charter))["EVAL-9"].items}
    assert labels == {"queue"}


def test_runbooks_are_read_by_named_people_or_by_all_owners(tmp_path):
    named = charter_with(tmp_path, ("reviewed_by: all_owners", "reviewed_by: [lee]"))
    labels = {item.scope.label for item in by_id(verdict([], charter=named))["MON-5"].items}
    assert "read · runbooks/quality.md by lee" in labels
    assert "read · runbooks/cost.md by kim" in labels
    nobody = charter_with(
        tmp_path,
        ("{A: sam,  R: [kim], C: [dana], I: [vp]}", '{A: "?", R: "?", C: [dana], I: [vp]}'),
    )
    labels = {item.scope.label for item in by_id(verdict([], charter=nobody))["MON-5"].items}
    assert "read · runbooks/cost.md by all owners" in labels


def test_what_the_charter_says_against_itself_breaches_or_warns(tmp_path):
    manual = charter_with(tmp_path, ("erp: {kind: api, owner: sam", "erp: {kind: manual, owner: sam"))
    found = by_id(verdict(everything_holds(manual, NOW), charter=manual))["INT-6"]
    assert (found.status, found.deciding.source) == ("breached", "charter")
    short = charter_with(tmp_path, ("term_ends: 2032-12-01", "term_ends: 2027-03-01"))
    assert by_id(verdict(everything_holds(short, NOW), charter=short))["OWN-1"].status == "breached"
    retired = charter_with(tmp_path, ("retires_on: 2032-06-30", "retires_on: 2026-11-20"))
    assert by_id(verdict(everything_holds(retired, NOW), charter=retired))["EVAL-7"].status == "breached"
    soon = charter_with(tmp_path, ("retires_on: 2032-06-30", "retires_on: 2026-12-24"))
    warned = by_id(verdict(everything_holds(soon, NOW), charter=soon))["EVAL-7"]
    assert (warned.status, "retires on 24 Dec 2026" in warned.deciding.sentence) == ("at_risk", True)
    assert warned.deciding.remedy == "pilothouse gate --candidate TARGET --plan", "what ends the warning"
    never = charter_with(tmp_path, ("retires_on: 2032-06-30", "retires_on: none"))
    assert by_id(verdict(everything_holds(never, NOW), charter=never))["EVAL-7"].status == "holds"


@pytest.mark.parametrize(
    ("notice", "day", "status"),
    [
        ("60d", "2027-02-20", "holds"),
        ("120d", "2027-02-20", "at_risk"),
        ("14d", "2026-12-24", "at_risk"),
    ],
)
def test_a_retirement_is_told_as_long_before_as_the_charter_says_and_never_later_than_60_days(
    notice, day, status, tmp_path
):
    said = ("retirement_notice: 60d", f"retirement_notice: {notice}")
    soon = charter_with(tmp_path, ("retires_on: 2032-06-30", f"retires_on: {day}"), said)
    assert by_id(verdict(everything_holds(soon, NOW), charter=soon))["EVAL-7"].status == status


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        ("2027-07-21", "holds", ""),
        ("2027-07-20", "at_risk", "20 Jul 2027, less than 183 days away from 19 Jan 2027 on: extend"),
        ("2027-05-22", "at_risk", "22 May 2027, less than 183 days away from 21 Nov 2026 on: extend"),
        ("2027-05-21", "breached", "21 May 2027, less than 183 days away: extend"),
    ],
)
def test_a_term_warns_for_60_days_before_it_is_too_short(ends, status, said, tmp_path):
    """OWN-1, which nobody can waive, held in full on one day and was breached on the next."""
    charter = charter_with(tmp_path, ("term_ends: 2032-12-01", f"term_ends: {ends}"))
    found = by_id(verdict(everything_holds(charter, NOW), charter=charter))["OWN-1"]
    assert (found.status, said in found.deciding.sentence) == (status, True)
    assert status == "holds" or found.deciding.remedy == "pilothouse check"


def test_a_retired_judge_is_a_warning_that_names_the_page_it_stands_on(tmp_path):
    old = charter_with(tmp_path, ("other-judge-2026-03-03", "claude-opus-4-1-20250805"))
    warned = by_id(verdict(everything_holds(old, NOW), charter=old))["EVAL-7"]
    assert warned.status == "at_risk"
    assert "claude-opus-4-1-20250805 was retired on 5 Aug 2026, says https://" in warned.deciding.sentence


def test_a_warning_of_the_charter_never_lifts_a_breach(tmp_path):
    soon = charter_with(tmp_path, ("retires_on: 2032-06-30", "retires_on: 2026-12-24"))
    spoilt = replaced(everything_holds(soon, NOW), "served_model", n=2_000, good=1_999)
    assert by_id(verdict(spoilt, charter=soon))["EVAL-7"].status == "breached"


def test_what_lapses_keeps_its_own_remedy_beside_a_warning_of_the_charter(tmp_path):
    soon = charter_with(tmp_path, ("term_ends: 2032-12-01", "term_ends: 2027-06-01"))
    old = {"window_from": NOW - timedelta(days=88), "window_to": NOW - timedelta(days=88)}
    lapsing = replaced(everything_holds(soon, NOW), "attested.own-1", part="owner by dana", **old)
    items = by_id(verdict(lapsing, charter=soon))["OWN-1"].items
    assert {one.scope.part: one.remedy for one in items} == {
        "accepted · owner by dana": "pilothouse evidence attest OWN-1",
        "active": "pilothouse check",
        "powers": "pilothouse check",
    }


def test_more_than_three_task_types_are_a_warning(tmp_path):
    many = charter_with(
        tmp_path,
        ("  credit_note:    {share: 0.05,", "  refund: {share: 0.0}\n  credit_note:    {share: 0.05,"),
    )
    assert by_id(verdict(everything_holds(many, NOW), charter=many))["DATA-1"].status == "at_risk"


def test_at_risk_exits_zero_unless_strict():
    aging = replaced(
        HELD, "audit.verified", window_from=NOW - timedelta(hours=23), window_to=NOW - timedelta(hours=23)
    )
    found = verdict(aging)
    assert (found.word, found.deciding) == ("GO WITH CONDITIONS", "MON-10")
    assert "Its evidence lapses in 1 hour (MON-10)." in found.sentence
    assert found.sentence.startswith(
        "Of 41 requirements, 40 hold and 1 holds but is at risk; it may stay in phase 1 while these keep holding. "
    )
    assert (int(exit_status(found)), int(exit_status(found, strict=True))) == (0, 1)


def test_a_waiver_stands_beside_the_status_and_lets_the_word_be_go_with_conditions():
    found = verdict(without(HELD, "roster"), waivers=(waiver(),))
    assert (found.status, found.word) == ("no_evidence", "GO WITH CONDITIONS")
    assert by_id(found)["OWN-7"].waiver.until == NOW + timedelta(days=10)
    assert found.sentence.endswith("by V. Petrov: 'roster follows'.")
    assert found.sentence.startswith(
        "Of 41 requirements, 40 hold and 1 has no evidence; V. Petrov waived it, so it may stay in phase 1 until 30 Nov 2026."
        " The roster: nobody has shown whether minutes and answers suffice (OWN-7). Waived until"
    )
    assert int(exit_status(found)) == 3


def test_several_conditions_are_counted_by_what_they_are_and_the_first_end_is_said():
    lacking = without(without(HELD, "roster"), "drill.page")
    both = (waiver(), waiver(requirement="OWN-3", until=NOW + timedelta(days=3)))
    found = verdict(lacking, phase="pilot", waivers=both)
    assert found.word == "GO WITH CONDITIONS"
    assert (
        "39 hold and 2 have no evidence; V. Petrov waived these 2, so it may enter phase 1 until 23 Nov 2026. "
        in found.sentence
    )
    assert found.sentence.endswith(f" ({found.deciding}).")
    assert " waived " not in verdict(lacking, waivers=(waiver(),)).sentence.split("Waived until")[0]


def test_what_is_about_to_lapse_is_said_in_hours_that_read_well():
    ends = [at_risk_sentence("It holds.", timedelta(minutes=minutes)) for minutes in (10, 61, 150, 60 * 72)]
    assert [one.removeprefix("It holds. Its evidence lapses ") for one in ends] == [
        "within the hour.",
        "in 1 hour.",
        "in 2 hours.",
        "in 3 days.",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"signer": "dana"},
        {"until": NOW + timedelta(days=40)},
        {"until": NOW},
        {"signed_at": NOW + timedelta(days=1)},
        {"version": V2},
        {"thresholds_digest": "0" * 64},
        {"requirement": "OWN-8"},
    ],
)
def test_a_waiver_that_is_not_in_order_is_not_there(fields):
    found = verdict(without(HELD, "roster"), waivers=(waiver(**fields),))
    assert by_id(found)["OWN-7"].waiver is None
    assert found.word == "NOT ENOUGH EVIDENCE"


def test_what_holds_needs_no_waiver():
    assert by_id(verdict(waivers=(waiver(),)))["OWN-7"].waiver is None


@pytest.mark.parametrize(
    ("kind", "task_type", "requirement"),
    [
        ("critical", "po_invoice", "MON-2"),
        ("policy.bypass", None, "INT-8"),
        ("versions_gated", None, "EVAL-3"),
    ],
)
def test_some_things_are_never_waived(kind, task_type, requirement):
    spoilt = replaced(HELD, kind, task_type=task_type, n=100, good=99)
    found = verdict(spoilt, waivers=(waiver(requirement=requirement),))
    assert by_id(found)[requirement].waiver is None


def test_a_breach_that_no_signature_lets_pass_is_not_hidden_behind_a_worse_one():
    spoilt = replaced(HELD, "critical", task_type="po_invoice", n=100, good=99)
    spoilt = replaced(spoilt, "quality", task_type="po_invoice", n=5_000, good=100)
    found = by_id(verdict(spoilt, waivers=(waiver(requirement="MON-2"),)))["MON-2"]
    behind = next(item for item in found.items if item.kind == "critical" and item.status is Status.BREACHED)
    judged = [
        Judged(item=item, share_lost=0.0, oldest=None, higher_is_better=None)
        for item in (*(item for item in found.items if item is not behind), behind)
    ]
    mark = (waiver(requirement="MON-2"),)
    assert valid_waivers(mark, judged, "MON-2", CHARTER, now=NOW, version=V1) == []
    assert found.waiver is None


def test_the_day_that_a_waiver_names_is_included_to_its_end():
    signed = datetime(2026, 12, 1, 9, tzinfo=UTC)
    end = end_of_waiver(date(2026, 12, 28), signed)
    assert datetime(2026, 12, 28, 23, 59, 59, tzinfo=UTC) < end < datetime(2026, 12, 29, tzinfo=UTC)
    assert end_of_waiver(date(2026, 12, 1), signed) > signed
    assert end_of_waiver(date(2026, 12, 31), signed) == signed + WAIVER_MAX
    assert end_of_waiver(date(2027, 1, 1), signed) > signed + WAIVER_MAX


def test_a_waiver_ends_when_the_value_gets_worse_than_the_signed_one():
    spoilt = replaced(HELD, "completion", task_type="po_invoice", n=5_000, good=4_000)
    marks = [
        by_id(verdict(spoilt, waivers=(waiver(requirement="MON-1", value=value),)))["MON-1"].waiver
        for value in (0.80, 0.85, None)
    ]
    assert [mark is not None for mark in marks] == [True, False, True]
    lying = replaced(HELD, "discrepancy", task_type="po_invoice", n=5_000, good=4_000)
    marks = [
        by_id(verdict(lying, waivers=(waiver(requirement="MON-7", value=value),)))["MON-7"].waiver
        for value in (0.20, 0.15)
    ]
    assert [mark is not None for mark in marks] == [True, False]
    failed = replaced(HELD, "roster", passed=False)
    assert by_id(verdict(failed, waivers=(waiver(value=1.0),)))["OWN-7"].waiver is not None


def test_a_waiver_of_what_nobody_had_measured_does_not_cover_the_breach_that_is_found():
    spoilt = replaced(HELD, "completion", task_type="po_invoice", n=5_000, good=4_000)
    marks = [
        by_id(verdict(spoilt, waivers=(waiver(requirement="MON-1", status=status),)))["MON-1"].waiver
        for status in ("no_evidence", "breached")
    ]
    assert [mark is not None for mark in marks] == [False, True]
    unmeasured = verdict(without(HELD, "roster"), waivers=(waiver(status="no_evidence"),))
    assert by_id(unmeasured)["OWN-7"].waiver is not None


def test_a_control_that_is_not_shown_any_more_is_neither_failed_nor_held():
    """What it follows from has its own row; a certificate that failed ends by another certificate alone."""

    def statuses(kind, requirement, *, first):
        known = [one for one in HELD if one.kind == kind]
        before = [one.model_copy(update={"passed": first}) for one in known]
        moment = {"window_from": NOW, "window_to": NOW, "recorded_at": NOW}
        told = {"passed": None, "counts": {UNKNOWN: 2}, "detail": "3 of 5 have evidence"}
        now = [one.model_copy(update=moment | told) for one in known]
        found = by_id(verdict([*without(HELD, kind), *before, *now]))[requirement]
        return {item.status for item in found.items if item.kind == kind}, found.deciding

    for first in (True, False):
        found, deciding = statuses("control", "INT-9", first=first)
        assert found == {"no_evidence"}
        assert (deciding.reason, deciding.sentence) == (
            "insufficient",
            f"The control on {deciding.scope.part.rpartition(' · ')[2]}: not known. 3 of 5 have evidence.",
        )
    assert statuses("integration.certificate", "INT-2", first=False)[0] == {"breached"}
    bare = next(one for one in HELD if one.kind == "control").model_copy(update={"passed": None})
    assert verdict([*HELD, bare]).notes == ("A record of 'control' was refused: a fact needs `passed`.",)


def signed(requirement, evidence):
    """Return the waiver that the sponsor signs on seeing the verdict on this evidence."""
    found = by_id(verdict(evidence))[requirement]
    return waiver(
        requirement=requirement,
        value=found.deciding.value,
        status=found.status,
        items=waived_items(found.items),
    )


def completed(evidence, task_type, good):
    return replaced(evidence, "completion", task_type=task_type, n=5_000, good=good)


def test_a_waiver_does_not_cover_the_later_breach_of_another_part():
    seen = completed(HELD, "po_invoice", 4_000)
    mark = signed("MON-1", seen)
    assert [item.scope.task_type for item in mark.items] == ["po_invoice"]
    assert by_id(verdict(seen, waivers=(mark,)))["MON-1"].waiver is not None
    # less wrong than what was signed, so the item that decides is the same and is no worse
    both = by_id(verdict(completed(seen, "credit_note", 4_400), waivers=(mark,)))["MON-1"]
    assert (both.deciding.scope.task_type, both.waiver) == ("po_invoice", None)
    again = signed("MON-1", completed(seen, "credit_note", 4_400))
    assert by_id(verdict(completed(seen, "credit_note", 4_400), waivers=(mark, again)))["MON-1"].waiver


def forgotten(evidence, task_type):
    return [one for one in evidence if (one.kind, one.scope.task_type) != ("completion", task_type)]


def test_a_waiver_does_not_cover_what_nobody_knows_any_more_of_another_part():
    seen = completed(HELD, "po_invoice", 4_000)
    found = verdict(forgotten(seen, "credit_note"), waivers=(signed("MON-1", seen),))
    assert by_id(found)["MON-1"].waiver is None
    assert "MON-1" in found.gates[0].closed


def test_what_nobody_knows_of_another_part_does_not_turn_what_was_waived_into_a_breach():
    """Missing knowledge is neither: the agent is not told that it fails, and no gate opens."""
    seen = completed(HELD, "po_invoice", 4_000)
    mark = signed("MON-1", seen)
    found = verdict(forgotten(seen, "credit_note"), waivers=(mark,))
    one = by_id(found)["MON-1"]
    assert (one.status, one.deciding.scope.task_type) == (Status.BREACHED, "po_invoice")
    assert [one.items[place].scope.task_type for place in one.part_waiver.uncovered] == ["credit_note"]
    assert (one.unwaived_status, found.word) == (Status.NO_EVIDENCE, "NOT ENOUGH EVIDENCE")
    assert found.sentence.endswith("'roster follows'. What is not known now it does not cover.")
    assert json.loads(verdict_document(found)) == found.model_dump(mode="json", exclude={"additions"})


def test_a_waiver_of_a_part_ends_with_what_ends_every_waiver():
    seen = completed(HELD, "po_invoice", 4_000)
    mark = signed("MON-1", seen)
    unknown = forgotten(seen, "credit_note")
    worse = forgotten(completed(HELD, "po_invoice", 3_900), "credit_note")
    breached = completed(
        completed(forgotten(HELD, "non_po_invoice"), "po_invoice", 4_000), "credit_note", 4_000
    )

    def part(evidence, **options):
        return by_id(verdict(evidence, **options))["MON-1"].part_waiver

    assert part(unknown, waivers=(mark,)) is not None
    assert part(seen, waivers=(mark,)) is None
    assert part(forgotten(HELD, "credit_note"), waivers=(mark,)) is None, "it covers nothing of what is open"
    assert part(worse, waivers=(mark,)) is None
    assert part(breached, waivers=(mark,)) is None
    assert part(unknown, waivers=(mark,), now=mark.until) is None
    assert part(unknown, waivers=(waiver(requirement="MON-1"),)) is None, (
        "of old ones nobody knows what was seen"
    )
    wider = signed("MON-1", unknown)
    later = mark.model_copy(update={"until": mark.until + timedelta(days=1)})
    assert part(forgotten(unknown, "non_po_invoice"), waivers=(mark, wider, later)).until == wider.until


def test_a_waiver_of_an_unknown_part_does_not_cover_its_breach_behind_another_one():
    unknown = [one for one in HELD if (one.kind, one.scope.task_type) != ("completion", "credit_note")]
    seen = completed(unknown, "po_invoice", 4_000)
    mark = signed("MON-1", seen)
    assert sorted(item.status for item in mark.items) == ["breached", "no_evidence"]
    assert by_id(verdict(seen, waivers=(mark,)))["MON-1"].waiver is not None
    found = completed(completed(HELD, "po_invoice", 4_000), "credit_note", 4_400)
    assert by_id(verdict(found, waivers=(mark,)))["MON-1"].waiver is None


def test_a_waiver_covers_what_became_better_and_nothing_that_became_worse():
    seen = completed(completed(HELD, "po_invoice", 4_000), "credit_note", 4_400)
    mark = signed("MON-1", seen)
    better = completed(completed(HELD, "po_invoice", 4_100), "credit_note", 4_990)
    unknown = [one for one in seen if (one.kind, one.scope.task_type) != ("completion", "po_invoice")]
    worse = completed(seen, "credit_note", 4_399)
    marks = [by_id(verdict(now, waivers=(mark,)))["MON-1"].waiver for now in (better, unknown, worse)]
    assert [one is not None for one in marks] == [True, True, False]


def test_foreign_and_future_records_are_named_in_the_notes():
    stranger = HELD[0].model_copy(update={"agent": "other"})
    found = verdict([*HELD, stranger])
    assert found.notes == (f"A record of {stranger.kind!r} was refused: it is about agent 'other'.",)


def test_without_any_record_the_first_sentence_says_so():
    assert (
        verdict([]).sentence == "Nothing has been measured or signed yet; 41 requirements wait for evidence."
    )


def test_the_document_is_canonical_json_of_everything():
    document = json.loads(verdict_document(verdict()))
    assert AgentVerdict.model_validate(document) == verdict()


def test_money_in_a_foreign_currency_is_written_with_its_code(tmp_path):
    charter = charter_with(tmp_path, ("currency: USD", "currency: CHF"))
    item = next(
        item for item in by_id(verdict(charter=charter))["MON-3"].items if item.kind == "cost_per_task"
    )
    assert item.rule == "mean at most 0.45 CHF, proved at 95 % confidence"


def test_every_role_finds_its_people():
    roles = {
        role: people_in_role(CHARTER, role, {})
        for role in ("owner", "sponsor", "team", "A:benchmarks", "R:benchmarks")
    }
    assert roles == {
        "owner": ("dana",),
        "sponsor": ("vp",),
        "team": ("sam", "kim"),
        "A:benchmarks": ("sam",),
        "R:benchmarks": ("kim",),
    }
    assert people_in_role(CHARTER, "integration", {"integration": "mail"}) == ("kim",)
    assert people_in_role(CHARTER, "integration", {}) == ("sam",)


def test_an_unknown_requirement_names_the_nearest():
    assert requirement_named("MON-7").domain == "MON"
    with pytest.raises(UnknownName, match="Did you mean"):
        requirement_named("MON-77")


def test_a_plan_is_empty_when_nothing_is_open_and_merges_what_one_command_settles():
    nothing = plan_steps(verdict(phase="2"), CHARTER)
    assert (nothing.steps, nothing.days, nothing.critical) == ((), None, ())
    missing = without(HELD, "integration.certificate", "tool.faults")
    steps = plan_steps(verdict(missing), CHARTER).steps
    assert steps[0].command == "pilothouse integration verify erp"
    assert len(steps[0].items) == 3
    assert steps[0].for_next_gate


def test_no_gate_waits_for_what_is_only_at_risk():
    """The plan put days between an agent and a gate that was open, with conditions, already."""
    old = {"window_from": NOW - timedelta(hours=23), "window_to": NOW - timedelta(hours=23)}
    plan = plan_steps(verdict(replaced(HELD, "audit.verified", **old)), CHARTER)
    assert (plan.days, plan.critical) == (None, ())
    (step,) = plan.steps
    assert (step.items, step.for_next_gate, step.days_saved) == (("MON-10 whole",), True, 0.0)


def test_harm_now_comes_before_weight_and_the_next_gate_before_both():
    spoilt = replaced(HELD, "hosts_observed", n=5_000, good=4_999)
    spoilt = replaced(spoilt, "critical", task_type="po_invoice", n=5_000, good=4_999)
    spoilt = replaced(spoilt, "change.overlap", passed=False)
    spoilt = replaced(
        spoilt, "audit.verified", window_from=NOW - timedelta(hours=23), window_to=NOW - timedelta(hours=23)
    )
    spoilt = without(spoilt, "roster")
    order = [step.items[0].partition(" ")[0] for step in plan_steps(verdict(spoilt), CHARTER).steps]
    assert order == ["MON-2", "INT-1", "OWN-7", "MON-10", "INT-10"]


def test_weights_may_be_left_to_the_survey(tmp_path):
    charter = charter_with(
        tmp_path, ("shares: {INT: 63, EVAL: 58, MON: 54, OWN: 49, DATA: 41}", "shares: {INT: 1}")
    )
    # Both lie off the path that the week of a threshold makes: only the weights order them.
    missing = without(everything_holds(charter, NOW), "routing.threshold", "audit.verified", "roster")
    steps = plan_steps(verdict(missing, charter=charter), charter).steps
    order = [step.items[0] for step in steps if step.days_saved == 0]
    assert order == ["MON-10 whole", "OWN-7 all"]


def test_a_plan_says_when_the_gate_can_be_reached_and_what_it_costs(tmp_path):
    missing = without(HELD, "integration.certificate", "drill.page")
    plan = plan_steps(verdict(missing), CHARTER)
    assert plan.critical == ("pilothouse integration verify erp", "pilothouse drill page")
    # 3.5 days of work, from half to twice: a gate opens with a young certificate.
    assert plan.days == (1.75, 7.0)
    first = plan.steps[0]
    assert (first.work_days, first.wait_days) == (3.0, 0.0)
    assert first.cost == (3 * 8 * 38 * 2, 3 * 8 * 46 * 2)  # estimates of integration work are doubled
    assert first.days_saved == 3.0
    charter = charter_with(tmp_path, ("loaded_hour_cost: {value: [38, 46]", 'loaded_hour_cost: {value: "?"'))
    missing = without(everything_holds(charter, NOW), "drill.page")
    assert plan_steps(verdict(missing, charter=charter), charter).steps[0].cost is None


def test_the_wait_is_that_of_the_cases_still_needed_at_their_rate():
    few = replaced(HELD, "completion", task_type="po_invoice", n=20, good=20)
    step = plan_steps(verdict(few), CHARTER).steps[0]
    item = next(item for item in by_id(verdict(few))["MON-1"].items if item.n == 20)
    days = (item.window_to - item.window_from).days
    assert step.wait_days == pytest.approx((item.n_needed - 20) * days / 20)


def test_where_cases_come_by_themselves_a_step_is_nothing_but_waiting():
    few = replaced(HELD, "completion", task_type="po_invoice", n=20, good=20)
    step = plan_steps(verdict(few), CHARTER).steps[0]
    assert (step.work_days, step.wait_days > 0, step.cost) == (0.0, True, (0.0, 0.0))
    short = replaced(HELD, "stability.clock", n=30)
    steps = plan_steps(verdict(short), CHARTER).steps
    (clock,) = [one for one in steps if one.items == ("DATA-11 all",)]
    assert (clock.command, clock.work_days) == ("pilothouse phase status ap-invoice-triage", 0.0)


@pytest.mark.parametrize(
    ("age", "work"), [(timedelta(hours=12), None), (timedelta(hours=20), 0.125), (timedelta(hours=30), 0.125)]
)
def test_what_held_and_lapses_is_renewed_in_an_hour(age, work):
    seen = replaced(HELD, "regions_observed", window_from=NOW - age, window_to=NOW - age)
    steps = [one for one in plan_steps(verdict(seen), CHARTER).steps if "INT-9 regions" in one.items]
    assert [one.work_days for one in steps] == ([] if work is None else [work])


def test_a_first_certificate_that_warns_is_confirmed_in_an_hour():
    first = replaced(HELD, "integration.certificate", integration="erp", counts={WARNINGS: 1})
    steps = [one for one in plan_steps(verdict(first), CHARTER).steps if one.items[0].startswith("INT-2")]
    assert [(one.status, one.work_days) for one in steps] == [(Status.AT_RISK, 0.125)]


def test_what_is_missing_breached_or_rehearsed_by_people_is_no_hour_of_work():
    old = NOW - timedelta(hours=30)
    breached = replaced(HELD, "regions_observed", window_from=old, window_to=old, n=10, good=1)
    missing = without(HELD, "regions_observed")
    for seen in (breached, missing):
        (step,) = [one for one in plan_steps(verdict(seen), CHARTER).steps if "INT-9 regions" in one.items]
        assert step.work_days == 2.0
    late = NOW - timedelta(days=88)
    drill = replaced(HELD, "drill.page", window_from=late, window_to=late)
    (step,) = plan_steps(verdict(drill), CHARTER).steps
    assert step.work_days == 0.5


def test_cases_that_stand_unread_are_read_and_too_few_are_added():
    def commands(records):
        found = by_id(verdict(records))["EVAL-1"]
        return {one.remedy for one in found.items if one.scope.part == "cases" and one.status != "holds"}

    add, show = (
        "pilothouse dataset add datasets/labelled FILE",
        "pilothouse dataset show datasets/labelled --record ap-invoice-triage",
    )
    late, old = NOW - timedelta(days=88), NOW - timedelta(days=91)
    assert commands(replaced(HELD, "dataset.labelled", n=1)) == {add}
    assert commands(without(HELD, "dataset.labelled")) == {add}
    for then in (late, old):
        assert commands(replaced(HELD, "dataset.labelled", window_from=then, window_to=then)) == {show}


def test_the_next_gate_waits_for_nothing_that_only_a_later_one_asks_for():
    """One command counts days for alerts at gate 1 and uptime for gate 2, which takes four weeks."""
    missing = without(HELD, "uptime", "alert.delay")
    early = plan_steps(decide(CHARTER, missing, NOW, phase="pilot", version=V1), CHARTER)
    (step,) = [one for one in early.steps if one.command == "pilothouse watch tick"]
    assert (step.work_days, step.wait_days, early.gate) == (0.0, 0.0, "1")
    later = plan_steps(verdict(without(HELD, "uptime")), CHARTER)
    (step,) = [one for one in later.steps if one.command == "pilothouse watch tick"]
    assert (step.work_days, step.wait_days) == (0.0, 28.0)
