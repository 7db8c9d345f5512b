# SPDX-License-Identifier: Apache-2.0
"""The ten situations say what the paper says, whatever the order of records and the seed of hashes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from golden.rendering import decide_story, plan_text, read_story, verdict_text
from golden.stories import NOW, STORIES
from golden.update import write_inputs
from pilothouse.core.verdict.readiness import exit_status, verdict_digest, verdict_document
from pilothouse.errors import ExitStatus

FOLDER = Path(__file__).parent / "readiness"
NAMES = [story.name for story in STORIES]
PRINT_DIGESTS = """
import sys
from golden.rendering import decide_story, read_story
from pathlib import Path
from pilothouse.core.verdict.readiness import verdict_digest
for folder in sorted(Path(sys.argv[1]).iterdir()):
    if folder.is_dir():
        print(folder.name, verdict_digest(decide_story(read_story(folder))))
"""


def story(name):
    return read_story(FOLDER / name)


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_and_the_plan_read_as_they_are_checked_in(name):
    told = story(name)
    verdict = decide_story(told)
    assert verdict_text(verdict) == (FOLDER / name / "verdict.txt").read_text(encoding="utf-8")
    assert plan_text(verdict, told["charter"]) == (FOLDER / name / "plan.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("one", STORIES, ids=NAMES)
def test_the_inputs_are_those_that_the_story_tells(one, tmp_path):
    write_inputs(one, tmp_path)
    for file in sorted(tmp_path.iterdir()):
        assert file.read_text(encoding="utf-8") == (FOLDER / one.name / file.name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_and_doubled_records_give_the_same_bytes(name):
    told = story(name)
    before = verdict_document(decide_story(told))
    records = told["evidence"] * 2
    random.Random(7).shuffle(records)
    assert verdict_document(decide_story({**told, "evidence": records})) == before


def test_two_seeds_of_hashes_give_the_same_digests():
    printed = []
    for seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        printed.append(
            subprocess.run(
                [sys.executable, "-c", PRINT_DIGESTS, str(FOLDER)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == len(STORIES)


EXPECTED = {
    "01-nothing-yet": ("NOT ENOUGH EVIDENCE", ExitStatus.NOT_ENOUGH_EVIDENCE),
    "02-perfect-on-paper": ("NOT ENOUGH EVIDENCE", ExitStatus.NOT_ENOUGH_EVIDENCE),
    "03-brilliant-demo": ("NOT ENOUGH EVIDENCE", ExitStatus.NOT_ENOUGH_EVIDENCE),
    "04-hidden-system": ("NO-GO", ExitStatus.BREACHED),
    "05-slow-slide": ("NO-GO", ExitStatus.BREACHED),
    "06-says-done": ("NO-GO", ExitStatus.BREACHED),
    "07-lapsed": ("NOT ENOUGH EVIDENCE", ExitStatus.NOT_ENOUGH_EVIDENCE),
    "08-one-word-in-the-prompt": ("NO-GO", ExitStatus.BREACHED),
    "09-worst-not-average": ("NO-GO", ExitStatus.BREACHED),
    "10-go": ("GO WITH CONDITIONS", ExitStatus.HOLDS),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_word_and_the_exit_status_are_the_papers(name):
    verdict = decide_story(story(name))
    assert (verdict.word, exit_status(verdict)) == EXPECTED[name]


def by_id(name):
    return {one.requirement: one for one in decide_story(story(name)).requirements}


def item(requirement, label):
    return next(one for one in requirement.items if one.scope.label == label)


TWENTY_FIVE = {
    f"{domain}-{number}" for domain in ("INT", "EVAL", "MON", "OWN", "DATA") for number in range(1, 6)
}


def test_with_nothing_yet_all_25_are_missing_and_the_first_step_names_the_owner():
    found = by_id("01-nothing-yet")
    assert {name for name, one in found.items() if one.reason == "missing"} >= TWENTY_FIVE
    plan = (FOLDER / "01-nothing-yet" / "plan.txt").read_text(encoding="utf-8")
    assert "owner.person" in plan.splitlines()[2]


def test_on_paper_only_what_is_attested_by_nature_holds():
    found = by_id("02-perfect-on-paper")
    held = {name for name in TWENTY_FIVE if found[name].status == "holds"}
    assert held == {"EVAL-4", "OWN-5", "DATA-5"}
    assert {found[name].deciding.basis for name in held} == {"attested"}


def test_a_brilliant_demo_proves_neither_size_nor_level():
    found = by_id("03-brilliant-demo")
    cases = item(found["EVAL-1"], "cases")
    assert (cases.reason, cases.n, cases.n_needed) == ("insufficient", 50, 200)
    level = item(found["EVAL-5"], "po_invoice · level")
    assert level.reason == "insufficient"
    assert (round(level.low, 3), round(level.high, 3)) == (0.910, 0.998)
    assert found["EVAL-6"].reason == "missing"


def test_a_hidden_system_is_named_with_host_time_and_owner():
    found = by_id("04-hidden-system")
    assert found["INT-1"].status == found["INT-9"].status == "breached"
    assert "billing-legacy:8080 in 41 tasks since 3 Nov 2026" in found["INT-1"].deciding.sentence
    assert found["INT-1"].deciding.who == ("sam",)


def test_what_says_done_and_lies_is_breached_and_no_judge_defends_it():
    found = by_id("06-says-done")
    lying = found["MON-7"].deciding
    assert found["MON-7"].status == "breached"
    assert (round(lying.low, 3), round(lying.high, 3)) == (0.031, 0.056)
    assert found["MON-2"].status == "holds"
    assert item(found["MON-7"], "po_invoice · unverifiable").status == "holds"


def test_after_an_ungated_release_nothing_of_the_old_version_counts():
    found = by_id("08-one-word-in-the-prompt")
    assert found["EVAL-3"].status == "breached"
    quality = item(found["MON-2"], "po_invoice · rate")
    assert quality.reason == "stale"
    assert "1111111" in quality.sentence
    assert "2222222" in quality.sentence


def test_the_worst_type_decides_and_a_waiver_elsewhere_changes_nothing():
    found = by_id("09-worst-not-average")
    statuses = {one.scope.label: one.status for one in found["MON-2"].items if "rate" in one.scope.label}
    assert statuses == {
        "credit_note · rate": "breached",
        "po_invoice · rate": "holds",
        "non_po_invoice · rate": "holds",
    }
    assert found["OWN-6"].waiver.signer == "vp"
    assert found["OWN-6"].status == "no_evidence"


def test_in_week_five_gate_2_opens_with_one_condition_and_the_badge_waits():
    verdict = decide_story(story("10-go"))
    gates = {gate.gate: gate for gate in verdict.gates}
    assert gates["2"].status == "at_risk"
    assert gates["2"].at_risk == ("EVAL-5",)
    assert {one.requirement: one.reason for one in verdict.requirements}["PROD-1"] == "insufficient"


def test_equal_verdicts_have_equal_digests_and_another_moment_has_another():
    told = story("10-go")
    assert verdict_digest(decide_story(told)) == verdict_digest(decide_story(story("10-go")))
    assert NOW == told["now"]
