# SPDX-License-Identifier: Apache-2.0
"""The row of one call with an effect: on disk before anything leaves, so that a repetition gets the first one's result."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pilothouse.errors import PilothouseError, ToolError
from pilothouse.ports.tools import STORED_RESULT_MAX, IdempotencyStore, StoredCall, ToolCall
from pilothouse.runtime.resilience.idempotency import CallState, after_crash, call_key
from pilothouse.runtime.tools.governed import GovernedTool

__all__ = ["CallRow"]


class CallRow:
    """What is kept of one call; nothing is, until it is reserved.

    Args:
        store: Where rows are kept; without one, calls that change something are refused.
        now: Tells the time, aware UTC.
    """

    __slots__ = ("_now", "_person", "_row", "_store", "replayed", "state")

    def __init__(self, store: IdempotencyStore | None, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._person = "unknown"
        self._row: StoredCall | None = None
        self.state = CallState.RESERVED
        self.replayed = False

    @property
    def is_kept(self) -> bool:
        """Whether there is a row."""
        return self._row is not None

    @property
    def key(self) -> str | None:
        """Idempotency key for the backend; None without a row."""
        return None if self._row is None else self._row.key

    def reserve(self, tool: GovernedTool, call: ToolCall, person: str) -> Any:
        """Put the call on disk; return the stored result of one that was made before.

        Args:
            tool: The tool.
            call: The call.
            person: Whose task it is; erasing them erases the result.

        Raises:
            ToolError: It cannot be recorded, was made with other arguments, or nobody knows what came of it.
        """
        row = self._reserved(tool, call)
        self._person = person
        self._row, self.state = row, CallState(row.state)
        if row.fresh:
            return None
        allowed = after_crash(self.state, idempotency=tool.repeatable)
        if allowed == "ask_person":
            raise ToolError(
                f"{tool.name}: this call was sent before and nobody knows what came of it",
                remedy="Do not repeat it; look it up, or ask a person.",
                kind="conflict",
                side_effect="unknown",
                subject=tool.name,
            )
        if allowed != "stored":
            return None
        self.replayed = True
        if row.result is None:
            raise ToolError(
                f"{tool.name}: this call was made before and its result is not kept (too large, or erased)",
                remedy="It is done; look the result up.",
                kind="conflict",
                side_effect="done",
                subject=tool.name,
            )
        return json.loads(row.result)

    def mark_sent(self, tool: GovernedTool) -> None:
        """Keep that the call is about to leave.

        Raises:
            ToolError: It cannot be kept, so it must not leave.
        """
        try:
            self.step(CallState.SENT)
        except PilothouseError as failed:
            raise ToolError(
                f"{tool.name}: the call could not be recorded, so it was not made",
                remedy="Try later; the operator is told by `pilothouse doctor`.",
                kind="permission",
                subject=tool.name,
            ) from failed

    def mark_done(self, result: Any) -> None:
        """Keep the result, where that is possible."""
        # What was done is done: without the mark the row says `sent`, and a repetition asks before it acts.
        with contextlib.suppress(PilothouseError):
            self.step(CallState.DONE, result)

    def step(self, after: CallState, result: Any = None) -> None:
        """Move on to a state.

        Args:
            after: The state.
            result: Result of a call that is done.
        """
        row, store = self._row, self._store
        assert row is not None  # noqa: S101 - callers ask only when there is a row
        assert store is not None  # noqa: S101 - a row came from it
        text = json.dumps(result, ensure_ascii=False) if after is CallState.DONE else None
        if text is not None and len(text) > STORED_RESULT_MAX:
            text = None
        store.step(
            row.call,
            before=self.state.value,
            after=after.value,
            result=text,
            at=self._now(),
            person=self._person,
        )
        self.state = after

    def _reserved(self, tool: GovernedTool, call: ToolCall) -> StoredCall:
        if self._store is None:
            raise ToolError(
                f"{tool.name}: calls that change something cannot be recorded here",
                remedy="Open the ledger: `pilothouse doctor`.",
                kind="permission",
                subject=tool.name,
            )
        identity, _ = call_key(call.run, call.call_id, call.tool, {})
        key, digest = call_key(call.run, call.call_id, call.tool, dict(call.args))
        try:
            row = self._store.reserve(
                call=identity,
                key=key,
                args_digest=digest,
                agent=call.agent,
                run=call.run,
                tool=call.tool,
                at=self._now(),
            )
        except PilothouseError as failed:
            raise ToolError(
                f"{tool.name}: the call could not be recorded, so it was not made",
                remedy="Try later; the operator is told by `pilothouse doctor`.",
                kind="unavailable",
                retryable=True,
                subject=tool.name,
            ) from failed
        if row.args_digest != digest:
            raise ToolError(
                f"{tool.name}: call {call.call_id} was made before with other arguments",
                remedy="Make it as a new call with an id of its own.",
                kind="conflict",
                subject=tool.name,
            )
        return row
