# SPDX-License-Identifier: Apache-2.0
"""Puts the desk into the tool layer: asked before anything is sent, and between each result and the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.ports.permissions import Decider
from pilothouse.ports.tools import ToolCall, UnreadValues

__all__ = ["PermissionGuard"]


class PermissionGuard:
    """`ports.CallGuard` and `ports.Presenter` over a desk.

    Args:
        decider: Decides and labels.
    """

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    def check(self, call: ToolCall) -> Callable[[], None] | None:
        """Let a read pass that is allowed and uses nothing up; every other call is a question that waits for a disk."""
        return None if self._decider.decide_read(call) is not None else partial(self._settle, call)

    def _settle(self, call: ToolCall) -> None:
        """Let the call pass when it is allowed.

        Raises:
            ToolError: It is denied, or a person is asked first.
        """
        decided = self._decider.decide(call)
        if decided.decision == "allow":
            return
        if decided.decision == "ask":
            raise ToolError(
                f"{call.tool} waits for a person: rule {decided.rule} is not proven",
                remedy=decided.remedy,
                kind="held",
                retryable=True,
                approval=decided.approval,
                subject=call.tool,
            )
        raise ToolError(
            f"{call.tool} is not allowed: rule {decided.rule}",
            remedy=decided.remedy,
            kind="permission",
            subject=call.tool,
        )

    def filled(self, call: ToolCall) -> ToolCall:
        """Return a call with what its names of unread values stand for."""
        return self._decider.filled(call)

    def shown(self, call: ToolCall, result: Any) -> Any:
        """Label a result; return what the model is shown of it."""
        return self._decider.observe(call, result)

    def requester(self, run: str) -> str:
        """Return who asked for what a run does; `unknown` where nobody said."""
        return self._decider.requester(run)

    def unread(self, run: str) -> UnreadValues | None:
        """Return the unread values of a run; None where it has no open task."""
        return self._decider.unread(run)
