# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: INP001 - loaded from the charter's folder, which is no package
"""Ask the ERP whether a document was routed as the agent says, and booked as it was routed; reads only."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
from pilothouse.core.evidence.task import Task

__all__ = ["routing_matches"]

ERP = Path(__file__).resolve().parent.parent / "erp.sqlite"
PAYABLE = {"po-match", "approval"}


def routing_matches(task: Task) -> Finding:
    """Compare the claim with what the ERP holds.

    Args:
        task: A task that claims `{"routed": {"document": ..., "queue": ..., "po_number": ...}}`.

    Returns:
        `verified` when the ERP routed and booked it so, `contradicted` when it did not, `unverifiable` when the
        claim names no document or nobody has booked it yet.
    """
    try:
        claim = json.loads(task.claim or "")["routed"]
        document = str(claim["document"])
        claimed = (str(claim["queue"]), str(claim["po_number"]))
    except (ValueError, KeyError, TypeError):
        return Finding(status=OutcomeStatus.UNVERIFIABLE, found="the claim names no document")
    with closing(sqlite3.connect(f"file:{ERP}?mode=ro", uri=True)) as erp:
        routed = erp.execute(
            "SELECT queue, po_number FROM routings WHERE document = ?", (document,)
        ).fetchone()
        booked = erp.execute(
            "SELECT queue, po_number, entity, duplicate_of FROM bookings WHERE document = ?", (document,)
        ).fetchone()
        entity = erp.execute(
            "SELECT entity FROM purchase_orders WHERE po_number = ?", (claimed[1],)
        ).fetchone()
    if routed is None:
        return _contradicted(f"{document}: the ERP has no routing")
    if routed != claimed:
        return _contradicted(f"{document}: the ERP has it in {routed[0]} {routed[1]}".rstrip())
    if booked is None:
        return Finding(status=OutcomeStatus.UNVERIFIABLE, found=f"{document}: not booked yet")
    queue, po_number, booked_entity, duplicate_of = booked
    if duplicate_of and claimed[0] in PAYABLE:
        return _contradicted(f"{document}: repeats {duplicate_of}, which was paid", critical="paid_twice")
    if entity is not None and booked_entity and entity[0] != booked_entity:
        return _contradicted(
            f"{document}: belongs to {booked_entity}, routed to {entity[0]}",
            critical="routed_to_foreign_entity",
        )
    if claimed != (queue, po_number):
        return _contradicted(f"{document}: booked as {queue} {po_number}".rstrip())
    return Finding(status=OutcomeStatus.VERIFIED, found=f"{document}: booked as {queue} {po_number}".rstrip())


def _contradicted(found: str, *, critical: str | None = None) -> Finding:
    return Finding(status=OutcomeStatus.CONTRADICTED, found=found, critical=critical)
