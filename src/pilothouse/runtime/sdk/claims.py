# SPDX-License-Identifier: Apache-2.0
"""Claims: what the agent says it did."""

from __future__ import annotations

from typing import Any

from pilothouse.errors import UsageError
from pilothouse.runtime.sdk.run import current_run
from pilothouse.runtime.tools.values import plain

__all__ = ["claim"]


def claim(name: str, *, target: str, expect: dict[str, Any] | None = None) -> None:
    """Claim what was done, so that the charter's verifier can check it against the system of record.

    Args:
        name: What was done, as the charter's `claim` names it.
        target: Id of the thing it was done to.
        expect: What the system of record should say about it.

    Raises:
        UsageError: No task is going on here.
    """
    run = current_run().get()
    if run is None:
        raise UsageError(
            f"claim {name!r} outside a task",
            remedy="Call it inside a function marked with `@pilothouse.agent(task_type=…)`.",
            subject=name,
        )
    run.claim(name, {"target": target, **(plain(expect) if expect else {})})
