# SPDX-License-Identifier: Apache-2.0
"""Trace ids that mark trials, whatever key or telemetry they arrive with."""

from __future__ import annotations

from typing import Final

__all__ = ["TRIAL", "is_trial", "trial_trace"]

TRIAL: Final = "trial"
"""Environment of tasks that our own harness asked for: nobody's work, and no evidence of how the agent works."""

_BEGINNING: Final = "70696c6f7474"
"""48 of its 128 bits. A trace id is the one thing that tracers, SDKs and gateways all hand on; of other traces one in 300 million
million begins so. W3C trace context asks for the last 56 bits alone to be random."""


def trial_trace(key: str) -> str:
    """Return the trace id under which a trial runs.

    Args:
        key: What names the trial: at least 20 hex digits of a digest.

    Example:
        >>> is_trial(trial_trace("ab" * 32)), is_trial("ab" * 16)
        (True, False)
    """
    return f"{_BEGINNING}{key[:20]}"


def is_trial(trace_id: str) -> bool:
    """Return whether a trace is that of a trial."""
    return trace_id.startswith(_BEGINNING)
