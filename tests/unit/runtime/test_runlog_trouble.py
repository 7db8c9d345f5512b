# SPDX-License-Identifier: Apache-2.0
"""A commit that fails and a kill between two writes leave a run log that goes on, and nothing of what is over stays."""

from __future__ import annotations

import sqlite3

import pytest
from tests.unit.runtime.test_runlog import RUN, conversation, record

from pilothouse.core.evidence.run_log import Replayable
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.runtime.runlog.vault import KeyVault

MONTH_NS = 31 * 86_400 * 10**9


def query(path, *statements):
    """Run statements as another process would; return the rows of the last one."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    finally:
        connection.close()
    return rows


def test_a_commit_that_fails_leaves_no_transaction_behind(tmp_path):
    vault = KeyVault(tmp_path / "keys.sqlite")
    vault._connection.execute("PRAGMA busy_timeout = 0")
    reader = sqlite3.connect(tmp_path / "keys.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM subject_key").fetchall()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        vault.make({"first"})
    reader.close()
    vault.make({"second"})
    assert (vault.key("first"), vault.key("second") is None) == (None, False)
    vault.close()


def test_a_sweep_that_fails_halfway_drops_nothing_and_keeps_nobody_from_writing(tmp_path):
    file = tmp_path / "runs" / "runs.sqlite"
    with Recorder(tmp_path / "runs") as log:
        record(log, conversation(2))
        later = log.read(RUN).summary.last_ns + MONTH_NS
        query(
            file,
            "CREATE TRIGGER worn BEFORE DELETE ON run BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END",
        )
        with pytest.raises(sqlite3.Error, match="disk I/O error"):
            log.sweep(later, keep_days=30)
        assert query(file, "SELECT count(*) FROM event") == [(5,)]
        query(file, "DROP TRIGGER worn")
        record(log, conversation(1), run="6f" * 16)
        assert log.sweep(later, keep_days=30) == 2
        assert log.runs() == []


def test_keys_of_runs_that_were_dropped_do_not_stay(tmp_path):
    with Recorder(tmp_path / "runs") as log:
        for number in range(70):
            record(log, [], run=f"{number:032x}")
        record(log, [], subject="customer-7")
        assert log.sweep(log.read(RUN).summary.last_ns + MONTH_NS, keep_days=30) == 71
        kept = query(tmp_path / "runs" / "keys.sqlite", "SELECT subject FROM subject_key ORDER BY subject")
    assert kept == [("\x00installation",), ("customer-7",)], "a person may come again, a run does not"


def test_an_erasure_that_was_killed_after_the_key_reads_as_erased_and_can_be_repeated(tmp_path):
    with Recorder(tmp_path / "runs") as log:
        record(log, conversation(2), subject="customer-7")
    killed = KeyVault(tmp_path / "runs" / "keys.sqlite")
    killed.destroy("customer-7")
    killed.close()
    with Recorder(tmp_path / "runs") as log:
        recorded = log.read(RUN)
        assert (recorded.summary.replayable, recorded.damage) == (Replayable.ERASED, None)
        assert log.erase("customer-7") == 1
    assert query(tmp_path / "runs" / "runs.sqlite", "SELECT count(*) FROM piece") == [(0,)]
