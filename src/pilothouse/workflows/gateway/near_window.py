# SPDX-License-Identifier: Apache-2.0
"""Put on record that a call came near the window of its model; a running server calls people of it.

A level is told once in seven days, and a lower one not at all in that time: an agent that always works near its window says so once a week.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.gateway.near_window import NearCall
from pilothouse.workflows.gateway.notes import put_on_record

__all__ = ["NEAR_KIND", "note_near"]

NEAR_KIND = "context.near"
"""Kind of the records."""

TOLD_EVERY = timedelta(days=7)
"""How often a level is told."""

READ_MAX = 100
"""Records that are looked at: an agent makes at most four for each of its models in that time."""


def note_near(ledger: Ledger, near: NearCall, now: datetime) -> bool:
    """Put a call on record that came nearer than those of the last days; return whether it was written.

    Args:
        ledger: Where it is put.
        near: The call.
        now: The moment, aware UTC.

    Raises:
        Conflict: Another process wrote one at this moment.
    """
    listed = ledger.decisions(near.agent, kind=NEAR_KIND, limit=READ_MAX)
    for one in listed:
        said = json.loads(one.document)
        is_alike = (said["model"], said["window"]) == (near.model, near.window)
        if is_alike and said["level"] >= near.level and now - one.at < TOLD_EVERY:
            return False
    document = {
        "model": near.model,
        "run": near.run,
        "level": near.level,
        "share": round(1_000 * near.share),
        "window": near.window,
    }
    put_on_record(ledger, NEAR_KIND, near.agent, document, now, listed=listed)
    return True
