# SPDX-License-Identifier: Apache-2.0
"""A year of traffic is some thousand records, each broken answer is soon on record, and nothing that was delivered is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.errors import StorageUnavailable
from pilothouse.runtime.gateway.guard import AnswerCount
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.gateway.answers import ANSWERS_EVERY_S, AnswerTally

AGENT = "triage"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOOK = timedelta(seconds=ANSWERS_EVERY_S)
TERMS = "7e" * 32
KEY = (AGENT, "v1", TERMS)


def newest(ledger):
    return ledger.evidence(AGENT)[-1]


def test_two_days_of_steady_traffic_are_a_hundred_records_that_lie_no_tenth_behind():
    ledger = MemoryLedger()
    tally = AnswerTally(ledger)
    looks = 2 * 24 * 120
    for look in range(looks):
        tally.take({KEY: AnswerCount(delivered=50, repaired=1)}, NOW + look * LOOK)
        assert newest(ledger).n >= 50 * (look + 1) / 1.11
    assert len(ledger.evidence(AGENT)) < 110
    tally.close(NOW + looks * LOOK)
    assert (newest(ledger).n, newest(ledger).counts["repaired"]) == (50 * looks, looks)


def test_the_first_broken_answer_is_on_record_at_the_next_look():
    ledger = MemoryLedger()
    tally = AnswerTally(ledger)
    tally.take({KEY: AnswerCount(delivered=1_000)}, NOW)
    assert tally.take({KEY: AnswerCount(delivered=1, invalid=1, runs=("r1",))}, NOW + LOOK) == 1
    assert (newest(ledger).n, newest(ledger).good, newest(ledger).items) == (1_001, 1_000, ("r1",))
    assert tally.take({KEY: AnswerCount(delivered=1)}, NOW + 2 * LOOK) == 0
    assert tally.take({}, NOW + timedelta(hours=7)) == 1
    assert newest(ledger).n == 1_002


def test_what_could_not_be_written_is_on_record_once_it_can_be():
    class WornLedger(MemoryLedger):
        is_worn = True

        def add_evidence(self, records):
            if self.is_worn and any(one.agent == AGENT for one in records):
                raise StorageUnavailable("the disk is full", remedy="`pilothouse doctor`")
            return super().add_evidence(records)

    ledger = WornLedger()
    tally = AnswerTally(ledger)
    first = {
        ("other", "v1", TERMS): AnswerCount(delivered=5),
        KEY: AnswerCount(delivered=10, invalid=2, runs=("r1",)),
    }
    with pytest.raises(StorageUnavailable):
        tally.take(first, NOW)
    ledger.is_worn = False
    assert tally.take({}, NOW + LOOK) == 1
    assert [one.n for one in ledger.evidence("other")] == [5], "what was written is not written again"
    assert (newest(ledger).n, newest(ledger).good, newest(ledger).items) == (10, 8, ("r1",))
    assert tally.close(NOW + LOOK) == 0


def test_two_gateways_add_to_one_count_whatever_their_clocks_say():
    ledger = MemoryLedger()
    ahead, behind = AnswerTally(ledger), AnswerTally(ledger)
    ahead.take({KEY: AnswerCount(delivered=10)}, NOW + timedelta(seconds=20))
    behind.take({KEY: AnswerCount(delivered=7, invalid=1)}, NOW)
    ahead.take({KEY: AnswerCount(delivered=5)}, NOW + timedelta(seconds=20))
    assert (newest(ledger).n, newest(ledger).good) == (22, 21)


def test_a_clock_far_ahead_takes_nobody_along():
    ledger = MemoryLedger()
    AnswerTally(ledger).take({KEY: AnswerCount(delivered=10)}, NOW + timedelta(days=1))
    AnswerTally(ledger).take({KEY: AnswerCount(delivered=7)}, NOW)
    assert (ledger.evidence(AGENT)[0].n, ledger.evidence(AGENT)[0].recorded_at) == (7, NOW)


def test_what_was_only_held_waits_for_an_answer_that_is_delivered():
    ledger = MemoryLedger()
    tally = AnswerTally(ledger)
    assert tally.take({KEY: AnswerCount(stopped=3)}, NOW) == 0
    assert tally.take({KEY: AnswerCount(delivered=1)}, NOW + LOOK) == 1
    assert newest(ledger).counts["held_or_rejected"] == 3


def test_answers_that_were_guarded_otherwise_are_another_count():
    ledger = MemoryLedger()
    tally = AnswerTally(ledger)
    tally.take({KEY: AnswerCount(delivered=1_000)}, NOW)
    tally.take({(AGENT, "v1", "8f" * 32): AnswerCount(delivered=3)}, NOW + LOOK)
    assert (newest(ledger).n, newest(ledger).binds.contract) == (3, "8f" * 32)


def test_answers_that_were_streamed_are_neither_valid_nor_broken():
    ledger = MemoryLedger()
    tally = AnswerTally(ledger)
    tally.take({KEY: AnswerCount(delivered=100)}, NOW)
    assert tally.take({KEY: AnswerCount(unchecked=1)}, NOW + LOOK) == 1, "the first one is told at once"
    tally.take({KEY: AnswerCount(delivered=40, invalid=1, unchecked=29)}, NOW + 2 * LOOK)
    tally.close(NOW + 3 * LOOK)
    found = newest(ledger)
    assert (found.n, found.good, found.counts["unknown"]) == (170, 139, 30)
    assert found.detail.startswith("1 of 140 delivered answers broke the schema")
    assert found.detail.endswith("30 more were streamed and not checked")
