# SPDX-License-Identifier: Apache-2.0
"""One requirement on the Readiness page: its items with rule, measure, age and next step (verdict → rows)."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.sentence import person_names, waiver_sentence
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, RequirementVerdict, Status, WaiverMark
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.view_models import (
    Frozen,
    Link,
    Quantity,
    StatusMark,
    WaiverShown,
    mark_of,
    quantity_of,
    shown_text,
)
from pilothouse.reports.words import GATE_TITLES, plural

__all__ = [
    "ITEMS_MAX",
    "DotInterval",
    "ItemRow",
    "RequirementRow",
    "cases_of",
    "item_row",
    "requirement_row",
]

ITEMS_MAX = 20
"""Items of one requirement on the page, worst first: a charter with 40 tools would bury the rest. JSON has those, too."""

EXAMPLES_MAX = 5
"""Cases linked from one item: five real cases are what a reader opens."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class DotInterval(Frozen):
    """A value with its interval against its bound, as positions on one axis.

    Attributes:
        low: Left end of the whisker in [0, 1].
        value: The dot in [0, 1].
        high: Right end of the whisker in [0, 1].
        bound: The tick of the bound in [0, 1].
        spoken: The picture in words.
    """

    low: float
    value: float
    high: float
    bound: float
    spoken: str


class ItemRow(Frozen):
    """One item of a requirement: one rule for one part of the agent.

    Attributes:
        scope: The part of the agent.
        mark: Status.
        sentence: What was found.
        rule: What must hold.
        what: What the value is a value of, or empty.
        measured: The measured value, or None.
        dot: The value against its bound, or None where nothing can be drawn.
        cases: Cases behind it in words, with those needed when they are too few.
        window: The window in days, or empty.
        age: When its window ended, or None without evidence.
        lapses: When it stops counting, or None.
        basis: Measured, attested by whom, or imported; empty without evidence.
        source: Command or query behind the evidence.
        method: How the interval was made.
        command: The next step, typable.
        who: Names of those who must act.
        examples: Real cases behind it.
    """

    scope: str
    mark: StatusMark
    sentence: str
    rule: str
    what: str
    measured: Quantity | None
    dot: DotInterval | None
    cases: str
    window: str
    age: Moment | None
    lapses: Moment | None
    basis: str
    source: str
    method: str
    command: str
    who: tuple[str, ...]
    examples: tuple[Link, ...]


class RequirementRow(Frozen):
    """One requirement.

    Attributes:
        id: For example `MON-7`.
        statement: What must hold.
        mark: The worst of its items.
        gates: Gates that ask for it, in words.
        deciding: The item that decides it.
        items: The items, worst first, at most `ITEMS_MAX`; empty when the deciding one is the only one.
        opens: What unfolding the row shows, in words.
        href: This page with the row unfolded; the whole page unfolded has four times the size.
        more: How many items are not shown, in words, or empty.
        rest: Those items, for whoever reads the JSON.
        waiver: A waiver, or None.
        asked_now: Whether the gate ahead asks for it.
    """

    id: str
    statement: str
    mark: StatusMark
    gates: str
    deciding: ItemRow
    items: tuple[ItemRow, ...]
    opens: str
    href: str
    more: str
    rest: tuple[ItemRow, ...]
    waiver: WaiverShown | None
    asked_now: bool


def _dot(item: ItemVerdict, measured: Quantity | None) -> DotInterval | None:
    """Place value, interval and bound on one axis with a margin of a tenth on either side."""
    if measured is None or item.value is None or item.bound is None or item.unit == "count":
        return None
    low = item.value if item.low is None else item.low
    high = item.value if item.high is None else item.high
    least, most = min(low, item.value, item.bound), max(high, item.value, item.bound)
    if item.unit in {"usd", "seconds"}:
        least = min(0.0, least)
    extent = (most - least) or abs(most) or 1.0
    first, width = least - extent / 10, extent * 1.2

    def place(number: float) -> float:
        return round((number - first) / width, 4)

    spoken = f"{measured.shown} {measured.shown_interval}; {item.rule}".replace("  ", " ")
    return DotInterval(
        low=place(low), value=place(item.value), high=place(high), bound=place(item.bound), spoken=spoken
    )


