# SPDX-License-Identifier: Apache-2.0
"""Gather what reports show: the executive page, the weekly note and the compliance map of one agent."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.connectors.own_server import read_server
from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.kinds import SIGNING_KINDS
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.task import CostState
from pilothouse.core.verdict.remediation import plan_steps
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.signing import asked_signatures
from pilothouse.core.verdict.stall import QUESTION_DAYS, Stall, judge_stall
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.reports.compliance import build_compliance
from pilothouse.reports.executive import ExecutivePage, Facts, build_executive, stall_words
from pilothouse.reports.html import render_report
from pilothouse.reports.pdf import render_pdf
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.weekly import Week, WeeklyNote, build_weekly
from pilothouse.workflows.ground.act_log import shown_acts
from pilothouse.workflows.ground.in_force import newest_verdict
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.reports.value import show_value
from pilothouse.workflows.verdict.assess import Assessment

__all__ = [
    "WRITTEN",
    "read_stall",
    "record_spending",
    "show_compliance",
    "show_executive",
    "show_weekly",
    "write_executive",
]

WEEK = timedelta(days=7)
YEAR = timedelta(days=365)
SPENT = "budget.spent"

WRITTEN = "report.written"
"""Decision that keeps the digest of a sheet that was handed out."""

HISTORY_STEPS_MAX = QUESTION_DAYS // 7 + 1
"""Verdicts of half a year, one a week: finer steps move the date of a stall by days only."""


def show_executive(installation: Installation, found: Assessment) -> ExecutivePage:
    """Return the executive page of an assessment."""
    verdict, charter = found.verdict, found.charter
    return build_executive(
        Facts(
            charter=charter,
            verdict=verdict,
            plan=plan_steps(verdict, charter),
            value=show_value(installation, found),
            signatures=asked_signatures(
                charter,
                installation.ledger.evidence(charter.agent, kinds=SIGNING_KINDS),
                verdict.as_of,
                phase=verdict.phase,
            ),
            stall=read_stall(installation.ledger, verdict),
        )
    )


def write_executive(installation: Installation, page: ExecutivePage, out: Path) -> str:
    """Write the executive page as PDF or HTML, record its digest, and return it.

    Args:
        installation: Lake and ledger.
        page: The page.
        out: File to write; its ending chooses.

    Raises:
        UsageError: The ending is neither `.pdf` nor `.html`, or the extra `pdf` is missing.
        StorageUnavailable: The file cannot be written.
    """
    ending = out.suffix.lower()
    if ending not in {".pdf", ".html"}:
        raise UsageError(
            f"{out} ends in neither .pdf nor .html",
            remedy=f"Name one: `pilothouse report executive {page.agent} --out sheet.pdf`.",
            subject=str(out),
        )
    content = render_pdf(page) if ending == ".pdf" else render_report(page).encode()
    digest = hashlib.sha256(content).hexdigest()
    try:
        out.write_bytes(content)
    except OSError as error:
        raise StorageUnavailable(
            f"{out} cannot be written ({error.strerror})",
            remedy=f"Name a file in a folder that this user may write: `pilothouse report executive {page.agent} --out FILE`.",
            subject=str(out),
        ) from error
    installation.ledger.record(
        kind=WRITTEN,
        agent=page.agent or "",
        at=page.as_of.at,
        actor="pilothouse report executive",
        document=canonical_json(
            {"report": page.name, "sha256": digest, "view": page.digest, "word": page.word}
        ),
    )
    return digest


def record_spending(installation: Installation, found: Assessment) -> Evidence | None:
    """Hold what model calls cost in a year against the budget's line for them, and store what was found (OWN-10).

    Returns:
        The record; None while a price, the budget's line `model` or the tasks are unknown, or the budget is not in
        the dollars of prices: unknown is never zero, and no rate of exchange is known.
    """
    charter, now = found.charter, found.verdict.as_of
    planned = (known(charter.budgets.production.lines) or {}).get("model")
    tasks = tasks_between(installation.lake, charter.agent, now - YEAR, now)
    unpriced = any(task.cost_state in {CostState.PARTIAL, CostState.UNKNOWN} for task in tasks)
    if planned is None or is_open(planned) or not tasks or unpriced or known(charter.currency) != "USD":
        return None
    spent = math.fsum(float(task.cost_known_usd) for task in tasks)
    record = recorded(
        SPENT,
        charter,
        now,
        command=f"pilothouse report executive {charter.agent}",
        since=now - YEAR,
        n=len(tasks),
        passed=spent <= float(planned),
        detail=f"Model calls of a year cost USD {spent:,.2f}; planned for them are USD {float(planned):,.0f}.",
    )
    installation.ledger.add_evidence([record])
    return record


def show_compliance(found: Assessment) -> SectionsPage:
    """Return the compliance map of an assessment."""
    return build_compliance(found.charter, found.verdict, found.verdict.as_of)


def show_weekly(
    installation: Installation, found: Assessment, *, corrections: str = "", until: datetime | None = None
) -> WeeklyNote:
    """Return the weekly note of an assessment.

    Args:
        installation: Lake and ledger.
        found: The assessment.
        corrections: What people's corrections achieved, in words.
        until: The end of the week; the moment of the assessment where it is None.
    """
    verdict, charter = found.verdict, found.charter
    end = verdict.as_of if until is None else until
    server = read_server(installation.settings.home)
    acts = [one.act for one in shown_acts(installation.ledger, charter.agent) if not one.lifted_by]
    return build_weekly(
        Week(
            charter=charter,
            verdict=verdict,
            before=_week_before(installation.ledger, verdict.agent, end),
            plan=plan_steps(verdict, charter),
            moves=tuple(f"{act.move.value} because of {act.requirement}" for act in acts),
            stall=stall_words(read_stall(installation.ledger, verdict), person_names(charter)),
            address="" if server is None else server.url,
            corrections=corrections,
            until=end,
        ),
        verdict.as_of,
    )


def _week_before(ledger: Ledger, agent: str, until: datetime) -> AgentVerdict | None:
    """Return the verdict of a week before, or None: one from before a long silence of the server tells nothing of that week."""
    found = newest_verdict(ledger, agent, at=until - WEEK)
    is_of_then = found is not None and found.as_of >= until - 2 * WEEK
    return found if is_of_then else None


def read_stall(ledger: Ledger, verdict: AgentVerdict) -> Stall | None:
    """Return how long no gate of an agent has come nearer, from a verdict of each week of the last half year.

    Args:
        ledger: Where frozen verdicts stand.
        verdict: The newest one.
    """
    history: list[AgentVerdict] = [verdict]
    for step in range(1, HISTORY_STEPS_MAX + 1):
        before = newest_verdict(ledger, verdict.agent, at=verdict.as_of - step * WEEK)
        if before is None:
            break
        if before.as_of < history[-1].as_of:
            history.append(before)
    return judge_stall(tuple(reversed(history)), verdict.as_of)
