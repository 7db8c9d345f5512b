# SPDX-License-Identifier: Apache-2.0
"""Outcomes of trials, gathered case by case and side by side, as the rules want them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.core.verdict.release import CaseResult
from pilothouse.core.verdict.release_behaviour import TrajectoryResult
from pilothouse.core.verdict.release_never import FamilyResult
from pilothouse.core.verdict.release_trust import RunHealth
from pilothouse.core.verdict.release_verdict import Flip
from pilothouse.evals.arms import Arm
from pilothouse.evals.case import Case
from pilothouse.evals.runner import Outcome
from pilothouse.evals.score import Unscored
from pilothouse.evals.trial import TrialStatus

__all__ = ["FailedCheck", "Gathered", "MustNotSeen"]

FLIPS_MAX = 200
"""Flips kept in a verdict, worse ones first; the journal has all."""

ERRORS_NAMED_MAX = 3
"""Kinds of error that a note names; whoever mends these runs the gate again and reads the next ones."""

ERROR_CHARACTERS_MAX = 160
"""Of an error's text in a note: its kind and what it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCheck:
    """A zero-tolerance check that failed.

    Attributes:
        case: The case.
        index: Repeat.
        check: Name of the check.
        reason: What was found.
    """

    case: Case
    index: int
    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MustNotSeen:
    """What the zero-tolerance checks saw.

    Attributes:
        failures: Failed checks.
        clusters: Independent clusters that were checked.
        checked: Results that were checked.
        unseen: Results that nobody could check.
    """

    failures: tuple[FailedCheck, ...]
    clusters: int
    checked: int
    unseen: int


