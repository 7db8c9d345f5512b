# SPDX-License-Identifier: Apache-2.0
"""A tool behind the door, its calls, and a store of calls in memory, for tests of the tool layer."""

from __future__ import annotations

import threading
from datetime import timedelta

from pilothouse.core.charter.contract import ToolContract
from pilothouse.errors import Conflict
from pilothouse.ports import StoredCall, ToolCall
from pilothouse.runtime.tools.governed import GovernedTool

ROUTE = {
    "name": "erp.route",
    "version": 1,
    "description": "Put an invoice into a queue.",
    "input": {
        "type": "object",
        "required": ["invoice_id", "queue"],
        "additionalProperties": False,
        "properties": {"invoice_id": {"type": "string"}, "queue": {"enum": ["approval", "credit"]}},
    },
    "output": {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}},
}
ARGS = {"invoice_id": "INV-7", "queue": "approval"}


def governed(effect="read", **terms):
    contract = ToolContract.model_validate({**ROUTE, **terms})
    return GovernedTool(
        name=contract.tool, integration="erp", effect=effect, contract=contract, digest="sha256:0"
    )


def tool_call(tool, args=None, *, run="a" * 32, call_id="call-1", **fields):
    usual = {
        "tool": tool.name,
        "args": ARGS if args is None else args,
        "agent": "triage",
        "version": "v1",
        "run": run,
        "span_id": "b" * 16,
        "parent_span_id": None,
        "call_id": call_id,
        "task_type": "po_invoice",
        "effect": tool.effect,
        "integration": tool.integration,
        "contract": tool.digest,
    }
    return ToolCall(**(usual | fields))


class MemoryCalls:
    """`ports.IdempotencyStore` in memory."""

    def __init__(self):
        self.rows, self.steps, self.lock = {}, [], threading.Lock()

    def reserve(self, *, call, key, args_digest, agent, tool, at):
        with self.lock:
            row = self.rows.get(call)
            if row is None:
                row = {
                    "call": call,
                    "key": key,
                    "args_digest": args_digest,
                    "state": "reserved",
                    "result": None,
                    "agent": agent,
                    "at": at,
                }
                self.rows[call] = row
                return StoredCall(
                    fresh=True,
                    **{name: row[name] for name in ("call", "key", "args_digest", "state", "result")},
                )
            return StoredCall(
                fresh=False, **{name: row[name] for name in ("call", "key", "args_digest", "state", "result")}
            )

    def step(self, call, *, before, after, result, at):
        with self.lock:
            if self.rows[call]["state"] != before:
                raise Conflict("not any more", remedy="Ask again.")
            self.rows[call] |= {"state": after, "result": result, "at": at}
            self.steps.append((before, after))

    def unsettled(self, agent, *, older_than, limit=100):
        found = [
            row
            for row in self.rows.values()
            if row["agent"] == agent and row["state"] in ("sent", "unknown") and row["at"] < older_than
        ]
        return tuple(
            StoredCall(
                fresh=False, **{name: row[name] for name in ("call", "key", "args_digest", "state", "result")}
            )
            for row in sorted(found, key=lambda row: row["at"])[:limit]
        )


class Kept:
    """An observer that keeps everything."""

    def __init__(self):
        self.announced, self.records = [], []

    def before(self, call):
        self.announced.append(call)

    def after(self, record):
        self.records.append(record)


HOUR = timedelta(hours=1)
