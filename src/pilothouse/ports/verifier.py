# SPDX-License-Identifier: Apache-2.0
"""The port of a verifier, the extension point `pilothouse.verifiers`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pilothouse.core.evidence.outcome import Finding
from pilothouse.core.evidence.task import Task

__all__ = ["VERIFIERS_API_VERSION", "Verifier"]

VERIFIERS_API_VERSION = 1
"""Version of the `pilothouse.verifiers` entry-point group."""


@runtime_checkable
class Verifier(Protocol):
    """Asks the system of record whether a task's claim is true; must not write.

    Example:
        >>> from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
        >>> def always(task: object) -> Finding:
        ...     return Finding(status=OutcomeStatus.VERIFIED)
        >>> isinstance(always, Verifier)
        True
    """

    def __call__(self, task: Task) -> Finding:
        """Return what the system of record says about `task.claim`."""
        ...
