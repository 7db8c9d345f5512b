# SPDX-License-Identifier: Apache-2.0
"""What a user asks of the gate, and the rules that follow from it and from the charter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.release import GateRules
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.checks import PASS_AT
from pilothouse.workflows.gate.default_scorer import metrics_of

__all__ = ["GatePolicy", "GateRequest", "settle_policy"]

VERDICT_MAX_AGE: Final = timedelta(days=14)
"""How long a release verdict counts when no charter says otherwise."""

MARGIN_POINTS_DEFAULT: Final = 5.0
ALPHA_DEFAULT: Final = 0.05
ALPHA_MAX: Final = 0.5
REPEATS_MAX: Final = 64
"""Repeats of a case: beyond it another case says more."""

LOOKS_MAX: Final = 20
"""Beyond twenty looks nothing more is saved and each costs power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """One call of `gate`.

    Attributes:
        candidate: Address of what may be released.
        candidate_version: Its version digest, or None to compute it.
        baseline: Address, version digest, `current`, `anchor` or None.
        baseline_version: Version digest of a baseline given by address.
        dataset: Folder or JSON-lines file; None takes the charter's labelled dataset.
        adversarial: Folder or file of attacks; None takes the charter's, when it is there.
        charter: Charter file, or None.
        agent: Agent id when there is no charter.
        scorer: Judges cases without asserts of their own; None takes the charter's metric, or `exact`.
        pass_at: Least value of a success.
        margin_points: Margin in points, or None for the charter's or 5.
        alpha: Error of each requirement, or None for the charter's or .05.
        floor: Least rate of good answers, or None for the charter's or none.
        max_cases: Most ordinary cases, or None for the charter's or all.
        looks: Looks at which the run may stop.
        spending: How the error is spent over the looks.
        repeats: Runs of each case by the candidate.
        baseline_repeats: Runs of each case by the baseline.
        deadline_s: Seconds for one case.
        concurrency: Most trials at once.
        per_minute: Most trials started in a minute, or None.
        budget_usd: Most money, or None.
        allow_unpriced: Whether a budget accepts trials of unknown cost.
        sealed: Whether the sealed split is opened too.
        complete: Whether every case is run, decided or not.
        decides: Whether a verdict is wanted; `eval run` and `load` only measure.
        task_types: Task types that are measured; all when none is named. Like the three after it, of no use to a verdict.
        split: Split that is measured: `gate`, or `dev`, which never feeds a verdict.
        only_failed: Whether only the cases are measured that did not succeed last time.
        fresh: Whether the cases are asked again, beside the answers that a verdict counts.
        journal: Journal file.
    """

    candidate: str
    candidate_version: str | None = None
    baseline: str | None = None
    baseline_version: str | None = None
    dataset: Path | None = None
    adversarial: Path | None = None
    charter: Path | None = None
    agent: str | None = None
    scorer: str | None = None
    pass_at: float = PASS_AT
    margin_points: float | None = None
    alpha: float | None = None
    floor: float | None = None
    max_cases: int | None = None
    looks: int = 10
    spending: Literal["pocock", "obrien_fleming"] = "pocock"
    repeats: int = 1
    baseline_repeats: int = 1
    deadline_s: float = 60.0
    concurrency: int = 64
    per_minute: float | None = None
    budget_usd: float | None = None
    allow_unpriced: bool = False
    sealed: bool = False
    complete: bool = False
    decides: bool = True
    task_types: tuple[str, ...] = ()
    split: Literal["gate", "dev"] = "gate"
    only_failed: bool = False
    fresh: bool = False
    journal: Path = Path(".pilothouse/evals.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """The rules in force for one call.

    Attributes:
        source: Where they came from.
        agent: Agent id, or None when nobody named one.
        rules: Rules by task type.
        families: Largest accepted failure rate by family of attacks.
        metrics: Scorer that the charter names, by task type.
        max_cases: Most ordinary cases, or None.
        golden_min: Fewest golden sequences of tool calls that say anything.
        max_age: How long the verdict counts.
        notes: What a reader must know about the rules.
    """

    source: Literal["charter", "defaults"]
    agent: str | None
    rules: Mapping[str, GateRules]
    families: Mapping[str, float]
    metrics: Mapping[str, str]
    max_cases: int | None
    max_age: timedelta
    notes: tuple[str, ...]
    golden_min: int = 1


def settle_policy(request: GateRequest, charter: Charter | None, task_types: Sequence[str]) -> GatePolicy:
    """Settle every rule: what the user typed over the charter over the defaults; nothing looser than the charter.

    Args:
        request: What was typed.
        charter: The charter, or None.
        task_types: Task types of the dataset.

    Raises:
        UsageError: A rule is out of its range, or looser than the charter allows.
        UnknownName: The dataset has a task type that the charter does not declare.
    """
    _check_ranges(request)
    if charter is None:
        rules = {name: _default_rules(request, name) for name in task_types}
        return GatePolicy(
            source="defaults",
            agent=request.agent,
            rules=rules,
            families={},
            metrics={},
            max_cases=request.max_cases,
            max_age=VERDICT_MAX_AGE,
            notes=(_default_note(request),) if request.decides else (),
        )
    for name in task_types:
        if name not in charter.task_types:
            raise UnknownName.among(
                "task type",
                name,
                charter.task_types,
                remedy=f"The charter has {', '.join(charter.task_types)}: write one of them as `task_type` of each "
                "case, or declare another, then `pilothouse check`.",
            )
    if request.decides and request.pass_at < PASS_AT:
        raise UsageError(
            f"--pass-at {request.pass_at:g} is looser than {PASS_AT:g}, at which an answer counts as good under a charter.",
            remedy="Leave it out, or give more.",
            subject="pass_at",
        )
    notes: list[str] = []
    rules = {name: _charter_rules(request, charter, name, notes) for name in charter.task_types}
    families = charter.datasets.adversarial.families
    max_cases = known(charter.release.max_cases)
    golden_min = known(charter.datasets.trajectories.min)
    return GatePolicy(
        source="charter",
        agent=charter.agent,
        rules=rules,
        families=(
            {}
            if is_open(families)
            else {name: float(limit) for name, limit in families.items() if not is_open(limit)}
        ),
        metrics=metrics_of(charter),
        max_cases=request.max_cases or (int(max_cases) if max_cases is not None else None),
        max_age=known(charter.release.verdict_max_age) or VERDICT_MAX_AGE,
        notes=tuple(notes),
        golden_min=int(golden_min) if golden_min is not None else 1,
    )


def _default_note(request: GateRequest) -> str:
    floor = "no floor" if request.floor is None else f"floor {request.floor:g}"
    alpha = _alpha(request)
    return f"no charter: default rules apply (margin {_points(request):g} points, error {alpha:g}, {floor})"


def _default_rules(request: GateRequest, name: str) -> GateRules:
    return GateRules(
        task_type=name,
        margin=_points(request) / 100,
        alpha=_alpha(request),
        floor=request.floor,
        looks=request.looks,
        spending=request.spending,
    )


def _charter_rules(request: GateRequest, charter: Charter, name: str, notes: list[str]) -> GateRules:
    terms = charter.task_types[name]
    drops = [
        float(one)
        for one in (known(charter.release.max_drop), known(terms.quality.max_drop))
        if one is not None
    ]
    allowed = min(drops, default=MARGIN_POINTS_DEFAULT)
    floor, alpha = known(terms.quality.min), known(charter.release.alpha)
    for typed, committed, direction, what in (
        (request.margin_points, allowed, 1, "margin"),
        (request.alpha, alpha, 1, "alpha"),
        (request.floor, floor, -1, "floor"),
    ):
        if typed is not None and committed is not None and direction * (typed - committed) > 0:
            raise UsageError(
                f"{what} {typed:g} is looser than the charter's {committed:g} for {name!r}.",
                remedy="Leave it out, or change the charter.",
                subject=what,
            )
    if floor is None and request.floor is None:
        notes.append(f"{name}: the charter leaves the floor open")
    reliable_k, reliable_min = known(terms.reliable.k), known(terms.reliable.min)
    return GateRules(
        task_type=name,
        margin=(allowed if request.margin_points is None else request.margin_points) / 100,
        alpha=float(request.alpha or alpha or ALPHA_DEFAULT),
        floor=request.floor if request.floor is not None else floor,
        reliable_k=reliable_k or 1,
        reliable_min=reliable_min or 0.0,
        looks=request.looks,
        spending=request.spending,
    )


def _points(request: GateRequest) -> float:
    return MARGIN_POINTS_DEFAULT if request.margin_points is None else request.margin_points


def _alpha(request: GateRequest) -> float:
    return ALPHA_DEFAULT if request.alpha is None else request.alpha


def _check_ranges(request: GateRequest) -> None:
    for name, value, low, high, why in (
        ("--margin", _points(request), 0.0, 50.0, "a margin of 0 asks for a proof no number of cases gives"),
        (
            "--alpha",
            _alpha(request),
            0.0,
            ALPHA_MAX,
            "an error of .5 is a coin, and none is a proof nobody has",
        ),
        ("--floor", request.floor, 0.0, 1.0, "it is a rate, for example 0.9"),
        ("--repeats", request.repeats, 0, REPEATS_MAX + 1, "another case says more than another repeat"),
        ("--baseline-repeats", request.baseline_repeats, 0, REPEATS_MAX + 1, "another case says more"),
        ("--looks", request.looks, 0, LOOKS_MAX + 1, "more looks save nothing and cost power"),
    ):
        if value is not None and not low < value < high:
            raise UsageError(
                f"{name} {value:g} is not above {low:g} and below {high:g}: {why}.",
                remedy="See `pilothouse gate --help`.",
            )
    if request.budget_usd is not None and request.budget_usd <= 0:
        raise UsageError("--budget-usd is not positive.", remedy="Give the most you would spend.")
