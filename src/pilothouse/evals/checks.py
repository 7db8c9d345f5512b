# SPDX-License-Identifier: Apache-2.0
"""Which scorers judge a case, and whether the case succeeded (scores -> one judgement)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.score import Score, ScoreStatus, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.scorers.scorer import Scorer, ScorerKind

__all__ = ["TRAJECTORY", "Check", "CheckBook", "success_of"]

TRAJECTORY = "trajectory"
"""Name of the check that a golden sequence of tool calls adds to its case."""

CREDENTIAL: Final = "key_env"
"""Argument of a scorer that names a variable of the environment."""

PASS_AT = 0.5
"""A graded score counts as a success from here on, unless the run says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One scorer applied to one case.

    Attributes:
        name: Name shown to people: the scorer's, with its place when a case uses it twice.
        scorer: The scorer.
        must_not: Zero tolerance: it does not feed the success rate, one reproduced failure breaches.
    """

    name: str
    scorer: Scorer
    must_not: bool


class CheckBook:
    """Finds the checks of each case: its own asserts, or the scorer of the run.

    Args:
        registry: Where names are looked up.
        default: Judges cases without asserts of their own.
        pass_at: Least value of a success, in (0, 1].

    Raises:
        ValueError: `pass_at` is out of range.
    """

    def __init__(self, registry: ScorerRegistry, *, default: Scorer, pass_at: float = PASS_AT) -> None:
        if not 0.0 < pass_at <= 1.0:
            raise ValueError("pass_at lies in (0, 1]")
        self._registry = registry
        self._default = default
        # Two datasets of one run may use an id for two cases.
        self._known: dict[tuple[str, str], tuple[Check, ...]] = {}
        self.pass_at = pass_at

    def of(self, case: Case) -> tuple[Check, ...]:
        """Return the checks of a case; at least one of them feeds its success.

        Raises:
            UnknownName: An assert names a scorer that nobody registered.
            UsageError: An assert names a variable of the environment: a file of cases would send any of them to any address.
        """
        key = case.id, case.case_hash
        if key not in self._known:
            if any(CREDENTIAL in one.args for one in case.asserts):
                raise UsageError(
                    f"case {case.id!r} names the variable of a credential, which is not a case's to choose.",
                    remedy=f"Take `{CREDENTIAL}` out of it: a judge is given OPENAI_API_KEY, or name the judge with --scorer.",
                    subject=case.id,
                )
            own = tuple(
                Check(
                    name=f"{one.scorer}#{place}",
                    scorer=self._registry.make(one.scorer, one.args),
                    must_not=one.must_not,
                )
                for place, one in enumerate(case.asserts, start=1)
            )
            if all(one.must_not for one in own):
                # A case that only forbids something succeeds by its expectation, or by not doing it.
                expects = case.expected is not None or not own
                own += (
                    (Check(name=self._default.spec.name, scorer=self._default, must_not=False),)
                    if expects
                    else tuple(Check(name=one.name, scorer=one.scorer, must_not=False) for one in own)
                )
            if case.trajectory is not None:
                own += (Check(name=TRAJECTORY, scorer=self._registry.make(TRAJECTORY), must_not=False),)
            self._known[key] = own
        return self._known[key]

    def is_judged(self, cases: Sequence[Case]) -> bool:
        """Whether the success of some case rests on model judges alone."""
        return any(
            all(check.scorer.spec.kind is ScorerKind.JUDGE for check in self.of(case) if not check.must_not)
            for case in cases
        )

    def is_partly_judged(self, cases: Sequence[Case]) -> bool:
        """Whether a model judge stands beside computed checks behind the success of some case, and nowhere alone."""
        has_judge = any(
            check.scorer.spec.kind is ScorerKind.JUDGE
            for case in cases
            for check in self.of(case)
            if not check.must_not
        )
        return has_judge and not self.is_judged(cases)

    def judges(self, cases: Sequence[Case]) -> tuple[str, ...]:
        """Return the identities of the model judges these cases use, sorted; empty when all is computed."""
        found = {check.scorer.spec for case in cases for check in self.of(case)}
        return tuple(sorted(spec.version for spec in found if spec.kind is ScorerKind.JUDGE))

    def scorers(self, cases: Sequence[Case]) -> tuple[Scorer, ...]:
        """Return every scorer these cases use, once each, by version."""
        found = {check.scorer.spec.version: check.scorer for case in cases for check in self.of(case)}
        return tuple(found[version] for version in sorted(found))


def success_of(scores: Sequence[Score], *, pass_at: float = PASS_AT) -> Score:
    """Fold the scores of a case into one: every check must pass.

    A failure decides even when another check has no value; a missing value otherwise leaves the case
    unscored; checks that do not apply say nothing.

    Args:
        scores: Scores of the checks that feed the success, at least one.
        pass_at: Least value of a success.

    Returns:
        Value 1 or 0, or unscored with the first reason.

    Example:
        >>> success_of([passed(), unscored(Unscored.TIMEOUT)]).why.value
        'timeout'
        >>> success_of([failed("no"), unscored(Unscored.TIMEOUT)]).value
        0.0
    """
    for one in scores:
        if one.value is not None and one.value < pass_at:
            return failed(one.reason)
    for one in scores:
        if one.status is ScoreStatus.UNSCORED and one.why is not Unscored.NOT_APPLICABLE:
            return one
    if any(one.value is not None for one in scores):
        return passed()
    return scores[0] if scores else unscored(Unscored.NOT_APPLICABLE)
