# SPDX-License-Identifier: Apache-2.0
"""The auditor's bundle verifies without our data, comes to the same verdict, and any changed byte is found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from evidence_made import V1, everything_holds, load_charter, replaced

import pilothouse_verify
from pilothouse.app.boundary import audit_log
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ledger.approvals import SqlApprovals
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.steady_clock import SteadyClock
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, example_task
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.reports.evidence_bundle import export_evidence
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess
from pilothouse_verify.evidence import check_evidence
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
    with zipfile.ZipFile(made[0]) as bundle:
        verdict = json.loads(bundle.read("verdict.json"))
        records = [json.loads(line) for line in bundle.read("evidence.jsonl").splitlines()]
        rules = json.loads(bundle.read("rules.json"))
    assert not recompute(verdict, records, rules).problems
    item = next(
        item
        for one in verdict["requirements"]
        if one["requirement"] == "MON-7"
        for item in one["items"]
        if item["status"] == "breached"
    )
    edit(item)
    assert any("MON-7" in problem for problem in recompute(verdict, records, rules).problems), name


def test_a_verdict_that_outlives_its_evidence_is_named(made):
    with zipfile.ZipFile(made[0]) as bundle:
        verdict = json.loads(bundle.read("verdict.json"))
        records = [json.loads(line) for line in bundle.read("evidence.jsonl").splitlines()]
        rules = json.loads(bundle.read("rules.json"))
    verdict["as_of"] = (NOW + timedelta(days=400)).isoformat()
    assert any("had lapsed" in problem for problem in recompute(verdict, records, rules).problems)


def unpacked(path):
    with zipfile.ZipFile(path) as bundle:
        verdict = json.loads(bundle.read("verdict.json"))
        records = [json.loads(line) for line in bundle.read("evidence.jsonl").splitlines()]
        return verdict, records, json.loads(bundle.read("rules.json"))


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
    verdict, records, rules = unpacked(made[0])
    edit(verdict)
    problems = recompute(verdict, records, rules).problems
    assert any(problem.startswith(found) for problem in problems), problems


def test_an_anchor_of_another_size_proves_nothing_and_is_said_to(made, tmp_path):
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
    assert "ask for the anchor of that size" in later.missing[0]
