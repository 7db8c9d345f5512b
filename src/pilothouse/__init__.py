# SPDX-License-Identifier: Apache-2.0
"""Pilothouse takes one narrow AI agent from pilot to production, on evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for whoever checks an agent's types; at run time `__getattr__` below
    from pilothouse.runtime.sdk import (
        agent,
        claim,
        current_call_key,
        feedback,
        few_shots,
        open_task,
        tool,
        unread,
    )

__all__ = [
    "__version__",
    "agent",
    "claim",
    "current_call_key",
    "feedback",
    "few_shots",
    "open_task",
    "tool",
    "unread",
]

__version__ = "0.1.0"

_FOR_AGENTS = frozenset(__all__) - {"__version__"}

if not TYPE_CHECKING:  # else every misspelt name would be anything

    def __getattr__(name: str) -> Any:
        """Return what an agent's code uses; imported only when it is asked for."""
        if name in _FOR_AGENTS:
            from importlib import import_module  # noqa: PLC0415 - `import pilothouse` alone costs nothing

            return getattr(import_module("pilothouse.runtime.sdk"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
