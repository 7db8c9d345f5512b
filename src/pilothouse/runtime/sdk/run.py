# SPDX-License-Identifier: Apache-2.0
"""The run that the present code belongs to, carried by a context variable through calls, tasks and threads."""

from __future__ import annotations

import json
import os
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

__all__ = ["CLAIMS_MAX", "Run", "current_run", "identity"]

CLAIMS_MAX = 100
"""A task does one narrow thing; a hundred claims are a loop."""


class Run:
    """One run of a task, as the agent's code sees it.

    Args:
        trace_id: 32 hex digits.
        span_id: Span that is open now, 16 hex digits.
        agent: Agent name.
        task_type: Task type, or `unknown`.
    """

    __slots__ = ("_claims", "agent", "marks", "outer", "span_id", "steps", "task_type", "trace_id")

    def __init__(self, trace_id: str, span_id: str, agent: str, task_type: str, outer: Run | None) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.agent = agent
        self.task_type = task_type
        self.outer = outer
        self.steps = 0
        self.marks: dict[str, str] = {}
        self._claims: dict[str, Any] = {}

    def step(self) -> str:
        """Return the number of the next tool call of this run, as text."""
        self.steps += 1
        return str(self.steps)

    def claim(self, name: str, value: Any) -> None:
        """Record a claim of the agent; the latest value of a name counts."""
        if len(self._claims) < CLAIMS_MAX or name in self._claims:
            self._claims[name] = value

    @property
    def claim_text(self) -> str | None:
        """JSON text of everything that was claimed, or None."""
        return json.dumps(self._claims, ensure_ascii=False, default=str) if self._claims else None


_CURRENT: ContextVar[Run | None] = ContextVar("pilothouse_run", default=None)


def current_run() -> ContextVar[Run | None]:
    """Return the variable that holds the run."""
    return _CURRENT


def identity() -> dict[str, str]:
    """Return agent, version and task type as the environment names them (`pilothouse run` sets them)."""
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    found = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
    if "pilothouse.agent" not in found and os.environ.get("OTEL_SERVICE_NAME"):
        found["pilothouse.agent"] = os.environ["OTEL_SERVICE_NAME"]
    return found
