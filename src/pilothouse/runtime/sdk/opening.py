# SPDX-License-Identifier: Apache-2.0
"""Finds the runtime that decides about this process's tool calls, at the first call and not before.

The runtime is composed above this floor, so it is named here and imported only when it is needed: the
name can be replaced by the environment, which is how another composition comes in.
"""

from __future__ import annotations

import os
import threading
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

from pilothouse.errors import PilothouseError, ToolError

if TYPE_CHECKING:
    from pilothouse.runtime.tools.runtime import ToolRuntime

__all__ = ["OPENER", "set_runtime", "tool_runtime"]

OPENER = "pilothouse.app.tools:open_tool_runtime"
"""`module:function` without arguments; `PILOTHOUSE_TOOL_RUNTIME` names another one."""


_LOCK = threading.RLock()
_FOUND: list[ToolRuntime | ToolError | None] = []
_SET: list[ToolRuntime] = []
"""The runtime that the program gave us, where it did."""

_OF_PARENT: list[ToolRuntime | ToolError | None] = []
"""What a forked process was born with: not used, and not collected either, which would close connections of its parent."""


def tool_runtime() -> ToolRuntime | None:
    """Return the runtime of this process; None where no charter governs it, and then calls pass straight through.

    Raises:
        ToolError: There is a charter and it cannot be decided by it: nothing may be called.
    """
    if not _FOUND:
        with _LOCK:
            if not _FOUND:
                _FOUND.append(_open())
    found = _FOUND[0]
    if isinstance(found, ToolError):
        raise found
    return found


def set_runtime(runtime: ToolRuntime | None) -> None:
    """Set the runtime; None looks one up again at the next call.

    Args:
        runtime: The runtime; what tests and embedding programs compose themselves.
    """
    with _LOCK:
        _SET[:] = [] if runtime is None else [runtime]
        _FOUND[:] = _SET


def _after_fork() -> None:
    """Reset in a forked process: the threads that receive pauses and write records exist in the parent only."""
    global _LOCK  # noqa: PLW0603 - whoever held it is not here any more
    _LOCK = threading.RLock()
    _OF_PARENT.extend(_FOUND)
    _FOUND.clear()
    if _SET:
        _FOUND.append(
            ToolError(
                "this process was forked from one that had been given its tools' runtime, and has none of its own",
                remedy="Give it one in each process, after the fork.",
                kind="permission",
            )
        )


os.register_at_fork(after_in_child=_after_fork)


def _open() -> ToolRuntime | ToolError | None:
    module, _, function = os.environ.get("PILOTHOUSE_TOOL_RUNTIME", OPENER).partition(":")
    try:
        runtime: ToolRuntime | None = getattr(import_module(module), function)()
    except PilothouseError as error:
        return ToolError(
            f"tool calls cannot be decided: {error.message}",
            remedy=error.remedy,
            kind="permission",
            subject=error.subject,
        )
    if runtime is None:
        warnings.warn(
            "no charter governs the tools of this process: calls pass straight through. "
            "Put one into force, `pilothouse verdict --charter charter.yaml`, then start it with `pilothouse run -- CMD`.",
            RuntimeWarning,
            stacklevel=4,
        )
    return runtime
