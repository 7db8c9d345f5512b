# SPDX-License-Identifier: Apache-2.0
"""Trace ids that mark trials, whatever key or telemetry they arrive with."""

from __future__ import annotations

from typing import Final

__all__ = ["TRIAL", "is_load", "is_trial", "trial_trace"]

TRIAL: Final = "trial"
"""Environment of tasks that our own harness asked for: nobody's work, and no evidence of how the agent works."""

_BEGINNING: Final = "70696c6f7474"
"""48 of its 128 bits. A trace id is the one thing that tracers, SDKs and gateways all hand on; of other traces one in 300 million
million begins so. W3C trace context asks for the last 56 bits alone to be random."""

_LOAD: Final = "70696c6f746c"
"""Of a load run: it finds out what users get, stand-ins included, where a trial finds out what the pinned model does."""


def trial_trace(key: str, *, is_load: bool = False) -> str:
    """Return the trace id under which a trial runs.

    Args:
        key: What names the trial: at least 20 hex digits of a digest.
        is_load: Whether it is one call of a load run.

    Example:
        >>> is_trial(trial_trace("ab" * 32)), is_trial("ab" * 16)
        (True, False)
    """
    return f"{_LOAD if is_load else _BEGINNING}{key[:20]}"


def is_trial(trace_id: str) -> bool:
    """Return whether a trace is that of a trial or of a load run."""
    return trace_id.startswith((_BEGINNING, _LOAD))


def is_load(trace_id: str) -> bool:
    """Return whether a trace is that of a load run."""
    return trace_id.startswith(_LOAD)
