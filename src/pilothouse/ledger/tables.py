# SPDX-License-Identifier: Apache-2.0
"""The whole schema: importing it imports every module that defines tables, so that `METADATA` knows them all."""

from __future__ import annotations

from pilothouse.ledger.approval_tables import approval_votes, approvals
from pilothouse.ledger.audit import audit_checkpoints
from pilothouse.ledger.audit_records import audit_head, audit_records
from pilothouse.ledger.audit_subjects import audit_payloads, audit_subjects
from pilothouse.ledger.contacts import contacts
from pilothouse.ledger.controls import controls, planted_faults
from pilothouse.ledger.conversations import gateway_conversations
from pilothouse.ledger.credentials import credentials
from pilothouse.ledger.curation import few_shots, lineage
from pilothouse.ledger.dockets import dockets
from pilothouse.ledger.feedback import feedback
from pilothouse.ledger.gateway import gateway_keys, gateway_providers, gateway_spent
from pilothouse.ledger.incidents import incident_events, incidents
from pilothouse.ledger.leases import jobs, leases, timers
from pilothouse.ledger.permission_book import permission_uses
from pilothouse.ledger.promises import gateway_promises
from pilothouse.ledger.review_tables import review_drafts, review_items, review_labels
from pilothouse.ledger.run_spending import gateway_runs
from pilothouse.ledger.schema import (
    METADATA,
    charters,
    decisions,
    evidence,
    outcomes,
    prices,
    standing_evidence,
    verdicts,
)
from pilothouse.ledger.sessions import sessions, sign_in_links
from pilothouse.ledger.stored_answers import gateway_answers
from pilothouse.ledger.tool_calls import tool_calls
from pilothouse.ledger.watch import watch_readings, watch_states

__all__ = ["METADATA", "TABLES"]

TABLES = (
    approval_votes,
    approvals,
    permission_uses,
    audit_checkpoints,
    audit_head,
    audit_payloads,
    audit_records,
    audit_subjects,
    charters,
    contacts,
    controls,
    credentials,
    decisions,
    dockets,
    evidence,
    feedback,
    few_shots,
    incident_events,
    incidents,
    jobs,
    leases,
    gateway_answers,
    gateway_conversations,
    gateway_keys,
    gateway_promises,
    gateway_providers,
    gateway_runs,
    gateway_spent,
    lineage,
    outcomes,
    planted_faults,
    prices,
    review_drafts,
    review_items,
    review_labels,
    sessions,
    sign_in_links,
    standing_evidence,
    timers,
    tool_calls,
    verdicts,
    watch_readings,
    watch_states,
)
"""Every table of the ledger; a new module of tables is named here."""
