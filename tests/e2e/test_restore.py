# SPDX-License-Identifier: Apache-2.0
"""A copy made under load, of an installation that is then killed, is started on: runs, ledger of a server, and log are whole."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from busy_installation import body_of, decide, record_runs
from forked_process import ForkedProcess
from postgres_server import PostgresServer

from pilothouse.app import SystemClock, back_up_installation
from pilothouse.app.boundary import audit_log
from pilothouse.app.runs import open_run_log
from pilothouse.core.evidence.run_log import ModelRequest, RunOpened
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.runlog.backup import copy_runs
from pilothouse.settings import load_settings
from pilothouse.workflows.reports.audit import verify_log
from pilothouse.workflows.server.backup import check_backup

pytestmark = pytest.mark.slow


@contextmanager
def busy(target, *arguments):
    """A process until it is killed, and what it has acknowledged so far."""
    process = ForkedProcess(target, *arguments, argv=[target.__name__], stdout=subprocess.PIPE)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(map(int, process.stdout)))
    reader.start()
    try:
        yield seen
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


def wait_for_more(seen, count):
    end = time.monotonic() + 20
    while len(seen) < count and time.monotonic() < end:
        time.sleep(0.02)
    return tuple(seen)


def test_recorded_runs_are_in_a_copy_made_while_they_are_written_and_can_be_read_without_the_original(
    tmp_path,
):
    home = tmp_path / "home"
    home.mkdir()
    copies = []
    with busy(record_runs, home, 1_000_000) as seen:
        for number in range(4):
            before = wait_for_more(seen, len(seen) + 10)
            back_up_installation(load_settings({}, home=home), tmp_path / f"copy-{number}")
            copies.append((tmp_path / f"copy-{number}", before))
    assert len(copies[-1][1]) >= 40
    for copy, before in copies:
        assert check_backup(copy).runs >= len(before)
        with open_run_log(load_settings({}, home=copy)) as log:
            for number in before:
                recorded = log.read(f"{number:032x}")
                assert recorded.damage is None
                (asked,) = [one.event for one in recorded.events if isinstance(one.event, ModelRequest)]
                assert asked.body == body_of(number)


def test_what_waits_in_the_spool_is_in_the_copy_once(tmp_path):
    folder, target = tmp_path / "runs", tmp_path / "copy"
    settings = load_settings({}, home=tmp_path)
    with open_run_log(settings) as log:
        log.append("1" * 32, RunOpened(agent="a"))
    (folder / "spool").mkdir(exist_ok=True)
    waiting = folder / "spool" / "run.999999999"
    waiting.write_text("{}")
    assert copy_runs(folder, target) == 1
    assert (target / "spool" / waiting.name).read_text() == "{}"
    assert [path.name for path in sorted(target.iterdir())] == ["keys.sqlite", "runs.sqlite", "spool"]
    assert copy_runs(tmp_path / "none", tmp_path / "other") == 0


@pytest.fixture
def server():
    found = PostgresServer()
    yield found
    found.close()


def test_the_ledger_of_a_server_is_dumped_under_load_and_restored_after_both_were_killed(server, tmp_path):
    url, home, copy = server.new_database(), tmp_path / "home", tmp_path / "copy"
    settings = load_settings({"PILOTHOUSE_LEDGER": url}, home=home)
    home.mkdir()
    with open_ledger(url) as ledger:
        audit_log(ledger, settings)
    with busy(decide, url, home) as seen:
        before = wait_for_more(seen, 20)
        manifest = back_up_installation(settings, copy)
    assert manifest.ledger == "ledger.pgdump"
    assert check_backup(copy) == manifest
    server.stop("immediate")
    server.start()
    fresh = server.new_database()
    done = subprocess.run(
        ["pg_restore", "--no-owner", f"--dbname={fresh}", str(copy / manifest.ledger)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    restored = load_settings({"PILOTHOUSE_LEDGER": fresh}, home=copy)
    with open_ledger(fresh) as ledger:
        log = audit_log(ledger, restored)
        room = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
        check = verify_log(room, SystemClock().now())
        held = {json.loads(one.document)["number"] for one in ledger.decisions("a", limit=1_000)}
    assert check.problems == ()
    assert check.payloads >= len(before)
    assert set(before) <= held
