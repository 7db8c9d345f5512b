# SPDX-License-Identifier: Apache-2.0
"""Pages made of sections: tables with a picture above and forms below, for page, JSON and terminal alike.

Pages whose whole content is lists share these parts, so that a table looks and reads the same everywhere and a
new page needs a builder and no template.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pilothouse.reports.moments import Moment
from pilothouse.reports.pictures import Picture
from pilothouse.reports.view_models import Empty, Frozen, Link, Page, StatusMark

__all__ = [
    "ROWS_MAX",
    "Cell",
    "Column",
    "Field",
    "FormOffer",
    "Row",
    "Section",
    "SectionsPage",
    "columns",
    "row",
]

ROWS_MAX = 200
"""Rows of one table: beyond that a reader narrows or exports."""


class Cell(Frozen):
    """One cell: its parts stand in the order of the attributes.

    Attributes:
        mark: A status, or None.
        text: Text.
        href: Where the text leads, or empty.
        is_code: Whether the text is an identifier.
        when: A moment, or None.
        small: Further text below.
        command: What can be typed, or empty.
    """

    mark: StatusMark | None = None
    text: str = ""
    href: str = ""
    is_code: bool = False
    when: Moment | None = None
    small: str = ""
    command: str = ""


class Column(Frozen):
    """Head of a column; numbers stand right."""

    title: str
    is_number: bool = False


class Row(Frozen):
    """One row; its first cell without a mark is its head. `anchor` is what a link leads to, or empty."""

    cells: tuple[Cell, ...]
    anchor: str = ""

    @property
    def head(self) -> int:
        """The place of the cell that names the row for who hears the table; -1 where no cell does."""
        return next(
            (place for place, one in enumerate(self.cells) if one.mark is None and (one.text or one.when)), -1
        )


class Field(Frozen):
    """A field of a form.

    Attributes:
        name: Its name.
        label: What people read; empty for a hidden one.
        value: What stands in it.
        choices: Value and label of each choice; empty for a line of text.
        is_required: Whether the form is refused without it.
        is_long: Whether a text of several lines is written in it.
    """

    name: str
    label: str = ""
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    is_required: bool = False
    is_long: bool = False


class FormOffer(Frozen):
    """Something the visitor can do here.

    Attributes:
        href: Where it is posted.
        fields: Fields, hidden ones too; the token of the session is added by the page.
        buttons: Value and label of each button; the value is posted as `do`.
        warning: What happens, with names: for what cannot be taken back easily.
    """

    href: str
    fields: tuple[Field, ...] = ()
    buttons: tuple[tuple[str, str], ...]
    warning: str = ""


class Section(Frozen):
    """One part of a page.

    Attributes:
        anchor: What a link leads to.
        title: Its heading.
        note: What the heading means, or what is left out.
        picture: Drawn above the table, which says the same in words; None without one.
        columns: Heads.
        rows: The table.
        empty: Stands in place of an empty table, or None.
        more: Where more of the same, or less, is found.
        forms: What can be done.
        style: `open`, or `folded` for detail that few readers need.
    """

    anchor: str
    title: str
    note: str = ""
    picture: Picture | None = None
    columns: tuple[Column, ...] = ()
    rows: tuple[Row, ...] = ()
    empty: Empty | None = None
    more: tuple[Link, ...] = ()
    forms: tuple[FormOffer, ...] = ()
    style: Literal["open", "folded"] = "open"


class SectionsPage(Page):
    """A page of sections.

    Attributes:
        sections: Parts in reading order.
    """

    template: ClassVar[str] = "sections"

    sections: tuple[Section, ...]


def columns(*titles: str) -> tuple[Column, ...]:
    """Return heads; one that begins with `#` is a column of numbers.

    Example:
        >>> [one.is_number for one in columns("Tool", "#Calls")]
        [False, True]
    """
    return tuple(Column(title=one.removeprefix("#"), is_number=one.startswith("#")) for one in titles)


def row(*cells: str | StatusMark | Moment | Cell | None, anchor: str = "") -> Row:
    """Return a row: a text, a mark and a moment are cells of their own; None stays empty.

    Args:
        cells: From left to right; what has several parts is a `Cell`.
        anchor: Id within the page, or empty.

    Example:
        >>> row("erp", None, Cell(command="pilothouse check")).cells[0].text
        'erp'
    """
    return Row(cells=tuple(map(_cell, cells)), anchor=anchor)


def _cell(said: str | StatusMark | Moment | Cell | None) -> Cell:
    match said:
        case Cell():
            return said
        case StatusMark():
            return Cell(mark=said)
        case Moment():
            return Cell(when=said)
        case _:
            return Cell(text=said or "")
