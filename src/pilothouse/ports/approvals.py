# SPDX-License-Identifier: Apache-2.0
"""The port of approvals: exact calls that wait for a person, and the votes on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from pilothouse.ports.permissions import PermissionDecision
from pilothouse.ports.tools import ToolCall

__all__ = [
    "APPROVALS_OPEN_MAX",
    "BUDGET_DENIED",
    "REFUSALS_TOLD_EVERY",
    "TOKEN_REFUSED",
    "Approval",
    "ApprovalState",
    "Approvals",
    "ApproverRecord",
    "CallProposal",
    "CallsWaiting",
    "PermissionBook",
    "ShownArgument",
    "UsedSoFar",
    "Vote",
    "WaitingCalls",
]

BUDGET_DENIED, TOKEN_REFUSED = "call.budget_denied", "task.token_strange"
"""Kinds of the decisions by which somebody is called: a call came after its budget was used up; a task token that nobody gave."""

REFUSALS_TOLD_EVERY = timedelta(hours=1)
"""How often one of these is put on record for an agent: one that tries in a loop says so with the first. Each refusal has its own record
in the audit log."""

APPROVALS_OPEN_MAX = 1_000
"""Proposals that may wait at once: more than people can answer in their time, so the next call is denied."""

ApprovalState = Literal["pending", "approved", "rejected", "expired", "used", "void"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownArgument:
    """One argument as an approver sees it.

    Attributes:
        name: Its name.
        value: Its value as JSON text.
        role: Its role.
        origins: Where it comes from.
        source: Untrusted field that it was found in, or None.
        personal: Kinds of personal data that were found in it, where it may hold none.
    """

    name: str
    value: str
    role: str
    origins: tuple[str, ...]
    source: str | None = None
    personal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The vote of one person.

    Attributes:
        actor: Person id.
        allows: Whether they agreed.
        at: When.
    """

    actor: str
    allows: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One exact call that waits, or waited, for a person.

    Attributes:
        id: Digest of the call, its expiry and a random number.
        call_digest: Digest of agent, version, task, tool, contract, arguments, origins, label and policy.
        agent: Agent id.
        tool: Tool.
        run: Run id.
        task_type: Task type.
        requester: Who asked the agent.
        effect: What the call changes.
        arguments: Every argument with its origin.
        failed: Rules that were not proven.
        tainted: Whether the model had been shown something untrusted.
        policy: Digest of the policy.
        approvers: Who may answer.
        needs: Persons who must agree.
        state: Where it stands.
        asked_at: When it was asked.
        expires_at: When it lapses, which is a no.
        votes: What was said so far.
        is_canary: Whether it is a known-bad call that nobody made; told only after the answer.
    """

    id: str
    call_digest: str
    agent: str
    tool: str
    run: str
    task_type: str
    requester: str
    effect: str
    arguments: tuple[ShownArgument, ...]
    failed: tuple[str, ...]
    tainted: bool
    policy: str
    approvers: tuple[str, ...]
    needs: int
    state: ApprovalState
    asked_at: datetime
    expires_at: datetime
    votes: tuple[Vote, ...] = ()
    is_canary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverRecord:
    """How one approver has voted over time.

    Attributes:
        actor: Person id.
        answered: Answers.
        allowed: How many of them agreed.
        median_s: Median time to an answer, seconds.
        under_3_s: Answers within three seconds.
        canaries: Known-bad calls answered.
        caught: How many of those were refused.
    """

    actor: str
    answered: int
    allowed: int
    median_s: float
    under_3_s: int
    canaries: int
    caught: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedSoFar:
    """What was used of a tool's budget before this call.

    Attributes:
        calls_task: Calls in this task.
        calls_day: Calls on this day, UTC.
        sums_task: Sums of magnitudes in this task, by argument.
        sums_day: Sums on this day.
    """

    calls_task: int = 0
    calls_day: int = 0
    sums_task: Mapping[str, int] = field(default_factory=dict)
    sums_day: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallProposal:
    """A call with everything its record and its approval are bound to.

    Attributes:
        call: The call.
        task_type: Task type of the open task; the call's own word for it proves nothing.
        requester: Who asked, and whose data the arguments are.
        opened_by: Who opened the task: `service`, `agent` or `nobody`.
        arguments: Arguments as an approver sees them.
        amounts: Magnitudes in whole units, by argument.
        call_digest: What an approval of it is bound to.
        policy: Digest of the policy.
        charter: Digest of the charter.
        approvers: Who may answer.
        needs: Persons who must agree.
        life_s: Seconds that a question stays open.
    """

    call: ToolCall
    task_type: str
    requester: str
    opened_by: str
    arguments: tuple[ShownArgument, ...]
    amounts: Mapping[str, int]
    call_digest: str
    policy: str
    charter: str
    approvers: tuple[str, ...]
    needs: int
    life_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsWaiting:
    """How many calls of one agent wait for a person.

    Attributes:
        agent: Agent id.
        waiting: Calls that nobody has decided.
        first_lapse: When the first of them lapses, which is a no; None when none waits.
    """

    agent: str
    waiting: int = 0
    first_lapse: datetime | None = None


@runtime_checkable
class WaitingCalls(Protocol):
    """How many calls wait, over all agents."""

    def counts(self, now: datetime) -> Sequence[CallsWaiting]:
        """Return how many calls wait for approval, by agent name; agents without any are absent."""
        ...


@runtime_checkable
class PermissionBook(Protocol):
    """What must be durable before a call is made: budgets, approvals and the record, in one transaction."""

    def settle(
        self, proposal: CallProposal, decide: Callable[[UsedSoFar], PermissionDecision]
    ) -> PermissionDecision:
        """Decide a call by what was used so far, consume budget or approval, and record the decision."""
        ...

    def follow(self, proposal: CallProposal, decision: PermissionDecision) -> bool:
        """Queue the record of an allowed read, which is written in the background within a second.

        Returns:
            Whether it will be; False while records cannot be written, or too many wait.
        """
        ...

    def note(self, kind: str, agent: str, document: Mapping[str, Any], *, tells: str | None = None) -> None:
        """Record an event that no call waits for; `tells` is the kind of the decision by which somebody is called."""
        ...


@runtime_checkable
class Approvals(Protocol):
    """The approvals that people see and vote on."""

    def waiting(self, agent: str | None = None) -> Sequence[Approval]:
        """Return the pending approvals, oldest first."""
        ...

    def find(self, approval: str) -> Approval | None:
        """Return one approval by its id or a unique prefix of it."""
        ...

    def vote(self, approval: str, *, actor: str, allows: bool, reason: str) -> Approval:
        """Record a person's vote, and its audit record with it.

        Raises:
            Denied: They may not answer this one.
            Conflict: It does not wait any more.
        """
        ...

    def approvers(self, agent: str) -> Sequence[ApproverRecord]:
        """Return how each approver of an agent has voted so far."""
        ...
