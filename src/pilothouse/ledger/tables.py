# SPDX-License-Identifier: Apache-2.0
"""The whole schema: importing it imports every module that defines tables, so that `METADATA` knows them all."""

from __future__ import annotations

from pilothouse.ledger.controls import controls
from pilothouse.ledger.leases import jobs, leases, timers
from pilothouse.ledger.review_tables import review_drafts, review_items, review_labels
from pilothouse.ledger.schema import METADATA, charters, decisions, evidence, outcomes, prices, verdicts
from pilothouse.ledger.sessions import sessions, sign_in_links
from pilothouse.ledger.tool_calls import tool_calls

__all__ = ["METADATA", "TABLES"]

TABLES = (
    charters,
    controls,
    decisions,
    evidence,
    jobs,
    leases,
    outcomes,
    prices,
    review_drafts,
    review_items,
    review_labels,
    timers,
    sessions,
    sign_in_links,
    tool_calls,
    verdicts,
)
"""Every table of the ledger; a new module of tables is named here."""
