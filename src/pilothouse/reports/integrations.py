# SPDX-License-Identifier: Apache-2.0
"""The Integrations page: what is connected, how long each proof still counts, and in which order the rest joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.inventory import IntegrationRow, Inventory
from pilothouse.core.verdict.integration_order import IntegrationRank
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.domain import asked_section, domain_head
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Cell, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import Empty, StatusMark, mark_of, page_moment, shown_text
from pilothouse.reports.words import phase_words, plural

__all__ = ["build_integrations"]


_MARKS: Mapping[str, tuple[Status, str]] = {
    "valid": (Status.HOLDS, "Certified"),
    "failed": (Status.BREACHED, "Failed"),
    "expired": (Status.NO_EVIDENCE, "Lapsed"),
    "void": (Status.NO_EVIDENCE, "Void"),
    "none": (Status.NO_EVIDENCE, "Never verified"),
}


def build_integrations(
    charter: Charter,
    verdict: AgentVerdict,
    inventory: Inventory,
    order: Sequence[IntegrationRank],
    now: datetime,
) -> SectionsPage:
    """Build the page."""
    head = domain_head(verdict, charter, "INT")
    stray = _undeclared(inventory)
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
            _inventory(inventory.integrations, now),
            _order(charter.agent, order),
            asked_section(head, charter, charter.agent),
        ),
    )


def _undeclared(found: Inventory) -> Section:
    rows = [("host", name, f"{count:,}") for name, count in found.unknown_hosts.items()]
    rows += [("tool", name, f"{count:,}") for name, count in found.unknown_tools.items()]
    rows += [("host, refused", name, "none") for name in found.refused]
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


def _mark(one: IntegrationRow) -> StatusMark:
    status, word = _MARKS[one.certificate]
    return mark_of(status, word=word)


def _inventory(connected: Sequence[IntegrationRow], now: datetime) -> Section:
    rows = tuple(
        row(
            Cell(mark=_mark(one), small=shown_text(one.detail)),
            Cell(text=one.name, small=f"{one.kind}, {one.environment}".replace("?", "open question")),
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
