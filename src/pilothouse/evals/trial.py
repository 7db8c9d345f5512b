# SPDX-License-Identifier: Apache-2.0
"""One run of one case: its reply, its status, and its key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from pilothouse.core.evidence.trial_trace import trial_trace

if TYPE_CHECKING:
    from pilothouse.evals.case import Case

__all__ = [
    "OUTPUT_BYTES_MAX",
    "RECORDED_TRACES",
    "Reply",
    "Result",
    "ToolCall",
    "TrialContext",
    "TrialStatus",
    "asked_of",
    "traceparent_of",
    "trial_key",
]

RECORDED_TRACES: Final = "recorded:lake"
"""Address of what answers with the traces that cases were taken from."""

OUTPUT_BYTES_MAX: Final = 1024 * 1024
"""An answer of a narrow agent is no larger; a larger one is a fault of the agent, not of the disk."""


class TrialStatus(StrEnum):
    """How a trial ended; only `infra_error` is no evidence about the agent."""

    DONE = "done"
    AGENT_ERROR = "agent_error"
    """An exception, an invalid answer: what the user would have got. It counts as failed."""
    TIMEOUT = "timeout"
    """The agent did not answer in time: counts as failed."""
    INFRA_ERROR = "infra_error"
    """The world failed (connection refused, 5xx, 429 after retries): no value, counted apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One tool call of a run.

    Attributes:
        name: Tool.
        arguments: Its arguments, or None when they are unknown.
    """

    name: str
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply of a target; return one from your function to report more than the bare output.

    Attributes:
        output: Any JSON value.
        tool_calls: Tool calls in order, or None when they are not known: then nothing is said about them.
        cost_usd: What the run cost, or None when that is not known.
        claim: What the agent says it did, or None.
        trace_id: Trace of the run, or None.
        model: Model that answered, or None.

    Example:
        >>> Reply(output={"queue": "ap-1"}, cost_usd=0.002).output["queue"]
        'ap-1'
    """

    output: Any
    tool_calls: tuple[ToolCall, ...] | None = None
    cost_usd: float | None = None
    claim: Any = None
    trace_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one run of one case ended.

    Attributes:
        status: How it ended.
        reply: What the agent gave; None unless `status` is `done`.
        latency_s: From call to answer, on the monotonic clock; None for what was recorded, whose time nobody measured here.
        error: What went wrong, short, or empty.
        attempts: How often it was started.
    """

    status: TrialStatus
    reply: Reply | None
    latency_s: float | None
    error: str = ""
    attempts: int = 1

    def __post_init__(self) -> None:
        if (self.reply is None) == (self.status is TrialStatus.DONE):
            raise ValueError("a result has a reply if and only if it is done")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialContext:
    """The trial as the target sees it.

    Attributes:
        run_id: Run of the harness.
        key: Trial key; also the idempotency key, the same for every attempt.
        index: Repeat of the case, from 0.
        deadline_s: Seconds until the trial is ended.
        seed: Whole number for an agent that draws: differs between repeats, equal between attempts.
        is_load: Whether it is one call of a load run, which our gateway lets a stand-in answer.
    """

    run_id: str
    key: str
    index: int
    deadline_s: float
    seed: int = field(default=0)
    is_load: bool = False

    @property
    def traceparent(self) -> str:
        """W3C trace context of the trial, so that its trace can be found again."""
        return traceparent_of(self.key, is_load=self.is_load)

    def headers(self) -> dict[str, str]:
        """Return the headers that tie outgoing calls to this trial.

        Example:
            >>> sorted(TrialContext(run_id="r", key="ab" * 32, index=0, deadline_s=60).headers())
            ['Idempotency-Key', 'traceparent']
        """
        return {"traceparent": self.traceparent, "Idempotency-Key": self.key}


def traceparent_of(key: str, *, is_load: bool = False) -> str:
    """Return the trace context of a trial and of its judge, which marks their spans as no work of the agent.

    Args:
        key: A SHA-256 in hex.
        is_load: Whether it is of a load run.
    """
    return f"00-{trial_trace(key, is_load=is_load)}-{key[32:48]}-01"


def asked_of(case: Case, address: str) -> str:
    """Return what identifies the trials of a case: its input, or for recorded traces the trace.

    The same input may stand in several traces, with another answer in each.

    Args:
        case: The case.
        address: Where the trial was or is run.
    """
    if address == RECORDED_TRACES and case.trace_id is not None:
        return f"{case.input_hash}:{case.trace_id}"
    return case.input_hash


def trial_key(config_digest: str, asked: str, index: int) -> str:
    """Return the key of a trial; expectations and scorers are no part of it, repeats are.

    Args:
        config_digest: Digest of target and environment.
        asked: What was asked: `asked_of` a case.
        index: Repeat, from 0.

    Example:
        >>> trial_key("a", "b", 0) == trial_key("a", "b", 1)
        False
    """
    return hashlib.sha256(f"{config_digest}:{asked}:{index}".encode()).hexdigest()
