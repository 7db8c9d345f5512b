# SPDX-License-Identifier: Apache-2.0
"""CPU of one permission decision, from a call's arguments to allow, beside cedarpy alone on the same request.

`make bench-permissions`. What a ledger keeps is not measured here (`make bench-tools` has it). CPU time of this process,
best of rounds, so that a busy machine changes little; the ratio is of the same run.
"""

from __future__ import annotations

import time

import cedarpy

from pilothouse.core.charter.systems import Tool
from pilothouse.ports.approvals import UsedSoFar
from pilothouse.ports.permissions import Segment, TaskOpening
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.permissions.cedar_text import context_of
from pilothouse.runtime.permissions.desk import PermissionDesk, PolicyInForce
from pilothouse.runtime.permissions.engine import CompiledTool

ROUNDS, CALLS = 9, 400
IBAN = "DE89370400440532013000"
COMMON = {
    "integration": "bank",
    "task_types": ("invoice",),
    "contract": "c.json",
    "manifest_hash": "sha256:" + "0" * 64,
    "examples": {"allow": (), "deny": ()},
}
PAY = {
    **COMMON,
    "effect": "irreversible",
    "args": {
        "recipient": {"role": "target", "type": "iban", "required": True},
        "amount": {
            "role": "magnitude",
            "type": "amount(EUR)",
            "max": 2500.0,
            "origins": ("request", "model"),
        },
        "note": {"role": "payload", "type": "text", "max": 140},
    },
    "budget": {"per_task": 1_000_000, "per_day": 1_000_000},
    "on_fail": "ask",
    "approvers": ("lee",),
}
FIND = {**COMMON, "effect": "read", "args": {"number": {"role": "neutral", "type": "text"}}}


class Book:
    """Decides in memory."""

    def settle(self, proposal, decide):
        del proposal
        return decide(UsedSoFar())

    def follow(self, _proposal, _decision):
        return True

    def note(self, kind, agent, document):
        """Nothing is kept."""


def call(tool, effect, **args):
    return ToolCall(
        tool=tool, args=args, agent="a", version="v", run="r", span_id="s", parent_span_id=None, call_id="1",
        task_type="invoice", effect=effect, integration="bank", contract="c",
    )  # fmt: skip


def best_us(work):
    """Least CPU of one call over the rounds, microseconds."""
    rounds = []
    for number in range(ROUNDS):
        began = time.process_time()
        work(number)
        rounds.append((time.process_time() - began) / CALLS * 1e6)
    return min(rounds)


def main():
    compiled = {
        name: CompiledTool(name, Tool.model_validate(terms))
        for name, terms in (("bank.pay@3", PAY), ("erp.find@1", FIND))
    }
    desk = PermissionDesk(PolicyInForce(agent="a", tools=compiled, charter="c", policy="p"), Book())
    desk.open_task(
        TaskOpening(
            agent="a", run="r", task_type="invoice", requester="ana", opened_by="service",
            segments=(Segment(text=f"Pay 120.50 to {IBAN} for the December invoice", source="typed"),),
        )
    )  # fmt: skip

    def pay(number, spread):
        for one in range(CALLS):
            cents = (number * CALLS + one) * spread
            decided = desk.decide(
                call("bank.pay@3", "irreversible", recipient=IBAN, amount=120.5 + cents / 100, note="thanks")
            )
            assert decided.decision == "allow", decided

    def find(number):
        for one in range(CALLS):
            desk.decide(call("erp.find@1", "read", number=f"INV-{number}-{one}"))

    bare = _bare(compiled["bank.pay@3"])
    rows = {
        "cedarpy alone, the same request": best_us(bare),
        "payment, another amount each time": best_us(lambda number: pay(number, 1)),
        "payment, the same amount": best_us(lambda number: pay(number, 0)),
        "read, another argument each time": best_us(find),
    }
    alone = rows["cedarpy alone, the same request"]
    for name, took_us in rows.items():
        print(
            f"{name}: {took_us:.0f} us, {1e6 / took_us:,.0f} a core-second, {took_us / alone:.2f} x cedarpy alone"
        )


def _bare(tool):
    """The engine on what the desk would hand it, parsed once as the desk has it."""
    from pilothouse.core.charter.policy import ArgumentFacts, CallFacts

    facts = CallFacts(
        entitled=True,
        args={name: ArgumentFacts(origins=frozenset({"request"}), amount=12_050) for name in tool.arguments},
    )
    request = {
        "principal": {"type": "Agent", "id": "a"},
        "action": {"type": "Action", "id": "call"},
        "resource": {"type": "Tool", "id": tool.name},
        "context": context_of(tool.text, facts, killed=False, region=tool.region),
    }
    policies, schema = (
        cedarpy.PolicySet.from_str(tool.text.policies),
        cedarpy.Schema.from_str(tool.text.schema),
    )
    entities = cedarpy.Entities.from_json_str("[]")

    def work(_number):
        for _ in range(CALLS):
            assert (
                cedarpy.is_authorized(request, policies, entities, schema).decision is cedarpy.Decision.Allow
            )

    return work


if __name__ == "__main__":
    main()
