# SPDX-License-Identifier: Apache-2.0
"""The Readiness page: gates by domain, and every requirement with its rule, evidence and next step (verdict → page)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.kinds import KINDS
from pilothouse.core.verdict.numbers import day, short_digest
from pilothouse.core.verdict.sentence import person_names, waiver_sentence
from pilothouse.core.verdict.verdict import (
    AgentVerdict,
    GateVerdict,
    ItemVerdict,
    RequirementVerdict,
    Status,
    WaiverMark,
    worst_status,
)
from pilothouse.errors import UnknownName
from pilothouse.reports.moments import Moment, ago, moment
from pilothouse.reports.next_step import next_step
from pilothouse.reports.view_models import (
    Frozen,
    Link,
    Page,
    Quantity,
    Sentence,
    StatusMark,
    WaiverShown,
    mark_of,
    page_moment,
    quantity_of,
    shown_text,
)
from pilothouse.reports.words import DOMAIN_TITLES, GATE_TITLES, STATUS_WORDS, phase_words, plural

__all__ = [
    "ITEMS_MAX",
    "DomainSection",
    "DotInterval",
    "GateCell",
    "GateRow",
    "ItemRow",
    "ReadinessPage",
    "RequirementRow",
    "StatusCount",
    "build_readiness",
    "in_words",
    "item_row",
]

ITEMS_MAX = 20
"""Items of one requirement on the page, worst first: a charter with 40 tools would bury the rest. JSON has them too."""

EXAMPLES_MAX = 5
"""Cases linked from one item: five real cases are what a reader opens."""

SENTENCE_MAX = 2_000
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
        measured: The measured value, or None.
        dot: The value against its bound, or None where nothing can be drawn.
        cases: Cases behind it in words, with those needed when they are too few.
        window: The window in days, or empty.
        age: Age in words, or empty.
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
    measured: Quantity | None
    dot: DotInterval | None
    cases: str
    window: str
    age: str
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
    waiver: WaiverShown | None
    asked_now: bool


class StatusCount(Frozen):
    """How many requirements have one status."""

    mark: StatusMark
    shown: str


class GateRow(Frozen):
    """A gate.

    Attributes:
        gate: `1`, `2`, `3`, `R` or `X`.
        title: What it lets proceed.
        mark: The worst of what it asks for.
        counts: How many requirements have which status; those with none are left out.
        blocking: The requirement that decides it.
        decides: Whether this gate decides the status of the agent now.
    """

    gate: str
    title: str
    mark: StatusMark
    counts: tuple[StatusCount, ...]
    blocking: Link
    decides: bool


class GateCell(Frozen):
    """One domain at one gate; None as mark says that the gate asks nothing of the domain."""

    gate: str
    mark: StatusMark | None
    counts: str


class DomainSection(Frozen):
    """A domain with its requirements, those that block first.

    Attributes:
        key: For example `MON`.
        title: For people.
        mark: Worst of what the gate ahead asks of it, or None when it asks nothing.
        counts: How many have which status, in words.
        cells: The domain at each gate, in the order of the gates.
        requirements: Those that the gate ahead asks for, worst first.
        later: Those that only later gates ask for, worst first.
    """

    key: str
    title: str
    mark: StatusMark | None
    counts: str
    cells: tuple[GateCell, ...]
    requirements: tuple[RequirementRow, ...]
    later: tuple[RequirementRow, ...]


class ReadinessPage(Page):
    """What holds, what does not, what nobody knows, and the next step of each.

    Attributes:
        word: `GO`, `GO WITH CONDITIONS`, `NO-GO` or `NOT ENOUGH EVIDENCE`.
        phase: Phase the agent is in, in words.
        version: Short digest of the judged version.
        charter: Short digest of the charter.
        next_lapse: When the first evidence lapses, or None.
        gates: The gates; the one that decides first.
        domains: The five domains, then the questions and the badge.
        counts: All requirements by status.
        show: The status that the page is narrowed to, or empty.
        unfolded: The requirement whose parts are shown, `all`, or empty; the JSON has the parts of each.
        filters: Links to the narrowed pages, the whole one first.
    """

    word: str
    phase: str
    version: str
    charter: str
    next_lapse: Moment | None
    gates: tuple[GateRow, ...]
    domains: tuple[DomainSection, ...]
    counts: tuple[StatusCount, ...]
    show: str = ""
    unfolded: str = ""
    filters: tuple[Link, ...] = ()


_RANK = {status: rank for rank, status in enumerate(Status)}


def in_words(counts: Iterable[StatusCount]) -> str:
    """Write counts by status as one line.

    Example:
        >>> in_words([StatusCount(mark=mark_of(Status.BREACHED), shown="2")])
        '2 breached'
    """
    return ", ".join(f"{count.shown} {_phrase(count)}" for count in counts)


def _phrase(count: StatusCount) -> str:
    if count.mark.status is Status.NO_EVIDENCE:
        return "without evidence"
    if count.mark.status is Status.HOLDS:
        return "holding" if count.shown != "1" else "holds"
    return count.mark.word.lower()


def _counts(statuses: Sequence[Status]) -> tuple[StatusCount, ...]:
    return tuple(
        StatusCount(mark=mark_of(status), shown=f"{statuses.count(status):,}")
        for status in Status
        if status in statuses
    )


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


def _cases(item: ItemVerdict) -> str:
    noun = KINDS[item.kind].noun if item.kind in KINDS else "cases"
    if item.n_needed is not None and item.n_needed > item.n and item.status is not Status.HOLDS:
        return f"{item.n:,} of about {item.n_needed:,} {noun}"
    return f"{item.n:,} {noun}" if item.n and item.value is not None else ""


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
        measured=measured,
        dot=_dot(item, measured),
        cases=_cases(item),
        window=window,
        age=ago(item.window_to, verdict.as_of) if item.window_to else "",
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


def _requirement_row(
    found: RequirementVerdict,
    verdict: AgentVerdict,
    charter: Charter,
    asked: frozenset[str],
    show: Status | None,
) -> RequirementRow:
    items = tuple(item_row(item, verdict, charter) for item in found.items[:ITEMS_MAX])
    more = len(found.items) - len(items)
    titles = [GATE_TITLES.get(gate, gate).lower() for gate in found.gates]
    return RequirementRow(
        id=found.requirement,
        statement=found.statement,
        mark=mark_of(found.status, found.reason),
        gates=", ".join(titles),
        deciding=item_row(found.deciding, verdict, charter),
        items=items if len(found.items) > 1 else (),
        opens=f"All {len(found.items)} parts" if len(found.items) > 1 else "Evidence",
        href=f"?open={found.requirement}{f'&show={show.value}' if show else ''}#{found.requirement}",
        more=f"{plural(more, 'further item')} in the JSON of `pilothouse verdict`" if more else "",
        waiver=_waiver(found.waiver, person_names(charter), verdict.as_of),
        asked_now=found.requirement in asked,
    )


def _ids(gate: GateVerdict) -> dict[str, Status]:
    by_status = {
        Status.BREACHED: gate.breached,
        Status.NO_EVIDENCE: gate.no_evidence,
        Status.AT_RISK: gate.at_risk,
        Status.HOLDS: gate.holds,
    }
    return {name: status for status, names in by_status.items() for name in names}


def _gate_row(gate: GateVerdict, *, decides: bool) -> GateRow:
    return GateRow(
        gate=gate.gate,
        title=GATE_TITLES.get(gate.gate, gate.gate),
        mark=mark_of(gate.status, gate.reason),
        counts=_counts(list(_ids(gate).values())),
        blocking=Link(text=gate.worst, href=f"#{gate.worst}"),
        decides=decides,
    )


def _cell(gate: GateVerdict, members: frozenset[str]) -> GateCell:
    statuses = [status for name, status in _ids(gate).items() if name in members]
    mark = mark_of(worst_status(tuple(statuses))) if statuses else None
    return GateCell(gate=gate.gate, mark=mark, counts=in_words(_counts(statuses)))


def _section(key: str, verdict: AgentVerdict, charter: Charter, show: Status | None) -> DomainSection:
    asked = frozenset(_ids(verdict.gates[0])) if verdict.gates else frozenset()
    members = [found for found in verdict.requirements if found.domain == key]
    ordered = sorted(members, key=lambda found: _RANK[found.status])
    kept = [found for found in ordered if show is None or found.status is show]
    rows = [_requirement_row(found, verdict, charter, asked, show) for found in kept]
    ahead = [found.status for found in members if found.requirement in asked]
    own = [found.status for found in members]
    loose = key not in {found.domain for found in verdict.domains}
    return DomainSection(
        key=key,
        title=DOMAIN_TITLES.get(key, key),
        mark=mark_of(worst_status(tuple(own if loose else ahead))) if own and (loose or ahead) else None,
        counts=in_words(_counts(own if loose else ahead)),
        cells=tuple(_cell(gate, frozenset(found.requirement for found in members)) for gate in verdict.gates),
        requirements=tuple(row for row in rows if row.asked_now or loose),
        later=tuple(row for row in rows if not (row.asked_now or loose)),
    )


def _filters(show: Status | None, unfold: str) -> tuple[Link, ...]:
    narrowed = f"&show={show.value}" if show else ""
    links = [Link(text="All", href="" if show is None else "?")]
    links += [
        Link(text=STATUS_WORDS[status], href="" if status is show else f"?show={status.value}")
        for status in Status
    ]
    return (*links, Link(text="With every part", href="" if unfold == "all" else f"?open=all{narrowed}"))


def build_readiness(
    verdict: AgentVerdict,
    charter: Charter,
    *,
    show: Status | None = None,
    unfold: str = "",
    notices: tuple[str, ...] = (),
) -> ReadinessPage:
    """Return the Readiness page of a verdict; its moment is the verdict's.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        show: Only requirements of this status, or None for all.
        unfold: The requirement whose parts are shown, `all`, or empty.
        notices: What a reader must know about the page.

    Raises:
        UnknownName: No requirement of the verdict has the name to unfold.
    """
    known_ids = [found.requirement for found in verdict.requirements]
    if unfold not in {"", "all", *known_ids}:
        raise UnknownName.among(
            "requirement",
            unfold,
            known_ids,
            remedy="Write one of the page, for example `?open=INT-1`, or `all`.",
        )
    now = verdict.as_of
    mark = mark_of(verdict.status, verdict.reason)
    keys = list(dict.fromkeys(found.domain for found in verdict.requirements))
    statuses = [found.status for found in verdict.requirements if found.gates]
    return ReadinessPage(
        name="readiness",
        title=f"{mark.spoken} · Readiness of {verdict.agent}",
        heading="Readiness",
        agent=verdict.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=shown_text(verdict.sentence), href=f"#{verdict.deciding}"),
        action=next_step(verdict, charter),
        notices=tuple(shown_text(note) for note in (*notices, *verdict.notes)),
        word=verdict.word,
        phase=phase_words(verdict.phase),
        version=short_digest(verdict.version),
        charter=short_digest(verdict.charter_digest),
        next_lapse=moment(verdict.next_lapse_at, now) if verdict.next_lapse_at else None,
        gates=tuple(_gate_row(gate, decides=index == 0) for index, gate in enumerate(verdict.gates)),
        domains=tuple(_section(key, verdict, charter, show) for key in keys),
        counts=_counts(statuses),
        show=show.value if show else "",
        unfolded=unfold,
        filters=_filters(show, unfold),
    )
