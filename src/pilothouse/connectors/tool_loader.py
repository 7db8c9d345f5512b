# SPDX-License-Identifier: Apache-2.0
"""Find the functions that a module marks as tools (file or module name → undecorated functions)."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pilothouse.errors import ExtensionError, Place

__all__ = ["load_tools"]


def load_tools(use: str) -> dict[str, Callable[..., Any]]:
    """Import a module and return what it marks with `@pilothouse.tool`.

    Args:
        use: Path of a Python file, or the name of an installed module.

    Returns:
        Functions by `name@version`, as they were before they were marked.

    Raises:
        ExtensionError: It cannot be imported, or marks nothing.
    """
    module = _load(use)
    found = {
        str(value.pilothouse_tool): value.__wrapped__
        for value in vars(module).values()
        if callable(value) and hasattr(value, "pilothouse_tool") and hasattr(value, "__wrapped__")
    }
    if not found:
        raise ExtensionError(
            f"{use!r} marks no tool",
            remedy='Mark the functions with @pilothouse.tool("name@version"), or name another module with --use.',
            subject=use,
        )
    return found


def _load(use: str) -> ModuleType:
    path = Path(use)
    if path.suffix == ".py" and not path.is_file():
        raise ExtensionError(f"there is no file {use!r}", remedy="Name it with --use FILE.py.", subject=use)
    try:
        return _load_file(path) if path.suffix == ".py" else importlib.import_module(use)
    except (Exception, SystemExit) as error:
        raise ExtensionError(
            f"{use!r} cannot be imported: {type(error).__name__}: {str(error)[:200]}",
            remedy="Correct it; it must import on its own, without the agent.",
            subject=use,
            place=Place(use),
        ) from error


def _load_file(path: Path) -> ModuleType:
    """Import a file under a name of its own; its neighbours can be imported while it loads."""
    name = f"_pilothouse_tools_{path.stem}"
    folder = str(path.parent.absolute())
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    sys.path.insert(0, folder)
    try:
        loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module
