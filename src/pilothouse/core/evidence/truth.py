# SPDX-License-Identifier: Apache-2.0
"""Count the agent's claims against the system of record, by task type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pilothouse.core.evidence.claim import says_done
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import Task

__all__ = ["TruthCount", "count_truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthCount:
    """Claims of one task type by outcome; the parts add up to `said_done`.

    Attributes:
        task_type: Task type.
        said_done: Tasks that say they are done.
        agrees: The system of record agrees.
        contradicts: The system of record says otherwise.
        unverifiable: It was asked and cannot tell.
        pending: It was asked and will be asked again.
        not_asked: Nobody asked about it: too young, corrected since, or there is no verifier.
    """

    task_type: str
    said_done: int
    agrees: int
    contradicts: int
    unverifiable: int
    pending: int
    not_asked: int

    @property
    def cannot_tell(self) -> int:
        """Claims without an answer, for whatever reason."""
        return self.unverifiable + self.pending + self.not_asked

    @property
    def line(self) -> str:
        """The truth line.

        Example:
            >>> TruthCount(task_type="po_invoice", said_done=1000, agrees=931, contradicts=41,
            ...            unverifiable=20, pending=5, not_asked=3).line
            'said done 1,000 · system of record agrees 931 · contradicts 41 · cannot tell 28'
        """
        return (
            f"said done {self.said_done:,} · system of record agrees {self.agrees:,} "
            f"· contradicts {self.contradicts:,} · cannot tell {self.cannot_tell:,}"
        )


def count_truth(
    tasks: Iterable[Task], outcomes: Mapping[str, Outcome], task_types: Iterable[str] = ()
) -> tuple[TruthCount, ...]:
    """Count claims by outcome.

    Args:
        tasks: Tasks of one agent and window, each once.
        outcomes: Their outcomes by trace id; those of other tasks are ignored.
        task_types: Types to list even without a task, in this order; others follow by name.

    Returns:
        One count for each task type; empty when there is neither a task nor a type.

    Example:
        >>> count_truth([], {}, ["po_invoice"])[0].line
        'said done 0 · system of record agrees 0 · contradicts 0 · cannot tell 0'
    """
    counts: dict[str, dict[OutcomeStatus | None, int]] = {name: defaultdict(int) for name in task_types}
    undeclared: set[str] = set()
    for task in tasks:
        if task.task_type not in counts:
            counts[task.task_type] = defaultdict(int)
            undeclared.add(task.task_type)
        if says_done(task):
            outcome = standing_outcome(task, outcomes.get(task.trace_id))
            counts[task.task_type][None if outcome is None else outcome.status] += 1
    order = [name for name in counts if name not in undeclared] + sorted(undeclared)
    return tuple(
        TruthCount(
            task_type=name,
            said_done=sum(counts[name].values()),
            agrees=counts[name][OutcomeStatus.VERIFIED],
            contradicts=counts[name][OutcomeStatus.CONTRADICTED],
            unverifiable=counts[name][OutcomeStatus.UNVERIFIABLE],
            pending=counts[name][OutcomeStatus.PENDING],
            not_asked=counts[name][None],
        )
        for name in order
    )
