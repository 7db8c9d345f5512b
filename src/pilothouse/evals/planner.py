# SPDX-License-Identifier: Apache-2.0
"""Plan a gate run by simulating the real test: chance of release, cases, cost and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pilothouse.core.statistics.comparison import PAIRS_MIN, Decision
from pilothouse.core.statistics.noninferiority import PairedNonInferiority
from pilothouse.core.statistics.power import cases_needed, smallest_detectable
from pilothouse.core.statistics.sequential import SequentialGate
from pilothouse.core.verdict.release import GateRules

__all__ = ["FLIP_RATE_ASSUMED", "Forecast", "Scenario", "TypePlan", "plan_type"]

FLIP_RATE_ASSUMED: Final = 0.15
"""Share of cases that differ between two runs, for an agent nobody ran twice: three of four public reruns differ less."""

SIMULATIONS: Final = 400
"""Runs of each scenario: the chance is right within 2.5 points, in under a second."""

HARM_POINTS: Final = 10.0
POWER_WANTED: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The expected size of a run.

    Attributes:
        released: Chance that the difference is proved harmless.
        breached: Chance that it is proved harmful.
        cases: Mean cases.
    """

    released: float
    breached: float
    cases: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A true state of the world for which the plan is simulated.

    Attributes:
        difference: True difference, candidate minus baseline, as a fraction.
        flip_rate: Share of cases that differ, at least |difference|.
    """

    difference: float
    flip_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TypePlan:
    """The plan of one task type.

    Attributes:
        task_type: Task type.
        margin: Margin, as a fraction.
        cases_max: Cases that may be run.
        flip_rate: Share of cases that differ between two runs.
        flip_source: Where that number came from.
        is_single: Whether there is one look, at the end.
        unchanged: If nothing changed.
        harmful: If the candidate is 10 points worse.
        needed: Cases that would release a harmless change with 80 %.
        smallest: Smallest margin that these cases decide with 80 %.
    """

    task_type: str
    margin: float
    cases_max: int
    flip_rate: float
    flip_source: str
    is_single: bool
    unchanged: Forecast
    harmful: Forecast
    needed: int
    smallest: float

    @property
    def is_sufficient(self) -> bool:
        """Whether a harmless change is released with 80 % or more."""
        return self.unchanged.released >= POWER_WANTED


def plan_type(
    rules: GateRules,
    *,
    cases_max: int,
    flip_rate: float,
    flip_source: str,
    is_single: bool,
    design_effect: float,
    rng: np.random.Generator,
) -> TypePlan:
    """Forecast one task type with the test that will decide it.

    Args:
        rules: Rules of the task type.
        cases_max: Cases that may be run, at least 1.
        flip_rate: Share of cases that differ between two runs, in (0, 1).
        flip_source: Where that number came from, in words.
        is_single: Whether there is one look, at the end.
        design_effect: What clustering costs, at least 1.
        rng: Source of chance.

    Example:
        >>> plan = plan_type(GateRules(task_type="t"), cases_max=400, flip_rate=0.06, flip_source="assumed",
        ...     is_single=False, design_effect=1.0, rng=np.random.default_rng(1))
        >>> plan.is_sufficient, plan.unchanged.cases < 300
        (True, True)
    """
    worth = max(1, int(cases_max / design_effect))
    harm = HARM_POINTS / 100
    needed = cases_needed(rules.margin, flip_rate, POWER_WANTED, rules.alpha, design_effect)
    scenarios = (
        Scenario(difference=0.0, flip_rate=flip_rate),
        Scenario(difference=-harm, flip_rate=max(flip_rate, harm)),
    )
    unchanged, harmful = (
        _forecast(one, rules, worth, scale=cases_max / worth, is_single=is_single, rng=rng)
        for one in scenarios
    )
    return TypePlan(
        task_type=rules.task_type,
        margin=rules.margin,
        cases_max=cases_max,
        flip_rate=flip_rate,
        flip_source=flip_source,
        is_single=is_single,
        unchanged=unchanged,
        harmful=harmful,
        needed=needed if isinstance(needed, int) else cases_max + 1,
        smallest=smallest_detectable(cases_max, flip_rate, POWER_WANTED, rules.alpha, design_effect),
    )


def _forecast(
    world: Scenario,
    rules: GateRules,
    cases: int,
    *,
    scale: float,
    is_single: bool,
    rng: np.random.Generator,
) -> Forecast:
    """Play the gate many times in one world."""
    if cases < PAIRS_MIN:
        return Forecast(released=0.0, breached=0.0, cases=cases * scale)
    better = (world.flip_rate + world.difference) / 2
    chances = (better, world.flip_rate - better, 1 - world.flip_rate)
    play = _play_once if is_single else _play_looks
    ends = [play(rules, cases, chances, rng) for _ in range(SIMULATIONS)]
    return Forecast(
        released=sum(end is Decision.NOT_WORSE for end, _ in ends) / SIMULATIONS,
        breached=sum(end is Decision.WORSE for end, _ in ends) / SIMULATIONS,
        cases=scale * sum(n for _, n in ends) / SIMULATIONS,
    )


def _play_once(
    rules: GateRules, cases: int, chances: Sequence[float], rng: np.random.Generator
) -> tuple[Decision, int]:
    b, c, _ = rng.multinomial(cases, chances)
    result = PairedNonInferiority(rules.margin, rules.alpha).decide(int(b), int(c), cases)
    return getattr(result, "decision", Decision.UNDECIDED), cases


def _play_looks(
    rules: GateRules, cases: int, chances: Sequence[float], rng: np.random.Generator
) -> tuple[Decision, int]:
    gate = SequentialGate(rules.margin, cases, looks=rules.looks, spending=rules.spending, alpha=rules.alpha)
    state, b, c, n = gate.start(), 0, 0, 0
    for upto in gate.planned_pairs():
        wins, losses, _ = rng.multinomial(upto - n, chances)
        b, c, n = b + int(wins), c + int(losses), upto
        state, _result = gate.update(state, b, c, n)
        if state.stopped:
            break
    return state.decision, n
