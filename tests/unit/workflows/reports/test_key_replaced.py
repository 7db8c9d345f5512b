# SPDX-License-Identifier: Apache-2.0
"""A signing key that leaked is replaced: what it signed stays proven, and nothing longer that it signs is believed."""

from __future__ import annotations

import json
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_room import NOW, opened
from postgres_server import fresh_postgres_url, postgres_server
from sqlalchemy import insert, update

from pilothouse.errors import Conflict, DigestMismatch, LimitExceeded, StorageUnavailable
from pilothouse.ledger import audit_keys, key_rotation
from pilothouse.ledger.audit import audit_checkpoints
from pilothouse.ledger.audit_records import audit_records, stored_texts
from pilothouse.ledger.checkpoint import Checkpoint, sign_checkpoint, verifier_key_of
from pilothouse.ledger.key_history import KEY_REPLACED, KeyHistory, open_replacement, sign_replacement
from pilothouse.ledger.key_rotation import replace_signer
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.reports.audit import anchor_log, export_bundle, verify_log
from pilothouse.workflows.reports.log_proofs import prove_growth, prove_record
from pilothouse_verify.bundle import check_bundle
from pilothouse_verify.keys import REPLACED_SINCE, parse_replaced, parse_ring
from pilothouse_verify.proof import check_proof

__all__ = ["postgres_server"]


