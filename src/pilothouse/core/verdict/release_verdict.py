# SPDX-License-Identifier: Apache-2.0
"""The verdict on a release as one frozen record: terminal, JSON, JUnit and Markdown render the same object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status, worst_status
from pilothouse.errors import ExitStatus

__all__ = ["Flip", "LookTaken", "ReleaseVerdict", "RunCost", "exit_status_of", "fold_items"]


_ORDER: Final = (
    "must_not",
    "first_answers",
    "not_worse",
    "not_eroded",
    "floor",
    "reliable",
    "adversarial",
    "not_tuned",
    "compared",
    "cases",
    "scored",
    "infrastructure",
)
"""Requirements in the order a reader asks for them, among equals."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Flip(_Frozen):
    """A case that came out differently under the two versions.

    Attributes:
        case_id: The case.
        task_type: Its task type.
        is_worse: Whether the candidate is the one that failed.
        reason: What was wrong, short.
    """

    case_id: str
    task_type: str
    is_worse: bool
    reason: str


class LookTaken(_Frozen):
    """One look at one task type.

    Attributes:
        number: 1 for the first.
        task_type: Task type.
        n: Pairs.
        better: Weight of pairs in which only the candidate is good.
        worse: Weight of pairs in which only the baseline is good.
        statistic: Test statistic.
        critical: Critical value of the look.
        decision: `not_worse`, `worse`, `futile` or `undecided`.
    """

    number: int
    task_type: str
    n: int
    better: float
    worse: float
    statistic: float
    critical: float
    decision: str


class RunCost(_Frozen):
    """The cost of a gate run.

    Attributes:
        cases: Cases that were looked at.
        cases_planned: Cases that a fixed-size run would have taken.
        calls: Trials that were run.
        reused: Trials taken from the journal.
        spent_usd: Money spent where it is known.
        unpriced: Trials whose cost is not known.
        seconds: How long it took.
    """

    cases: int
    cases_planned: int
    calls: int
    reused: int
    spent_usd: float
    unpriced: int
    seconds: float

    @property
    def saved_share(self) -> float:
        """Share of the planned cases that stopping early saved."""
        return 1 - self.cases / self.cases_planned if self.cases_planned else 0.0

    def usd_of(self, cases: int) -> float | None:
        """Return what further cases cost, as far as those of this run tell; None where none ran, or a cost is not known.

        Args:
            cases: How many more.

        Example:
            >>> spent = RunCost(cases=100, cases_planned=100, calls=200, reused=0, spent_usd=4.0, unpriced=0, seconds=9.0)
            >>> spent.usd_of(50)
            2.0
        """
        if not self.calls or not self.cases or self.unpriced:
            return None
        return cases * self.spent_usd / self.calls * (self.calls + self.reused) / self.cases


class ReleaseVerdict(_Frozen):
    """Whether a version may be released, and everything behind it.

    Attributes:
        schema_version: Form of this record.
        agent: Agent id, or None without a charter.
        candidate: Version that is judged.
        baseline: Version it is compared with, or None.
        anchor: Version whose quality was accepted once, or None.
        dataset: Name and version of the dataset.
        dataset_digest: Its hash.
        judges: Identities of the model judges.
        rules: Where the rules came from: `charter` or `defaults`.
        as_of: The moment, aware UTC.
        lapses_at: When the verdict stops counting.
        run_id: Run in the journal; the same command gives the same.
        status: Worst of the items.
        reason: Reason of the deciding item.
        deciding: The deciding item in words.
        items: Every requirement, worst first.
        looks: Every look that was taken.
        flips: Cases that came out differently, worse ones first.
        cost: What it took.
        notes: What a reader must know besides.
        answered: First answers of the candidate that counted at the end, or None where an older program kept it.
        answered_from: When the oldest of them was asked for.
    """

    schema_version: Literal[1] = 1
    agent: str | None
    candidate: str
    baseline: str | None
    anchor: str | None
    dataset: str
    dataset_digest: str
    judges: tuple[str, ...]
    rules: Literal["charter", "defaults"]
    as_of: AwareDatetime
    lapses_at: AwareDatetime
    run_id: str
    status: Status
    reason: Reason | None
    deciding: str
    items: tuple[ItemVerdict, ...]
    looks: tuple[LookTaken, ...]
    flips: tuple[Flip, ...]
    cost: RunCost
    notes: tuple[str, ...] = ()
    answered: int | None = None
    answered_from: AwareDatetime | None = None


def fold_items(items: Sequence[ItemVerdict]) -> tuple[ItemVerdict, ...]:
    """Order requirements worst first; a release with none proved is no release.

    Args:
        items: Items in any order.

    Returns:
        The same, by status, then by requirement and scope.
    """
    worst = {status: rank for rank, status in enumerate(Status)}
    asked = {name: rank for rank, name in enumerate(_ORDER)}
    return tuple(
        sorted(items, key=lambda one: (worst[one.status], asked.get(one.requirement, 0), one.scope.label))
    )


def exit_status_of(items: Sequence[ItemVerdict], *, strict: bool = False) -> ExitStatus:
    """Return the exit status: a proof of harm first, then infrastructure failure, then no evidence.

    Args:
        items: Every requirement.
        strict: Whether `at_risk` counts as breached.

    Example:
        >>> exit_status_of(()).value
        3
    """
    status = worst_status(tuple(one.status for one in items))
    if status is Status.BREACHED or (strict and status is Status.AT_RISK):
        return ExitStatus.BREACHED
    if any(one.requirement == "infrastructure" and one.status is Status.NO_EVIDENCE for one in items):
        return ExitStatus.INFRASTRUCTURE
    return ExitStatus.NOT_ENOUGH_EVIDENCE if status is Status.NO_EVIDENCE else ExitStatus.HOLDS
