# SPDX-License-Identifier: Apache-2.0
"""Gather the Audit page (audit log, checkpoints, anchors, the last verification → view model)."""

from __future__ import annotations

import json
from datetime import datetime

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.writing_order import standing_record
from pilothouse.reports.audit import RECORDS_SHOWN, AuditFacts, RecordsWanted, build_audit
from pilothouse.reports.sections import SectionsPage
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.reports.audit import ANCHORED

__all__ = ["show_audit"]

ANCHORS_SHOWN = 10


def show_audit(room: BoundaryRoom, now: datetime, wanted: RecordsWanted) -> SectionsPage:
    """Return the Audit page; it reads, and verifies nothing by itself.

    Args:
        room: Installation with audit log.
        now: The moment, aware UTC.
        wanted: Which records are asked for.
    """
    found = room.log.search(
        agent=wanted.agent or None, kind=wanted.kind or None, limit=RECORDS_SHOWN + 1, before=wanted.before
    )
    anchors = []
    for decision in room.installation.ledger.decisions("", kind=ANCHORED, limit=ANCHORS_SHOWN):
        document = json.loads(decision.document)
        anchors.append((int(document["size"]), str(document["path"]), bool(document.get("outside"))))
    facts = AuditFacts(
        size=room.log.size(),
        checkpoints=tuple((one.size, one.at) for one in room.log.checkpoints()),
        anchors=tuple(anchors),
        verified=_verified(room),
        key=str(room.log.key_history().present),
        records=found[:RECORDS_SHOWN],
        wanted=wanted,
        has_older=len(found) > RECORDS_SHOWN,
    )
    return build_audit(facts, now)


def _verified(room: BoundaryRoom) -> Evidence | None:
    """The newest verification: one command writes the same record for every agent."""
    found = [
        record
        for agent in room.agents()[:1]
        for record in room.installation.ledger.evidence(agent, kinds=["audit.verified"])
    ]
    return standing_record(found)
