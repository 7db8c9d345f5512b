# SPDX-License-Identifier: Apache-2.0
"""How a parameter stands on a help page: a flag takes no value, and a value is called what a person would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import typer

__all__ = ["CONTEXT", "name_values"]

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""What every command of the tree is asked for its help by."""

VALUE_NAMES = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}
"""Name of a value by its type; what has another type, or choices, keeps what Typer says."""


def name_values(command: Any) -> None:
    """Name the values of a command and of all below it, as its help page, usage line and errors show them.

    Typer writes `--json <bool>`, which reads as if a value belonged there, and `{agent}` for an argument.

    Args:
        command: A command or group that Typer built.
    """
    for parameter in command.params:
        if parameter.metavar is not None:
            continue
        if parameter.param_type_name == "argument":
            parameter.metavar = parameter.name.upper()
        elif parameter.is_flag:
            parameter.metavar = ""
        elif not parameter.type_descriptor.is_choice:
            parameter.metavar = VALUE_NAMES.get(_single(parameter.type_descriptor.annotation))
    command.get_help_option(typer.Context(command, **CONTEXT)).metavar = ""
    for child in getattr(command, "commands", {}).values():
        name_values(child)


def _single(annotation: Any) -> Any:
    """Return the type of one value of an option that may be repeated."""
    inner = get_args(annotation)
    return inner[0] if inner else annotation
