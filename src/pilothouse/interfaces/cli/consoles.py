# SPDX-License-Identifier: Apache-2.0
"""The two consoles of every command: results on stdout, progress and hints on stderr."""

from __future__ import annotations

import os
import sys

from rich.console import Console

__all__ = ["hint_console", "result_console"]

PIPED_COLUMNS = 400
"""Width of a table in a pipe or a file, where nothing wraps: enough for every row, so that no cell is cut."""


def result_console(*, wrap: bool = False) -> Console:
    """Return the console for results.

    Args:
        wrap: Whether rich wraps long lines at words; otherwise the terminal does, and a pipe gets whole lines.
    """
    # No emoji: a place like `charter.yaml:100:5` holds the code of a picture.
    is_piped = not wrap and not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(
        highlight=False, soft_wrap=not wrap, emoji=False, width=PIPED_COLUMNS if is_piped else None
    )


def hint_console() -> Console:
    """Return the console for progress, hints and errors, which a pipe does not carry on."""
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
