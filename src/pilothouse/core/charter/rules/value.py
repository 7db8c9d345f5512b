# SPDX-License-Identifier: Apache-2.0
"""Rules about value: outcomes that count something, money approved in time, honest looseness."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.located import Path
from pilothouse.core.charter.quantities import format_duration
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, warning

__all__ = ["BUDGET_ONE", "CHECKS", "NO_BASELINE", "RULES"]

VANITY = re.compile(
    r"(?:^|[^a-z])(?:quer(?:y|ies)|prompts?|users?|mau|dau|sessions?|engagements?|clicks?|page_?views?|visits?|log_?ins?"
    r"|messages?|conversations?|adoptions?|tokens?|assisted|ai_assisted|self_reported|hours_saved|time_saved)(?:$|[^a-z])"
)
"""Counts of use. That a thing is used says nothing about what it is worth."""

VANITY_METRIC = error(
    "vanity-metric",
    "outcome {outcome} counts use, not value",
    "Choose cycle time, errors, quality, revenue or cost.",
)
NO_BASELINE = error(
    "no-baseline", "outcome {outcome} has no baseline {field}", "Measure it before the first counted task."
)
NO_CONTROL = warning(
    "no-control",
    "outcome {outcome} is before/after only",
    "Keep a holdout share, or say why not under `because`.",
)
HOLDOUT_INCOMPLETE = error(
    "holdout-incomplete",
    "the holdout of outcome {outcome} has no {field}",
    "Say which share of which unit works without the agent.",
)
OUTCOME_LATE = error(
    "outcome-late",
    "the outcome section changed after the first counted task on {day}",
    "Write back what was committed, or seal what owner and sponsor agree on: `pilothouse value seal --as PERSON`; both stay visible.",
)
BUDGET_ONE = error("budget-one", "there is no separate production budget", "Add `budgets.production`.")
BUDGET_LATE = warning(
    "budget-late",
    "production budget was approved on {day}, after the pilot's began on {began}",
    "Nothing to do; next time approve both before the pilot.",
)
LOCAL_RULES = error(
    "local-rules",
    "framework.extend: nothing reads the rules in {files}, so a verdict would pass over them",
    "Write `extend: []`. What is stricter stands in the charter itself: thresholds, `exit`, and how long evidence counts.",
)
LOOSER = warning(
    "looser-than-default",
    "{path} {value} is looser than {default}",
    "Keep it with `because: …`, shown in every report.",
)

RULES: tuple[Rule, ...] = (
    VANITY_METRIC,
    NO_BASELINE,
    NO_CONTROL,
    HOLDOUT_INCOMPLETE,
    OUTCOME_LATE,
    BUDGET_ONE,
    BUDGET_LATE,
    LOCAL_RULES,
    LOOSER,
)


def _check_outcomes(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield outcome metrics that prove nothing."""
    for index, outcome in enumerate(known(charter.outcomes) or ()):
        path: Path = ("outcomes", index)
        if _counts_use(outcome.name) or _counts_use(outcome.unit):
            yield VANITY_METRIC.at((*path, "name"), outcome=outcome.name)
        if outcome.baseline.n == 0:
            yield NO_BASELINE.at((*path, "baseline", "n"), outcome=outcome.name, field="n")
        control = outcome.control
        if control.kind == "before_after" and control.because is None:
            yield NO_CONTROL.at((*path, "control"), outcome=outcome.name)
        for field in ("share", "unit"):
            if control.kind == "holdout" and getattr(control, field) is None:
                yield HOLDOUT_INCOMPLETE.at((*path, "control"), outcome=outcome.name, field=field)
    sealed, first = facts.sealed_outcomes, facts.first_counted_on
    if first is not None and sealed is not None and sealed != charter.section_digests["outcomes"]:
        yield OUTCOME_LATE.at(("outcomes",), day=first.isoformat())


def _counts_use(name: str) -> bool:
    """Whether a metric counts use; `cost_per_user` does not, `users_per_day` does."""
    if is_open(name):
        return False
    counted = re.split(r"[_ ]per[_ ]|/", name.lower().replace("-", "_"), maxsplit=1)[0]
    return VANITY.search(counted) is not None


