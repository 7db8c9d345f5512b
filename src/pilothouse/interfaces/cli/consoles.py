# SPDX-License-Identifier: Apache-2.0
"""The two consoles of every command: results on stdout, progress and hints on stderr."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.segment import Segment

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["hint_console", "print_json", "print_table", "result_console", "say", "spell_unwritable"]

PIPED_COLUMNS = 400
"""Width of a table in a pipe or a file, where nothing wraps: enough for every row, so that no cell is cut."""


def spell_unwritable() -> None:
    r"""Let stdout and stderr write what their encoding lacks as JSON spells it, `\u2026`, instead of failing.

    A document stays the same document that way, which no likeness like `...` does.
    """
    codecs.register_error("pilothouse.spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="pilothouse.spelt")


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


class _ForPeople(Console):
    """A console whose lines hold no character that a reader cannot see, wherever in a table or a paragraph it stands.

    A name out of a charter or an agent's answer may be an escape sequence, and a terminal obeys what it should show.
    """

    def render_str(self, text: str, **how: Any) -> Text:
        """Make a text ready to be shown, with marks, before rich drops some of what a terminal obeys."""
        return super().render_str(_visible(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield what is written, of texts that were ready before too; what rich itself says to the terminal stays."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(_visible(one.text), one.style)


def _visible(text: str) -> str:
    from pilothouse.reports.foreign import visible  # the command tree is there before its models

    return visible(text)


def result_console(*, wrap: bool = False) -> Console:
    """Return the console for results.

    Args:
        wrap: Whether rich wraps long lines at words; otherwise the terminal does, and a pipe gets whole lines.
    """
    # No emoji: a place like `charter.yaml:100:5` holds the code of a picture.
    is_whole = not wrap and not _has_width()
    return _ForPeople(
        highlight=False, soft_wrap=not wrap, emoji=False, width=PIPED_COLUMNS if is_whole else None
    )


def print_table(table: Table) -> None:
    """Print a result that is a table: whole rows in a pipe, and in a narrow terminal cells of several lines, never cut ones.

    Args:
        table: The table; how its columns overflow is set here.
    """
    for column in table.columns:
        column.overflow = "fold"
    result_console(wrap=_has_width()).print(table)


def print_json(value: object) -> None:
    """Print a result as JSON, in ASCII: no terminal or pipe refuses a character of it, and none is hidden.

    Args:
        value: Plain data; a moment or whatever else JSON has no form for becomes its text.
    """
    typer.echo(json.dumps(value, indent=2, default=str))


def say(text: str, *, err: bool = False) -> None:
    """Print a line or a few as they are, without colours and without wrapping; documents go through `print_json` or `typer.echo`.

    Args:
        text: What is said; characters that a reader cannot see become marks.
        err: Whether it is a hint, which a pipe does not carry on.
    """
    typer.echo(_visible(text), err=err)


def hint_console() -> Console:
    """Return the console for progress, hints and errors, which a pipe does not carry on."""
    return _ForPeople(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def _has_width() -> bool:
    """Whether somebody says how wide lines may be: a terminal, or `COLUMNS`."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ
