# SPDX-License-Identifier: Apache-2.0
"""The files that a charter names, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.located import Path, dotted
from pilothouse.core.charter.quantities import as_text

__all__ = ["named_files"]

ALL = "*"
"""Stands for every entry of a list or mapping."""

FILE_PATHS: tuple[Path, ...] = (
    ("function", "output_schema"),
    ("change_plan",),
    ("tools", ALL, "contract"),
    ("prompts", ALL),
    ("guardrails", "schema"),
    ("glossary",),
    ("alerts", ALL, "runbook"),
)
"""Places whose value is a path. Datasets are folders, and their absence is missing evidence instead."""


def named_files(values: Any) -> dict[str, str]:
    """Return the files that a charter names.

    Args:
        values: Plain values of a charter file, valid or not.

    Returns:
        Path of the file as written → path in the charter that names it first, sorted by file.

    Example:
        >>> named_files({"prompts": ("system.md", "?"), "runbooks": {"quality.md": {}}})
        {'quality.md': 'runbooks', 'system.md': 'prompts[0]'}
    """
    found: dict[str, str] = {}
    for path in FILE_PATHS:
        for place, written in _at(values, path, ()):
            file = as_text(written)  # a file may be called 42
            if isinstance(file, str) and file and not is_open(file):
                found.setdefault(file, dotted(place))
    runbooks = values.get("runbooks") if isinstance(values, dict) else None
    for file in runbooks if isinstance(runbooks, dict) else ():
        found.setdefault(file, "runbooks")
    return dict(sorted(found.items()))


def _at(values: Any, path: Path, place: Path) -> Iterator[tuple[Path, Any]]:
    if not path:
        yield place, values
        return
    key, rest = path[0], path[1:]
    if isinstance(values, dict):
        for name in values if key == ALL else [key]:
            if name in values:
                yield from _at(values[name], rest, (*place, name))
    elif isinstance(values, (list, tuple)) and key == ALL:
        for index, part in enumerate(values):
            yield from _at(part, rest, (*place, index))
