# SPDX-License-Identifier: Apache-2.0
"""Every decision about an agent, page by page, and the newest: for what must not end at a thousand, nor rest on an older state."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.ports.ledger import DECISIONS_MAX, Decision, Ledger

__all__ = ["every_decision", "newest_sequence"]


def every_decision(ledger: Ledger, agent: str, *, kind: str | None = None) -> Iterator[Decision]:
    """Yield all decisions about an agent, newest first; at most a page of them is in memory.

    Args:
        ledger: Where they stand.
        agent: Agent id.
        kind: Only those of this kind; None for all.
    """
    before = None
    while True:
        page = ledger.decisions(agent, kind=kind, limit=DECISIONS_MAX, before=before)
        yield from page
        if len(page) < DECISIONS_MAX:
            return
        before = page[-1].sequence


def newest_sequence(ledger: Ledger, agent: str, kind: str) -> int:
    """Return the sequence of the newest decision of a kind, 0 where there is none: `after` of one that rests on what is read next.

    Args:
        ledger: Where they stand.
        agent: Agent id.
        kind: Of this kind.
    """
    return max((one.sequence for one in ledger.decisions(agent, kind=kind, limit=1)), default=0)
