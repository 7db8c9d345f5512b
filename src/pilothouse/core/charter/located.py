# SPDX-License-Identifier: Apache-2.0
"""A parsed file as plain values, with the line and column of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.errors import Place

__all__ = ["FileProblem", "LocatedTree", "Mark", "Path", "dotted"]

Path = tuple[str | int, ...]
"""Keys and list indices from the top of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Line and column of a key or list item, both 1-based."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProblem:
    """Why a file, or a part of it, could not be read.

    Attributes:
        problem: What it is, for people.
        mark: Where.
        path: Key it is about, empty for the file.
    """

    problem: str
    mark: Mark
    path: Path = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedTree:
    """The parsed file.

    Attributes:
        file: Path as the person gave it.
        value: Mappings as dict, lists as tuple, and scalars; None when nothing was readable.
        marks: Position of each key and list item by path.
        problems: What could not be read, in file order.
    """

    file: str
    value: Any
    marks: Mapping[Path, Mark] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()

    def locate(self, path: Path) -> Path:
        """Return the path in the file for a path of the model, or its nearest ancestor in the file.

        A value of a task type may stand under `task_defaults`; that is where a person must look.

        Example:
            >>> tree = LocatedTree(file="c.yaml", value={}, marks={("owner",): Mark(line=3, column=1)})
            >>> tree.locate(("owner", "person"))
            ('owner',)
        """
        if path in self.marks:
            return path
        if len(path) > 2 and path[0] == "task_types":
            shared: Path = ("task_defaults", *path[2:])
            if shared in self.marks:
                return shared
        return self.locate(path[:-1]) if path else ()

    def place(self, path: Path) -> Place:
        """Return file, line and column for a path of the model."""
        mark = self.marks.get(self.locate(path), Mark(line=1, column=1))
        return Place(self.file, mark.line, mark.column)


def dotted(path: Path) -> str:
    """Return a path in dotted form.

    Example:
        >>> dotted(("alerts", 2, "runbook"))
        'alerts[2].runbook'
    """
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")
