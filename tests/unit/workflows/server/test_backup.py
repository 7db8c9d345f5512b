# SPDX-License-Identifier: Apache-2.0
"""A copy goes on proving and reading what the original did; what it does not hold is said, and what was put into it is found."""

from __future__ import annotations

import shutil
import stat
from types import SimpleNamespace

import pytest

from pilothouse.app import SystemClock, back_up_installation, feedback_key
from pilothouse.app.boundary import audit_log
from pilothouse.errors import Conflict, DigestMismatch, StorageUnavailable
from pilothouse.lake.node import open_node
from pilothouse.ledger.key_rotation import replace_signer
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.reports.audit import anchor_log, verify_log
from pilothouse.workflows.server.backup import MANIFEST, back_up, check_backup


@pytest.fixture
def settings(tmp_path):
    found = load_settings({}, home=tmp_path / "home")
    with open_ledger(found.ledger_url) as ledger:
        log = audit_log(ledger, found)
        log.append("call.decided", "triage", {"tool": "pay@1"}, payloads={"arguments": "500"}, subject="ana")
        room = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
        anchor_log(room, tmp_path / "anchors", outside=True, actor="test", now=SystemClock().now())
    feedback_key(found)
    return found


def verified(settings):
    with open_ledger(settings.ledger_url) as ledger:
        log = audit_log(ledger, settings)
        room = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
        return verify_log(room, SystemClock().now())


def test_the_log_of_a_copy_verifies_against_the_anchor_and_opens_what_belongs_to_persons(settings, tmp_path):
    manifest = back_up_installation(settings, tmp_path / "copy")
    check_backup(tmp_path / "copy")
    assert manifest.ledger == "ledger.sqlite"
    copy = load_settings({}, home=tmp_path / "copy")
    check = verified(copy)
    assert (check.problems, check.payloads, check.anchored) == ((), 1, 1)
    assert feedback_key(copy) == feedback_key(settings)
    keys = [*copy.keys_folder.iterdir(), copy.feedback_key_file]
    assert len(keys) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert stat.S_IMODE(copy.keys_folder.stat().st_mode) == 0o700


def test_a_copy_holds_the_key_that_signs_its_ledger_or_there_is_none(settings, tmp_path):
    moments = ["after the copy", "before it"]

    def copy_ledger(target):
        moment = moments.pop() if moments else ""
        if moment == "before it":
            replace_key(settings)
        copied = shutil.copyfile(settings.home / "ledger.sqlite", target / "ledger.sqlite")
        if moment == "after the copy":
            replace_key(settings)
        return copied.name

    def made():
        return back_up(
            settings,
            tmp_path / "copy",
            SystemClock().now(),
            copy_ledger=copy_ledger,
            copy_lake=lambda *_: {},
            copy_runs=lambda *_: 0,
        )

    for _ in tuple(moments):
        with pytest.raises(Conflict, match="was replaced while the ledger was copied"):
            made()
        assert list((tmp_path / "copy").iterdir()) == []
    made()
    copy = load_settings({}, home=tmp_path / "copy")
    assert verified(copy).problems == ()
    with open_ledger(copy.ledger_url) as ledger:
        audit_log(ledger, copy).sign()


def replace_key(settings):
    with open_ledger(settings.ledger_url) as ledger:
        log = audit_log(ledger, settings)
        replace_signer(log, actor="ana", reason="it leaked", now=SystemClock().now())


def test_a_copy_is_for_its_owner_alone_wherever_it_is_put(settings, tmp_path):
    (tmp_path / "mounted").mkdir(mode=0o755)
    open_node(settings.lake_folder, SystemClock()).stop()
    for place in (tmp_path / "mounted", tmp_path / "new"):
        back_up_installation(settings, place)
        manifest = place / MANIFEST
        readable = [path.name for path in place.iterdir() if path.stat().st_mode & 0o077 and path != manifest]
        assert readable == []
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


def test_a_ledger_of_a_server_is_dumped_first_or_left_out_by_name(settings, tmp_path, monkeypatch):
    served = load_settings(
        {"PILOTHOUSE_LEDGER": "postgresql://u:s3cret@127.0.0.1:1/none"}, home=settings.home
    )
    with pytest.raises(StorageUnavailable, match=r"could not be dumped: .*127\.0\.0\.1") as caught:
        back_up_installation(served, tmp_path / "copy")
    assert "--no-ledger" in caught.value.remedy
    assert "s3cret" not in str(caught.value)
    assert list((tmp_path / "copy").iterdir()) == [], "no lake without the ledger that goes before it"
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "")
        with pytest.raises(StorageUnavailable, match="pg_dump is not installed"):
            back_up_installation(served, tmp_path / "copy")
    manifest = back_up_installation(served, tmp_path / "copy", no_ledger=True)
    assert manifest.ledger == ""
    assert "ledger.sqlite" not in {file.path for file in manifest.files}
    assert check_backup(tmp_path / "copy") == manifest


def test_a_ledger_in_another_place_is_in_it(settings, tmp_path):
    (settings.home / "ledger.sqlite").rename(tmp_path / "elsewhere.sqlite")
    moved = load_settings(
        {"PILOTHOUSE_LEDGER": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"}, home=settings.home
    )
    assert back_up_installation(moved, tmp_path / "copy").ledger == "ledger.sqlite"
    assert verified(load_settings({}, home=tmp_path / "copy")).problems == ()


@pytest.mark.parametrize("name", ["ledger.sqlite-wal", "lake/tasks/_delta_log/00000000000000000009.json"])
def test_what_was_put_into_a_copy_is_found(settings, tmp_path, name):
    back_up_installation(settings, tmp_path / "copy")
    added = tmp_path / "copy" / name
    added.parent.mkdir(parents=True, exist_ok=True)
    added.write_bytes(b"changes what is in the file beside it")
    with pytest.raises(DigestMismatch, match=r"was put into the backup afterwards"):
        check_backup(tmp_path / "copy")


def test_keys_of_another_log_are_said_to_be_that(settings):
    (settings.keys_folder / "audit-wrapper.key").write_bytes(bytes(32))
    (problem,) = verified(settings).problems
    assert problem.startswith("payload arguments of record 0: it cannot be read")
    with (
        open_ledger(settings.ledger_url) as ledger,
        pytest.raises(StorageUnavailable, match="not those of this ledger"),
    ):
        audit_log(ledger, settings).append("call.decided", "triage", {}, payloads={"a": "1"}, subject="ana")


def test_an_empty_feedback_key_opens_to_nobody(tmp_path):
    settings = load_settings({}, home=tmp_path / "home")
    settings.home.mkdir()
    settings.feedback_key_file.touch()  # a kill between making the file and writing it
    with pytest.raises(StorageUnavailable, match="is empty"):
        feedback_key(settings)