def cases_of(item: ItemVerdict) -> str:
    """Return the cases behind an item in words, with those needed when they are too few; empty for what is not counted."""
    counted = KINDS[item.kind].counted if item.kind in KINDS else "{:,} cases".format
    if item.n_needed is not None and item.n_needed > item.n and item.status is not Status.HOLDS:
        return f"{item.n:,} of about {counted(item.n_needed)}"
    return counted(item.n) if item.n and item.value is not None else ""


def _basis(item: ItemVerdict, names: dict[str, str]) -> str:
    if item.basis == "attested":
        return f"attested by {names.get(item.signer or '', item.signer or 'nobody')}"
    return item.basis or ""


def item_row(item: ItemVerdict, verdict: AgentVerdict, charter: Charter) -> ItemRow:
    """Return one item as a page shows it.

    Args:
        item: The item.
        verdict: The verdict it belongs to.
        charter: The charter, for names and currency.
    """
    names = person_names(charter)
    measured = quantity_of(item, known(charter.currency) or "")
    window = ""
    if item.window_from and item.window_to:
        first, last = day(item.window_from), day(item.window_to)
        window = first if first == last else f"{first} to {last}"
    return ItemRow(
        scope=item.scope.label,
        mark=mark_of(item.status, item.reason),
        sentence=shown_text(item.sentence),
        rule=item.rule,
        what=KINDS[item.kind].title if item.kind in KINDS else "",
        measured=measured,
        dot=_dot(item, measured),
        cases=cases_of(item),
        window=window,
        age=moment(item.window_to, verdict.as_of) if item.window_to else None,
        lapses=moment(item.lapses_at, verdict.as_of) if item.lapses_at else None,
        basis=_basis(item, names),
        source=shown_text(item.source),
        method=item.method,
        command=item.remedy,
        who=tuple(names.get(person, person) for person in item.who),
        examples=tuple(
            Link(text=case[:8], href=f"/agents/{quote(verdict.agent, safe='')}/tasks/{case}")
            for case in item.items[:EXAMPLES_MAX]
            if _TRACE_ID.fullmatch(case)
        ),
    )


def _waiver(mark: WaiverMark | None, names: dict[str, str], now: datetime) -> WaiverShown | None:
    if mark is None:
        return None
    return WaiverShown(text=shown_text(waiver_sentence(mark, names)), until=moment(mark.until, now))


def requirement_row(
    found: RequirementVerdict,
    verdict: AgentVerdict,
    charter: Charter,
    asked: frozenset[str],
    query: str,
) -> RequirementRow:
    """Return one requirement as the page shows it.

    Args:
        found: What the verdict says of it.
        verdict: The verdict.
        charter: The charter, for names and currency.
        asked: Requirements that the gate ahead asks for.
        query: What its links keep of the page's own, from `&` on, or empty.
    """
    every = tuple(item_row(item, verdict, charter) for item in found.items)
    items, rest = every[:ITEMS_MAX], every[ITEMS_MAX:]
    titles = [GATE_TITLES.get(gate, gate).lower() for gate in found.gates]
    return RequirementRow(
        id=found.requirement,
        statement=found.statement,
        mark=mark_of(found.status, found.reason),
        gates=", ".join(titles),
        deciding=item_row(found.deciding, verdict, charter),
        items=items if len(found.items) > 1 else (),
        opens=f"All {len(found.items)} parts" if len(found.items) > 1 else "Evidence",
        href=f"?open={found.requirement}{query}#{found.requirement}",
        more=f"{plural(len(rest), 'further part')} in the JSON of the verdict" if rest else "",
        rest=rest,
        waiver=_waiver(found.waiver or found.part_waiver, person_names(charter), verdict.as_of),
        asked_now=found.requirement in asked,
    )
