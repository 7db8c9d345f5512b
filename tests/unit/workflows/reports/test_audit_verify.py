# SPDX-License-Identifier: Apache-2.0
"""What is appended, signed, anchored and erased while the log is verified is no tampering."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import insert

import pilothouse
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import WARNINGS, Evidence, Source
from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.audit_rows import ENTRIES_ALONE
from pilothouse.ledger.evidence_index import index_of, put_in_place
from pilothouse.ledger.key_history import KEY_REPLACED
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.row_log import ROWS_CHANGED
from pilothouse.ledger.schema import evidence as evidence_table
from pilothouse.ledger.schema import to_micros
from pilothouse.workflows.reports.audit import anchor_log, verify_log
from pilothouse.workflows.verdict.accept import accept_file

AGENT = "ap-invoice-triage"
SOURCE = Path(pilothouse.__file__).parent
CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


class Clock:
    def now(self):
        return NOW


class LiveLog(SqlAuditLog):
    """Somebody else writes right after the records were read."""

    def __init__(self, *args):
        super().__init__(*args)
        self.meanwhile = lambda: None

    def texts(self, *, start=0):
        found = super().texts(start=start)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return found


@contextmanager
def reopened(folder):
    with open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
        log = LiveLog(ledger.database, load_keys(folder / "keys"), Clock())
        yield SimpleNamespace(
            log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ("triage",)
        )


@pytest.fixture
def room(tmp_path):
    with reopened(tmp_path) as opened:
        for person in ("ana", "ben"):
            opened.log.append(
                "call.decided", "triage", {"tool": "pay@1"}, payloads={"arguments": person}, subject=person
            )
        yield opened


def test_what_happens_while_the_log_is_verified_is_no_finding(room, tmp_path):
    def meanwhile():
        room.log.erase("ana", actor="owner", reason="asked")
        room.log.sign()
        anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)

    anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    room.log.meanwhile = meanwhile
    check = verify_log(room, NOW)
    assert (check.problems, check.records, check.payloads, check.erased) == ((), 3, 1, 1)
    again = verify_log(room, NOW)
    assert (again.problems, again.records > 3, again.checkpoints > 0, again.outside is not None) == (
        (), True, True, True,
    )  # fmt: skip


def test_a_payload_that_is_gone_without_a_record_is_a_finding(room):
    def meanwhile():
        with room.log.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM audit_payloads WHERE position = 0")

    room.log.meanwhile = meanwhile
    (problem,) = verify_log(room, NOW).problems
    assert (
        problem == "payload arguments of record 0: it cannot be read, and no record says that it was erased"
    )


@pytest.fixture
def governed(tmp_path):
    """A charter, a verdict, decisions and evidence, each with its entry in the log."""
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        accept_file(ledger, CHARTER, NOW, actor="test")
        ledger.record(
            kind="waiver.signed", agent=AGENT, at=NOW, actor="vp", document='{"until": "2026-12-01"}'
        )
        ledger.record(
            kind="phase.moved", agent=AGENT, at=NOW, actor="dana", document=f'{{"why": "{"x" * 9_000}"}}'
        )
        ledger.add_evidence([evidence(n=200), evidence(n=300, window_to=NOW), evidence(kind="drill.page")])
        ledger.save_verdict(
            agent=AGENT, at=NOW, status="holds", document="{}", digest=hashlib.sha256(b"{}").hexdigest()
        )
        log = LiveLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        log.erase("nobody", actor="owner", reason="asked")
        log.sign()
        yield SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: (AGENT,))


def evidence(**fields):
    values = {"kind": "completion", "agent": AGENT, "n": 100, "good": 90} | fields
    if values["kind"] == "drill.page":
        values = {**values, "good": None, "passed": True}
    start = NOW - timedelta(days=7)
    values = {"window_from": start, "window_to": start, "recorded_at": NOW, **values}
    return Evidence(source=Source(command="test"), **values)


def test_rows_are_those_that_the_log_names_and_new_ones_meanwhile_are_no_finding(governed):
    ledger = governed.installation.ledger

    def meanwhile():
        ledger.record(kind="phase.moved", agent=AGENT, at=NOW, actor="dana", document="{}")
        ledger.add_evidence([evidence(n=400)])

    governed.log.meanwhile = meanwhile
    assert verify_log(governed, NOW).problems == ()
    assert verify_log(governed, NOW).problems == ()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "UPDATE charters SET text = replace(text, '0.95', '0.5')",
            "charter 1 of ap-invoice-triage: no record",
        ),
        ("UPDATE charters SET accepted_us = accepted_us - 1", "charter 1 of ap-invoice-triage: no record"),
        (
            'UPDATE charters SET files = \'{"policy.rego":"0"}\'',
            "charter 1 of ap-invoice-triage: no record",
        ),
        ("UPDATE charters SET files = 'no JSON'", "charter 1 of ap-invoice-triage: no record"),
        (
            "DELETE FROM charters",
            "charter.in_force of ap-invoice-triage: what it names is gone or was changed",
        ),
        ('UPDATE decisions SET document = \'{"until": "2027-01-01"}\' WHERE sequence = 2', "waiver.signed"),
        ("UPDATE decisions SET document = replace(document, 'xxx', 'yyy')", "decision 3, phase.moved of"),
        ("UPDATE decisions SET document = 'no JSON' WHERE sequence = 2", "decision 2, waiver.signed of"),
        ("UPDATE decisions SET actor = 'mallory' WHERE sequence = 2", "decision 2, waiver.signed of"),
        (
            "DELETE FROM decisions WHERE kind = 'waiver.signed'",
            "record 2, waiver.signed of ap-invoice-triage: what",
        ),
        (
            "INSERT INTO decisions SELECT 9, kind, agent, at_us, actor, document FROM decisions WHERE sequence = 2",
            "decision 9, waiver.signed of ap-invoice-triage: no record of the log names it",
        ),
        ("UPDATE verdicts SET status = 'breached'", "verdict 1 of ap-invoice-triage: no record"),
        ("UPDATE verdicts SET document = '{\"a\": 1}'", "verdict 1 of ap-invoice-triage: no record"),
        ("DELETE FROM evidence WHERE kind = 'drill.page'", "of ap-invoice-triage is gone"),
        (
            "UPDATE evidence SET document = replace(document, '\"good\":90', '\"good\":99')",
            "was changed after",
        ),
        (
            "UPDATE evidence SET kind = 'quality' WHERE kind = 'drill.page'",
            "was changed after it was written",
        ),
        ("UPDATE evidence SET recorded_us = 1", "was changed after it was written"),
        ("DELETE FROM standing_evidence", "does not stand where verdicts look for it"),
        ("UPDATE evidence SET document = '{}' WHERE kind = 'drill.page'", "was changed after it was written"),
    ],
)
def test_what_somebody_changes_beside_the_log_is_found(governed, change, found):
    with governed.log.database.write() as connection:
        connection.exec_driver_sql(change)
    problems = verify_log(governed, NOW).problems
    assert any(found in problem for problem in problems), problems


def test_evidence_that_was_written_past_the_log_is_found(governed):
    record = evidence(n=500)
    with governed.log.database.write() as connection:
        row = {
            "digest": evidence_digest(record),
            "agent": AGENT,
            "kind": record.kind,
            "recorded_us": to_micros(NOW),
            "document": record.model_dump_json(),
            "arrived": 0,
            **index_of(record),
        }
        connection.execute(insert(evidence_table), [row])
        put_in_place(connection, [row])
    (problem,) = verify_log(governed, NOW).problems
    assert problem.endswith("of ap-invoice-triage: no record of the log names it")


def test_each_kind_that_only_the_log_has_is_known():
    """A kind that is appended past the decisions must be named as such, or its entries would be looked for in vain."""
    sources = [path.read_text(encoding="utf-8") for path in (SOURCE / "ledger").glob("*.py")]
    made = {kind for text in sources for kind in re.findall(r'AuditEntry\([^)]*?kind="([a-z_.]+)"', text)}
    noted = {
        kind
        for path in SOURCE.rglob("*.py")
        for kind in re.findall(r'book\.note\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8"))
    }
    assert made | noted | {KEY_REPLACED, ROWS_CHANGED} == ENTRIES_ALONE | {"subject.erased"}


def test_a_full_disk_leaves_an_anchor_as_it_was_and_half_a_one_nowhere(room, tmp_path, monkeypatch):
    sign = room.log.sign
    first, path = anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    monkeypatch.setattr(room.log, "sign", lambda: first)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageUnavailable, match="No space left"):
            anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
        monkeypatch.setattr(room.log, "sign", sign)
        with pytest.raises(StorageUnavailable, match="No space left"):
            anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    assert [one.read_bytes() for one in (tmp_path / "anchors").iterdir()] == [before]
    path.write_text("another's")
    monkeypatch.setattr(room.log, "sign", lambda: first)
    with pytest.raises(StorageUnavailable, match="File exists"):
        anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    assert path.read_text() == "another's"


def test_an_anchor_that_cannot_be_read_is_a_finding_and_ends_no_verification(room, tmp_path):
    _, path = anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    path.write_bytes(b"\xff\xfe not a text")
    assert verify_log(room, NOW).problems == (f"the checkpoint {path} cannot be read",)
    path.unlink()
    path.mkdir()
    assert verify_log(room, NOW).problems == (f"the checkpoint {path} cannot be read",)


def test_a_folder_that_the_verifier_may_not_enter_confirms_nothing_and_ends_no_verification(
    room, tmp_path, monkeypatch
):
    _, path = anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    stat = Path.stat

    def closed(one, **options):
        if one == path:
            raise PermissionError(13, "Permission denied")
        return stat(one, **options)

    monkeypatch.setattr(Path, "stat", closed)
    check = verify_log(room, NOW)
    assert (check.problems, check.outside) == ((), None)


def test_a_ledger_that_was_put_back_to_an_older_copy_is_found_by_the_anchors_that_came_after(room, tmp_path):
    anchors = tmp_path / "anchors"
    anchor_log(room, anchors, outside=True, actor="owner", now=NOW)
    assert verify_log(room, NOW).problems == ()
    room.log.database.close()
    kept = (tmp_path / "ledger.sqlite").read_bytes()
    with reopened(tmp_path) as further:
        further.log.append("call.decided", "triage", {"tool": "pay@1"})
        _, later = anchor_log(further, anchors, outside=True, actor="owner", now=NOW)
    (tmp_path / "ledger.sqlite").write_bytes(kept)
    for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with reopened(tmp_path) as older:
        check = verify_log(older, NOW)
        (problem,) = check.problems
        assert problem.startswith(f"anchor {later}: it covers ")
        assert not check.holds


def test_what_somebody_else_puts_beside_an_anchor_says_nothing_of_the_log(room, tmp_path):
    _, path = anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    made_up = path.with_name(path.name.replace("000000000002", "999999999999"))
    assert made_up != path
    for said in ("no checkpoint", path.read_text(encoding="utf-8").replace("\n2\n", "\n9\n")):
        made_up.write_text(said, encoding="utf-8")
        assert verify_log(room, NOW).problems == ()


def test_only_an_anchor_that_is_on_record_as_outside_lets_the_log_hold_without_a_warning(room, tmp_path):
    """MON-10 held where the ledger's operator could rewrite all of it; a checkpoint of one's own, held against, counted as outside."""

    def warned(hour):
        verify_log(room, NOW + timedelta(hours=hour), against=(own,))
        counts = room.installation.ledger.evidence("triage", kinds=["audit.verified"])[-1].counts
        return counts.get(WARNINGS, 0), counts["anchored_outside"] > 0

    own = tmp_path / "own"
    own.write_text(room.log.sign().note, encoding="utf-8")
    assert warned(1) == (1, False)
    anchor_log(room, tmp_path / "beside", outside=False, actor="owner", now=NOW)
    assert warned(2) == (1, False)
    assert not room.installation.ledger.evidence("triage", kinds=["audit.anchored"])
    anchor_log(room, tmp_path / "anchors", outside=True, actor="owner", now=NOW)
    assert warned(3) == (0, True)
    (confirmed,) = room.installation.ledger.evidence("triage", kinds=["audit.anchored"])
    assert (confirmed.passed, confirmed.window_to) == (True, NOW + timedelta(hours=3))
