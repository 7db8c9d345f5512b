# SPDX-License-Identifier: Apache-2.0
"""What the inside needs from outside, one Protocol each; workflows know only these."""

from pilothouse.ports.audit import AUDIT_DOCUMENT_MAX, AUDIT_PAGE_MAX, AuditEntry, AuditLog, AuditRecord
from pilothouse.ports.clock import Clock
from pilothouse.ports.controls import NO_CONTROLS, Controls, ControlState, ControlStore, Pause, Rollback
from pilothouse.ports.holds import HELD_OPEN_MAX, HeldOutput, Hold, Holds, HoldState
from pilothouse.ports.intake import Intake, IntakeAnswer, Receipt, Signal
from pilothouse.ports.lake import (
    SAID_SPAN_MAX_NS,
    AgentSeen,
    Lake,
    LakeHealth,
    SpanRecord,
    TaskCursor,
    TaskFilter,
    TaskPage,
    TraceView,
)
from pilothouse.ports.ledger import (
    DECISIONS_MAX,
    EVIDENCE_MAX,
    OUTCOME_IDS_MAX,
    OUTCOMES_MAX,
    CharterInForce,
    Decision,
    Ledger,
)
from pilothouse.ports.permissions import Decider, PermissionDecision, Segment, TaskOpening
from pilothouse.ports.review import (
    CLAIM_LIFE,
    ITEMS_READ_MAX,
    UNDO_WINDOW,
    ItemRecord,
    QueueCount,
    ReviewQueue,
)
from pilothouse.ports.runlog import RUNS_PAGE_MAX, RecordMode, RunLog, RunLogHealth
from pilothouse.ports.sessions import Session, SessionStore
from pilothouse.ports.tools import (
    STORED_RESULT_MAX,
    CallGuard,
    CallObserver,
    CallRecord,
    IdempotencyStore,
    StoredCall,
    ToolCall,
)
from pilothouse.ports.verifier import VERIFIERS_API_VERSION, Verifier

__all__ = [
    "AUDIT_DOCUMENT_MAX",
    "AUDIT_PAGE_MAX",
    "CLAIM_LIFE",
    "DECISIONS_MAX",
    "EVIDENCE_MAX",
    "HELD_OPEN_MAX",
    "ITEMS_READ_MAX",
    "NO_CONTROLS",
    "OUTCOMES_MAX",
    "OUTCOME_IDS_MAX",
    "RUNS_PAGE_MAX",
    "SAID_SPAN_MAX_NS",
    "STORED_RESULT_MAX",
    "UNDO_WINDOW",
    "VERIFIERS_API_VERSION",
    "AgentSeen",
    "AuditEntry",
    "AuditLog",
    "AuditRecord",
    "CallGuard",
    "CallObserver",
    "CallRecord",
    "CharterInForce",
    "Clock",
    "ControlState",
    "ControlStore",
    "Controls",
    "Decider",
    "Decision",
    "HeldOutput",
    "Hold",
    "HoldState",
    "Holds",
    "IdempotencyStore",
    "Intake",
    "IntakeAnswer",
    "ItemRecord",
    "Lake",
    "LakeHealth",
    "Ledger",
    "Pause",
    "PermissionDecision",
    "QueueCount",
    "Receipt",
    "RecordMode",
    "ReviewQueue",
    "Rollback",
    "RunLog",
    "RunLogHealth",
    "Segment",
    "Session",
    "SessionStore",
    "Signal",
    "SpanRecord",
    "StoredCall",
    "TaskCursor",
    "TaskFilter",
    "TaskOpening",
    "TaskPage",
    "ToolCall",
    "TraceView",
    "Verifier",
]
