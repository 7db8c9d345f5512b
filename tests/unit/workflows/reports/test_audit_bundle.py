# SPDX-License-Identifier: Apache-2.0
"""The export of the log verifies by itself, also while others write; whatever somebody does to the file is named."""

from __future__ import annotations

import errno
import hashlib
import json
import random
import warnings
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from fresh_ledger import ledger_url

from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.reports.audit import EXPORTED, export_bundle
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse_verify.bundle import check_bundle
from pilothouse_verify.command import main

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


class Clock:
    def now(self):
        return NOW


class BusyLog(SqlAuditLog):
    """Somebody else writes and signs right after the records were read."""

    meanwhile = None

    def texts(self, *, start=0):
        found = super().texts(start=start)
        if self.meanwhile:
            self.meanwhile()
        return found


@pytest.fixture
def room(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        log = BusyLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        accept_file(ledger, CHARTER, NOW - timedelta(days=1), actor="test")
        log.sign()
        yield SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())


def checked(room, path):
    return check_bundle(path, key=str(room.log.keys.verifier), anchors=())


def remade(source, target, **changed):
    """Write a bundle again with other contents of some files."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name.partition("/")[0], old.read(name)))
    return target


def test_an_export_verifies_although_others_write_and_sign_meanwhile(room, tmp_path):
    def meanwhile():
        room.log.append("call.decided", "triage", {"tool": "pay@1"})
        room.log.sign()
        room.installation.ledger.accept_charter(agent="later", digest="d", text="t", path="p", at=NOW)

    room.log.meanwhile = meanwhile
    export_bundle(room, tmp_path / "bundle.zip", actor="test", now=NOW)
    found = checked(room, tmp_path / "bundle.zip")
    assert (found.problems, found.records) == ([], 2)


def test_who_took_the_log_along_is_on_record_with_the_digest_of_the_file(room, tmp_path):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="ana (command line)", now=NOW)
    (record,) = room.log.search(agent=None, kind=EXPORTED)
    said = json.loads(record.text)
    assert said["actor"] == "ana (command line)"
    assert said["document"]["sha256"] == hashlib.sha256(whole.read_bytes()).hexdigest()


def test_a_charter_that_did_not_come_into_force_is_named(room, tmp_path):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="test", now=NOW)
    (problem,) = checked(room, remade(whole, tmp_path / "other.zip", charters=b"agent: other")).problems
    assert problem == "charters/ap-invoice-triage-1.yaml is not the charter that came into force"


def test_a_charter_of_many_blanks_is_no_bomb(room, tmp_path):
    text = "agent: blank\n" + " " * 1_000_000
    room.installation.ledger.accept_charter(agent="blank", digest="d", text=text, path="p", at=NOW)
    export_bundle(room, tmp_path / "bundle.zip", actor="test", now=NOW)
    assert checked(room, tmp_path / "bundle.zip").problems == []


def test_a_file_that_stands_in_it_twice_is_named(room, tmp_path):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="test", now=NOW)
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(whole) as old,
        zipfile.ZipFile(tmp_path / "twice.zip", "w") as new,
    ):
        warnings.simplefilter("ignore")
        new.writestr("records.jsonl", '{"position": 0, "document": "what another program unpacks"}\n')
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert checked(room, tmp_path / "twice.zip").problems == ["records.jsonl stands in it twice"]


@pytest.mark.parametrize("manifest", [b"[]", b"null", b'"x"', b"{", b"[" * 100_000, b'{"key": 1}'])
def test_a_manifest_of_any_shape_is_named(room, tmp_path, manifest):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="test", now=NOW)
    assert checked(room, remade(whole, tmp_path / "other.zip", **{"manifest.json": manifest})).problems


def test_any_damage_ends_in_words_and_in_no_trace(room, tmp_path):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="test", now=NOW)
    raw, chance, broken = whole.read_bytes(), random.Random(7), tmp_path / "broken.zip"
    for _ in range(400):
        changed = bytearray(raw)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        broken.write_bytes(changed)
        checked(room, broken)
    for _ in range(20):
        broken.write_bytes(raw[: chance.randrange(len(raw))])
        assert checked(room, broken).problems


def test_a_line_without_end_is_not_read_whole(room, tmp_path):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="test", now=NOW)
    long = remade(whole, tmp_path / "other.zip", **{"records.jsonl": b"x" * 10_000_000})
    assert checked(room, long).problems == ["record 0 is larger than a record"]


def test_a_full_disk_leaves_no_half_export_and_what_is_there_stays(room, tmp_path, monkeypatch):
    target = tmp_path / "bundle.zip"
    written = zipfile.ZipFile.writestr

    def full(self, name, text):
        if name != "manifest.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, name, text)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        export_bundle(room, target, actor="test", now=NOW)
    assert not target.exists()
    monkeypatch.undo()
    export_bundle(room, target, actor="test", now=NOW)
    assert checked(room, target).problems == []
    with pytest.raises(UsageError, match="exists already"):
        export_bundle(room, target, actor="test", now=NOW)
    assert checked(room, target).problems == []


def test_what_was_never_a_bundle_is_called_so_and_not_tampered(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as other:
        other.writestr("photo.txt", "x")
    (tmp_path / "charter.yaml").write_bytes(b"schema: 1")
    (tmp_path / "empty.zip").write_bytes(b"")
    for name, why in (
        ("photos.zip", "nothing in it is of one"),
        ("charter.yaml", "it is no zip file"),
        ("empty.zip", "it is no zip file"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(tmp_path / name)])
        said = capsys.readouterr()
        assert ended.value.code == 2
        assert f"{name} is no bundle: {why}" in said.err
        assert "pilothouse report auditor" in said.err
        assert "tampered" not in said.out


def test_a_bundle_that_is_cut_off_is_a_damaged_bundle_and_none_that_never_was(room, tmp_path, capsys):
    whole = tmp_path / "bundle.zip"
    export_bundle(room, whole, actor="test", now=NOW)
    (tmp_path / "cut.zip").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "cut.zip")])
    assert ended.value.code == 1
    assert "tampered: it begins as a zip file and cannot be read to its end" in capsys.readouterr().out
