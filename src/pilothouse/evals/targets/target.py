# SPDX-License-Identifier: Apache-2.0
"""The port every target implements, and how foreign JSON becomes a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from pilothouse.evals.case import Case
from pilothouse.evals.trial import Reply, ToolCall, TrialContext

__all__ = ["PRESSURE", "AgentFailed", "Target", "TargetSpec", "TargetUnreachable", "as_reply"]

REPLY_KEYS: Final = frozenset({"output", "tool_calls", "cost_usd", "claim", "trace_id", "model"})
"""A JSON object with `output` and no other keys than these is a reply; anything else is the output itself."""

PRESSURE: Final = frozenset({429, 503})
"""HTTP statuses of a server that is asked too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """What a target is; trials of equal digests are the same experiment.

    Attributes:
        address: As the user gave it, for example `python:app:run`.
        version: Version digest of the agent behind it.
        fingerprint: Digest of what is visible of it (source, prompt, address), whatever version a person named:
            stored trials are reused only under the same one.
        version_is_declared: Whether a person named the version; otherwise it was computed from what is visible.
        makes_calls: False for recorded results: nothing runs and nothing costs.
        about: Where recorded results come from, one sentence, or empty.
    """

    address: str
    version: str
    fingerprint: str
    version_is_declared: bool
    makes_calls: bool = True
    about: str = ""


class AgentFailed(Exception):
    """The agent itself failed: an exception, no JSON, a dead worker. The trial counts as failed."""


class TargetUnreachable(Exception):
    """Infrastructure failed between us and the agent; the trial is retried.

    Attributes:
        retry_after_s: Seconds the other side asked us to wait, or None.
        is_pressure: Whether it was a sign of too many calls (429, 503).
    """

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, is_pressure: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_pressure = is_pressure


@runtime_checkable
class Target(Protocol):
    """A target: it answers a case."""

    @property
    def spec(self) -> TargetSpec:
        """Its specification."""
        ...

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Answer one case.

        Raises:
            AgentFailed: The agent failed.
            TargetUnreachable: The world failed.
        """
        ...

    async def close(self) -> None:
        """Release connections, threads and processes."""
        ...


def as_reply(value: Any) -> Reply:
    """Convert the result of a target: a `Reply`, a JSON object with more fields, or the bare output.

    Raises:
        AgentFailed: It looks like a reply and is not one.

    Example:
        >>> as_reply({"output": 4, "tool_calls": [{"name": "add"}]}).tool_calls[0].name
        'add'
        >>> as_reply({"queue": "ap-1"}).output
        {'queue': 'ap-1'}
    """
    if isinstance(value, Reply):
        return value
    if not (isinstance(value, Mapping) and "output" in value and set(value) <= REPLY_KEYS):
        return Reply(output=value)
    calls = value.get("tool_calls")
    cost = value.get("cost_usd")
    try:
        return Reply(
            output=value["output"],
            tool_calls=None if calls is None else tuple(_tool_call(one) for one in calls),
            cost_usd=None if cost is None else float(cost),
            claim=value.get("claim"),
            trace_id=value.get("trace_id"),
            model=value.get("model"),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise AgentFailed(f"reply is malformed: {error!r}") from error


def _tool_call(one: Mapping[str, Any]) -> ToolCall:
    arguments = one.get("arguments")
    return ToolCall(name=str(one["name"]), arguments=dict(arguments) if arguments is not None else None)