def _check_budgets(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield a production budget that was thought of too late."""
    del facts
    pilot, production = (
        known(charter.budgets.pilot.approved_on),
        known(charter.budgets.production.approved_on),
    )
    if pilot is not None and production is not None and production > pilot:
        yield BUDGET_LATE.at(
            ("budgets", "production", "approved_on"), day=production.isoformat(), began=pilot.isoformat()
        )


def _check_framework(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield rule files that would change nothing."""
    del facts
    files = known(charter.framework.extend)
    if files:
        yield LOCAL_RULES.at(("framework", "extend"), files=files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Default:
    """A value beside the framework's own; `is_floor` when smaller is looser."""

    path: Path
    value: float | timedelta | None
    default: float | timedelta
    because: str | None
    is_floor: bool = False

    @property
    def is_looser(self) -> bool:
        if self.value is None or self.because is not None:
            return False
        return bool(self.value < self.default if self.is_floor else self.value > self.default)  # type: ignore[operator]  # both ends are of one kind in every row


def _check_defaults(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield values that are looser than the framework's and give no reason."""
    del facts
    rows = (_people_defaults, _task_defaults, _dataset_defaults, _phase_defaults)
    for row in (one for read in rows for one in read(charter)):
        if row.is_looser:
            yield LOOSER.at(row.path, value=_words(row.value), default=_words(row.default))


def _people_defaults(charter: Charter) -> Iterator[_Default]:
    owner, sponsor = charter.owner, charter.sponsor
    yield _Default(
        path=("owner", "reattest"),
        value=known(owner.reattest),
        default=timedelta(days=90),
        because=owner.because,
    )
    yield _Default(
        path=("sponsor", "review"),
        value=known(sponsor.review),
        default=timedelta(days=30),
        because=sponsor.because,
    )
    for name, runbook in (known(charter.runbooks) or {}).items():
        yield _Default(
            path=("runbooks", name, "drill"),
            value=known(runbook.drill),
            default=timedelta(days=90),
            because=runbook.because,
        )


def _task_defaults(charter: Charter) -> Iterator[_Default]:
    for name, terms in charter.task_types.items():
        path: Path = ("task_types", name, "latency", "p95_s")
        latency = terms.latency
        yield _Default(path=path, value=known(latency.p95_s), default=2.0, because=latency.because)
    release, stability = charter.release, charter.stability
    yield _Default(
        path=("release", "alpha"), value=known(release.alpha), default=0.05, because=release.because
    )
    yield _Default(
        path=("release", "verdict_max_age"),
        value=known(release.verdict_max_age),
        default=timedelta(days=14),
        because=release.because,
    )
    yield _Default(
        path=("stability", "max_pause"),
        value=known(stability.max_pause),
        default=timedelta(days=14),
        because=stability.because,
    )
    yield _Default(
        path=("stability", "min_volume_share"),
        value=known(stability.min_volume_share),
        default=0.5,
        because=stability.because,
        is_floor=True,
    )


def _dataset_defaults(charter: Charter) -> Iterator[_Default]:
    datasets = charter.datasets
    labelled, adversarial, trajectories = datasets.labelled, datasets.adversarial, datasets.trajectories
    for path, value, default, because in (
        (("labelled", "min"), known(labelled.min), 200, labelled.because),
        (("labelled", "production_share_min"), known(labelled.production_share_min), 0.5, labelled.because),
        (("adversarial", "min"), known(adversarial.min), 50, adversarial.because),
        (("trajectories", "min"), known(trajectories.min), 20, trajectories.because),
    ):
        yield _Default(path=("datasets", *path), value=value, default=default, because=because, is_floor=True)


def _phase_defaults(charter: Charter) -> Iterator[_Default]:
    share_max = {"1": 0.10, "2": 0.50, "3": 1.0}
    weeks_min = {"1": 4, "2": 6, "3": 8}
    yield _Default(
        path=("target_volume", "share_pilot"),
        value=known(charter.target_volume.share_pilot),
        default=0.05,
        because=charter.target_volume.because,
    )
    for name, phase in (known(charter.phases) or {}).items():
        if name == "pilot":
            continue
        path: Path = ("phases", name)
        because = phase.because
        yield _Default(
            path=(*path, "share"), value=known(phase.share), default=share_max[name], because=because
        )
        yield _Default(
            path=(*path, "min"),
            value=known(phase.min),
            default=timedelta(weeks=weeks_min[name]),
            because=because,
            is_floor=True,
        )
        for field, default in (("uptime", 0.995), ("volume_times", 10.0)):
            said = getattr(phase.exit, field) if phase.exit else None
            yield _Default(
                path=(*path, "exit", field),
                value=known(said),
                default=default,
                because=because,
                is_floor=True,
            )


def _words(value: float | timedelta | None) -> object:
    return format_duration(value) if isinstance(value, timedelta) else value


CHECKS: tuple[Check, ...] = (_check_outcomes, _check_budgets, _check_framework, _check_defaults)
