# SPDX-License-Identifier: Apache-2.0
"""What is committed together is there once: a commit that may have happened is not done again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from fresh_ledger import ledger_url

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.group_commit import GroupCommit
from pilothouse.ledger.ledger import open_ledger

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class LostDatabase:
    """Commits, and loses the connection before it can say so, as often as it is told."""

    def __init__(self, database, losses):
        self._database, self._losses = database, losses
        self.first = threading.Event()
        self.opened = threading.Event()

    @contextmanager
    def write(self):
        self.opened.set()
        self.first.wait(10)
        with self._database.write() as connection:
            yield connection
        if self._losses:
            self._losses -= 1
            raise StorageUnavailable("the server went away", remedy="Look at it.")


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as opened:
        yield opened


def decide(number):
    def work(connection):
        return append_decision(connection, kind="test", agent="a", at=NOW, actor=str(number), document={})

    return work


def run_together(group, works):
    """Let the first wait in its transaction until all others stand behind it."""
    with ThreadPoolExecutor(len(works)) as pool:
        first = pool.submit(group.run, works[0])
        group._database.opened.wait(10)
        others = [pool.submit(group.run, work) for work in works[1:]]
        while len(group._waiting) < len(others):
            time.sleep(0.001)
        group._database.first.set()
        return [one.exception(20) for one in (first, *others)]


def test_a_commit_whose_answer_was_lost_is_not_done_again(ledger):
    group = GroupCommit(LostDatabase(ledger.database, losses=2))
    errors = run_together(group, [decide(number) for number in range(5)])
    assert all(isinstance(error, StorageUnavailable) for error in errors)
    actors = [one.actor for one in ledger.decisions("a")]
    assert sorted(actors) == ["0", "1", "2", "3", "4"]


def test_a_piece_at_fault_fails_alone(ledger):
    def broken(_connection):
        raise ValueError("mine")

    group = GroupCommit(LostDatabase(ledger.database, losses=0))
    errors = run_together(group, [decide(0), decide(1), broken, decide(2)])
    assert [type(error) for error in errors] == [type(None), type(None), ValueError, type(None)]
    assert sorted(one.actor for one in ledger.decisions("a")) == ["0", "1", "2"]
