# SPDX-License-Identifier: Apache-2.0
"""Pages in the terminal: shape, word and colour for each status, the same texts as everywhere else.

Every text is put out as plain `Text`, never as markup, and control characters are made visible again
here, so that neither a prompt nor a file name can move the cursor or colour a line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.core.verdict.verdict import Reason, Status
from pilothouse.reports.readiness import DomainSection, ReadinessPage
from pilothouse.reports.requirement_rows import ItemRow, RequirementRow
from pilothouse.reports.view_models import Page, StatusMark, mark_of
from pilothouse.reports.words import REASON_WORDS, SHAPES_ASCII

__all__ = ["STYLES", "head", "mark_text", "plain_text", "render_verdict"]

STYLES: Mapping[Status, str] = {
    Status.HOLDS: "blue",
    Status.AT_RISK: "yellow",
    Status.BREACHED: "bold red",
    Status.NO_EVIDENCE: "dim",
}
"""Names of terminal colours, which each user's theme makes readable."""

_RANK = {status: rank for rank, status in enumerate(Status)}

WIDE_FROM = 120
"""Columns from which a table has a column of its own for what was committed."""

_ASCII = {
    "…": "...",
    "·": "-",
    "–": "-",
    "—": "-",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "⟨": "<",
    "⟩": ">",
    "’": "'",
    "“": '"',
    "”": '"',
    "×": "x",
    "€": "EUR ",
    "£": "GBP ",
}


def plain_text(text: str, console: Console) -> str:
    """Return text that a terminal can show and that cannot steer it.

    Args:
        text: Any text.
        console: Where it goes; without UTF-8, what it cannot show is spelt otherwise.
    """
    shown = "".join(
        char
        if char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else f"⟨U+{ord(char):04X}⟩"
        for char in text
    )
    if _has_unicode(console):
        return shown
    spelt = "".join(_ASCII.get(char, char) for char in shown)
    return spelt.encode(console.encoding, "replace").decode(console.encoding)


def mark_text(mark: StatusMark, console: Console) -> Text:
    """Return a status as shape and word in its colour.

    Args:
        mark: The mark.
        console: Where it goes; without UTF-8 the shape becomes a word in brackets.
    """
    shape = mark.shape if _has_unicode(console) else SHAPES_ASCII[mark.status]
    return Text(f"{shape} {plain_text(mark.spoken, console)}", style=STYLES[mark.status])


def _has_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _lines(parts: Iterable[tuple[str, str]], console: Console) -> Text:
    """Join parts of text and style with line breaks; empty ones are left out."""
    kept = [Text(plain_text(text, console), style=style) for text, style in parts if text]
    return Text("\n").join(kept)


def head(page: Page, console: Console, aside: str) -> Group:
    """Return the first lines of any page: mark, name, sentence, notices."""
    first = Text()
    if page.mark is not None:
        first.append_text(mark_text(page.mark, console))
        first.append("  ")
    first.append(plain_text(page.agent or page.heading, console), style="bold")
    first.append(plain_text(f"  {aside}", console), style="dim")
    notices = [Text(plain_text(f"Note: {note}", console), style="yellow") for note in page.notices]
    return Group(first, Text(plain_text(page.sentence.plain, console)), *notices)


def _found(item: ItemRow, *, wide: bool, console: Console) -> Text:
    # Only the sentence says what is missing; most of them name value and cases as well.
    sentence = item.sentence if item.measured is None or item.mark.status is Status.NO_EVIDENCE else ""
    value = "" if item.measured is None else f"{item.measured.shown} {item.measured.shown_interval}".strip()
    value = "" if value in sentence else f"{item.what}\n{value}" if item.what else value
    age = item.age.shown if item.age else ""
    behind = " · ".join(part for part in (item.cases, age) if part and part not in sentence)
    committed = "" if wide else item.rule
    return _lines(((sentence, ""), (value, ""), (behind, "dim"), (committed, "dim")), console)


