# SPDX-License-Identifier: Apache-2.0
"""What is in force and on record about the controls of an agent, as its page is built from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.ports.approvals import Approval, ApproverRecord
from pilothouse.ports.controls import Pause, Rollback

__all__ = ["ControlFacts", "DeniedCall", "ExamplesRun", "ToolUse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """How a tool was used in the last 30 days."""

    allowed: int = 0
    asked: int = 0
    denied: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplesRun:
    """How the examples of a tool went on its compiled policy; `allow` and `deny` count those that hold."""

    allow: int = 0
    deny: int = 0
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCall:
    """One call that was not made."""

    at: datetime
    tool: str
    run: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFacts:
    """What is in force and on record for an agent.

    Attributes:
        pauses: Pauses in force.
        rollback: Rollback in force, or None.
        version: Version that serves, or None.
        earlier: Versions that passed the release gate before, newest first.
        waiting: Calls that wait for a person, oldest first.
        used: Use of each tool.
        examples: Examples of each tool.
        problem: Why examples could not be run, or empty.
        denied: Newest denied calls.
        approvers: How people answered.
        used_since: Since when use was counted, where a month has more decisions than a page reads; None for the month.
    """

    pauses: Sequence[Pause]
    rollback: Rollback | None
    version: str | None
    earlier: Sequence[str]
    waiting: Sequence[Approval]
    used: Mapping[str, ToolUse]
    examples: Mapping[str, ExamplesRun]
    problem: str = ""
    denied: Sequence[DeniedCall] = ()
    approvers: Sequence[ApproverRecord] = ()
    used_since: datetime | None = None

    @property
    def any_decided(self) -> bool:
        """Whether any call was decided; while none was, nothing is known of what nobody uses."""
        return any(use.allowed or use.asked or use.denied for use in self.used.values())
