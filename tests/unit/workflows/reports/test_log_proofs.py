# SPDX-License-Identifier: Apache-2.0
"""Proofs about the log hold for the auditor's own program, and for no other record, log, key or state."""

from __future__ import annotations

import random

import pytest
from log_room import NOW, opened

from pilothouse.errors import DigestMismatch, UnknownName, UsageError
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.reports.audit import anchor_log
from pilothouse.workflows.reports.log_proofs import prove_growth, prove_record, proven_sizes
from pilothouse_verify.command import main
from pilothouse_verify.note import parse_note
from pilothouse_verify.proof import check_proof, is_proof


@pytest.fixture
def room(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        room = opened(ledger, tmp_path / "keys")
        for number in range(5):
            room.log.append("call.decided", "ap", {"number": number, "said": "two\n\nlines"})
        yield room


@pytest.fixture
def grown(room, tmp_path):
    """The log after it was anchored at 5 records: the anchor, and six records more."""
    _, anchor = anchor_log(room, tmp_path / "anchors", outside=True, actor="test", now=NOW)
    for number in range(6):
        room.log.append("call.decided", "ap", {"number": number})
    return anchor


def checked(room, path, *anchors, key=None):
    result = check_proof(path, key=key or str(room.log.keys.verifier), anchors=anchors)
    return result.problems, result.missing


def written(tmp_path, text):
    path = tmp_path / "proof.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert is_proof(path)
    return path


def test_each_record_proves_that_it_is_in_the_log_and_no_other_passes_for_it(room, grown, tmp_path):
    for position in range(12):
        text = prove_record(room, position)
        path = written(tmp_path, text)
        note = tmp_path / "note"
        note.write_text(room.log.sign().note, encoding="utf-8")
        assert checked(room, path, note) == ([], [])
        other = written(tmp_path, text.replace(f"index {position}", f"index {(position + 1) % 12}"))
        assert checked(room, other, note)[0][0].endswith("of the signed log")
    changed = written(tmp_path, text.replace('"number":5', '"number":6'))
    assert checked(room, changed, note)[0] == ["this record is not record 11 of the signed log"]
    with pytest.raises(UnknownName, match="no record 12"):
        prove_record(room, 12)


def test_a_log_proves_that_it_goes_on_from_an_anchor(room, grown, tmp_path, capsys):
    path = written(tmp_path, prove_growth(room, grown))
    assert path.read_text().startswith("old 5\n")
    assert checked(room, path, grown) == ([], [])
    with pytest.raises(SystemExit) as ended:
        main([str(path), "--key", str(room.log.keys.verifier), "--checkpoint", str(grown)])
    assert (ended.value.code, capsys.readouterr().out) == (
        0,
        "the log of 12 records goes on from that of 5\n",
    )


def test_a_record_proves_that_it_was_in_the_log_that_was_anchored(room, grown, tmp_path):
    for position in range(5):
        path = written(tmp_path, prove_record(room, position, earlier=grown))
        assert checked(room, path, grown) == ([], [])
    with pytest.raises(UnknownName, match="no record 5; the log had 5"):
        prove_record(room, 5, earlier=grown)


def test_what_is_lacking_to_believe_a_proof_is_said(room, grown, tmp_path):
    path = written(tmp_path, prove_growth(room, grown))
    assert checked(room, path)[1] == ["give the checkpoint of 5 records that you have with --checkpoint"]
    unsigned = check_proof(path, key=None, anchors=(grown,))
    assert unsigned.missing == ["signer not confirmed: give the log's key with --key"]
    record = written(tmp_path, prove_record(room, 2))
    assert checked(room, record)[1][0].startswith("no anchor")
    # An older anchor is not the state in which the record stands, and only the growth between them joins the two.
    assert "with `--since` and that file" in checked(room, record, grown)[1][0]


def test_a_log_that_was_written_anew_does_not_go_on_from_the_anchor(room, grown, tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'other.sqlite'}") as ledger:
        forged = opened(ledger, tmp_path / "keys")  # whoever rewrites the log has its key
        for number in range(12):
            forged.log.append("call.decided", "ap", {"number": number, "said": "nothing"})
        with pytest.raises(DigestMismatch, match="does not begin with the 5 records"):
            prove_growth(forged, grown)
        own = tmp_path / "own"
        own.write_text(forged.log.sign().note, encoding="utf-8")
        forged.log.append("call.decided", "ap", {})
        path = written(tmp_path, prove_growth(forged, own).replace("old 12", "old 5"))
        assert checked(forged, path, grown)[0][0].startswith("the log of 13 records does not go on from that")


def test_any_changed_character_of_a_proof_is_found(room, grown, tmp_path):
    dice = random.Random(11)
    for text in (prove_growth(room, grown), prove_record(room, 3)):
        note = tmp_path / "note"
        note.write_text(room.log.sign().note, encoding="utf-8")
        for _ in range(150):
            at = dice.randrange(len(text))
            letter = dice.choice("A0\n =ü")
            if letter == text[at] or (at == len(text) - 1):
                continue
            path = tmp_path / "proof.txt"
            path.write_text(text[:at] + letter + text[at + 1 :], encoding="utf-8", newline="")
            if not is_proof(path):
                continue
            problems, missing = checked(room, path, note, grown)
            assert problems or missing, (at, letter, text)


def test_a_checkpoint_of_another_log_or_of_nothing_is_no_beginning(room, grown, tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'other.sqlite'}") as ledger:
        other = opened(ledger, tmp_path / "keys")
        empty = tmp_path / "empty"
        empty.write_text(other.log.sign().note, encoding="utf-8")
    with pytest.raises(UsageError, match="of an empty log"):
        prove_growth(room, empty)
    with open_ledger(f"sqlite:///{tmp_path / 'third.sqlite'}") as ledger:
        stranger = opened(ledger, tmp_path / "other-keys")
        stranger.log.append("call.decided", "ap", {})
        with pytest.raises(DigestMismatch, match="is not signed by"):
            prove_growth(stranger, grown)
        path = written(tmp_path, prove_growth(room, grown))
        assert "is not signed by" in checked(stranger, path, grown)[0][0]


def test_a_bundle_proves_that_it_goes_on_from_each_anchor(room, grown, tmp_path):
    _, second = anchor_log(room, tmp_path / "anchors", outside=True, actor="test", now=NOW)
    room.log.append("call.decided", "ap", {})
    signed = room.log.sign()
    found = proven_sizes(room, room.log.tree(), signed.size)
    sizes = [parse_note(path.read_text()).size for path in (grown, second)]
    assert sorted(map(int, found)) == sizes == [5, 12]
