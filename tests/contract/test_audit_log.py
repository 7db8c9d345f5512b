# SPDX-License-Identifier: Apache-2.0
"""The audit log: durable, without gaps, in one transaction with what it records; payloads can be erased."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fresh_ledger import ledger_url

from pilothouse.errors import DigestMismatch, LimitExceeded, MalformedRecord
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.audit_subjects import commitment_of
from pilothouse.ledger.checkpoint import open_note, sign_checkpoint
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.tlog import Tree, leaf_hash
from pilothouse_verify.tree import consistency_roots

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


class Clock:
    def now(self):
        return NOW


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def log(ledger, tmp_path):
    return SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), Clock())


def test_positions_have_no_gap_and_records_say_what_was_appended(log):
    assert [log.append("call.decided", "triage", {"tool": "pay@1"}) for _ in range(3)] == [0, 1, 2]
    record = json.loads(log.records(start=1)[0].text)
    assert record["position"] == 1
    assert record["document"] == {"tool": "pay@1"}
    assert record["kind"] == "call.decided"


def test_many_threads_share_commits_and_every_position_is_given_once(log):
    positions = []

    def work():
        positions.extend(log.append("call.decided", "triage", {"n": n}) for n in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(positions) == list(range(160))
    assert [record.position for record in log.records()] == list(range(160))


def test_one_piece_of_work_that_fails_fails_alone_and_leaves_no_gap(log):
    outcomes = []

    def bad():
        try:
            log.append("big", "triage", {"text": "x" * 5_000})
        except LimitExceeded:
            outcomes.append("refused")

    threads = [threading.Thread(target=bad)] + [
        threading.Thread(target=lambda: outcomes.append(log.append("small", "triage", {}))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one for one in outcomes if one != "refused") == list(range(10))
    assert outcomes.count("refused") == 1


def test_everything_the_ledger_decides_is_in_the_tree(ledger, log):
    ledger.record(kind="charter.accepted", agent="triage", at=NOW, actor="lee", document='{"number":1}')
    ledger.accept_charter(agent="triage", digest="d", text="agent: triage", path="c.yaml", at=NOW)
    kinds = [record.kind for record in log.records()]
    assert kinds == ["charter.accepted", "charter.in_force"]


def test_a_checkpoint_is_signed_reads_back_and_extends_the_one_before(log):
    log.append("a", "", {})
    first = log.sign()
    for _ in range(5):
        log.append("b", "", {})
    second, key = log.sign(), log.keys.verifier
    old, new = open_note(first.note, key), open_note(second.note, key)
    tree = log.tree()
    assert (old.size, new.size) == (1, 6)
    assert consistency_roots(1, 6, old.root, list(tree.consistency(1, 6))) == (old.root, new.root)
    assert Tree(leaf_hash(text.encode()) for _, text in log.texts()).root() == new.root
    assert log.sign().note == second.note


def test_a_note_that_another_key_signed_or_somebody_changed_is_refused(log):
    log.append("a", "", {})
    note, key = log.sign().note, log.keys.verifier
    other = Ed25519PrivateKey.generate()
    forged = sign_checkpoint(open_note(note, None), key.name, other)
    for changed in (forged, note.replace("\n1\n", "\n2\n", 1)):
        with pytest.raises(DigestMismatch):
            open_note(changed, key)
    for nonsense in ("", "one line", "a\n01\nAAAA\n\n— x y\n", note[:40]):
        with pytest.raises(MalformedRecord):
            open_note(nonsense, key)


def test_erasing_a_person_destroys_what_they_said_and_leaves_every_proof(log):
    position = log.append(
        "call.decided", "triage", {"tool": "pay@1"}, payloads={"recipient": "DE89"}, subject="ana"
    )
    log.append("call.decided", "triage", {"tool": "pay@1"}, payloads={"recipient": "FR76"}, subject="bo")
    record = json.loads(log.records()[0].text)
    opened = log.payloads(position)["recipient"]
    assert opened is not None
    salt, payload = opened
    assert payload == b"DE89"
    assert record["commitments"][0]["commitment"] == commitment_of(salt, payload)
    before = log.sign()
    assert log.erase("ana", actor="dpo", reason="asked") == 2
    assert log.payloads(position) == {}
    assert log.payloads(1)["recipient"] is not None
    assert log.erase("ana", actor="dpo", reason="again") is None
    assert log.tree().root(before.size) == open_note(before.note, log.keys.verifier).root


def test_no_trace_of_an_erased_person_stays_in_the_file(ledger, log, tmp_path):
    log.append("call.decided", "triage", {}, payloads={"to": "SECRETIBAN"}, subject="ana-the-subject")
    log.erase("ana-the-subject", actor="dpo", reason="asked")
    ledger.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.sqlite*"))
    assert b"SECRETIBAN" not in content
    assert b"ana-the-subject" not in content


def test_the_latest_moment_is_known_so_that_a_clock_cannot_go_back(log):
    assert log.latest_at() is None
    log.append("a", "", {})
    assert log.latest_at() == NOW
    assert log.latest_at() + timedelta(0) == NOW


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path):
    first, again = load_keys(tmp_path / "k"), load_keys(tmp_path / "k")
    assert str(first.verifier) == str(again.verifier)
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "k").glob("*.key"))
