# SPDX-License-Identifier: Apache-2.0
"""The Integrations page: what is connected, how long each proof still counts, and in which order the rest joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.integration_order import IntegrationRank
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.domain import asked_section, domain_head
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Cell, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import Empty, StatusMark, page_moment, shown_text
from pilothouse.reports.words import phase_words, plural

__all__ = ["Connected", "build_integrations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """One declared integration with what telemetry and certificates say.

    Attributes:
        name: Its name.
        kind: Kind and environment in words.
        hosts: Declared hosts.
        tools: Tools that talk to it.
        tasks_seen: Tasks of the window that touched it.
        certificate: State of its certificate.
        certified_at: When it was made, or None.
        expires_at: When it lapses, or None.
        detail: What it found.
    """

    name: str
    kind: str
    hosts: tuple[str, ...]
    tools: tuple[str, ...]
    tasks_seen: int
    certificate: Literal["valid", "failed", "expired", "void", "none"]
    certified_at: datetime | None
    expires_at: datetime | None
    detail: str


_MARKS: Mapping[str, tuple[Status, str, str]] = {
    "valid": (Status.HOLDS, "Certified", ""),
    "failed": (Status.BREACHED, "Failed", ""),
    "expired": (Status.NO_EVIDENCE, "Lapsed", ""),
    "void": (Status.NO_EVIDENCE, "Void", ""),
    "none": (Status.NO_EVIDENCE, "Never verified", ""),
}


def build_integrations(
    charter: Charter,
    verdict: AgentVerdict,
    connected: Sequence[Connected],
    order: Sequence[IntegrationRank],
    *,
    unknown_hosts: Mapping[str, int],
    unknown_tools: Mapping[str, int],
    refused: Mapping[str, int],
    now: datetime,
) -> SectionsPage:
    """Build the page.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        connected: Declared integrations.
        order: Proposed order of joining.
        unknown_hosts: Hosts that telemetry shows and nothing declares, with tasks.
        unknown_tools: Tools, likewise.
        refused: Destinations that processes were kept from connecting to, with the number of processes.
        now: The moment, aware UTC.
    """
    head = domain_head(verdict, charter, "INT")
    stray = _undeclared(unknown_hosts, unknown_tools, refused)
    return SectionsPage(
        name="integrations",
        title=f"{head.mark.spoken} · integrations of {charter.agent}",
        heading="Integrations",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=head.mark,
        sentence=head.sentence,
        action=head.action,
        sections=(
            *([stray] if stray.rows else []),
            _inventory(connected, now),
            _order(charter.agent, order),
            asked_section(head, charter, charter.agent),
        ),
    )


def _undeclared(hosts: Mapping[str, int], tools: Mapping[str, int], refused: Mapping[str, int]) -> Section:
    rows = [("host", name, f"{count:,}") for name, count in hosts.items()]
    rows += [("tool", name, f"{count:,}") for name, count in tools.items()]
    rows += [("host, refused", name, "none") for name in refused]
    return Section(
        anchor="undeclared",
        title="Seen and not declared",
        note="last 14 days",
        columns=columns("What", "Name", "#Tasks", "What to do"),
        rows=tuple(
            row(
                kind,
                Cell(text=shown_text(name), is_code=True),
                count,
                Cell(
                    text="Declare it in the charter, or keep the agent from using it.",
                    command="pilothouse check",
                ),
            )
            for kind, name, count in rows
        ),
    )


def _mark(one: Connected) -> StatusMark:
    status, word, reason = _MARKS[one.certificate]
    return StatusMark(status=status, word=word, reason=reason)


def _inventory(connected: Sequence[Connected], now: datetime) -> Section:
    rows = tuple(
        row(
            Cell(mark=_mark(one), small=shown_text(one.detail)),
            Cell(text=one.name, small=one.kind),
            moment(one.certified_at, now) if one.certified_at else "never",
            moment(one.expires_at, now) if one.expires_at else None,
            f"{one.tasks_seen:,}",
            Cell(
                text=", ".join(one.hosts) or "no host declared",
                small=", ".join(one.tools) or "no tool uses it",
            ),
            Cell(command="" if one.certificate == "valid" else f"pilothouse integration verify {one.name}"),
            anchor=one.name,
        )
        for one in connected
    )
    return Section(
        anchor="inventory",
        title="Inventory",
        note=f"{plural(len(rows), 'integration')}; a certificate counts for 30 days",
        columns=columns("Certificate", "Integration", "Made", "Lapses", "#Tasks", "Hosts and tools", "Next"),
        rows=rows,
        empty=Empty(
            missing="The charter declares no integration.",
            asked_by="INT-1",
            command="pilothouse init PATH-TO-THE-AGENT",
        ),
    )


def _order(agent: str, order: Sequence[IntegrationRank]) -> Section:
    return Section(
        anchor="order",
        title="Order of joining",
        note="the simplest and least harmful first",
        columns=columns("Place", "Integration", "Phase", "Why there"),
        rows=tuple(
            row(
                str(one.place),
                Cell(text=one.name, href=f"#{one.name}"),
                Cell(
                    text=phase_words(one.phase) if one.phase else "none yet",
                    small="earlier than a simpler one" if one.joins_early else "",
                ),
                shown_text("; ".join(one.reasons)),
            )
            for one in order
        ),
        empty=Empty(missing="Nothing is declared that could join.", command=f"pilothouse verdict {agent}"),
    )
