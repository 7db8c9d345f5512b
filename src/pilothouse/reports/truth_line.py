# SPDX-License-Identifier: Apache-2.0
"""The truth line: what an agent says it did against what the system of record says (counts, verdict → rows)."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.view_models import Empty, Frozen, Quantity, StatusMark, count_of, mark_of, quantity_of

__all__ = ["TruthRow", "items_by_kind", "no_claims", "truth_rows"]


class TruthRow(Frozen):
    """Claims against the system of record; the counts add up to `said_done`.

    Attributes:
        task_type: Task type, or `All task types`.
        line: The whole row as one line, for screen readers and terminal.
        said_done: Claims.
        agrees: The system of record agrees.
        contradicts: It says otherwise.
        cannot_tell: It cannot tell, or nobody asked yet.
        shares: The three parts as shares of `said_done`, for the bar; empty without a claim.
        rate: Contradicted claims of those answered, with interval, or None.
        committed: What the charter commits to, in words.
        mark: Status of the commitment, or None where there is none.
        total: Whether it is the sum of the others.
    """

    task_type: str
    line: str
    said_done: Quantity
    agrees: Quantity
    contradicts: Quantity
    cannot_tell: Quantity
    shares: tuple[float, ...] = ()
    rate: Quantity | None = None
    committed: str = ""
    mark: StatusMark | None = None
    total: bool = False


def items_by_kind(verdict: AgentVerdict) -> dict[tuple[str, str | None], ItemVerdict]:
    """Return the worst item of each kind and task type.

    Args:
        verdict: The verdict; questions and badge repeat the items of others.
    """
    found: dict[tuple[str, str | None], ItemVerdict] = {}
    for requirement in verdict.requirements:
        if requirement.domain in {"Q", "PROD"}:
            continue
        for item in requirement.items:
            found.setdefault((item.kind, item.scope.task_type), item)
    return found


def _truth_row(name: str, count: TruthCount, item: ItemVerdict | None, *, total: bool = False) -> TruthRow:
    parts = (count.agrees, count.contradicts, count.cannot_tell)
    return TruthRow(
        task_type=name,
        line=count.line,
        said_done=count_of(count.said_done),
        agrees=count_of(count.agrees),
        contradicts=count_of(count.contradicts),
        cannot_tell=count_of(count.cannot_tell),
        shares=tuple(round(part / count.said_done, 4) for part in parts) if count.said_done else (),
        rate=quantity_of(item, "") if item else None,
        committed=item.rule if item else "",
        mark=mark_of(item.status, item.reason) if item else None,
        total=total,
    )


def truth_rows(truth: Sequence[TruthCount], verdict: AgentVerdict) -> tuple[TruthRow, ...]:
    """Return the truth line of all task types and of each; empty when nothing ever claimed to be done.

    Args:
        truth: Counts by task type.
        verdict: Gives the rate, its interval and its status.
    """
    if not any(count.said_done for count in truth):
        return ()
    items = items_by_kind(verdict)
    whole = TruthCount(
        task_type="",
        said_done=sum(count.said_done for count in truth),
        agrees=sum(count.agrees for count in truth),
        contradicts=sum(count.contradicts for count in truth),
        unverifiable=sum(count.unverifiable for count in truth),
        pending=sum(count.pending for count in truth),
        not_asked=sum(count.not_asked for count in truth),
    )
    rows = [
        _truth_row(foreign_line(count.task_type), count, items.get(("discrepancy", count.task_type)))
        for count in truth
    ]
    return (_truth_row("All task types", whole, None, total=True), *rows)


def no_claims(agent: str) -> Empty:
    """Return what stands in place of the truth line while nothing was ever claimed."""
    return Empty(
        missing="No task has said that it is done, so there is nothing to hold against the system of record.",
        asked_by="MON-7, the agent tells the truth",
        command=f"pilothouse traces --agent {agent}",
    )
