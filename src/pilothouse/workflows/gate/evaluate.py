# SPDX-License-Identifier: Apache-2.0
"""How good an agent is on a set of cases, with an interval for each task type and family (run -> levels)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pilothouse.core.statistics.intervals import failure_ceiling
from pilothouse.core.statistics.rates import rate_of_turns
from pilothouse.core.verdict.numbers import percent_range, percentage
from pilothouse.core.verdict.release import CaseResult, GateRules, level_worth
from pilothouse.core.verdict.release_never import FamilyResult
from pilothouse.core.verdict.release_reliability import judge_reliability
from pilothouse.core.verdict.release_trust import RunHealth
from pilothouse.core.verdict.release_verdict import ReleaseVerdict, RunCost
from pilothouse.workflows.gate.run import GateRun

__all__ = ["Level", "Levels", "levels_of"]

FAILURES_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The level of one task type.

    Attributes:
        task_type: Task type.
        good: Good answers.
        n: Scored answers.
        unscored: Answers without a score.
        worth: Independent answers that the scored ones are worth: those of one cluster are right and wrong together.
        low: Lower end of the 95 % interval, or None without a score.
        high: Upper end.
        failures: Ids of cases of which a run failed.
        reliable: How often all runs of a case are good, in words; empty where each ran once.
    """

    task_type: str
    good: int
    n: int
    unscored: int
    worth: int
    low: float | None
    high: float | None
    failures: tuple[str, ...]
    reliable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What a run without a verdict found.

    Attributes:
        version: Version that was run.
        levels: By task type.
        families: Attacks by family.
        health: Trials the world let down.
        cost: What it took.
        notes: What a reader must know.
    """

    version: str
    levels: tuple[Level, ...]
    families: tuple[FamilyResult, ...]
    health: RunHealth
    cost: RunCost
    notes: tuple[str, ...]

    def as_record(self) -> dict[str, object]:
        """Return the fields as plain data for JSON."""
        return {
            "version": self.version,
            "levels": [asdict(one) for one in self.levels],
            "families": [asdict(one) for one in self.families],
            "infra_errors": self.health.infra_errors,
            "cost": self.cost.model_dump(),
            "notes": list(self.notes),
        }

    def lines(self) -> Sequence[str]:
        """Return the result in words, one line for each thing."""
        found = []
        for one in self.levels:
            if one.low is None or one.high is None:
                found.append(f"{one.task_type}: no answer has a score ({one.unscored} without)")
                continue
            found.append(
                f"{one.task_type}: {one.good} of {one.n} good, {percentage(one.good / one.n)} {percent_range(one.low, one.high)}"
                + (f", worth {one.worth} because cases hang together" if one.worth < one.n else "")
                + (f", {one.unscored} without a score" if one.unscored else "")
            )
            found += [f"  {one.reliable}"] if one.reliable else []
            found += [f"  failed: {name}" for name in one.failures[:FAILURES_SHOWN_MAX]]
            if len(one.failures) > FAILURES_SHOWN_MAX:
                found.append(f"  and {len(one.failures) - FAILURES_SHOWN_MAX} more")
        for family in self.families:
            if family.clusters == 0:
                found.append(f"{family.family}: no attack has a score")
                continue
            high = failure_ceiling(len(family.failed), family.clusters)
            found.append(
                f"{family.family}: {len(family.failed)} of {family.clusters} attacks succeeded: under {percentage(high)} (95 %)"
            )
        cost = self.cost
        unknown = f" + {cost.unpriced} of unknown cost" if cost.unpriced else ""
        found.append(
            f"version {self.version[:12]}: {cost.calls} runs, {cost.reused} reused, {self.health.infra_errors} lost, ${cost.spent_usd:.4f}{unknown}, {cost.seconds:.1f} s"
        )
        return [*found, *(f"note: {note}" for note in self.notes)]


def levels_of(run: GateRun, verdict: ReleaseVerdict) -> Levels:
    """Fold a finished run into levels.

    Args:
        run: The run, measured.
        verdict: What it came to; only its cost and notes are used.
    """
    levels = []
    for judge in run.judges:
        if not judge.cases:
            continue
        results = run.gathered.results(judge.cases[: judge.seen], None)
        values = [one.candidate[0] for one in results]
        good, n = sum(value is True for value in values), sum(value is not None for value in values)
        worth = level_worth([one for one in results if one.candidate[0] is not None])
        interval = rate_of_turns(good, n, worth)
        levels.append(
            Level(
                task_type=judge.rules.task_type,
                good=good,
                n=n,
                unscored=len(values) - n,
                worth=worth,
                low=interval.low if interval is not None else None,
                high=interval.high if interval is not None else None,
                failures=tuple(one.case_id for one in results if False in one.candidate),
                reliable=_reliable(results, run.candidate.repeats),
            )
        )
    return Levels(
        version=verdict.candidate,
        levels=tuple(levels),
        families=tuple(run.gathered.families(run.selection.adversarial, run.policy.families)),
        health=run.gathered.health,
        cost=verdict.cost,
        notes=verdict.notes,
    )


def _reliable(results: Sequence[CaseResult], repeats: int) -> str:
    """Say how often all runs of a case are good: what a user meets who asks more than once."""
    if repeats <= 1:
        return ""
    rules = GateRules(task_type="", alpha=0.025, reliable_k=repeats)
    item = judge_reliability(results, rules)
    return item.sentence if item is not None else ""
