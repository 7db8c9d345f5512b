# SPDX-License-Identifier: Apache-2.0
"""When claims are held against nothing for an hour, somebody is called; a backlog and a restart call nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from control_rooms import AGENT

from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.testing import example_task
from pilothouse.workflows.integrations.verify import verify_due
from pilothouse.workflows.watch.verifier_watch import VerifierWatch

AWAY = "def routing_matches(task):\n    raise ConnectionError('erp is away')\n"
THERE = "def routing_matches(task):\n    return True\n"
BROKEN = "def broken(:\n"


@pytest.fixture
def verifier(tmp_path):
    return tmp_path / "repository" / "verifiers" / "erp.py"


def claims(room, moment, number=3):
    ended = unix_ns(moment - timedelta(minutes=11))
    room.installation.lake.add(
        [
            example_task(
                trace_id=f"{ended:024x}{one:08x}", start_ns=ended - 10 - one, end_ns=ended, claim='"paid"'
            )
            for one in range(number)
        ]
    )


def hour_of(room, clock, watch, *, asks=True):
    """Let an hour pass in steps of ten minutes, each with new claims; return how many incidents were opened."""
    opened = 0
    for _ in range(7):
        claims(room, clock())
        if asks:
            verify_due(room.installation, clock())
        opened += watch.look(clock())
        clock.move(minutes=10)
    return opened


@pytest.mark.parametrize(("text", "says"), [(AWAY, "erp is away"), (BROKEN, "cannot be imported")])
def test_a_verifier_that_answers_nothing_for_an_hour_calls_somebody_once(room, clock, verifier, text, says):
    verifier.write_text(text, encoding="utf-8")
    assert hour_of(room, clock, VerifierWatch(room)) == 1
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert "nobody knows whether what ap-invoice-triage claims is true" in incident.title
    assert says in incident.title


def test_one_answer_among_the_newest_claims_shows_that_the_system_can_be_asked(room, clock, verifier):
    watch = VerifierWatch(room)
    verifier.write_text(AWAY, encoding="utf-8")
    for _ in range(5):
        claims(room, clock())
        verify_due(room.installation, clock())
        assert watch.look(clock()) == 0
        clock.move(minutes=10)
    verifier.write_text(THERE, encoding="utf-8")
    claims(room, clock())
    verify_due(room.installation, clock())
    assert watch.look(clock()) == 0
    verifier.write_text(AWAY, encoding="utf-8")
    clock.move(minutes=30)
    assert watch.look(clock()) == 0


def test_claims_that_nobody_asked_about_yet_and_no_claims_at_all_call_nobody(room, clock):
    watch = VerifierWatch(room)
    clock.move(hours=2)
    assert watch.look(clock()) == 0
    assert hour_of(room, clock, watch, asks=False) == 0
