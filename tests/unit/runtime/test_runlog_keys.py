# SPDX-License-Identifier: Apache-2.0
"""Keys of runs are made ahead: many in one commit, each used once, and gone for good with what it encrypted."""

from __future__ import annotations

import sqlite3

import pytest
from tests.unit.runtime.test_runlog import RUN, conversation, record
from tests.unit.runtime.test_runlog_layout import bodies_of
from tests.unit.runtime.test_runlog_trouble import query

from pilothouse.core.evidence.run_log import Replayable
from pilothouse.errors import StorageUnavailable
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.runtime.runlog.vault import AHEAD_FIRST, AHEAD_MAX, KeyVault

OTHER = "6f" * 16


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs"


def keys(folder, what="count(*), count(DISTINCT key)"):
    return query(folder / "keys.sqlite", f"SELECT {what} FROM run_key")


def test_a_key_is_drawn_once_whoever_draws_and_what_nobody_drew_does_not_stay(tmp_path):
    path = tmp_path / "keys.sqlite"
    vaults = [KeyVault(path), KeyVault(path)]
    numbers = [vault.draw() for _ in range(3 * AHEAD_FIRST) for vault in vaults]
    assert len(set(numbers)) == len(numbers)
    for vault in vaults:
        vault.close()
    assert [number for (number,) in query(path, "SELECT number FROM run_key")] == sorted(numbers)
    again = KeyVault(path)
    assert again.draw() > max(numbers)
    again.close()


def test_many_runs_cost_few_commits_of_keys(tmp_path):
    vault = KeyVault(tmp_path / "keys.sqlite")
    watching = sqlite3.connect(tmp_path / "keys.sqlite", isolation_level=None)
    seen = set()
    for place in range(4 * AHEAD_MAX):
        vault.draw()
        if place % 4 == 0:
            seen.add(watching.execute("PRAGMA data_version").fetchone()[0])
    watching.close()
    vault.close()
    assert len(seen) <= 11


def test_two_writers_of_one_log_take_each_other_no_key(folder):
    said = conversation(2)
    with Recorder(folder) as one, Recorder(folder) as other:
        for place in range(20):
            record(one, said, run=f"{place:031x}a")
            record(other, said, run=f"{place:031x}b")
        assert all(bodies_of(one.read(run.run)) == said for run in one.runs())
    assert keys(folder) == [(40, 40)]


def test_the_key_of_an_erased_run_is_destroyed_and_another_one_stays(folder):
    said = conversation(2)
    with Recorder(folder) as log:
        record(log, said)
        record(log, said, run=OTHER)
        assert log.erase(RUN) == 1
        assert (log.read(RUN).summary.replayable, log.read(RUN).damage) == (Replayable.ERASED, None)
        assert [one.replayable for one in log.runs() if one.run == RUN] == [Replayable.ERASED]
        assert bodies_of(log.read(OTHER)) == said
    assert sorted(keys(folder, "key IS NULL, erased")) == [(0, 0), (1, 1)]


def test_a_run_may_be_the_subject_of_another_one(folder):
    said = conversation(2)
    with Recorder(folder) as log:
        record(log, said)
        record(log, said, run=OTHER, subject=RUN)
        assert [bodies_of(log.read(run)) for run in (RUN, OTHER)] == [said, said]
    with Recorder(folder) as log:
        assert [bodies_of(log.read(run)) for run in (RUN, OTHER)] == [said, said]
        assert log.erase(RUN) == 2
        assert {log.read(run).summary.replayable for run in (RUN, OTHER)} == {Replayable.ERASED}


def test_an_erased_run_that_begins_again_gets_another_key_and_stays_erased(folder):
    with Recorder(folder) as log:
        record(log, conversation(1))
        log.erase(RUN)
        record(log, [])
        assert log.read(RUN).summary.replayable is Replayable.ERASED
        assert log.erase(RUN) == 1
    assert keys(folder, "key, erased") == [(None, 1), (None, 1)]


def test_a_group_that_was_not_written_leaves_its_keys_to_nobody(folder):
    said = conversation(2)
    with Recorder(folder) as log:
        record(log, said, run=OTHER)
        stop = "CREATE TRIGGER full BEFORE INSERT ON piece BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        query(folder / "runs.sqlite", stop)
        with pytest.raises(StorageUnavailable):
            record(log, said)
        query(folder / "runs.sqlite", "DROP TRIGGER full")
        record(log, said)
        assert [bodies_of(log.read(run)) for run in (RUN, OTHER)] == [said, said]
    with Recorder(folder) as log:
        assert [bodies_of(log.read(run)) for run in (RUN, OTHER)] == [said, said]


def test_an_erasure_that_was_killed_after_the_key_of_a_run_can_be_repeated(folder):
    with Recorder(folder) as log:
        record(log, conversation(2))
    killed = KeyVault(folder / "keys.sqlite")
    killed.destroy(RUN, [query(folder / "runs.sqlite", "SELECT key FROM run")[0][0]])
    killed.close()
    with Recorder(folder) as log:
        assert (log.read(RUN).summary.replayable, log.read(RUN).damage) == (Replayable.ERASED, None)
        assert log.erase(RUN) == 1
    assert query(folder / "runs.sqlite", "SELECT count(*) FROM piece") == [(0,)]
