# SPDX-License-Identifier: Apache-2.0
"""The Waivers page: what is waived until when, what may be, and the form of the sponsor (verdict → page)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.framework import NOT_WAIVABLE
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict, Status
from pilothouse.core.verdict.waiver import WAIVER_MAX
from pilothouse.reports.domain import requirement_cell
from pilothouse.reports.moments import moment
from pilothouse.reports.next_step import make_sure
from pilothouse.reports.sections import Cell, Field, FormOffer, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Sentence,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = ["WAIVER_DAYS", "build_waivers", "waivable"]

WAIVER_DAYS = (7, 14, WAIVER_MAX.days)
"""Ends that the form offers; the longest is the longest there is."""

_OPEN = frozenset({Status.BREACHED, Status.NO_EVIDENCE})


def waivable(verdict: AgentVerdict, ahead: Sequence[RequirementVerdict]) -> tuple[RequirementVerdict, ...]:
    """Return what a sponsor may waive now: asked for by a gate, not holding, and not beyond any signature.

    Args:
        verdict: The verdict.
        ahead: Every requirement as the next gate asks for it, which may be with more parts; shown where only these are open.
    """
    found = (
        here if _is_open(here) else there for here, there in zip(verdict.requirements, ahead, strict=True)
    )
    return tuple(one for one in found if _is_open(one) and one.requirement not in NOT_WAIVABLE)


def _is_open(one: RequirementVerdict) -> bool:
    return bool(one.gates) and one.status in _OPEN and one.waiver is None


def build_waivers(
    verdict: AgentVerdict,
    charter: Charter,
    now: datetime,
    *,
    ahead: Sequence[RequirementVerdict],
    person: str = "",
    item: str = "",
    state: str = "",
) -> SectionsPage:
    """Build the page.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        now: The moment, aware UTC.
        ahead: Every requirement as the next gate asks for it.
        person: Person id of who looks at it, or empty.
        item: The requirement that the visitor asked to waive and has not confirmed, or empty.
        state: What the form carries of what it shows, so that a waiver of something else is refused.
    """
    names = person_names(charter)
    sponsor = known(charter.sponsor.person) or ""
    waived = [one for one in verdict.requirements if one.waiver is not None]
    offered = waivable(verdict, ahead)
    base = f"/agents/{quote(verdict.agent, safe='')}"
    chosen = next((one for one in offered if one.requirement == item), None)
    sections = [_in_force(waived, names, base, now), _offered(offered, base, is_sponsor=person == sponsor)]
    if chosen is not None and person and person == sponsor:
        sections.insert(0, _confirm(chosen, verdict, base, state))
    plain = f"{plural(len(waived), 'requirement is', 'requirements are')} waived; {len(offered)} more may be."
    first = min((one.waiver.until for one in waived if one.waiver), default=None)
    if first is not None:
        plain += f" The first waiver ends {moment(first, now).absolute}."
    return SectionsPage(
        name="waivers",
        title=f"Waivers · {verdict.agent}",
        heading="Waivers",
        agent=verdict.agent,
        as_of=page_moment(now),
        sentence=Sentence(plain=shown_text(plain)),
        action=_action(offered, base, names.get(sponsor, sponsor)),
        sections=tuple(sections),
    )


def _action(offered: Sequence[RequirementVerdict], base: str, sponsor: str) -> ActionOffer | None:
    """Offer to make the first hold: a waiver is never the next step, only what is left when that fails."""
    if not offered:
        return None
    first = offered[0].deciding
    return ActionOffer(
        label=shown_text(
            make_sure(offered[0].requirement, offered[0].statement) + "; then no waiver is needed"
        ),
        command=first.remedy,
        href=f"{base}/readiness#{offered[0].requirement}",
        who=(f"or {sponsor} waives it",) if sponsor else (),
    )


def _in_force(
    waived: Sequence[RequirementVerdict], names: dict[str, str], base: str, now: datetime
) -> Section:
    rows = tuple(
        row(
            mark_of(one.status, one.reason),
            requirement_cell(one, f"{base}/readiness"),
            shown_text(one.waiver.reason),
            names.get(one.waiver.signer, one.waiver.signer),
            moment(one.waiver.until, now),
        )
        for one in waived
        if one.waiver
    )
    return Section(
        anchor="in-force",
        title="In force",
        note="the status stays what it is",
        columns=columns("Status", "Requirement", "Why", "Signed by", "Ends"),
        rows=rows,
        empty=None if rows else Empty(missing="Nothing is waived."),
    )


def _offered(offered: Sequence[RequirementVerdict], base: str, *, is_sponsor: bool) -> Section:
    rows = tuple(
        row(
            mark_of(one.status, one.reason),
            requirement_cell(one, f"{base}/readiness"),
            shown_text(one.deciding.sentence),
            *(
                (Cell(text=f"Waive {one.requirement} …", href=f"{base}/waivers?item={one.requirement}"),)
                if is_sponsor
                else ()
            ),
            anchor=one.requirement,
        )
        for one in offered
    )
    return Section(
        anchor="may-be",
        title="May be waived",
        note="" if is_sponsor else "by the sponsor, who signs in to do it",
        columns=columns("Status", "Requirement", "What is known", *(("Let it pass",) if is_sponsor else ())),
        rows=rows,
        empty=None if rows else Empty(missing="Nothing that does not hold may be waived."),
    )


def _confirm(one: RequirementVerdict, verdict: AgentVerdict, base: str, state: str) -> Section:
    version = short_digest(verdict.version) or "unknown"
    return Section(
        anchor="confirm",
        title=f"Waive: {one.statement}",
        note=one.requirement,
        forms=(
            FormOffer(
                href=f"{base}/waivers",
                fields=(
                    Field(name="item", value=one.requirement),
                    Field(name="seen", value=state),
                    Field(name="reason", label="Why, one sentence", is_required=True),
                    Field(
                        name="days",
                        label="For",
                        value=str(WAIVER_DAYS[0]),
                        choices=tuple((str(days), f"{days} days") for days in WAIVER_DAYS),
                    ),
                ),
                buttons=(("waive", f"Waive {one.requirement} for {verdict.agent}"),),
                warning=shown_text(
                    f"{one.requirement} stays {mark_of(one.status, one.reason).spoken.lower()}; gates of "
                    f"{verdict.agent}, version {version}, may open without it until then. Your name and reason "
                    "go on record."
                ),
            ),
        ),
    )
