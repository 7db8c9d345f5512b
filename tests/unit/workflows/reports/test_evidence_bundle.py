# SPDX-License-Identifier: Apache-2.0
"""The auditor's bundle verifies without our data, comes to the same verdict, and any changed byte is found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from evidence_made import V1, everything_holds, load_charter, replaced

import pilothouse_verify
import pilothouse_verify.terms as verifier_terms
from pilothouse.app.boundary import audit_log
from pilothouse.core.charter.digest import canonical_json, charter_document
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.verdict.expansion import OpenQuestion, bound_of, expand, life_of
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ledger.approvals import SqlApprovals
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.steady_clock import SteadyClock
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, example_task
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.reports.evidence_bundle import _rules, export_evidence
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess
from pilothouse_verify.evidence import EvidenceResult, _check_verdict, check_evidence
from pilothouse_verify.recompute import recompute, record_digest

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
AGENT = "ap-invoice-triage"
NOW = EXAMPLE_NOW


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle over records that hold and some that do not, its key, and the assessment behind it."""
    home = tmp_path_factory.mktemp("bundle")
    settings, clock = load_settings({}, home=home), FixedClock()
    records = everything_holds(load_charter(), NOW)
    records = replaced(records, "discrepancy", task_type="po_invoice", n=5_000, good=4_000)
    records = replaced(records, "completion", task_type="credit_note", n=12, good=12)
    unpriced = {"tokens": 900, "tokens_unpriced": 900, "unmeasured": 0}
    records = replaced(
        records, "cost_per_task", task_type="credit_note", value=0.0, low=0.0, high=0.0, counts=unpriced
    )
    with open_ledger(settings.ledger_url) as ledger:
        accept_file(ledger, CHARTER, NOW - timedelta(days=40), actor="test")
        ledger.add_evidence(records)
        lake = MemoryLake()
        at = int((NOW - timedelta(days=10)).timestamp()) * 10**9
        lake.add([example_task(start_ns=at, end_ns=at + 10**9, version_digest=V1, task_type="other")])
        installation = Installation(settings=settings, clock=clock, lake=lake, ledger=ledger)
        log = audit_log(ledger, settings)
        room = BoundaryRoom(
            installation=installation,
            log=log,
            approvals=SqlApprovals(log, SteadyClock(clock, log.latest_at())),
        )
        assess(installation, AGENT, NOW - timedelta(days=1))
        found = assess(installation, AGENT, NOW)
        target = home / "bundle.zip"
        done = export_evidence(room, found, target)
        with pytest.raises(UsageError, match="exists already"):
            export_evidence(room, found, target)
        with pytest.raises(StorageUnavailable):
            export_evidence(room, found, home / "no" / "such" / "folder.zip")
        given = {}
        for name, until in (("then", NOW - timedelta(hours=2)), ("before", NOW - timedelta(days=2))):
            given[name] = export_evidence(room, found, home / f"{name}.zip", until=until).earlier
        assert given == {"then": (NOW - timedelta(days=1), "NO-GO"), "before": None}
        key = str(log.keys.verifier)
    return target, key, found, done


