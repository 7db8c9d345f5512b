# SPDX-License-Identifier: Apache-2.0
"""The port of the permission boundary: a task is opened, each call is decided, each result is labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from pilothouse.core.charter.policy import PolicyDecision
from pilothouse.core.charter.systems import Origin
from pilothouse.ports.tools import Presenter, ToolCall

__all__ = ["Decider", "PermissionDecision", "Segment", "TaskOpening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of the request.

    Attributes:
        text: Its text.
        source: `typed` by the requester, or `quoted` by them from somewhere else; only a typed one proves.
    """

    text: str
    source: Literal["typed", "quoted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpening:
    """What a calling service says about a task before the model reads anything.

    Attributes:
        agent: Agent id.
        run: Run id, which is the trace id.
        task_type: Task type, fixed here.
        requester: Who asks, as the service has authenticated them; also whose data the arguments are.
        segments: The request in pieces.
        opened_by: `service` when somebody other than the agent's own code opened the task.
    """

    agent: str
    run: str
    task_type: str
    requester: str
    segments: tuple[Segment, ...]
    opened_by: Literal["service", "agent"] = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDecision:
    """What was decided about one call; on disk before it was returned.

    Attributes:
        decision: Whether the call may be made, must wait for a person, or may not be made.
        rule: The rule that decided; None when every rule was proven.
        argument: Argument that the rule is about, or None.
        origin: Worst origin of that argument, or None.
        remedy: What the agent can do, without values and without the policy of other tools.
        failed: Every rule that was not proven.
        origins: Origins of each argument.
        tainted: Whether the model had been shown something untrusted.
        approval: Id of the approval that is waited for, or that was used.
        expires_at: When that approval lapses; it is refused early, never late.
        policy: Digest of the policy that decided.
        position: Place in the audit log, or None for a read whose record follows within a second.
        is_spent: Whether it is denied because a budget of calls or a sum is used up.
    """

    decision: PolicyDecision
    rule: str | None = None
    argument: str | None = None
    origin: Origin | None = None
    remedy: str = ""
    failed: tuple[str, ...] = ()
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    tainted: bool = False
    approval: str | None = None
    expires_at: datetime | None = None
    policy: str = ""
    position: int | None = None
    is_spent: bool = False


@runtime_checkable
class Decider(Presenter, Protocol):
    """Decides every call of one agent and labels its results; without an open task only reads are possible."""

    def open_task(self, opening: TaskOpening) -> str:
        """Open a task and return its token, which the model never sees."""
        ...

    def known_run(self, token: str) -> str | None:
        """Return the run of a task token, or None; nothing is recorded, so the call does not wait for a disk."""
        ...

    def run_of(self, token: str) -> str:
        """Return the run of a task token.

        Raises:
            Denied: Nobody gave this token, or it has lapsed; recorded.
        """
        ...

    def needs_token(self, run: str) -> bool:
        """Whether a task was opened for a run, so that calls from other processes must show its token."""
        ...

    def decide_read(self, call: ToolCall) -> PermissionDecision | None:
        """Allow a read that consumes no budget, without waiting for a disk; its record follows within a second.

        Returns:
            None for every other call, and while records cannot be written: then `decide` has the answer.
        """
        ...

    def decide(self, call: ToolCall) -> PermissionDecision:
        """Decide a call. The record is on disk before an effect may start; if it cannot be, the call is denied."""
        ...

    def refuse(self, call: ToolCall) -> PermissionDecision:
        """Deny a call of an undeclared tool; recorded like every other decision."""
        ...
