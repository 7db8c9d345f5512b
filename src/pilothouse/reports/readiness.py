# SPDX-License-Identifier: Apache-2.0
"""The Readiness page: gates by domain, and every requirement of each (verdict → page)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.verdict import AgentVerdict, GateVerdict, Status, worst_status
from pilothouse.errors import UnknownName
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.next_step import next_step
from pilothouse.reports.requirement_rows import RequirementRow, requirement_row
from pilothouse.reports.view_models import (
    Frozen,
    Link,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import DOMAIN_TITLES, GATE_TITLES, STATUS_WORDS, phase_words

__all__ = ["DomainSection", "GateCell", "GateRow", "ReadinessPage", "StatusCount", "build_readiness"]


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
        waived: How many of them are waived, in words, or empty.
        place: `ahead` for the next one, `decides now` for the one whose status is the agent's where that is another; else empty.
    """

    gate: str
    title: str
    mark: StatusMark
    counts: tuple[StatusCount, ...]
    blocking: Link
    waived: str
    place: str


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
        past: The past moment that was asked for, as it was typed, or empty for the present.
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
    past: str = ""


_RANK = {status: rank for rank, status in enumerate(Status)}


def _ids(gate: GateVerdict) -> dict[str, Status]:
    by_status = {
        Status.BREACHED: gate.breached,
        Status.NO_EVIDENCE: gate.no_evidence,
        Status.AT_RISK: gate.at_risk,
        Status.HOLDS: gate.holds,
    }
    return {name: status for status, names in by_status.items() for name in names}


def _gate_row(gate: GateVerdict, verdict: AgentVerdict) -> GateRow:
    return GateRow(
        gate=gate.gate,
        title=GATE_TITLES.get(gate.gate, gate.gate),
        mark=mark_of(gate.status, gate.reason),
        counts=_count_statuses(list(_ids(gate).values())),
        blocking=Link(text=gate.worst, href=f"#{gate.worst}"),
        waived=f"{len(gate.waived)} waived" if gate.waived else "",
        place=_place(gate, verdict),
    )


def _place(gate: GateVerdict, verdict: AgentVerdict) -> str:
    """Say which gate lies ahead, and which decides where another one does."""
    if gate.gate == verdict.next_gate:
        return "ahead"
    return "decides now" if gate is verdict.gates[0] else ""


def _cell(gate: GateVerdict, members: frozenset[str]) -> GateCell:
    statuses = [status for name, status in _ids(gate).items() if name in members]
    mark = mark_of(worst_status(tuple(statuses))) if statuses else None
    return GateCell(gate=gate.gate, mark=mark, counts=_in_words(_count_statuses(statuses)))


def _section(
    key: str, verdict: AgentVerdict, charter: Charter, show: Status | None, query: str
) -> DomainSection:
    asked = frozenset(_ids(verdict.gates[0])) if verdict.gates else frozenset()
    members = [found for found in verdict.requirements if found.domain == key]
    ordered = sorted(members, key=lambda found: _RANK[found.status])
    kept = [found for found in ordered if show is None or found.status is show]
    rows = [requirement_row(found, verdict, charter, asked, query) for found in kept]
    ahead = [found.status for found in members if found.requirement in asked]
    own = [found.status for found in members]
    loose = key not in {found.domain for found in verdict.domains}
    return DomainSection(
        key=key,
        title=DOMAIN_TITLES.get(key, key),
        mark=mark_of(worst_status(tuple(own if loose else ahead))) if own and (loose or ahead) else None,
        counts=_in_words(_count_statuses(own if loose else ahead)),
        cells=tuple(_cell(gate, frozenset(found.requirement for found in members)) for gate in verdict.gates),
        requirements=tuple(row for row in rows if row.asked_now or loose),
        later=tuple(row for row in rows if not (row.asked_now or loose)),
    )


def _filters(show: Status | None, unfold: str, past: str, query: str) -> tuple[Link, ...]:
    links = [Link(text="All", href="" if show is None else f"?{past[1:]}")]
    links += [
        Link(text=STATUS_WORDS[status], href="" if status is show else f"?show={status.value}{past}")
        for status in Status
    ]
    if past:
        links.append(Link(text="Now", href="?"))
    return (*links, Link(text="With every part", href="" if unfold == "all" else f"?open=all{query}"))


def build_readiness(
    verdict: AgentVerdict,
    charter: Charter,
    *,
    show: Status | None = None,
    unfold: str = "",
    past: str = "",
) -> ReadinessPage:
    """Return the Readiness page of a verdict; its moment is the verdict's.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        show: Only requirements of this status, or None for all.
        unfold: The requirement whose parts are shown, `all`, or empty.
        past: The past moment of the verdict as it was typed, which every link keeps; empty for the present.

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
    then = f"&as_of={quote(past, safe='')}" if past else ""
    query = f"&show={show.value}{then}" if show else then
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
        action=None if past else next_step(verdict, charter),  # what was to be done then may do harm now
        notices=tuple(shown_text(note) for note in verdict.notes),
        word=verdict.word,
        phase=phase_words(verdict.phase),
        version=short_digest(verdict.version),
        charter=short_digest(verdict.charter_digest),
        next_lapse=moment(verdict.next_lapse_at, now) if verdict.next_lapse_at else None,
        gates=tuple(_gate_row(gate, verdict) for gate in verdict.gates),
        domains=tuple(_section(key, verdict, charter, show, query) for key in keys),
        counts=_count_statuses(statuses),
        show=show.value if show else "",
        unfolded=unfold,
        filters=_filters(show, unfold, then, query),
        past=past,
    )


def _in_words(counts: Iterable[StatusCount]) -> str:
    """Write counts by status as one line.

    Example:
        >>> _in_words([StatusCount(mark=mark_of(Status.BREACHED), shown="2")])
        '2 breached'
    """
    return ", ".join(f"{count.shown} {_phrase(count)}" for count in counts)


def _phrase(count: StatusCount) -> str:
    if count.mark.status is Status.NO_EVIDENCE:
        return "without evidence"
    if count.mark.status is Status.HOLDS:
        return "holding" if count.shown != "1" else "holds"
    return count.mark.word.lower()


def _count_statuses(statuses: Sequence[Status]) -> tuple[StatusCount, ...]:
    """Return how many of some statuses there are, worst first; those that do not occur are left out.

    Args:
        statuses: One for each requirement.

    Example:
        >>> _in_words(_count_statuses([Status.HOLDS, Status.BREACHED, Status.HOLDS]))
        '1 breached, 2 holding'
    """
    return tuple(
        StatusCount(mark=mark_of(status), shown=f"{statuses.count(status):,}")
        for status in Status
        if status in statuses
    )