def test_a_bundle_comes_to_the_same_verdict_on_a_machine_that_has_only_the_verifier(made, tmp_path):
    target, key, found, done = made
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "pilothouse_verify").symlink_to(Path(pilothouse_verify.__file__).parent)
    code = f"import sys; sys.path.insert(0, {str(alone)!r}); from pilothouse_verify.command import main; main(sys.argv[1:])"
    program = [sys.executable, "-c", code, str(target)]
    ran = subprocess.run([*program, "--key", key], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith(f"{found.verdict.word}: ")
    assert subprocess.run(program, check=False, capture_output=True).returncode == 3
    assert done.word == "NO-GO"
    assert done.items > 100


def test_every_item_with_a_record_is_computed_again(made):
    target, key, _, done = made
    result = check_evidence(target, key=key)
    assert not result.problems
    assert result.recomputed + result.only_digests == done.items
    assert result.only_digests <= 3  # the breached stream: its bound holds for endless looks


def test_any_changed_byte_is_found(made, tmp_path):
    target, key, _, _ = made
    raw = target.read_bytes()
    chance = random.Random(7)
    places = [0, len(raw) - 1, *(chance.randrange(len(raw)) for _ in range(40))]
    with zipfile.ZipFile(target) as bundle:  # headers of members are looked for on purpose
        places += [one.header_offset + shift for one in bundle.infolist()[:6] for shift in (4, 10, 26)]
    broken = tmp_path / "broken.zip"
    for place in places:
        changed = bytearray(raw)
        changed[place] ^= 1 << chance.randrange(8)
        broken.write_bytes(changed)
        assert check_evidence(broken, key=key).problems, f"byte {place}"


def test_what_is_added_to_the_end_is_found(made, tmp_path):
    target, key, _, _ = made
    longer = tmp_path / "longer.zip"
    longer.write_bytes(target.read_bytes() + b"\n")
    assert check_evidence(longer, key=key).problems


def test_a_bundle_of_another_signer_is_refused(made):
    target, key, _, _ = made
    other = key.replace(key[-8], "A" if key[-8] != "A" else "B")
    assert check_evidence(target, key=other).problems


def test_records_have_the_digest_that_the_product_gives_them(made):
    for record in (*made[2].folded, *everything_holds(load_charter(), NOW)):
        assert record_digest(json.loads(canonical_json(record.model_dump(mode="json")))) == evidence_digest(
            record
        )


def unpacked(path):
    with zipfile.ZipFile(path) as bundle:
        verdict, rules, charter = (
            json.loads(bundle.read(f"{one}.json")) for one in ("verdict", "rules", "charter")
        )
        records = [json.loads(line) for line in bundle.read("evidence.jsonl").splitlines()]
        return verdict, records, rules, charter


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("a breach called held", lambda item: item.update(status="holds", reason=None)),
        ("a breach called unknown", lambda item: item.update(status="no_evidence", reason="insufficient")),
        ("another value", lambda item: item.update(status="no_evidence", reason="stale", value=0.5)),
        ("no record", lambda item: item.update(status="holds", reason=None, evidence=None)),
        ("a record that is not there", lambda item: item.update(evidence="0" * 64)),
    ],
)
def test_a_verdict_that_its_records_do_not_make_is_named(made, name, edit):
    verdict, records, rules, charter = unpacked(made[0])
    assert not recompute(verdict, records, rules, charter).problems
    item = next(
        item
        for one in verdict["requirements"]
        if one["requirement"] == "MON-7"
        for item in one["items"]
        if item["status"] == "breached"
    )
    edit(item)
    assert any("MON-7" in problem for problem in recompute(verdict, records, rules, charter).problems), name


def test_a_verdict_that_outlives_its_evidence_is_named(made):
    verdict, records, rules, charter = unpacked(made[0])
    verdict["as_of"] = (NOW + timedelta(days=400)).isoformat()
    assert any("had lapsed" in problem for problem in recompute(verdict, records, rules, charter).problems)


def named(verdict, requirement):
    return next(one for one in verdict["requirements"] if one["requirement"] == requirement)


def without_gate_member(verdict):
    for gate in verdict["gates"]:
        gate["breached"] = [one for one in gate["breached"] if one != "MON-7"]


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (without_gate_member, "gate 1 leaves out MON-7"),
        (lambda verdict: named(verdict, "MON-7").update(gates=[]), "MON-7 is asked for by"),
        (
            lambda verdict: named(verdict, "MON-7").update(items=[], status="holds"),
            "MON-7 is holds without an item",
        ),
        (
            lambda verdict: verdict["requirements"].remove(named(verdict, "MON-7")),
            "MON-7 is not in the verdict",
        ),
    ],
)
def test_a_verdict_that_leaves_out_what_is_breached_is_named(made, edit, found):
    verdict, records, rules, charter = unpacked(made[0])
    edit(verdict)
    problems = recompute(verdict, records, rules, charter).problems
    assert any(problem.startswith(found) for problem in problems), problems


