# SPDX-License-Identifier: Apache-2.0
"""What keeps claims from being answered is told to whoever watches the server: at once, and not at each look."""

from __future__ import annotations

from datetime import timedelta

from control_rooms import AGENT, NOW, control_room_at

from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.testing import example_task
from pilothouse.workflows.server.upkeep import VerifierNotes


def test_a_verifier_that_cannot_be_asked_is_told_at_once_and_then_once_an_hour(tmp_path):
    told = []
    ended = unix_ns(NOW - timedelta(hours=1))
    with control_room_at(tmp_path) as room:
        room.installation.lake.add([example_task(start_ns=ended - 1, end_ns=ended, claim='"paid"')])
        erp = tmp_path / "repository" / "verifiers" / "erp.py"
        erp.write_text("def routing_matches(task):\n    raise ConnectionError('erp is away')\n")
        notes = VerifierNotes(room.installation, told.append)
        for minutes in range(0, 70, 2):
            notes.look(NOW + timedelta(minutes=minutes), thorough=minutes == 0)
    assert len(told) == 2
    assert told[0].startswith(f"{AGENT} po_invoice: ")
    assert "ConnectionError: erp is away" in told[0]
