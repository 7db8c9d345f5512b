# SPDX-License-Identifier: Apache-2.0
"""Numbers and sentences say what was measured, with as many digits as the cases bear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from evidence_made import CHARTER as EXAMPLE
from evidence_made import LABELLED, V1, everything_holds, load_charter, replaced

from pilothouse.core.dates import day
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import WARNINGS, Scope
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.numbers import apart, days_long, in_unit, interval, percent, significant
from pilothouse.core.verdict.readiness import decide, verdict_digest
from pilothouse.core.verdict.verdict import Status

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)


def item(evidence, requirement, label, **options):
    found = decide(CHARTER, evidence, NOW, phase="2", version=V1, **options)
    verdict = next(one for one in found.requirements if one.requirement == requirement)
    return next(one for one in verdict.items if one.scope.label == label)


@pytest.mark.parametrize(
    ("rate", "n", "bound", "text"),
    [
        (0.831, 1_204, None, "83.1 %"),
        (0.831, 99, None, "83 %"),
        (0.9496, 400, 0.95, "94.96 %"),
        (0.95, 400, 0.95, "95.0 %"),
        (0.9499999999, 400, 0.95, "95.0000 %"),
    ],
)
def test_a_percentage_has_the_digits_that_tell_it_from_its_bound(rate, n, bound, text):
    assert percent(rate, n, bound=bound) == text


@pytest.mark.parametrize(
    ("value", "unit", "bound", "text"),
    [
        (0.4504, "usd", 0.45, "$0.4504"),
        (0.45, "usd", 0.45, "$0.45"),
        (0.45 + 1e-12, "usd", 0.45, "$0.45"),
        (1_234.5, "usd", None, "$1,230"),
        (8.04, "seconds", 8.0, "8.04 s"),
        (-1.6, "points", None, "-1.6 points"),
        (200.0, "count", None, "200"),
    ],
)
def test_an_amount_has_three_digits_or_those_that_tell_it_from_its_bound(value, unit, bound, text):
    assert in_unit(value, unit, n=500, currency="USD", bound=bound) == text


def test_small_and_large_amounts_are_written_plainly():
    assert [significant(value) for value in (0.0, 0.000123, 9.999, 123_456.0)] == [
        "0",
        "0.000123",
        "10",
        "123,000",
    ]


def test_intervals_repeat_no_unit_but_the_currency():
    assert interval(1.6, 1.8, "seconds", n=90, currency="USD") == "[1.6, 1.8]"
    assert interval(0.2, 0.4, "usd", n=90, currency="EUR") == "[€0.2, €0.4]"


def test_a_day_is_a_day_in_utc():
    east = timezone(timedelta(hours=9))
    assert day(datetime(2026, 11, 3, 5, tzinfo=east)) == "2 Nov 2026"


def test_a_breach_says_measured_interval_cases_and_bound():
    spoilt = replaced(HELD, "quality", task_type="credit_note", n=300, good=246)
    assert item(spoilt, "MON-2", "credit_note · rate").sentence == (
        "Quality on credit_note: 82.0 % [77.4, 86.0] (300 scored tasks); committed: at least 90 %."
    )


def test_too_few_cases_say_how_many_would_do():
    spoilt = replaced(HELD, "quality", task_type="credit_note", n=40, good=38)
    sentence = item(spoilt, "MON-2", "credit_note · rate").sentence
    assert sentence.startswith("40 of about ")
    assert "scored tasks needed" in sentence


def test_a_level_below_the_floor_can_never_be_proved_by_more_of_it():
    spoilt = replaced(HELD, "quality", task_type="credit_note", n=40, good=35)
    assert item(spoilt, "MON-2", "credit_note · rate").sentence.endswith(
        "No number of cases at this level would prove it."
    )


@pytest.mark.parametrize(
    ("kind", "part", "n", "good"),
    [("quality", "rate", 60, 48), ("discrepancy", "contradicted", 60, 54)],
)
def test_what_looks_breached_at_one_look_and_is_not_proved_over_all_says_so(kind, part, n, good):
    spoilt = replaced(HELD, kind, task_type="credit_note", n=n, good=good)
    found = item(spoilt, "MON-2" if kind == "quality" else "MON-7", f"credit_note · {part}")
    assert found.status is Status.NO_EVIDENCE
    assert "It looks breached" in found.sentence
    assert "No number of cases" not in found.sentence


def test_tasks_that_do_not_say_how_they_ended_are_named():
    silent = replaced(HELD, "completion", task_type="po_invoice", n=400, good=0, counts={"unknown": 400})
    sentence = item(silent, "MON-1", "po_invoice · rate").sentence
    assert "not known" in sentence
    assert "400 of 400 do not say how they ended" in sentence


def test_evidence_about_another_person_names_both():
    other = binding_in_force(kind_named("directory"), CHARTER, Scope(), InForce(), person="sam")
    moved = replaced(HELD, "directory", binds=other.model_dump())
    assert "known for person sam only; in force is dana" in item(moved, "OWN-1", "active").sentence


def test_a_baseline_of_an_old_dataset_is_stale_and_names_both_digests():
    old = binding_in_force(kind_named("eval.anchor"), CHARTER, Scope(), InForce(labelled="0ld" * 20))
    moved = replaced(HELD, "eval.anchor", binds=old.model_dump())
    sentence = item(moved, "EVAL-5", "anchor").sentence
    assert "0ld0ld0" in sentence
    assert LABELLED[:7] in sentence


def test_a_signature_says_who_when_and_until():
    found = item(HELD, "OWN-5", "escalation by vp")
    assert found.sentence == (
        "The signature on escalation by vp: attested by V. Petrov on 15 Oct 2026, counts until 13 Apr 2027."
    )


def test_a_check_that_passed_says_what_it_saw_once():
    said = "INC-4, replayed strictly, is equal."
    seen = replaced(HELD, "replay.incidents", detail=said)
    assert item(seen, "MON-13", "all").sentence.endswith(": INC-4, replayed strictly, is equal.")
    warned = replaced(HELD, "replay.incidents", detail=said, counts={WARNINGS: 1})
    assert item(warned, "MON-13", "all").sentence.count("INC-4") == 1


def test_what_has_no_end_says_none():
    assert item(HELD, "DATA-5", "phase 2 · phases by dana").sentence.endswith(
        "attested by D. Ruiz on 2 Nov 2026."
    )


def test_a_remedy_without_a_name_to_fill_in_keeps_it_in_capitals(tmp_path):
    path = tmp_path / "charter.yaml"
    named = "labelled:    {path: datasets/labelled"
    text = EXAMPLE.read_text(encoding="utf-8")
    assert named in text
    path.write_text(text.replace(named, 'labelled:    {path: "?"'), encoding="utf-8")
    found = decide(load_charter(path), (), NOW, version=None)
    cases = next(one for one in found.requirements if one.requirement == "EVAL-1")
    assert {one.remedy for one in cases.items if one.scope.part == "cases"} == {
        "pilothouse dataset add DATASET FILE"
    }


def test_no_remedy_of_a_release_gives_what_runs_here_the_version_of_what_serves():
    left = [one for one in HELD if one.kind not in {"release.verdict", "release.difference"}]
    found = decide(CHARTER, left, NOW, version=V1)
    gates = [one for one in found.requirements if one.requirement in {"EVAL-3", "EVAL-10"}]
    assert {one.deciding.remedy for one in gates} == {"pilothouse gate --candidate TARGET"}


def test_a_lapse_far_off_is_said_in_days():
    ended = NOW - timedelta(days=86)
    soon = replaced(HELD, "drill.page", window_from=ended, window_to=ended)
    assert item(soon, "OWN-3", "all").sentence.endswith("Its evidence lapses in 4 days.")


def test_equal_verdicts_have_equal_digests():
    one, two = (decide(CHARTER, HELD, NOW, version=V1) for _ in range(2))
    assert verdict_digest(one) == verdict_digest(two)


def test_a_ceiling_of_zero_says_among_how_many_none_is_asked_for():
    few = item(
        replaced(HELD, "adversarial.family", part="injection", n=30, good=30, value=None),
        "EVAL-2",
        "failures · injection",
    )
    assert few.rule == "none in 59 or more cases"
    assert few.sentence.startswith("30 of about 59 cases needed: ")
    assert few.sentence.endswith("committed: none in 59 or more cases.")


def test_a_time_that_is_longer_than_promised_looks_longer():
    assert [days_long(days) for days in (0.96, 7.04, 1_200.0)] == ["1.0", "7.0", "1,200.0"]
    assert [days_long(days, bound=7) for days in (7.0, 7.04, 6.999, 7.3)] == ["7.0", "7.04", "6.999", "7.3"]
    assert days_long(7.0000001, bound=7) == "7.0000", "more digits say nothing to a reader"


def test_a_rate_below_its_line_looks_lower():
    assert apart(0.7, 0.95) == ("70.0 %", "95.0 %")
    assert apart(0.9496, 0.95) == ("94.96 %", "95.00 %")
    assert apart(0.95, 0.95) == ("95.0 %", "95.0 %")
    assert apart(0.9499999999, 0.95) == ("95.0000 %", "95.0000 %")