class Gathered:
    """Every outcome of a run so far."""

    def __init__(self, candidate: Arm) -> None:
        """Start empty.

        Args:
            candidate: The side that is judged; its infrastructure errors and calls are counted too.
        """
        self._candidate = candidate
        self._outcomes: dict[tuple[str, int, str, str], Outcome] = {}

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes; a later one of the same trial replaces an earlier one."""
        for one in outcomes:
            self._outcomes[one.config, one.index, one.case_id, one.input_hash] = one

    @property
    def health(self) -> RunHealth:
        """Trials of the side of which the world let the larger share down; stored ones count, so the same command says it again."""
        planned = Counter(one.config for one in self._outcomes.values())
        lost = Counter(one.config for one in self._outcomes.values() if one.status is TrialStatus.INFRA_ERROR)
        worst = max(planned, key=lambda config: lost[config] / planned[config], default="")
        return RunHealth(planned=planned[worst], infra_errors=lost[worst])

    @property
    def calls(self) -> int:
        """Trials that were run."""
        return sum(not one.reused for one in self._outcomes.values())

    @property
    def reused(self) -> int:
        """Trials taken from the journal."""
        return sum(one.reused for one in self._outcomes.values())

    @property
    def unscored_note(self) -> str | None:
        """Why results of the candidate have no score, the most frequent reason first; None when all have one."""
        missing = [
            one.success
            for one in self._outcomes.values()
            if one.config == self._candidate.config and one.success is not None and one.success.value is None
        ]
        why = Counter(one.why.value for one in missing if one.why is not None)
        first = {one.why.value: one.reason for one in reversed(missing) if one.why is not None}
        if not why:
            return None
        reasons = "; ".join(f"{count} {name} ({first[name][:100]})" for name, count in why.most_common())
        return f"{len(missing)} results without a score: {reasons}"

    @property
    def failed_note(self) -> str | None:
        """How many trials of the candidate ended without an answer of it, and of what; None when each had one."""
        return self._ended_note(
            {TrialStatus.AGENT_ERROR, TrialStatus.TIMEOUT}, "ended in an error and count as bad"
        )

    @property
    def lost_note(self) -> str | None:
        """How many trials of the candidate the world let down, a model that stood in among it; None without one."""
        return self._ended_note({TrialStatus.INFRA_ERROR}, "say nothing of it")

    def _ended_note(self, statuses: Collection[TrialStatus], meaning: str) -> str | None:
        mine = [one for one in self._outcomes.values() if one.config == self._candidate.config]
        failed = [one for one in mine if one.status in statuses]
        if not failed:
            return None
        first = {one.error.partition(":")[0]: one.error for one in reversed(failed)}
        why = Counter(one.error.partition(":")[0] for one in failed)
        reasons = "; ".join(
            f"{count} times {first[kind][:ERROR_CHARACTERS_MAX]}"
            for kind, count in why.most_common(ERRORS_NAMED_MAX)
        )
        return f"{len(failed)} of {len(mine)} trials of the candidate {meaning}: {reasons}"

    def asked(self, cases: Iterable[Case]) -> int:
        """Return of how many cases the candidate was asked; a run that was cut off did not get to all."""
        return sum(self._ran(case) for case in cases)

    def results(
        self, cases: Sequence[Case], other: Arm | None, *, with_lost: bool = False
    ) -> list[CaseResult]:
        """Return both sides of the cases of which the candidate has an outcome.

        Args:
            cases: Cases of one task type, in run order.
            other: The other side, or None.
            with_lost: Whether the candidate's trials that the world let down stand among its results, as ones without a score.
        """
        found = []
        for case in cases:
            mine = self._side(case, self._candidate, with_lost=with_lost)
            if mine is None:
                continue
            theirs = self._side(case, other) if other is not None else None
            found.append(
                CaseResult(
                    case_id=case.id,
                    cluster=case.cluster_id,
                    candidate=mine,
                    baseline=theirs or (),
                    weight=case.weight,
                )
            )
        return found

    def flips(self, cases: Sequence[Case], other: Arm) -> list[Flip]:
        """Return the cases whose first repeat came out differently, worse ones first."""
        flips = []
        for case in cases:
            mine = self._outcome(case, self._candidate, self._candidate.first_index)
            theirs = self._outcome(case, other, other.first_index)
            values = [one.success.value if one and one.success else None for one in (mine, theirs)]
            if mine and mine.success and None not in values and values[0] != values[1]:
                is_worse = values[0] == 0.0
                reason = mine.success.reason if is_worse else "was wrong, is right now"
                flips.append(
                    Flip(case_id=case.id, task_type=case.task_type, is_worse=is_worse, reason=reason[:300])
                )
        return sorted(flips, key=lambda one: not one.is_worse)[:FLIPS_MAX]

    def families(self, cases: Sequence[Case], limits: Mapping[str, float]) -> list[FamilyResult]:
        """Count attacks in clusters: a cluster fails when any variant in it fails, and is seen when all have a score.

        Args:
            cases: Attacks.
            limits: Largest accepted failure rate by family.
        """
        tried: dict[str, set[str]] = defaultdict(set)
        failed: dict[str, set[str]] = defaultdict(set)
        unseen: dict[str, set[str]] = defaultdict(set)
        for case in cases:
            if case.family is None or not self._ran(case):
                continue
            values = self._side(case, self._candidate) or (None,)
            tried[case.family].add(case.cluster_id)
            if False in values:
                failed[case.family].add(case.cluster_id)
            elif None in values:
                unseen[case.family].add(case.cluster_id)
        return [
            FamilyResult(
                family=family,
                clusters=len(clusters - (unseen[family] - failed[family])),
                failed=tuple(sorted(failed[family])),
                limit=limits.get(family),
                unseen=len(unseen[family] - failed[family]),
            )
            for family, clusters in sorted(tried.items())
        ]

    def trajectories(self, cases: Sequence[Case], other: Arm | None) -> list[TrajectoryResult]:
        """Return, for each golden sequence that the candidate ran, whether both sides take it."""
        found = []
        for case in cases:
            mine = self._sequence(case, self._candidate)
            if mine is None:
                continue
            theirs = self._sequence(case, other) if other is not None else None
            found.append(
                TrajectoryResult(
                    case_id=case.id,
                    is_kept=mine[0],
                    was_kept=theirs[0] if theirs is not None else None,
                    reason=mine[1],
                )
            )
        return found

    def _sequence(self, case: Case, arm: Arm) -> tuple[bool | None, str] | None:
        """Return whether every repeat of a side took the golden sequence, and the first thing to say about it."""
        asked = [one for index in arm.indexes if (one := self._outcome(case, arm, index)) is not None]
        if not asked:
            return None
        ran = [one for one in asked if one.success is not None]
        # A run that crashed or timed out took no golden steps; one whose calls are not known says nothing.
        crashed = [one for one in ran if one.status is not TrialStatus.DONE]
        scores = [one.trajectory for one in ran if one.trajectory is not None and not crashed]
        if crashed:
            return False, crashed[0].error or crashed[0].status.value
        wrong = [one for one in scores if one.value is not None and one.value < 1.0]
        if wrong:
            return False, wrong[0].reason
        if len(ran) < len(asked):  # what the world let down may be what would have gone another way
            return None, next(one.error for one in asked if one.success is None)
        unknown = [one for one in scores if one.value is None]
        return (None, unknown[0].reason) if unknown or not scores else (True, "")

    def must_not(self, cases: Sequence[Case]) -> MustNotSeen:
        """Return what the zero-tolerance checks saw."""
        failures: list[FailedCheck] = []
        clusters: set[str] = set()
        checked = unseen = 0
        for case in cases:
            for index in self._candidate.indexes:
                outcome = self._outcome(case, self._candidate, index)
                for name, score in outcome.must_not if outcome else ():
                    if score.why is Unscored.NOT_APPLICABLE:
                        continue
                    checked += score.value is not None
                    unseen += score.value is None
                    if score.value is not None:
                        clusters.add(case.cluster_id)
                    if outcome and score.value is not None and score.value < 1.0:
                        failures.append(FailedCheck(case=case, index=index, check=name, reason=score.reason))
        return MustNotSeen(failures=tuple(failures), clusters=len(clusters), checked=checked, unseen=unseen)

    def _outcome(self, case: Case, arm: Arm, index: int) -> Outcome | None:
        return self._outcomes.get((arm.config, index, case.id, case.input_hash))

    def _ran(self, case: Case) -> bool:
        """Whether the candidate was asked at all: a run that was cut off did not get to every case."""
        return any(
            self._outcome(case, self._candidate, index) is not None for index in self._candidate.indexes
        )

    def _side(self, case: Case, arm: Arm, *, with_lost: bool = False) -> tuple[bool | None, ...] | None:
        """Return the repeats of one side, or None when none has an outcome that says anything."""
        values: list[bool | None] = []
        for index in arm.indexes:
            outcome = self._outcome(case, arm, index)
            if outcome is None or (outcome.success is None and not with_lost):
                continue
            if outcome.success is None:
                values.append(None)
                continue
            if outcome.success.why is Unscored.NOT_APPLICABLE:
                continue
            values.append(None if outcome.success.value is None else outcome.success.value == 1.0)
        return tuple(values) or None
