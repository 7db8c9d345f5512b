# SPDX-License-Identifier: Apache-2.0
"""`ports.Decider`: holds the open tasks of one agent, and decides every call of theirs on the compiled policy.

    call → known tool? → origins of its arguments → book (one transaction): used so far → engine → record

Whatever goes wrong on the way is a deny: an unknown tool, a ledger that cannot be written, an engine
that cannot decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.policy import CallFacts, is_spent
from pilothouse.errors import Denied, PilothouseError
from pilothouse.ports.approvals import TOKEN_REFUSED, CallProposal, PermissionBook, ShownArgument, UsedSoFar
from pilothouse.ports.permissions import PermissionDecision, TaskOpening
from pilothouse.ports.tools import ToolCall, UnreadValues
from pilothouse.runtime.permissions.arguments import (
    InspectedArguments,
    facts_of,
    inspect_arguments,
    is_entitled,
    one_form,
    persons_needed,
    shown_arguments,
)
from pilothouse.runtime.permissions.denial_text import remedy_for
from pilothouse.runtime.permissions.engine import CompiledTool
from pilothouse.runtime.permissions.open_tasks import OpenTasks, task_type_of, token_digest
from pilothouse.runtime.provenance.context import TaskContext
from pilothouse.runtime.provenance.hiding import FillingRoom

__all__ = ["APPROVAL_LIFE_S", "PermissionDesk", "PolicyInForce"]

APPROVAL_LIFE_S = 15 * 60.0
"""How long a question stays open; silence is a no."""


_NOTHING_USED = UsedSoFar()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """What decides, with the digests that each record carries.

    Attributes:
        agent: Agent id.
        tools: Compiled tools by name.
        charter: Digest of the charter.
        policy: Digest of its tools section.
    """

    agent: str
    tools: Mapping[str, CompiledTool]
    charter: str
    policy: str


class PermissionDesk:
    """Decides the calls of one agent; safe to share between threads.

    Args:
        policy: What is in force.
        book: Where budgets, approvals and records are kept.
        is_stopped: Whether a person stopped a tool of an agent, by agent and tool.
        approval_life_s: How long a question stays open, seconds.
        tasks: Those that are open under the policy before this one, where there was one.
    """

    def __init__(
        self,
        policy: PolicyInForce,
        book: PermissionBook,
        *,
        is_stopped: Callable[[str, str], bool] = lambda _agent, _tool: False,
        approval_life_s: float = APPROVAL_LIFE_S,
        tasks: OpenTasks | None = None,
    ) -> None:
        self._policy = policy
        self._book = book
        self._is_stopped = is_stopped
        self._approval_life_s = approval_life_s
        self._tasks = tasks or OpenTasks()

    def open_task(self, opening: TaskOpening) -> str:
        """Open a task and return its token, which the model never sees.

        Raises:
            Denied: The run has a task already; its request cannot be told again. Or the requester's name is no text, so that
                no record could hold it.
        """
        if not _is_text(opening.requester):
            raise Denied(
                "the name of the requester holds half a letter (a lone surrogate)",
                remedy="Open the task with the name as the identity provider writes it.",
                subject=opening.run,
            )
        return self._tasks.open(opening)

    def known_run(self, token: str) -> str | None:
        """Return the run of a task token, or None; nothing is recorded."""
        return self._tasks.run_of(token)

    def run_of(self, token: str) -> str:
        """Return the run of a task token.

        Raises:
            Denied: Nobody gave this token, or it has lapsed; recorded, of very many those that say how many.
        """
        run = self._tasks.run_of(token)
        if run is None:
            left_out = self._tasks.refused()
            if left_out is not None:
                document = {"token": token_digest(token)[:16], "not_recorded": left_out}
                tells = TOKEN_REFUSED if self._tasks.is_settled() else None
                self._book.note("task.token_refused", self._policy.agent, document, tells=tells)
            raise Denied(
                "this task token was given to nobody, or has lapsed",
                remedy="The calling service opens the task again; without one only reads are possible.",
                subject=self._policy.agent,
            )
        return run

    def needs_token(self, run: str) -> bool:
        """Whether a task was opened for a run, so that its calls must show the token."""
        return self._tasks.needs_token(run)

    def decide(self, call: ToolCall) -> PermissionDecision:
        """Decide a call; recorded on disk before this returns. If it cannot be, the call is denied."""
        return self._recorded(self._decide, call)

    def refuse(self, call: ToolCall) -> PermissionDecision:
        """Deny a call of an undeclared tool; recorded, so that no trace shows a call without a decision."""
        return self._recorded(self._refuse, call)

    def _recorded(
        self, decide: Callable[[ToolCall], PermissionDecision], call: ToolCall
    ) -> PermissionDecision:
        try:
            return decide(call)
        except PilothouseError as error:
            return PermissionDecision(
                decision="deny",
                rule="record",
                remedy=f"The decision could not be recorded, so the call was not made ({error.code}). Try later.",
                failed=("record",),
                policy=self._policy.policy,
            )

    def decide_read(self, call: ToolCall) -> PermissionDecision | None:
        """Allow a read that consumes no budget, without waiting for a disk; its record follows within a second.

        Returns:
            None for every other call, and while records cannot be written: then `decide` has the answer.
        """
        compiled = self._policy.tools.get(call.tool)
        if compiled is None or not compiled.only_reads or call.effect != "read":
            return None
        context = self._tasks.context_of(call)
        inspected = inspect_arguments(compiled, context, call)
        decision = self._on_policy(call, context, compiled, inspected, _NOTHING_USED)
        if decision.decision != "allow":
            return None
        proposal = self._proposal(call, context, compiled, inspected, is_askable=False)
        return decision if self._book.follow(proposal, decision) else None

    def filled(self, call: ToolCall) -> ToolCall:
        """Return a call with what its names of unread values stand for.

        Raises:
            ToolError: A name stands for nothing in its task.
        """
        context = self.context(call.run)
        if context is None or not len(context.hidden):
            return call
        room = FillingRoom()
        parts = {name: context.hidden.filled(value, room) for name, value in call.args.items()}
        unread = frozenset(name for name, (_, held) in parts.items() if held)
        return replace(call, args={name: one for name, (one, _) in parts.items()}, unread=unread)

    def observe(self, call: ToolCall, result: Any) -> Any:
        """Label a result and return the part that the model may see."""
        compiled = self._policy.tools.get(call.tool)
        context = self._tasks.context_of(call)
        if compiled is None:
            return context.show(call.tool, result, {}, hide=False)
        return context.show(
            call.tool, result, compiled.policy.results, hide=compiled.policy.untrusted == "hide"
        )

    def requester(self, run: str) -> str:
        """Return the requester of a run; `unknown` where none was named."""
        context = self.context(run)
        return (context.opening.requester if context is not None else "") or "unknown"

    def unread(self, run: str) -> UnreadValues | None:
        """Return the unread values of a run; None where it has no open task."""
        context = self.context(run)
        return None if context is None else context.hidden

    def context(self, run: str) -> TaskContext | None:
        """Return the state of an open task, or None."""
        return self._tasks.context(run)

    def _decide(self, call: ToolCall) -> PermissionDecision:
        context = self._tasks.context_of(call)
        compiled = self._policy.tools.get(call.tool)
        if compiled is None:
            return self._refuse(call)
        inspected = inspect_arguments(compiled, context, call)
        proposal = self._proposal(call, context, compiled, inspected)

        def decide(used: UsedSoFar) -> PermissionDecision:
            return self._on_policy(call, context, compiled, inspected, used)

        return self._book.settle(proposal, decide)

    def _refuse(self, call: ToolCall) -> PermissionDecision:
        proposal = self._proposal(call, self._tasks.context_of(call), None, None)
        return self._book.settle(proposal, lambda _: self._unknown())

    def _on_policy(
        self,
        call: ToolCall,
        context: TaskContext,
        compiled: CompiledTool,
        inspected: InspectedArguments,
        used: UsedSoFar,
    ) -> PermissionDecision:
        facts = CallFacts(
            entitled=is_entitled(task_type_of(call, context), compiled),
            # Without a budget counts decide nothing.
            used_task=used.calls_task if compiled.policy.budget else 0,
            used_day=used.calls_day if compiled.policy.budget else 0,
            tainted=context.tainted,
            args={name: facts_of(name, inspected, used) for name in compiled.arguments},
            unknown=inspected.unknown,
        )
        decided = compiled.decide(facts, agent=call.agent, killed=self._is_stopped(call.agent, call.tool))
        rule = decided.failed[0] if decided.failed else None
        origins = inspected.origins.get(rule) if rule else None
        return PermissionDecision(
            decision=decided.decision,
            rule=rule,
            argument=rule if rule in compiled.arguments else None,
            origin=origins.origins[-1] if origins else None,
            remedy=remedy_for(compiled, rule, decided.decision),
            failed=decided.failed,
            origins={name: one.origins for name, one in inspected.origins.items()},
            tainted=context.tainted,
            policy=self._policy.policy,
            is_spent=decided.decision == "deny" and is_spent(compiled.policy, facts),
        )

    def _unknown(self) -> PermissionDecision:
        return PermissionDecision(
            decision="deny",
            rule="tool",
            remedy="Do without it; the owner declares tools under `tools:` of the charter.",
            failed=("tool",),
            policy=self._policy.policy,
        )

    def _proposal(
        self,
        call: ToolCall,
        context: TaskContext,
        compiled: CompiledTool | None,
        inspected: InspectedArguments | None,
        *,
        is_askable: bool = True,
    ) -> CallProposal:
        """Return the record of a call; only an askable one needs the digest of everything."""
        opening = context.opening
        shown = shown_arguments(compiled, inspected, call.args)
        return CallProposal(
            call=call,
            task_type=task_type_of(call, context),
            requester=opening.requester,
            opened_by=opening.opened_by,
            arguments=shown,
            amounts=inspected.amounts if inspected else {},
            call_digest=_call_digest(call, context, shown, self._policy.policy) if is_askable else "",
            policy=self._policy.policy,
            charter=self._policy.charter,
            approvers=tuple(one for one in known(compiled.policy.approvers) or () if one != "?")
            if compiled
            else (),
            needs=persons_needed(compiled, inspected) if compiled and inspected else 1,
            life_s=self._approval_life_s,
        )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _call_digest(call: ToolCall, context: TaskContext, shown: tuple[ShownArgument, ...], policy: str) -> str:
    """Return the digest that an approval is bound to: any change of it needs a new approval."""
    bound = {
        "agent": call.agent,
        "version": call.version,
        "run": call.run,
        "tool": call.tool,
        "contract": call.contract,
        "arguments": {one.name: [one.value, list(one.origins)] for one in shown},
        "tainted": context.tainted,
        "policy": policy,
    }
    return _digest(one_form(bound))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