@pytest.fixture
def room(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        room = opened(ledger, tmp_path / "keys")
        for number in range(5):
            room.log.append("call.decided", "ap", {"number": number})
        yield room


@pytest.fixture
def leaked(room):
    """The key as whoever copied it has it."""
    return room.log.keys


@pytest.fixture
def anchor(room, tmp_path):
    return anchor_log(room, tmp_path / "anchors", outside=True, actor="test", now=NOW)[1]


def rotate(room):
    return replace_signer(room.log, actor="lee", reason="a laptop was stolen", now=NOW)


def key_of(room):
    return str(room.log.key_history())


def exported(room, path):
    export_bundle(room, path, actor="test", now=NOW)
    return path


def forge(room, keys, note=None):
    """Store a checkpoint of the present log that somebody signed with a key of theirs."""
    tree = room.log.tree()
    if note is None:
        note = sign_checkpoint(
            Checkpoint(origin=keys.origin, size=len(tree), root=tree.root()), keys.origin, keys.signer
        )
    with room.log.database.write() as connection:
        connection.execute(insert(audit_checkpoints).values(size=len(tree), at_us=1, note=note))
    return note


def test_what_the_old_key_signed_stays_proven_in_every_form(leaked, anchor, room, tmp_path):
    before = str(leaked.verifier)
    assert rotate(room) == 6
    room.log.append("call.decided", "ap", {"number": 9})
    assert str(room.log.keys.verifier) != before
    check = verify_log(room, NOW, against=(anchor,))
    assert (check.problems, check.anchored) == ((), 5)
    bundle = exported(room, tmp_path / "log.zip")
    for key in (key_of(room), str(room.log.keys.verifier)):
        found = check_bundle(bundle, key=key, anchors=(anchor,))
        assert (found.problems, found.missing) == ([], [])
    proof = tmp_path / "proof.txt"
    for text in (prove_growth(room, anchor), prove_record(room, 2, earlier=anchor)):
        proof.write_text(text, encoding="utf-8", newline="")
        proved = check_proof(proof, key=key_of(room), anchors=(anchor,))
        assert (proved.problems, proved.missing) == ([], [])
    rotate(room)
    assert verify_log(room, NOW).problems == ()
    assert parse_ring(key_of(room)).replaced[1].size == room.log.size() - 1


def test_an_auditor_who_has_only_the_old_key_is_told_to_get_the_new_one(leaked, anchor, room, tmp_path):
    old_bundle = exported(room, tmp_path / "old.zip")
    rotate(room)
    found = check_bundle(exported(room, tmp_path / "new.zip"), key=str(leaked.verifier), anchors=(anchor,))
    assert found.problems == []
    assert "the key was replaced at record 7" in found.missing[0]
    late = check_bundle(old_bundle, key=key_of(room), anchors=(anchor,))
    assert (late.problems, late.missing) == ([], [REPLACED_SINCE])
    alone = check_bundle(old_bundle, key=str(room.log.keys.verifier), anchors=())
    assert "`pilothouse audit key` prints now" in alone.problems[0]


def test_nothing_longer_that_the_old_key_signs_is_believed(leaked, room, tmp_path):
    rotate(room)
    exported(room, tmp_path / "before.zip")
    room.log.append("call.decided", "ap", {})
    note = forge(room, leaked)
    with pytest.raises(DigestMismatch):
        room.log.key_history().open(note)
    (problem,) = [one for one in verify_log(room, NOW).problems if "checkpoint of" in one]
    assert "is not signed by" in problem
    own = tmp_path / "forged.checkpoint"
    own.write_text(note, encoding="utf-8")
    found = check_bundle(tmp_path / "before.zip", key=key_of(room), anchors=(own,))
    assert any("forged.checkpoint is not signed by" in one for one in found.problems)


def test_a_key_that_was_changed_without_the_old_ones_signature_does_not_verify(leaked, room, tmp_path):
    room.log.sign()
    thief = Ed25519PrivateKey.generate()
    tree = room.log.tree()
    before = Checkpoint(origin=leaked.origin, size=len(tree), root=tree.root())
    (leaked.folder / "audit-signer.key").write_bytes(thief.private_bytes_raw())
    stranger = opened(room.installation.ledger, leaked.folder)
    problems = verify_log(stranger, NOW).problems
    assert "does not sign this log" in problems[0]
    assert "audit-signer.key that lies in a backup" in problems[0]
    # With a record that names the real key as the old one, and has only the thief's signature.
    note = sign_replacement(before, leaked.signer, thief)
    body, _, signatures = note.partition("\n\n")
    only_new = f"{body}\n\n{signatures.splitlines()[1]}\n"
    assert open_replacement(only_new) is None
    assert parse_replaced(only_new) is None
    room.log.append(KEY_REPLACED, "", {"note": only_new, "reason": "none"})
    assert "without the signatures" in verify_log(room, NOW).problems[0]
    found = check_bundle(exported(room, tmp_path / "log.zip"), key=str(leaked.verifier), anchors=())
    assert found.problems == [
        "record 5: the key was replaced without the signatures of the old and the new one over the records before it"
    ]


@pytest.mark.parametrize("size", [4, 5])
def test_a_note_of_both_keys_proves_no_other_place_and_no_other_records(leaked, room, tmp_path, size):
    other = Checkpoint(origin=leaked.origin, size=size, root=bytes(32))
    note = sign_replacement(other, leaked.signer, Ed25519PrivateKey.generate())
    assert open_replacement(note) is not None
    room.log.append(KEY_REPLACED, "", {"note": note, "reason": "none"})
    problems = verify_log(room, NOW).problems
    assert any("record 5: " in one or "record 4: " in one for one in problems)


def foreign_change(room):
    """A change between two keys of whoever may write the ledger, over the very records that are there."""
    tree = room.log.tree()
    before = Checkpoint(origin=room.log.keys.origin, size=len(tree), root=tree.root())
    return sign_replacement(before, Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())


@pytest.mark.parametrize("rotated", [False, True])
def test_a_foreign_change_of_the_key_is_tampering_and_everything_is_signed_on(room, tmp_path, rotated):
    if rotated:
        rotate(room)
    position = room.log.append(KEY_REPLACED, "", {"note": foreign_change(room), "reason": "none"})
    room.log.append("call.decided", "ap", {})
    signed = room.log.sign()
    assert room.log.key_history().open(signed.note).size == position + 2
    problem = f"record {position}: the key was replaced by one that was not in force; that change counts for nothing"
    assert verify_log(room, NOW).problems == (problem,)
    rotate(room)
    kept, bundle = room.log.key_history(), exported(room, tmp_path / "log.zip")
    assert len(kept.replaced) == 1 + rotated
    assert kept.present == room.log.keys.verifier
    assert verify_log(opened(room.installation.ledger, room.log.keys.folder), NOW).problems == (problem,)
    for key in (key_of(room), str(room.log.keys.verifier)):
        assert check_bundle(bundle, key=key, anchors=()).problems == [problem]


def test_a_change_that_a_replaced_key_signs_once_more_counts_for_nothing(leaked, room, tmp_path):
    server = opened(room.installation.ledger, leaked.folder)
    rotate(room)
    tree = room.log.tree()
    before = Checkpoint(origin=leaked.origin, size=len(tree), root=tree.root())
    note = sign_replacement(before, leaked.signer, Ed25519PrivateKey.generate())
    room.log.append(KEY_REPLACED, "", {"note": note, "reason": "none"})
    for log in (room.log, server.log):
        assert log.key_history().open(log.sign().note).size == 7
        assert log.keys.verifier == room.log.keys.verifier
    (problem,) = verify_log(room, NOW).problems
    assert check_bundle(exported(room, tmp_path / "log.zip"), key=key_of(room), anchors=()).problems == [
        problem
    ]


def test_a_server_that_still_holds_the_old_key_is_misled_by_no_earlier_change(leaked, room):
    rotate(room)
    note = sign_replacement(
        Checkpoint(origin=leaked.origin, size=2, root=room.log.tree().root(2)),
        leaked.signer,
        Ed25519PrivateKey.generate(),
    )
    server = opened(room.installation.ledger, leaked.folder)
    server.log.keys = leaked
    with room.log.database.write() as connection:
        text = json.dumps({"document": {"note": note}})
        found = update(audit_records).where(audit_records.c.position == 2)
        connection.execute(found.values(kind=KEY_REPLACED, agent="", record=text))
    server.log.sign()
    assert server.log.keys.verifier == room.log.keys.verifier


@pytest.mark.parametrize("text", ["", "[]", '{"document": []}', '{"document": {}}', "[" * 100_000])
def test_a_record_that_cannot_be_read_keeps_nobody_from_signing(room, text):
    with room.log.database.write() as connection:
        found = update(audit_records).where(audit_records.c.position == 2)
        connection.execute(found.values(kind=KEY_REPLACED, agent="", record=text))
    assert room.log.key_history().open(room.log.sign().note).size == 5
    assert verify_log(room, NOW).problems


@pytest.mark.parametrize("document", [{}, {"note": 7}, []])
def test_the_auditors_program_names_a_change_without_a_note(room, tmp_path, document):
    bundle = exported(room, tmp_path / "log.zip")
    with zipfile.ZipFile(bundle) as read:
        files = {name: read.read(name) for name in read.namelist()}
    lines = files["records.jsonl"].split(b"\n")
    lines[2] = json.dumps(json.loads(lines[2]) | {"kind": KEY_REPLACED, "document": document}).encode()
    with zipfile.ZipFile(bundle, "w") as written:
        for name, raw in (files | {"records.jsonl": b"\n".join(lines)}).items():
            written.writestr(name, raw)
    found = check_bundle(bundle, key=key_of(room), anchors=())
    assert found.problems[0].startswith("record 2: the key was replaced without the signatures")


def test_notes_that_are_no_change_are_none_for_both_programs(leaked):
    thief = Ed25519PrivateKey.generate()
    note = sign_replacement(Checkpoint(origin=leaked.origin, size=1, root=bytes(32)), leaked.signer, thief)
    foreign = sign_replacement(Checkpoint(origin="other/log", size=1, root=bytes(32)), leaked.signer, thief)
    to_itself = sign_replacement(
        Checkpoint(origin=leaked.origin, size=1, root=bytes(32)), leaked.signer, leaked.signer
    )
    for text in (
        "",
        note.replace("old-key", "odd-key"),
        note.replace("new-key ", "new-key x"),
        note.replace("\n1\n", "\n2\n", 1),
        note.replace(leaked.origin, "other/log"),
        to_itself,
        sign_checkpoint(Checkpoint(origin=leaked.origin, size=1, root=bytes(32)), leaked.origin, thief),
    ):
        assert open_replacement(text) is None
        assert parse_replaced(text) is None
    assert KeyHistory.read([(1, foreign)], leaked.verifier)[1] == {
        1: "the key was replaced by a note that belongs elsewhere"
    }
    key = str(verifier_key_of(leaked.origin, thief))
    assert parse_ring(f"{key}\n\n{note}") is not None
    for text in ("", "nothing", f"{key}\n\nbody", f"{key}\n\n{foreign}", f"{key}\n\nbody\n\nsignature\n"):
        assert parse_ring(text) is None
    assert KeyHistory.read([(1, note)], verifier_key_of(leaked.origin, Ed25519PrivateKey.generate()))[1] == {
        1: "the key was replaced by one that was not in force; that change counts for nothing"
    }


@pytest.mark.slow
def test_it_is_replaced_in_the_ledger_of_a_server_too(request, tmp_path):
    with open_ledger(fresh_postgres_url(request)) as ledger:
        served = opened(ledger, tmp_path / "keys")
        served.log.append("call.decided", "ap", {})
        served.log.sign()
        for number in (1, 2):
            assert rotate(served) == number
        assert verify_log(served, NOW).problems == ()
        served.log.append(KEY_REPLACED, "", {"note": foreign_change(served), "reason": "none"})
        assert served.log.key_history().open(served.log.sign().note).size == 4
        assert "counts for nothing" in verify_log(served, NOW).problems[0]
        assert [one.name for one in served.log.keys.folder.glob("audit-signer*")] == ["audit-signer.key"]


def test_who_reads_the_records_in_a_transaction_may_write_in_it_afterwards(room):
    with room.log.database.write() as connection:
        before = dict(connection.get_execution_options())
        assert len(list(stored_texts(connection))) == 5
        # A server would be asked to give what an UPDATE changes in parts, and refuses.
        assert dict(connection.get_execution_options()) == before


def test_a_server_that_runs_signs_with_the_new_key_from_then_on(leaked, room):
    server = opened(room.installation.ledger, leaked.folder)
    rotate(room)
    server.log.append("call.decided", "ap", {})
    room.log.key_history().open(server.log.sign().note)
    assert server.log.keys.verifier == room.log.keys.verifier
    assert [one.name for one in leaked.folder.glob("audit-signer*")] == ["audit-signer.key"]


def test_whatever_ends_it_in_the_middle_the_log_goes_on_with_the_key_it_names(leaked, room, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(key_rotation, "put_in_force", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(room)
    again = opened(room.installation.ledger, leaked.folder)
    assert verify_log(again, NOW).problems == ()
    monkeypatch.setattr(room.log, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(room)
    assert verify_log(opened(room.installation.ledger, leaked.folder), NOW).problems == ()


def test_of_two_who_replace_it_at_once_one_is_refused_and_leaves_no_key(leaked, room, monkeypatch):
    other = opened(room.installation.ledger, leaked.folder)
    stage = key_rotation.stage_signer

    def slow(keys):
        found = stage(keys)
        monkeypatch.setattr(key_rotation, "stage_signer", stage)
        rotate(room)
        return found

    monkeypatch.setattr(key_rotation, "stage_signer", slow)
    with pytest.raises(Conflict, match="just been replaced"):
        rotate(other)
    with pytest.raises(LimitExceeded):
        replace_signer(room.log, actor="lee", reason="x" * 5_000, now=NOW)
    assert [one.name for one in leaked.folder.glob("audit-signer*")] == ["audit-signer.key"]
    assert verify_log(room, NOW).problems == ()


def test_a_ledger_with_the_key_of_before_says_what_to_do(leaked, room):
    raw = (leaked.folder / "audit-signer.key").read_bytes()
    rotate(room)
    (leaked.folder / "audit-signer.key").write_bytes(raw)
    old = opened(room.installation.ledger, leaked.folder)
    with pytest.raises(StorageUnavailable, match="does not sign this log") as refused:
        old.log.sign()
    assert "in a backup of this ledger, made after" in refused.value.remedy
    assert json.loads(room.log.records(start=5)[0].text)["document"]["reason"] == "a laptop was stolen"


@pytest.mark.parametrize(("step", "said"), [("made_once", "cannot be written"), ("fsync_path", "stays in")])
def test_a_key_that_the_disk_does_not_take_is_said(room, monkeypatch, step, said):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit_keys, step, full)
    with pytest.raises(StorageUnavailable, match=said):
        rotate(room)
    monkeypatch.undo()
    assert verify_log(room, NOW).problems == ()
