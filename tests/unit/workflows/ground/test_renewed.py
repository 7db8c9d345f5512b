# SPDX-License-Identifier: Apache-2.0
"""What calls obey stays in force while the ledger is away, that it is away is said once, and no fault ends the look."""

from __future__ import annotations

import threading

import pytest

from pilothouse.errors import StorageUnavailable
from pilothouse.workflows.ground.renewed import Renewed


class Source:
    def __init__(self):
        self.value, self.state, self.fault, self.reads = "paused", "1", None, 0

    def read(self):
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return self.value


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (StorageUnavailable("the ledger is away", remedy="Wait."), "the ledger is away"),
        (KeyError("x"), "KeyError"),
    ],
)
def test_what_held_goes_on_holding_and_that_it_does_is_said_once(fault, word):
    source, said = Source(), []
    kept = Renewed(source.read, what="pauses", every_s=1.0, on_note=said.append)
    source.value, source.fault = "resumed", fault
    for _ in range(3):
        kept.refresh()
    assert kept.value == "paused"
    assert len(said) == 1
    assert said[0].startswith("pauses cannot be read, so what held goes on holding")
    assert word in said[0]
    source.fault = None
    for _ in range(2):
        kept.refresh()
    assert (kept.value, said[1:]) == ("resumed", ["pauses can be read again"])


def test_a_ledger_that_is_as_it_was_is_read_only_when_that_is_due():
    source, due = Source(), []
    kept = Renewed(
        source.read, what="pauses", every_s=1.0, state=lambda: source.state, is_due=lambda: bool(due)
    )
    for _ in range(3):
        kept.refresh()
    assert source.reads == 2, "once to begin with, once to learn which state that was"
    due.append(1)
    kept.refresh()
    source.state = "2"
    due.clear()
    kept.refresh()
    assert source.reads == 4


def test_a_look_that_failed_is_made_again_although_the_ledger_is_as_it_was():
    source = Source()
    kept = Renewed(source.read, what="pauses", every_s=1.0, state=lambda: source.state)
    kept.refresh()
    source.state, source.value, source.fault = "2", "resumed", StorageUnavailable("away", remedy="Wait.")
    kept.refresh()
    source.fault = None
    kept.refresh()
    assert kept.value == "resumed"


def test_the_thread_looks_until_it_is_stopped():
    looked = threading.Event()
    source = Source()

    def read():
        if source.reads:
            looked.set()
        return source.read()

    kept = Renewed(read, what="pauses", every_s=0.01)
    kept.start()
    assert looked.wait(10)
    kept.stop()
    reads = source.reads
    assert kept.value == "paused"
    assert source.reads == reads
