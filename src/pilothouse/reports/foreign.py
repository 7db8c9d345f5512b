# SPDX-License-Identifier: Apache-2.0
"""Foreign text made safe to look at: hidden characters become visible marks, and length is bounded."""

from __future__ import annotations

import unicodedata

from pydantic import BaseModel, ConfigDict

__all__ = [
    "FIELD_BYTES_MAX",
    "KEPT",
    "LINE_CHARS_MAX",
    "ForeignText",
    "foreign_line",
    "foreign_text",
    "size_text",
    "visible",
]

FIELD_BYTES_MAX = 4096
"""Bytes of one text field that a page shows: enough to recognise a prompt, small enough for a page of many."""

LINE_CHARS_MAX = 160
"""Characters of foreign text in one row of a table."""

_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that a reader cannot see: controls, formats (bidi, zero width), private use, surrogates, separators."""

KEPT = frozenset("\n\t")
"""Hidden characters that give a text its lines."""

_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
"""Letters and marks by category that print as nothing."""


class ForeignText(BaseModel):
    """Text that somebody else wrote, as it is shown.

    Attributes:
        text: At most `FIELD_BYTES_MAX` bytes, every hidden character as a visible mark.
        size: Size of the whole in words, for example `1.2 MB`.
        note: What was left out, or empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    size: str
    note: str = ""


def size_text(size_bytes: int) -> str:
    """Write a size in the unit a person would choose.

    Example:
        >>> size_text(17), size_text(4096), size_text(1_200_000)
        ('17 B', '4.1 kB', '1.2 MB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes_in_unit = size_bytes / 1000
        if size_bytes_in_unit < 999.5 or unit == "GB":
            return f"{size_bytes_in_unit:.3g} {unit}"
        size_bytes = round(size_bytes_in_unit)
    raise AssertionError  # pragma: no cover - the loop returns at its last unit


def visible(text: str, kept: frozenset[str] = KEPT) -> str:
    r"""Return text with every character that a reader cannot see as a mark.

    Args:
        text: Any text.
        kept: Hidden characters that stay: line breaks and tabs where a text may have lines.

    Example:
        >>> visible("D.\u202e Ruiz")
        'D.⟨U+202E⟩ Ruiz'
    """
    if text.isprintable() and (text.isascii() or _FILLERS.isdisjoint(text)):
        return text
    return "".join(
        f"⟨U+{ord(char):04X}⟩"
        if char not in kept and (char in _FILLERS or unicodedata.category(char) in _HIDDEN)
        else char
        for char in text
    )


def foreign_text(text: str, *, bytes_max: int = FIELD_BYTES_MAX) -> ForeignText:
    r"""Return a text field as it is shown.

    Args:
        text: As stored.
        bytes_max: Bytes to show.

    Example:
        >>> foreign_text("pay\u202etxt").text
        'pay⟨U+202E⟩txt'
    """
    raw = text.encode("utf-8", "surrogatepass")
    size, shown, note = size_text(len(raw)), text, ""
    if len(raw) > bytes_max:
        shown, note = raw[:bytes_max].decode("utf-8", "ignore"), f"first {size_text(bytes_max)} of {size}"
    return ForeignText(text=visible(shown), size=size, note=note)


def foreign_line(text: str, *, chars_max: int = LINE_CHARS_MAX) -> str:
    r"""Return foreign text as one bounded line; line breaks and tabs become spaces.

    Args:
        text: As stored.
        chars_max: Characters to keep.

    Example:
        >>> foreign_line("one\ntwo " + "x" * 200, chars_max=12)
        'one two xxxx…'
    """
    head = text[: chars_max * 4]
    line = visible(" ".join(head.split()), frozenset())
    cut = len(line) > chars_max or len(text) > len(head)
    return line[:chars_max] + "…" if cut else line
