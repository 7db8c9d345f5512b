# SPDX-License-Identifier: Apache-2.0
"""A desk on a real ledger, with tools of every effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pilothouse.core.charter.systems import Tool
from pilothouse.ledger.approvals import SqlApprovals
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.permission_book import SqlPermissionBook
from pilothouse.ledger.steady_clock import SteadyClock
from pilothouse.ports.permissions import Segment, TaskOpening
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.permissions.desk import PermissionDesk, PolicyInForce
from pilothouse.runtime.permissions.engine import CompiledTool

COMMON = {
    "integration": "bank",
    "task_types": ["invoice"],
    "contract": "c.json",
    "manifest_hash": "sha256:" + "0" * 64,
    "examples": {"allow": [], "deny": []},
}
PAY = {
    **COMMON,
    "effect": "irreversible",
    "args": {
        "recipient": {"role": "target", "type": "iban", "required": True, "origins": ["request", "registry"]},
        "amount": {
            "role": "magnitude",
            "type": "amount(EUR)",
            "max": 2500.0,
            "ask_above": 200.0,
            "four_eyes_above": 1000.0,
            "sum_per_day": 3000.0,
            "origins": ["request", "registry"],
        },
        "note": {"role": "payload", "type": "text", "max": 140},
    },
    "budget": {"per_task": 2, "per_day": 40},
    "on_fail": "ask",
    "approvers": ["lee", "kim"],
}
READ = {**COMMON, "effect": "read", "args": {"number": {"role": "neutral", "type": "text"}}}
IBAN, OTHER = "DE89370400440532013000", "GB29NWBK60161331926819"


def tool(document):
    return Tool.model_validate(tuples(document))


def tuples(value):
    """Lists as the charter's reader gives them."""
    if isinstance(value, dict):
        return {key: tuples(one) for key, one in value.items()}
    return tuple(tuples(one) for one in value) if isinstance(value, list) else value


def call(name="bank.pay@3", run="r" * 32, effect="irreversible", task_type="invoice", **args):
    return ToolCall(
        tool=name,
        args=args,
        agent="triage",
        version="v1",
        run=run,
        span_id="s" * 16,
        parent_span_id=None,
        call_id="1",
        task_type=task_type,
        effect=effect,
        integration="bank",
        contract="sha256:c",
    )


def opening(text, run="r" * 32, task_type="invoice", quoted=None, requester="ana"):
    segments = [Segment(text=text, source="typed")]
    if quoted is not None:
        segments.append(Segment(text=quoted, source="quoted"))
    return TaskOpening(
        agent="triage",
        run=run,
        task_type=task_type,
        requester=requester,
        segments=tuple(segments),
        opened_by="service",
    )


class MovingClock:
    def __init__(self):
        self.at = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)

    def now(self):
        return self.at

    def move(self, **by):
        self.at += timedelta(**by)


class Boundary:
    """Everything of one installation that decides."""

    def __init__(self, folder, *, tools=None, canary_every=0, database=None):
        self.clock = MovingClock()
        self.steady = SteadyClock(self.clock, None, monotonic=lambda: 0.0)
        self.log = SqlAuditLog(database, load_keys(folder / "keys"), self.steady)
        self.approvals = SqlApprovals(self.log, self.steady)
        self.book = SqlPermissionBook(self.log, self.steady, canary_every=canary_every)
        self.stopped = set()
        compiled = {
            name: CompiledTool(name, tool(document))
            for name, document in (tools or {"bank.pay@3": PAY, "erp.find@1": READ}).items()
        }
        self.desk = PermissionDesk(
            PolicyInForce(agent="triage", tools=compiled, charter="charter-1", policy="policy-1"),
            self.book,
            is_stopped=lambda agent, name: name in self.stopped,
        )
