# SPDX-License-Identifier: Apache-2.0
"""What `check --diff` says an edit reopens is what a verdict does not count any more: no item more, and none less."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from evidence_made import V1, everything_holds

from pilothouse.core.charter.files import named_files
from pilothouse.core.evidence.kinds import FOLDED_KINDS
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.reopened import reopened_by
from pilothouse.core.verdict.verdict import Status
from stubs.charter_trees import charter

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FILES = {name: f"{number:064x}" for number, name in enumerate(named_files(charter().document))}
BEFORE = charter().with_files(FILES)
SHOWN = [requirement.id for requirement in FRAMEWORK if not requirement.of]


def reopened(after):
    return {item for one in reopened_by(BEFORE, after) for item in one.items}


def lost(after):
    """Return the requirements that held, or were at risk, and have no evidence after an edit; telemetry is folded anew."""
    records = [one for one in everything_holds(BEFORE, NOW, phase="3") if one.kind not in FOLDED_KINDS]
    records += [one for one in everything_holds(after, NOW, phase="3") if one.kind in FOLDED_KINDS]
    statuses = [
        {
            one.requirement: one.status
            for one in decide(each, records, NOW, phase="3", version=V1).requirements
        }
        for each in (BEFORE, after)
    ]
    held = {Status.HOLDS, Status.AT_RISK}
    return {
        name
        for name in SHOWN
        if statuses[0].get(name) in held and statuses[1].get(name) is Status.NO_EVIDENCE
    }


@pytest.mark.parametrize(
    ("edit", "items"),
    [
        (("per_s: 10}", "per_s: 8}"), {"INT-5", "INT-6"}),
        (("unknown_task_type: {max: 0.02", "unknown_task_type: {max: 0.01"), {"EVAL-4", "OWN-5"}),
        (("R: [kim], C: [dana], I: none", "R: [kim], C: [lee], I: none"), {"OWN-2"}),
        (("min: 4w, max: 6w", "min: 5w, max: 6w"), {"DATA-5"}),
        (("retires_on: 2032-06-30", "retires_on: 2032-07-30"), {"OWN-4"}),
        (('title: "Invoice triage, accounts payable"', "title: Triage"), {"OWN-11"}),
        (("owner: lee, max_age: 180d", "owner: lee, max_age: 90d"), {"EVAL-5", "DATA-8"}),
    ],
)  # fmt: skip
def test_an_edit_reopens_what_a_verdict_does_not_count_any_more(edit, items):
    after = charter(edit).with_files(FILES)
    assert reopened(after) == items
    assert lost(after) == items


@pytest.mark.parametrize(
    ("file", "items"),
    [("runbooks/quality.md", {"MON-5"}), ("docs/change-plan.md", {"OWN-11"})],
)
def test_an_edit_of_a_file_that_people_read_reopens_its_signatures(file, items):
    after = charter().with_files({**FILES, file: "ff" * 32})
    assert reopened(after) == items == lost(after)
    (one,) = reopened_by(BEFORE, after)
    assert one.because.startswith("content of ")


def test_another_version_reopens_all_that_was_measured_of_this_one():
    after = charter(("acme-large-2026-04-12", "acme-large-2026-10-10")).with_files(FILES)
    found = {one.because: one.items for one in reopened_by(BEFORE, after)}
    assert {"EVAL-3", "EVAL-6", "EVAL-10", "MON-1", "MON-2", "MON-7"} <= set(found["another version"])
    prompts = charter().with_files({**FILES, "prompts/system.md": "ff" * 32})
    assert "another version" in {one.because for one in reopened_by(BEFORE, prompts)}


def test_what_stays_reopens_nothing():
    assert reopened_by(BEFORE, charter().with_files(dict(FILES))) == ()
    assert reopened_by(BEFORE, charter(("integrations:\n", "integrations:\n")).with_files(FILES)) == ()


def test_what_is_asked_for_the_first_time_ends_nothing():
    fewer = charter((", ambiguous: 0.10", "")).with_files(FILES)
    found = {item for one in reopened_by(fewer, BEFORE) for item in one.items}
    assert found == {"EVAL-3", "EVAL-5"}  # its rules, and the section that was signed
