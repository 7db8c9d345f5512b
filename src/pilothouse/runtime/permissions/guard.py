# SPDX-License-Identifier: Apache-2.0
"""Puts the desk into the tool layer: asked before anything is sent, and shown each result before the model is."""

from __future__ import annotations

from pilothouse.errors import ToolError
from pilothouse.ports import CallRecord, Decider, ToolCall

__all__ = ["PermissionGuard"]


class PermissionGuard:
    """`ports.CallGuard` and `ports.CallObserver` over a desk.

    Args:
        decider: Decides and labels.
    """

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    def check(self, call: ToolCall) -> None:
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

    def before(self, call: ToolCall) -> None:
        """Do nothing: the decision was recorded when it was made."""

    def after(self, record: CallRecord) -> None:
        """Label the result."""
        if record.result is not None:
            self._decider.observe(record.call, record.result)
