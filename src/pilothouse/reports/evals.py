# SPDX-License-Identifier: Apache-2.0
"""The Evals page: may this version be released, what came out differently, and can the data and judges carry that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.numbers import in_unit, interval, percent, short_digest
from pilothouse.core.verdict.release_verdict import ReleaseVerdict, RunCost
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Reason, Status
from pilothouse.reports.domain import asked_section, domain_head
from pilothouse.reports.inputs import inputs_section
from pilothouse.reports.moments import duration_text, moment
from pilothouse.reports.pictures import forest
from pilothouse.reports.sections import Cell, Row, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import UNKNOWN, plural

__all__ = ["build_evals"]

DECISIONS_SHOWN = 20
FLIPS_SHOWN = 20
GATE = "pilothouse gate --candidate TARGET"

_GATE_WORDS = {
    Status.HOLDS: "Pass",
    Status.AT_RISK: "Pass at risk",
    Status.BREACHED: "Block",
    Status.NO_EVIDENCE: "Not enough evidence",
}


def build_evals(
    charter: Charter,
    verdict: AgentVerdict,
    releases: Sequence[ReleaseVerdict],
    evidence: Sequence[Evidence],
    now: datetime,
) -> SectionsPage:
    """Build the page.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        releases: Decisions of the release gate, newest first.
        evidence: Records of the agent.
        now: The moment, aware UTC.
    """
    head = domain_head(verdict, charter, "EVAL")
    newest = releases[0] if releases else None
    mark, sentence = head.mark, head.sentence
    action = head.action
    if newest is not None:
        mark = _gate_mark(newest.status, newest.reason)
        sentence = Sentence(
            plain=shown_text(
                f"The gate says {mark.word.upper()} to version {short_digest(newest.candidate)}: {newest.deciding}"
            ),
            href="#gate",
        )
        worse = sum(one.is_worse for one in newest.flips)
        if newest.status is Status.BREACHED and worse:
            label = f"Read what came out worse: {plural(worse, 'case')}"
            action = ActionOffer(label=label, command=GATE, href="#flips")
    else:
        action = ActionOffer(label="Let the gate decide about a version", command=GATE)
    return SectionsPage(
        name="evals",
        title=f"{mark.spoken} · evals of {charter.agent}",
        heading="Evals",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=sentence,
        action=action,
        sections=(
            _gate(newest),
            *([_flips(newest)] if newest is not None and newest.flips else []),
            *([_decisions(releases, now)] if releases else []),
            _datasets(charter, evidence, now),
            inputs_section(evidence, now),
            _judges(charter, evidence, now),
            asked_section(head, charter, charter.agent),
        ),
    )


def _gate_mark(status: Status, reason: Reason | None) -> StatusMark:
    made = mark_of(status, reason)
    return made.model_copy(update={"word": _GATE_WORDS[status]})


def _shown(item: ItemVerdict, value: float | None) -> str:
    return "" if value is None else in_unit(value, item.unit, n=max(item.n, 1), currency="USD")


def _gate(newest: ReleaseVerdict | None) -> Section:
    if newest is None:
        return Section(
            anchor="gate",
            title="Release gate",
            empty=Empty(
                missing="No version of this agent has met the release gate.",
                asked_by="EVAL-3",
                command=GATE,
            ),
        )
    paired = [
        item
        for item in newest.items
        if item.unit == "points" and item.value is not None and item.low is not None and item.high is not None
    ]
    margin = next((item.bound for item in paired if item.bound is not None), None)
    against = f"against {short_digest(newest.baseline)}" if newest.baseline else "without a baseline"
    picture = forest(
        [(_item_name(item), item.low or 0.0, item.value or 0.0, item.high or 0.0) for item in paired],
        margin=margin,
        margin_text="" if margin is None else f"{margin:g} points",
    )
    return Section(
        anchor="gate",
        title="Release gate",
        note=f"{short_digest(newest.candidate)} {against} on {shown_text(newest.dataset)}",
        picture=picture,
        columns=columns("State", "What must hold", "#Measured", "Interval", "#Cases", "Says"),
        rows=tuple(
            row(
                mark_of(item.status, item.reason),
                Cell(text=shown_text(_item_name(item)), small=shown_text(item.rule)),
                _shown(item, item.value),
                ""
                if item.low is None or item.high is None
                else interval(item.low, item.high, item.unit, n=max(item.n, 1), currency="USD"),
                f"{item.n:,}",
                shown_text(item.sentence),
            )
            for item in newest.items
        ),
    )


def _item_name(item: ItemVerdict) -> str:
    what = item.requirement.replace("_", " ")
    return f"{what}, {item.scope.label}" if item.scope.label != "all" else what


def _flips(newest: ReleaseVerdict) -> Section:
    worse = sum(one.is_worse for one in newest.flips)
    return Section(
        anchor="flips",
        title="What came out differently",
        note=f"{worse} worse, {len(newest.flips) - worse} better; worse first",
        columns=columns("Case", "Task type", "Now", "Why"),
        rows=tuple(
            row(
                Cell(text=shown_text(one.case_id), is_code=True),
                shown_text(one.task_type),
                mark_of(Status.BREACHED, word="Worse")
                if one.is_worse
                else mark_of(Status.HOLDS, word="Better"),
                shown_text(one.reason),
            )
            for one in newest.flips[:FLIPS_SHOWN]
        ),
    )


def _decisions(releases: Sequence[ReleaseVerdict], now: datetime) -> Section:
    return Section(
        anchor="decisions",
        title="Decisions",
        note="newest first",
        columns=columns("Decision", "Candidate", "When", "#Cases", "Saved by stopping", "#Cost", "Took"),
        rows=tuple(
            row(
                Cell(mark=_gate_mark(one.status, one.reason), small=shown_text(one.deciding)),
                Cell(text=short_digest(one.candidate), is_code=True),
                moment(one.as_of, now),
                f"{one.cost.cases:,}",
                f"{percent(one.cost.saved_share, 0)} of {one.cost.cases_planned:,}",
                Cell(
                    text=_spent(one.cost),
                    small=f"{plural(one.cost.unpriced, 'trial')} without a price"
                    if one.cost.unpriced
                    else "",
                ),
                duration_text(one.cost.seconds),
            )
            for one in releases[:DECISIONS_SHOWN]
        ),
    )


def _spent(cost: RunCost) -> str:
    """Write what is known of the money: of trials without a price nothing is, and nothing is not zero."""
    if not cost.unpriced:
        return f"${cost.spent_usd:,.2f}"
    return f"at least ${cost.spent_usd:,.2f}" if cost.spent_usd else UNKNOWN


def _newest(evidence: Sequence[Evidence], kind: str) -> Evidence | None:
    found = [one for one in evidence if one.kind == kind and one.scope.task_type is None]
    return max(found, key=lambda one: one.window_to, default=None)


def _datasets(charter: Charter, evidence: Sequence[Evidence], now: datetime) -> Section:
    sets = charter.datasets
    rows = []
    for title, kind, declared in (
        ("labelled", "dataset.labelled", sets.labelled),
        ("adversarial", "dataset.adversarial", sets.adversarial),
    ):
        found, least, path = _newest(evidence, kind), known(declared.min), known(declared.path)
        enough = found is not None and least is not None and found.n >= least
        mark = mark_of(
            Status.HOLDS if enough else Status.NO_EVIDENCE,
            None if enough else Reason.INSUFFICIENT if found else Reason.MISSING,
        )
        rows.append(
            row(
                mark,
                Cell(text=f"{title} cases", small=shown_text(str(path or "open question"))),
                f"{found.n:,}" if found else "none counted",
                "open question" if least is None else f"{least:,}",
                moment(found.window_to, now) if found else None,
                Cell(
                    text=short_digest(found.binds.dataset) if found and found.binds.dataset else "",
                    is_code=True,
                ),
                Cell(command="" if enough else f"pilothouse dataset add {path or 'FOLDER'} FILE"),
            )
        )
    for kind, title in (
        ("dataset.leak", "leak test"),
        ("dataset.production_share", "cases from production"),
    ):
        found = _newest(evidence, kind)
        if found is not None:
            rows.append(_fact(found, title, now))
    return Section(
        anchor="datasets",
        title="Datasets",
        columns=columns("State", "Dataset", "#Cases", "#Asked", "Counted", "Digest", "Next"),
        rows=tuple(rows),
    )


def _fact(found: Evidence, title: str, now: datetime) -> Row:
    if found.passed is None:
        mark, text = mark_of(Status.HOLDS), f"{found.good or 0:,} of {found.n:,}"
    else:
        mark, text = mark_of(Status.HOLDS if found.passed else Status.BREACHED), f"{found.n:,}"
    return row(
        mark,
        Cell(text=title, small=shown_text(found.detail)),
        text,
        "",
        moment(found.window_to, now),
        Cell(text=short_digest(found.binds.dataset) if found.binds.dataset else "", is_code=True),
        "",
    )


def _judges(charter: Charter, evidence: Sequence[Evidence], now: datetime) -> Section:
    cards = {
        one.scope.part: one
        for one in sorted(evidence, key=lambda one: one.window_to)
        if one.kind == "judge.card"
    }
    rows = []
    for judge in known(charter.model.judges) or ():
        card = cards.get(judge.name)
        model = f"{judge.pin.provider}/{judge.pin.model}"
        if card is None:
            mark = mark_of(Status.NO_EVIDENCE, Reason.MISSING)
        else:
            mark = mark_of(
                Status.HOLDS if card.passed else Status.NO_EVIDENCE,
                None if card.passed else Reason.INSUFFICIENT,
            )
        rows.append(
            row(
                mark,
                Cell(text=judge.name, small=shown_text(model)),
                shown_text(card.detail) if card else "Its errors were never measured.",
                f"{card.n:,}" if card else "0",
                moment(card.window_to, now) if card else None,
                Cell(command="" if card and card.passed else f"pilothouse eval judge {judge.name}"),
            )
        )
    return Section(
        anchor="judges",
        title="Judge cards",
        note="a judge decides nothing before its own errors were measured against people",
        columns=columns("State", "Judge", "Against people", "#Labels", "Newest label", "Next"),
        rows=tuple(rows),
        empty=Empty(
            missing="The charter names no judge: scores are computed, or given by people.",
            command="pilothouse eval judge --help",
        ),
    )
