# SPDX-License-Identifier: Apache-2.0
"""A command group that builds a command only when it is looked up: a command line names one of a hundred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import typer
import typer.main
from typer.core import TyperGroup
from typer.models import CommandInfo, TyperInfo

from pilothouse.interfaces.cli.help_page import name_values

__all__ = ["LateCommands", "late_group"]


class LateCommands(Mapping[str, Any]):
    """Commands and groups by name, each built at its first use.

    Args:
        parts: What the command modules registered, in the order of the help page.
    """

    def __init__(self, parts: Sequence[CommandInfo | TyperInfo]) -> None:
        self._parts = {_name_of(part): part for part in parts}
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            part = self._parts[name]
            alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
            if isinstance(part, TyperInfo):
                alone.registered_groups.append(part)
            else:
                alone.registered_commands.append(part)
            built = typer.main.get_group(alone).commands[name]
            name_values(built)
            self._built[name] = built
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def late_group(parts: Sequence[CommandInfo | TyperInfo]) -> type[TyperGroup]:
    """Return the class of a group with the commands of `parts`, for `typer.Typer(cls=...)`.

    Args:
        parts: What the command modules registered, in the order of the help page.
    """

    class LateGroup(TyperGroup):
        """The group; Typer makes it without commands, and it brings its own."""

        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            name_values(self)
            self.commands = cast("Any", LateCommands(parts))

    return LateGroup


def _name_of(part: CommandInfo | TyperInfo) -> str:
    """Return what a command or a group is called, as Typer finds it."""
    if isinstance(part, TyperInfo):
        return typer.main.solve_typer_info_defaults(part).name or ""
    return part.name or typer.main.get_command_name(str(getattr(part.callback, "__name__", "")))
