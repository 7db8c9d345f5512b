# SPDX-License-Identifier: Apache-2.0
"""Notes what was made from a reviewed answer, so that erasing a task finds all of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pilothouse.ports.curation import CurationStore, Edge

__all__ = ["link_made"]


def link_made(store: CurationStore, agent: str, made: Iterable[tuple[str, str, str]], now: datetime) -> None:
    """Note that things were made from items, and the items from their traces.

    Args:
        store: Where lineage is kept.
        agent: Agent id.
        made: Trace id, item id and what was made, for example `case:CASE_ID`.
        now: The moment, aware UTC.
    """
    steps = [
        step
        for trace_id, item_id, child in made
        for step in ((f"trace:{trace_id}", f"item:{item_id}"), (f"item:{item_id}", child))
    ]
    store.link([Edge(agent=agent, parent=parent, child=child, at=now) for parent, child in steps])
