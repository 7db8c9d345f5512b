# SPDX-License-Identifier: Apache-2.0
"""A process of its own writes the run log: whatever ends it, each event is there once, in order, and the chain holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.unit.runtime.test_runlog import RUN, SECRET, conversation, record

from pilothouse.core.evidence.run_log import (
    Denied,
    Draw,
    IdentitySource,
    ModelRequest,
    ModelResponse,
    Replayable,
    RunClosed,
    RunOpened,
    RunState,
)
from pilothouse.errors import StorageUnavailable
from pilothouse.interfaces.cli.replay_text import recorded_text
from pilothouse.runtime.runlog import cut_runs, file_process
from pilothouse.runtime.runlog.coding import values_of
from pilothouse.runtime.runlog.file_process import RunFileProcess
from pilothouse.runtime.runlog.group import Pending
from pilothouse.runtime.runlog.recorder import Recorder


@pytest.fixture
def notes():
    return []


@pytest.fixture
def log(tmp_path, notes, monkeypatch):
    monkeypatch.setattr(file_process, "START_EVERY_S", 0.0)
    with Recorder(tmp_path / "runs", on_note=notes.append) as log:
        yield log


def process_of(log):
    return log._file._process


def reasons(log, run=RUN):
    recorded = log.read(run)
    assert recorded.damage is None
    return [one.event.reason for one in recorded.events if isinstance(one.event, Denied)]


def test_what_comes_back_is_what_the_thread_would_have_written(log, tmp_path):
    bodies = [*conversation(3), json.dumps({"messages": [f"key {SECRET}"]}).encode()]
    odd = Draw(source="env", site="\ud800", ordinal=1 << 70, value="x")
    found = []
    with Recorder(tmp_path / "thread") as thread:
        for one in (log, thread):
            record(one, bodies[:3], version="v", identity=IdentitySource.PATH, environment={"A": None})
            one.append(RUN, odd)
            one.append(
                RUN, ModelResponse(status=200, body=b"{}", chunk_sizes=(1, 2), usage={"input": 3}), call="z"
            )
            one.flush()
            found.append([logged.event for logged in one.read(RUN).events])
    assert found[0] == found[1]
    assert found[0][-2] == odd
    record(log, bodies[3:])
    assert log.read(RUN).damage is None
    written = b"".join(file.read_bytes() for file in (tmp_path / "runs").iterdir())
    assert SECRET.encode() not in written
    assert b"You triage" not in written


def test_a_killed_process_is_started_again_and_nothing_is_lost_or_there_twice(log, notes):
    log.append(RUN, RunOpened(agent="triage"))
    for number in range(40):
        log.append(RUN, Denied(code="x", reason=str(number)))
        if number % 10 == 3:
            log.flush()
        if number % 10 == 5:
            process_of(log).kill()
    log.flush()
    assert reasons(log) == [str(number) for number in range(40)]
    assert (log.health().lost, log.health().restarts) == (0, 4)
    assert notes[0].startswith("The process that writes the run log ended (status -9).")


@pytest.mark.parametrize("is_written", [True, False])
def test_a_process_that_ends_before_it_answers_is_asked_what_it_wrote(log, monkeypatch, is_written):
    log.append(RUN, RunOpened(agent="triage"))
    log.append(RUN, ModelRequest(route="/v1/x", body=b"before"))
    log.flush()
    monkeypatch.setattr(log._file, "_connection", _Ends(log._file, is_written=is_written))
    log.append(RUN, RunOpened(agent="triage", version="v2"))
    log.append(RUN, ModelRequest(route="/v1/x", body=b"on the way"))
    log.append(RUN, Denied(code="x", reason="too"))
    log.flush()
    found = log.read(RUN)
    kinds = Counter(one.event.kind for one in found.events)
    assert kinds == {"run.open": 1, "model.request": 2, "deny": 1}
    assert (found.damage, found.summary.version, log.health().lost) == (None, "v2", 0)


class _Ends:
    """The connection to a process that ends with a group written and not answered, or sent and not read."""

    def __init__(self, file, *, is_written):
        self._inner, self._process, self._is_written = file._connection, file._process, is_written

    def send_bytes(self, sent):
        if self._is_written:
            self._inner.send_bytes(sent)
            assert self._inner.poll(10)
        self._process.kill()
        self._process.wait()
        if not self._is_written:
            self._inner.send_bytes(sent)

    def recv_bytes(self):
        raise EOFError

    def close(self):
        self._inner.close()


def test_a_process_that_never_stays_alive_is_trouble_and_the_gap_is_counted(
    log, notes, monkeypatch, tmp_path
):
    record(log, conversation(1))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    process_of(log).kill()
    log.append(RUN, Denied(code="x", reason="lost"))
    with pytest.raises(StorageUnavailable, match="was not written"):
        log.flush()
    assert "the process that writes the run log ended" in log.trouble()
    monkeypatch.undo()
    log.append(RUN, Denied(code="x", reason="again"))
    log.flush()
    assert (log.trouble(), reasons(log), log.read(RUN).summary.replayable) == (None, ["again"], Replayable.NO)


def test_a_failure_of_the_file_is_told_in_its_words(log, tmp_path):
    record(log, conversation(1))
    file = RunFileProcess(tmp_path / "nowhere" / "\0", lambda _: None)
    with pytest.raises((OSError, ValueError)):
        file.write((), {})
    file.close()
    other = log._reader
    other.execute("DROP TABLE piece")
    log.append(RUN, ModelRequest(route="/v1/x", body=b"new"))
    with pytest.raises(StorageUnavailable, match="no such table"):
        log.flush()


@pytest.mark.parametrize("subject", ["customer-7", RUN])
def test_what_comes_after_an_erasure_gets_a_new_key(log, subject):
    record(log, conversation(2), subject=subject)
    assert log.erase(subject) == 1
    record(log, conversation(2), run="6f" * 16, subject=subject)
    assert log.read(RUN).summary.replayable is Replayable.ERASED
    found = [one.event.body for one in log.read("6f" * 16).events if isinstance(one.event, ModelRequest)]
    assert found == conversation(2)


def test_signals_of_a_terminal_and_credentials_do_not_reach_it(log, monkeypatch, notes):
    monkeypatch.setenv("ACME_KEY", SECRET)
    record(log, conversation(1))
    process = process_of(log)
    for stop in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(stop)
    log.append(RUN, Denied(code="x", reason="still"))
    log.flush()
    assert (reasons(log), notes, process.poll()) == (["still"], [], None)
    assert os.getsid(process.pid) != os.getsid(0)
    assert SECRET.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()


SERVER = """
import os, sys
from pathlib import Path
from pilothouse.core.evidence.run_log import Denied, RunOpened
from pilothouse.runtime.runlog.recorder import Recorder
log = Recorder(Path(sys.argv[1]), on_note=print)
log.append("5e" * 16, RunOpened(agent="triage"))
log.flush()
log._file._connection.recv_bytes = lambda: os.kill(os.getpid(), 9)  # after sending, before the answer
for number in range(100):
    log.append("5e" * 16, Denied(code="x", reason=str(number)))
