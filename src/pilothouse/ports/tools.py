# SPDX-License-Identifier: Apache-2.0
"""The ports of the tool layer: where calls with an effect are kept, and who watches and may refuse a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from pilothouse.core.charter.systems import Effect
from pilothouse.errors import ToolError

__all__ = [
    "STORED_RESULT_MAX",
    "CallGuard",
    "CallObserver",
    "CallRecord",
    "IdempotencyStore",
    "Presenter",
    "StoredCall",
    "TextMatch",
    "ToolCall",
    "UnreadValues",
]

STORED_RESULT_MAX = 64 * 1024
"""Characters of a result that are kept for a repeated call; a receipt is small."""

TextMatch = Literal["equals", "starts_with", "contains"]
"""How hidden values are compared with words; case does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of one tool, before anything was decided about it.

    Attributes:
        tool: `name@version`.
        args: Arguments, plain JSON data.
        agent: Agent that calls.
        version: Version digest of the agent, or None when nobody says.
        run: Run id, which is the trace id: 32 hex digits.
        span_id: Span of the call, 16 hex digits.
        parent_span_id: Span that made it, or None.
        call_id: The model's id of the call, or the step of the run where there is none.
        task_type: Task type of the task, or `unknown`.
        effect: What the call changes, as the charter says.
        integration: Integration it goes to.
        contract: Digest of the contract file.
        unread: Arguments that hold values which the model was not shown.
    """

    tool: str
    args: Mapping[str, Any]
    agent: str
    version: str | None
    run: str
    span_id: str
    parent_span_id: str | None
    call_id: str
    task_type: str
    effect: Effect
    integration: str
    contract: str
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """How a call went.

    Attributes:
        call: The call.
        started_ns: Start, Unix nanoseconds UTC.
        ended_ns: End.
        attempts: Attempts that reached the backend.
        breaker: State of the breaker after it.
        result: Result, plain JSON data, or None.
        error: Why there is none, or None.
        age_s: Age of the result where the contract tells it, seconds.
        replayed: Whether the result is that of an earlier call with the same key.
    """

    call: ToolCall
    started_ns: int
    ended_ns: int
    attempts: int
    breaker: str
    result: Any
    error: ToolError | None
    age_s: float | None = None
    replayed: bool = False


@runtime_checkable
class CallGuard(Protocol):
    """A check that may refuse a call before anything is sent."""

    def check(self, call: ToolCall) -> Callable[[], None] | None:
        """Allow the call, or return the rest of the check as a function, because it waits for a disk.

        Returns:
            None when the call may pass; else the question, for a thread, since an event loop must not wait for a disk.
            It raises as this does.

        Raises:
            ToolError: It may not; says why in words for the agent.
        """
        ...


@runtime_checkable
class CallObserver(Protocol):
    """Records calls; must be fast, and an error that it raises before a call refuses the call."""

    def before(self, call: ToolCall) -> None:
        """Note that a call is about to be made."""
        ...

    def after(self, record: CallRecord) -> None:
        """Note how the call went."""
        ...


@runtime_checkable
class UnreadValues(Protocol):
    """Values that a task has received and its model has not seen; names stand for them."""

    def reveal(self, name: str) -> Any:
        """Return a value for the model to read; the task has then read something untrusted."""
        ...

    def matching(self, names: Sequence[str], how: TextMatch, words: str) -> list[str]:
        """Return the names whose values match, without revealing any."""
        ...

    def extract(self, name: str, written: str) -> list[Any]:
        """Return the values of one type in a value: numbers and dates as they are, others as names again."""
        ...

    def transform(self, names: Sequence[str], work: Callable[..., str]) -> str:
        """Build a text from values, by code or a model without tools, and return its name."""
        ...

    def filled(self, value: Any) -> tuple[Any, bool]:
        """Return a value with every name replaced by what it stands for, and whether there was one."""
        ...


@runtime_checkable
class Presenter(Protocol):
    """Stands between tool results and the model."""

    def filled(self, call: ToolCall) -> ToolCall:
        """Return a call with what its names of unread values stand for.

        Raises:
            ToolError: A name stands for nothing in its task.
        """
        ...

    def observe(self, call: ToolCall, result: Any) -> Any:
        """Label a result and return the part that the model may see."""
        ...

    def unread(self, run: str) -> UnreadValues | None:
        """Return the unread values of a run; None where it has no open task."""
        ...

    def requester(self, run: str) -> str:
        """Return the requester of a run; `unknown` where none was named."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """The row of one call with an effect.

    Attributes:
        call: Identity of the call: run, call id and tool.
        key: Idempotency key that the backend is given.
        args_digest: Digest of the arguments; another one is another call under the same id.
        state: `sent`, `done`, `failed` or `unknown`; `reserved` in rows of before, whose call was not sent yet.
        result: JSON text of the result of a done call; None when it was too large to keep.
    """

    call: str
    key: str
    args_digest: str
    state: str
    result: str | None


@runtime_checkable
class IdempotencyStore(Protocol):
    """Idempotency records of calls with an effect; every step is durable when it returns."""

    def known(self, call: str) -> StoredCall | None:
        """Return the record of a call; None when it was never sent."""
        ...

    def begin(
        self, *, call: str, key: str, args_digest: str, agent: str, run: str, tool: str, at: datetime
    ) -> None:
        """Record that a call is about to be sent for the first time.

        Args:
            call: Identity of the call.
            key: Key that its backend gets.
            args_digest: Digest of its arguments.
            agent: Agent id.
            run: Run id.
            tool: Tool as the charter names it.
            at: When, aware UTC.

        Raises:
            Conflict: It is kept already: somebody else makes it.
        """
        ...

    def step(
        self, call: str, *, before: str, after: str, result: str | None, at: datetime, person: str = "unknown"
    ) -> None:
        """Move a call to its next state.

        Args:
            call: Identity of the call.
            before: State that it must be in.
            after: State that it comes to.
            result: JSON text of the result, kept so that erasing the person erases it.
            at: When, aware UTC.
            person: Whose task it was.

        Raises:
            Conflict: It is not in the state `before` any more.
        """
        ...