def test_an_anchor_of_a_later_log_proves_nothing_and_is_said_to(made, tmp_path):
    target, key, _, _ = made
    home = target.parent
    settings = load_settings({}, home=home)
    with open_ledger(settings.ledger_url) as ledger:
        log = audit_log(ledger, settings)
        with zipfile.ZipFile(target) as bundle:
            same = json.loads(bundle.read("proof.json"))["checkpoint"]
        log.append("call.decided", AGENT, {"tool": "pay@1"})
        (tmp_path / "later").write_text(log.sign().note, encoding="utf-8")
    (tmp_path / "same").write_text(same, encoding="utf-8")
    fitting = check_evidence(target, key=key, anchors=(tmp_path / "same",))
    assert (fitting.problems, fitting.missing) == ([], [])
    later = check_evidence(target, key=key, anchors=(tmp_path / "later",))
    assert later.problems == []
    assert "is of a later log" in later.missing[0]


def moved(text, **by):
    return (datetime.fromisoformat(text) + timedelta(**by)).isoformat()


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (lambda item: item.update(high=item["high"] / 2), "its high is"),
        (lambda item: item.update(low=item["low"] * 2), "its low is"),
        (lambda item: item.update(low=None), "its low is None"),
        (lambda item: item.update(value=item["value"] / 2), "its value is"),
        (lambda item: item.update(n=item["n"] + 1), "its n is"),
        (lambda item: item.update(bound=0.5), "it is held against 0.5, and the charter says"),
        (lambda item: item.update(lapses_at=moved(item["lapses_at"], days=1)), "it counts until"),
        (lambda item: item.update(lapses_at=None), "it counts until None"),
        (lambda item: item.update(window_to=moved(item["window_to"], days=1)), "its window_to is"),
        (lambda item: item.update(window_from=None), "its window_from is None"),
        (lambda item: item.update(age_days=item["age_days"] + 1), "days old"),
    ],
)
@pytest.mark.parametrize("requirement", ["MON-7", "MON-3"])
def test_a_number_or_a_date_that_the_record_does_not_make_is_named(made, requirement, edit, found):
    verdict, records, rules, charter = unpacked(made[0])
    item = next(
        item for item in named(verdict, requirement)["items"] if item["low"] is not None and item["bound"]
    )
    edit(item)
    problems = recompute(verdict, records, rules, charter).problems
    assert any(problem.startswith(requirement) and found in problem for problem in problems), problems


def test_a_cost_of_which_nothing_is_known_has_no_value_and_may_not_be_given_one(made):
    verdict, records, rules, charter = unpacked(made[0])
    items = named(verdict, "MON-3")["items"]
    (item,) = [one for one in items if one["scope"]["task_type"] == "credit_note" and one["n"]]
    assert (item["status"], item["value"]) == ("no_evidence", None)
    item["value"] = 0.3
    problems = recompute(verdict, records, rules, charter).problems
    assert any("its value is 0.3" in problem for problem in problems), problems


def test_evidence_that_lapsed_is_found_whatever_the_verdict_says_of_its_end(made):
    verdict, records, rules, charter = unpacked(made[0])
    verdict["as_of"] = moved(verdict["as_of"], days=400)
    for one in verdict["requirements"]:
        for item in one["items"]:
            if item["lapses_at"]:
                item["lapses_at"] = moved(verdict["as_of"], days=30)
    problems = recompute(verdict, records, rules, charter).problems
    assert any("stands on evidence that had lapsed" in problem for problem in problems), problems


def test_what_ends_soon_is_at_risk_and_not_held(made):
    verdict, records, rules, charter = unpacked(made[0])
    items = [item for one in verdict["requirements"] for item in one["items"] if item["lapses_at"]]
    item = next(item for item in items if item["status"] == "holds")
    verdict["as_of"] = moved(item["lapses_at"], days=-1)
    for one in items:
        age = datetime.fromisoformat(verdict["as_of"]) - datetime.fromisoformat(one["window_to"])
        one["age_days"] = max(0.0, age / timedelta(days=1))
    problems = recompute(verdict, records, rules, charter).problems
    assert any(
        problem.startswith(item["requirement"]) and "so soon that it is at risk" in problem
        for problem in problems
    ), problems


def test_what_its_record_warns_of_is_at_risk_and_not_held(made):
    verdict, records, rules, charter = unpacked(made[0])
    (item,) = named(verdict, "MON-10")["items"]
    assert item["status"] == "holds"
    record = next(one for one in records if record_digest(one) == item["evidence"])
    record["counts"] = {"warnings": 1}
    item["evidence"] = record_digest(record)
    problems = recompute(verdict, records, rules, charter).problems
    assert "MON-10 whole: it holds, and its record warns of something, so it is at risk" in problems