log.flush()
"""


def test_what_was_sent_is_written_although_the_server_is_killed(tmp_path):
    done = subprocess.run([sys.executable, "-c", SERVER, str(tmp_path / "runs")], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with Recorder(tmp_path / "runs") as log:
        end = time.monotonic() + 20
        while len(reasons(log)) < 100 and time.monotonic() < end:
            time.sleep(0.02)
        assert reasons(log) == [str(number) for number in range(100)]


def test_files_in_the_folder_of_the_server_are_no_modules_of_it(log, notes, tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    record(log, conversation(1))
    assert (notes, log.read(RUN).damage) == ([], None)


def test_a_process_that_hangs_does_not_keep_the_server_from_ending(tmp_path, monkeypatch, notes):
    monkeypatch.setattr(file_process, "END_S", 0.2)
    log = Recorder(tmp_path / "runs", on_note=notes.append)
    record(log, conversation(1))
    process = process_of(log)
    process.send_signal(signal.SIGSTOP)
    log.append(RUN, Denied(code="x", reason="stuck"))
    monkeypatch.setattr(log._writer._thread, "join", lambda _: None)  # it waits for ten seconds
    while log.health().waiting == 0 or not log._file._lock.locked():
        time.sleep(0.01)
    log.close()
    assert (process.poll(), notes) == (-signal.SIGKILL, [])


def test_one_that_hangs_with_nothing_to_do_is_ended_too(tmp_path, monkeypatch, notes):
    monkeypatch.setattr(file_process, "END_S", 0.2)
    log = Recorder(tmp_path / "runs", on_note=notes.append)
    record(log, conversation(1))
    log.flush()
    process = process_of(log)
    process.send_signal(signal.SIGSTOP)
    ending = threading.Thread(target=log.close, daemon=True)
    ending.start()
    ending.join(30)
    is_ended = not ending.is_alive()
    process.kill()  # or a test that fails would hang as the server did
    assert (is_ended, process.wait(30), notes) == (True, -signal.SIGKILL, [])


def test_nothing_is_started_for_a_log_that_is_only_read(log):
    assert log.runs() == []
    assert process_of(log) is None


def test_a_run_whose_server_was_killed_says_that_it_may_be_shorter(tmp_path, notes):
    closed, folder = "c1" * 16, tmp_path / "runs"
    log = Recorder(folder, on_note=notes.append)
    for run in (RUN, closed):
        record(log, conversation(1), run=run)
    log.append(closed, RunClosed(state=RunState.COMPLETED))
    log.flush()
    process = process_of(log)
    log._file._connection.close()  # as when its server has gone
    log._file._process = log._file._connection = None
    assert process.wait(30) == 0
    log.close()
    with Recorder(folder, on_note=notes.append) as later:
        cut, whole = later.read(RUN), later.read(closed)
        assert (cut.damage, cut.summary.state, cut.is_cut) == (None, RunState.CUT, True)
        assert cut.summary.replayable.is_playable
        assert (whole.summary.state, whole.is_cut) == (RunState.COMPLETED, False)
        assert "may be shorter than what happened: its gateway was killed" in recorded_text(cut)
        assert "may be shorter" not in recorded_text(whole)
        later.append(RUN, Denied(code="x", reason="the agent goes on"))
        later.flush()
        assert (later.read(RUN).summary.state, later.read(RUN).is_cut) == (RunState.OPEN, True)
    with Recorder(folder) as read:
        assert read.read(RUN).summary.state is RunState.OPEN, (
            "a server that was asked to stop has cut nothing"
        )


def test_only_what_was_under_way_is_cut(monkeypatch):
    monkeypatch.setattr(cut_runs, "RUNS_MAX", 3)
    runs = cut_runs.CutRuns()

    def note(run, event, now_s):
        runs.note([Pending(run, values_of(event), "", "gateway", 0, 0, 0)], now_s)

    said = Denied(code="x", reason="y")
    for at_s, run in enumerate("abcd"):
        note(run, said, at_s)
    note("b", RunClosed(state=RunState.COMPLETED), 5.0)
    note("c", said, 200.0)
    assert [one.run for one in runs.closing(200.0)] == ["c"], "a is forgotten, b closed, d too long ago"
    assert [one.run for one in runs.closing(5.0)] == ["d", "c"]
