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
    """Use this runtime, or look for one again at the next call when None.

    Args:
        runtime: The runtime; what tests and embedding programs compose themselves.
    """
    with _LOCK:
        _FOUND[:] = [] if runtime is None else [runtime]


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
