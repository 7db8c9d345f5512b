# SPDX-License-Identifier: Apache-2.0
"""Shared parts of the adapters to other scoring libraries: finding a metric, its identity, and its input."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import version
from typing import Any

from pilothouse.errors import UnknownName

__all__ = ["as_text", "find_metric", "identity_of"]


def find_metric(module: str, name: str, *, noun: str, kind: Any = type) -> Any:
    """Return what a library has under a name.

    Args:
        module: Where its metrics stand.
        name: Name, as the library writes it.
        noun: What the library calls one.
        kind: What one is there, a class or something to call.

    Raises:
        UnknownName: The library has no such metric.
    """
    library = importlib.import_module(module)
    found = getattr(library, name, None)
    if not isinstance(found, kind):
        names = getattr(library, "__all__", None) or [one for one in dir(library) if one[:1].isupper()]
        raise UnknownName.among(noun, name, names, remedy="Write it as the library does.")
    return found


def identity_of(package: str, name: str, args: dict[str, Any]) -> str:
    """Return the identity of a metric, which includes the release of its library and its arguments."""
    return f"{package} {version(package)} {name} {sorted(args.items())}"


def as_text(value: Any) -> str:
    """Return a value as text for libraries that accept text only, as JSON unless it is text.

    Example:
        >>> as_text("yes"), as_text({"n": 1})
        ('yes', '{"n": 1}')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