def _requirement(table: Table, row: RequirementRow, console: Console) -> None:
    wide = console.width >= WIDE_FROM
    item = row.deciding
    on = "" if item.scope == "all" else item.scope
    name = Text.assemble((row.id, "bold"), " ", plain_text(row.statement, console))
    title = Group(name, _lines(((on, "dim"), (row.waiver.text if row.waiver else "", "yellow")), console))
    command = f"$ {item.command}" if item.command and row.mark.status is not Status.HOLDS else ""
    cells: list[RenderableType] = [
        mark_text(row.mark, console),
        title,
        _found(item, wide=wide, console=console),
    ]
    if wide:
        cells.append(Text(plain_text(item.rule, console), style="dim"))
    cells.append(Text(plain_text(command, console)))
    table.add_row(*cells)


def _measured(rows: list[RequirementRow], console: Console) -> Table:
    table = Table(box=None, show_header=True, header_style="dim", padding=(0, 2, 0, 0), expand=True)
    table.add_column("status", width=14, overflow="fold")
    table.add_column("requirement", ratio=5, overflow="fold")
    table.add_column("found", ratio=5, overflow="fold")
    if console.width >= WIDE_FROM:
        table.add_column("committed", ratio=4, overflow="fold")
    table.add_column("next step", ratio=5, overflow="fold")
    for row in rows:
        _requirement(table, row, console)
    return table


def _missing(section: DomainSection, rows: list[RequirementRow], console: Console) -> Table:
    table = Table(box=None, show_header=True, header_style="bold", padding=(0, 2, 0, 0), expand=True)
    table.add_column(plain_text(section.key, console), width=8, no_wrap=True)
    table.add_column(plain_text(section.title, console), ratio=5, overflow="fold")
    table.add_column("", ratio=5, overflow="fold")
    for row in rows:
        table.add_row(
            row.id,
            Text(plain_text(row.statement, console)),
            Text(plain_text(f"$ {row.deciding.command}", console), style="dim"),
        )
    return table


def render_verdict(
    page: ReadinessPage, console: Console, *, full: bool = False, below_head: RenderableType | None = None
) -> None:
    """Print a verdict: the mark, the sentence, the gates, one row for each requirement.

    Args:
        page: The Readiness page.
        console: Where it goes.
        full: Whether requirements that only later gates ask for are listed too.
        below_head: What stands between the sentence and the gates, for example the truth line.
    """
    console.print(head(page, console, f"{page.phase} · version {page.version} · {page.word}"))
    if below_head is not None:
        console.print(below_head)
    gates = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        gates.add_column(overflow="fold")
    for gate in page.gates:
        mark = mark_text(gate.mark, console)
        said = [f"{count.shown} {count.mark.word.lower()}" for count in gate.counts]
        counts = ", ".join([*said, gate.waived] if gate.waived else said)
        gates.add_row(
            mark, Text(plain_text(gate.title, console)), Text(plain_text(counts, console), style="dim")
        )
    console.print(Padding(gates, (1, 0, 0, 0)))
    rows = [row for section in page.domains for row in _rows(section, full=full)]
    measured = sorted((row for row in rows if not _is_missing(row)), key=lambda row: _RANK[row.mark.status])
    if measured:
        console.print(Padding(_measured(measured, console), (1, 0, 0, 0)))
    if len(measured) < len(rows):
        title = mark_text(mark_of(Status.NO_EVIDENCE, Reason.MISSING), console)
        title.append(plain_text(f"  {len(rows) - len(measured)} requirements, and what fills each", console))
        console.print(Padding(title, (1, 0, 0, 0)))
    for section in page.domains:
        missing = [row for row in _rows(section, full=full) if _is_missing(row)]
        if missing:
            console.print(Padding(_missing(section, missing, console), (1, 0, 0, 0)))
    later = sum(len(section.later) for section in page.domains)
    if later and not full:
        console.print(Text(f"\n{later} more requirements belong to later gates.", style="dim"))


def _rows(section: DomainSection, *, full: bool) -> tuple[RequirementRow, ...]:
    return (*section.requirements, *(section.later if full else ()))


def _is_missing(row: RequirementRow) -> bool:
    return row.mark.status is Status.NO_EVIDENCE and row.mark.reason == REASON_WORDS[Reason.MISSING]
