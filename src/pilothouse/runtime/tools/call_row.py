# SPDX-License-Identifier: Apache-2.0
"""The idempotency record of one call with an effect: on disk before the call leaves, so that a repetition gets the first result.

A call that is refused before it leaves has none: nothing happened, and the same call may come again.
"""

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
    """The idempotency record of one call; looked up once, and written when the call is about to leave.

    Args:
        store: Where rows are kept; without one, calls that change something are refused.
        now: Tells the time, aware UTC.
    """

    __slots__ = (
        "_call",
        "_digest",
        "_identity",
        "_is_new",
        "_now",
        "_person",
        "_store",
        "key",
        "replayed",
        "state",
    )

    def __init__(self, store: IdempotencyStore | None, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._person = "unknown"
        self._call: ToolCall | None = None
        self._identity = self._digest = ""
        self._is_new = True
        self.key: str | None = None
        self.state = CallState.RESERVED
        self.replayed = False

    @property
    def is_kept(self) -> bool:
        """Whether the call was looked up, so that its record is updated."""
        return self._call is not None

    def look_up(self, tool: GovernedTool, call: ToolCall, person: str) -> Any:
        """Look a call up: return the stored result of a finished one, or None when it must still be sent.

        Args:
            tool: The tool.
            call: The call.
            person: Whose task it is; erasing them erases the result.

        Raises:
            ToolError: It could not be recorded, was made with other arguments, or nobody knows what came of it.
        """
        row = self._known(tool, call)
        self._person = person
        self._call = call
        if row is None:
            return None
        self._is_new, self.key, self.state = False, row.key, CallState(row.state)
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
        """Record that the call is about to be sent.

        Raises:
            ToolError: It cannot be kept, so it must not leave.
        """
        try:
            if self._is_new:
                self._begin()
            else:
                self.step(CallState.SENT)
        except PilothouseError as failed:
            raise ToolError(
                f"{tool.name}: the call could not be recorded, so it was not made",
                remedy="Try later; the operator is told by `pilothouse doctor`.",
                kind="permission",
                subject=tool.name,
            ) from failed

    def mark_done(self, result: Any) -> None:
        """Record the result; failures to record are ignored."""
        # What was done is done: without the mark the row says `sent`, and a repetition asks before it acts.
        with contextlib.suppress(PilothouseError):
            self.step(CallState.DONE, result)

    def mark_failed(self, *, unsure: bool) -> None:
        """Record that there is no result; failures to record are ignored.

        Args:
            unsure: Whether it may have been done.
        """
        # The agent must hear what may have been done whatever the disk does; the row says `sent`, which asks before it acts.
        with contextlib.suppress(PilothouseError):
            self.step(CallState.UNKNOWN if unsure else CallState.FAILED)

    def step(self, after: CallState, result: Any = None) -> None:
        """Record the next state.

        Args:
            after: The state.
            result: Result of a call that is done.
        """
        store = self._store
        assert store is not None  # noqa: S101 - callers ask only for what was looked up
        text = json.dumps(result, ensure_ascii=False) if after is CallState.DONE else None
        if text is not None and len(text) > STORED_RESULT_MAX:
            text = None
        store.step(
            self._identity,
            before=self.state.value,
            after=after.value,
            result=text,
            at=self._now(),
            person=self._person,
        )
        self.state = after

    def _begin(self) -> None:
        call, store, key = self._call, self._store, self.key
        assert call is not None and store is not None and key is not None  # noqa: S101, PT018 - it was looked up
        store.begin(
            call=self._identity,
            key=key,
            args_digest=self._digest,
            agent=call.agent,
            run=call.run,
            tool=call.tool,
            at=self._now(),
        )
        self._is_new, self.state = False, CallState.SENT

    def _known(self, tool: GovernedTool, call: ToolCall) -> StoredCall | None:
        if self._store is None:
            raise ToolError(
                f"{tool.name}: calls that change something cannot be recorded here",
                remedy="Open the ledger: `pilothouse doctor`.",
                kind="permission",
                subject=tool.name,
            )
        self._identity, _ = call_key(call.run, call.call_id, call.tool, {})
        self.key, self._digest = call_key(call.run, call.call_id, call.tool, dict(call.args))
        try:
            row = self._store.known(self._identity)
        except PilothouseError as failed:
            raise ToolError(
                f"{tool.name}: the call could not be recorded, so it was not made",
                remedy="Try later; the operator is told by `pilothouse doctor`.",
                kind="unavailable",
                retryable=True,
                subject=tool.name,
            ) from failed
        if row is not None and row.args_digest != self._digest:
            raise ToolError(
                f"{tool.name}: call {call.call_id} was made before with other arguments",
                remedy="Make it as a new call with an id of its own.",
                kind="conflict",
                subject=tool.name,
            )
        return row
