# SPDX-License-Identifier: Apache-2.0
"""A stop never breaks a transaction, so that whoever is stopped can still write that he was."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from pilothouse import interruption
from pilothouse.interruption import stop_between_transactions, unbroken, was_told_to_stop
from pilothouse.ledger.ledger import open_ledger

STOP = signal.SIGTERM


@pytest.fixture(autouse=True)
def nobody_is_told_any_more():
    yield
    with stop_between_transactions([STOP]):
        assert not was_told_to_stop()


def tell():
    signal.raise_signal(STOP)


def test_a_stop_ends_what_runs():
    with pytest.raises(KeyboardInterrupt), stop_between_transactions([STOP]):
        tell()
    assert was_told_to_stop(), "whatever else fails on the way out failed by it"


def test_a_stop_within_a_block_that_is_whole_comes_at_its_end():
    done = []
    with pytest.raises(KeyboardInterrupt), stop_between_transactions([STOP]):  # noqa: PT012 - where it comes is the test
        with unbroken():
            with unbroken():
                tell()
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]


def test_a_terminal_that_closes_says_it_twice_and_means_one_stop():
    written = []
    with stop_between_transactions([STOP, signal.SIGHUP]):
        with pytest.raises(KeyboardInterrupt):
            tell()
        signal.raise_signal(signal.SIGHUP)
        written.append("what the stopped still writes")
    assert written


def test_who_asks_again_later_is_not_held(monkeypatch):
    monkeypatch.setattr(interruption, "ONE_STOP_S", 0.0)

    def ask_twice():
        with unbroken():
            tell()
            tell()
            done.append("this")

    done = []
    with stop_between_transactions([STOP]), pytest.raises(KeyboardInterrupt):
        ask_twice()
    assert not done


def test_what_is_ignored_stays_ignored_and_what_stood_before_stands_after():
    def own(_number, _frame):
        """Stand for a server's own way to stop."""

    before = signal.signal(STOP, signal.SIG_IGN)
    try:
        with stop_between_transactions([STOP]):
            tell()
        signal.signal(STOP, own)
        with stop_between_transactions([STOP]):
            tell()
        assert signal.getsignal(STOP) is own
    finally:
        signal.signal(STOP, before)
    with stop_between_transactions([STOP]):
        assert signal.getsignal(STOP) is not before
    assert signal.getsignal(STOP) is before


def test_the_transaction_of_another_thread_holds_nobody():
    inside, over = threading.Event(), threading.Event()

    def work():
        with unbroken():
            inside.set()
            over.wait(10)

    other = threading.Thread(target=work)
    other.start()
    inside.wait(10)
    try:
        with pytest.raises(KeyboardInterrupt), stop_between_transactions([STOP]):
            tell()
    finally:
        over.set()
        other.join()


def test_a_stop_in_a_transaction_of_the_ledger_leaves_no_lock_that_its_own_process_waits_for(tmp_path):
    def write(text):
        return ledger.record(
            kind="test", agent="a", at=datetime.now(UTC), actor="stopped", document=json.dumps(text)
        )

    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger, stop_between_transactions([STOP]):
        event.listen(ledger.database.engine, "begin", lambda _connection: tell(), once=True)
        with pytest.raises(KeyboardInterrupt) as stopped:
            write("what was going on")
        assert (
            stopped.value.__traceback__ is not None
        )  # its frames live, and with them whatever they hold open
        assert write("what the stopped still writes") == 2
