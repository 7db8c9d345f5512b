# SPDX-License-Identifier: Apache-2.0
"""A tool behind the door and its calls, for tests of the tool layer."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.charter.contract import ToolContract
from pilothouse.ports.tools import ToolCall
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


def governed(effect="read", hosts=frozenset(), **terms):
    contract = ToolContract.model_validate({**ROUTE, **terms})
    return GovernedTool(
        name=contract.tool,
        integration="erp",
        effect=effect,
        contract=contract,
        digest="sha256:0",
        hosts=hosts,
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


class Kept:
    """An observer that keeps everything."""

    def __init__(self):
        self.announced, self.records = [], []

    def before(self, call):
        self.announced.append(call)

    def after(self, record):
        self.records.append(record)


HOUR = timedelta(hours=1)