def test_what_a_phase_asks_for_by_itself_is_asked_by_the_verifier_too(made):
    verdict, records, rules, charter = unpacked(made[0])
    assert recompute(verdict, records, rules, charter).problems == []
    named(verdict, "DATA-5")["items"][0]["scope"]["phase"] = "3"
    assert [
        one for one in recompute(verdict, records, rules, charter).problems if one.startswith("DATA-5")
    ] == ["DATA-5 counts for phase 3 what phase 1 asks for"]
    verdict["phase"] = "2"
    assert "MON-10 leaves out audit.anchored, which phase 2 asks for" in (
        recompute(verdict, records, rules, charter).problems
    )


def remade(source, **changed):
    """Return the files of a bundle with others in place of some; None takes one out."""
    with zipfile.ZipFile(source) as old:
        files = {name: old.read(name) for name in old.namelist()}
    files |= {name.replace("_", "."): text for name, text in changed.items()}
    return {name: text for name, text in files.items() if text is not None}


def test_another_charter_as_data_is_named_and_an_older_bundle_says_what_is_not_proven(made):
    result = EvidenceResult()
    files = remade(made[0], charter_json=canonical_json({"agent": "other"}).encode())
    _check_verdict(files, json.loads(files["manifest.json"]), result)
    assert "charter.json is not the charter that the verdict names" in result.problems
    result, (_, _, rules, _) = EvidenceResult(), unpacked(made[0])
    for one in rules:
        for part in one["parts"]:
            del part["fresh"], part["bound"], part["name"]
    files = remade(made[0], charter_json=None, rules_json=canonical_json(rules).encode())
    _check_verdict(files, json.loads(files["manifest.json"]), result)
    assert result.problems == []
    assert [one for one in result.missing if "older" in one]


@pytest.mark.parametrize(("value", "older", "said"), [(-2.6, False, 1), (-2.5, False, 0), (-2.6, True, 0)])
def test_half_a_margin_lost_that_holds_all_the_same_is_named(made, value, older, said):
    verdict, records, rules, charter = unpacked(made[0])
    (paired,) = [
        one
        for one in records
        if one["kind"] == "load.difference" and one["scope"]["task_type"] == "po_invoice"
    ]
    paired |= {"value": value, "low": -4.0}
    (item,) = [
        one
        for requirement in verdict["requirements"]
        if requirement["requirement"] == "EVAL-6"
        for one in requirement["items"]
        if one["scope"]["task_type"] == "po_invoice"
    ]
    item |= {
        "value": value,
        "low": -4.0,
        "status": "holds",
        "reason": None,
        "evidence": record_digest(paired),
    }
    if older:
        for part in (part for one in rules for part in one["parts"]):
            del part["early"]
    found = recompute(verdict, records, rules, charter)
    assert sum("more than half of what may be lost" in one for one in found.problems) == said


def test_every_bound_and_life_of_the_charter_is_read_from_its_data_as_the_product_reads_it():
    seen = 0
    for path in sorted(CHARTER.parent.glob("*.yaml")):
        charter = load_charter(path)
        data = json.loads(canonical_json(charter_document(charter)))
        for requirement, made_part in zip(FRAMEWORK, _rules(), strict=True):
            for part, told in zip(requirement.parts, made_part["parts"], strict=True):
                for slot in expand(part, charter, "3"):
                    said = slot.question or bound_of(part.rule, slot.names, charter)
                    if isinstance(said, OpenQuestion):
                        continue
                    words = [word for word in (part.name, slot.scope.part) if word]
                    scope = slot.scope.model_copy(update={"part": " · ".join(words) or None})
                    item = {"scope": scope.model_dump(mode="json")}
                    mine = verifier_terms.bound_of(told, item, data)
                    assert (mine or 0.0) == pytest.approx(said)
                    life = life_of(part, slot.names, charter)
                    if not isinstance(life, OpenQuestion):
                        assert verifier_terms.life_of(told, item, data) == life
                    seen += 1
    assert seen > 180
