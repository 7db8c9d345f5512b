# SPDX-License-Identifier: Apache-2.0
"""Play the release gate against known truths: how often it lets harm through, and what stopping early saves.

The gate is the one that decides releases (`core/verdict/release_difference.py`), fed case by case results.
`python benchmarks/evals/gate_simulation.py --runs 2000` prints every cell with what was expected.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from pilothouse.core.statistics.sequential import GateState
from pilothouse.core.verdict.release import CaseResult, GateRules
from pilothouse.core.verdict.release_difference import judge_difference, look_sizes
from pilothouse.core.verdict.verdict import Status

FALSE_RELEASE_MAX = 0.055
SAVED_UNCHANGED_MIN = 0.40
SAVED_HARMFUL_MIN = 0.60
NOISE = 3.0
"""Standard errors of the simulation that are allowed on top of the bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One truth.

    Attributes:
        cases: Most cases.
        flip_rate: Share of cases that differ.
        difference: Candidate minus baseline.
        cluster_size: Cases in a cluster; all its flips go together with probability `correlation`.
        correlation: How much a cluster's cases depend on each other.
        baseline_repeats: Runs of each case by the baseline.
    """

    cases: int
    flip_rate: float
    difference: float
    cluster_size: int = 1
    correlation: float = 0.0
    baseline_repeats: int = 1


def draw(cell: Cell, rng: np.random.Generator) -> list[CaseResult]:
    """Make the results of one run: -1 worse, 0 equal, +1 better for each case, correlated within clusters."""
    clusters = -(-cell.cases // cell.cluster_size)
    better = (cell.flip_rate + cell.difference) / 2
    chances = [cell.flip_rate - better, 1 - cell.flip_rate, better]
    own = rng.choice((-1, 0, 1), size=cell.cases, p=chances)
    if cell.cluster_size > 1:
        shared = np.repeat(rng.choice((-1, 0, 1), size=clusters, p=chances), cell.cluster_size)[: cell.cases]
        # Each case takes its cluster's draw with probability sqrt(correlation): pairs then correlate as asked.
        own = np.where(rng.random(cell.cases) < np.sqrt(cell.correlation), shared, own)
    results = []
    for number, sign in enumerate(own):
        candidate = bool(sign >= 0)
        repeats = [bool(sign <= 0)] * cell.baseline_repeats
        if cell.baseline_repeats > 1:
            # A flip is a case whose answer is a coin for the baseline; the other cases are settled.
            repeats = [bool(v) for v in rng.random(cell.baseline_repeats) < (0.5 if sign else 1.0)]
            candidate = bool(sign >= 0) if sign else True
        results.append(
            CaseResult(
                case_id=str(number),
                cluster=str(number // cell.cluster_size),
                candidate=(candidate,),
                baseline=tuple(repeats),
            )
        )
    return results


def play(cell: Cell, rules: GateRules, rng: np.random.Generator) -> tuple[Status, int]:
    """Run the gate once; return how it ended and after how many cases."""
    results = draw(cell, rng)
    is_single = cell.cluster_size > 1 or cell.baseline_repeats > 1
    state = GateState()
    sizes = look_sizes(cell.cases, rules, is_single=is_single)
    for size in sizes:
        look = judge_difference(
            results[:size],
            rules,
            state=state,
            cases_planned=cell.cases,
            is_single=is_single,
            is_last=size == cell.cases,
        )
        state = look.state
        if look.is_over:
            return look.item.status, size
    return Status.NO_EVIDENCE, cell.cases


def measure(cell: Cell, rules: GateRules, runs: int, seed: int) -> tuple[float, float, float]:
    """Return the shares released and breached, and mean cases."""
    rng = np.random.default_rng(seed)
    ends = [play(cell, rules, rng) for _ in range(runs)]
    released = sum(status in {Status.HOLDS, Status.AT_RISK} for status, _ in ends) / runs
    breached = sum(status is Status.BREACHED for status, _ in ends) / runs
    return released, breached, sum(size for _, size in ends) / runs


def harm_grid() -> list[Cell]:
    """Truths exactly at the margin: whatever is released here is a false release."""
    cells = [
        Cell(cases=cases, flip_rate=flips, difference=-0.05)
        for cases in (50, 100, 200, 400, 1000)
        for flips in (0.05, 0.06, 0.10, 0.15, 0.30)
    ]
    cells += [
        Cell(cases=cases, flip_rate=flips, difference=-0.05, cluster_size=size, correlation=icc)
        for cases, size in ((200, 4), (400, 5), (1000, 10))
        for flips in (0.06, 0.10)
        for icc in (0.1, 0.3)
    ]
    return cells


def main() -> int:
    """Print every cell; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    failed = 0
    print(f"{runs} runs a cell, margin 5 points, alpha .05")
    print("truth at the margin: share released (bar 5.5 %)")
    for spending in ("pocock", "obrien_fleming"):
        rules = GateRules(task_type="t", spending=spending)
        for number, cell in enumerate(harm_grid()):
            if cell.cluster_size > 1 and spending != "pocock":
                continue  # one look: spending plays no part
            released, _, cases = measure(cell, rules, runs, 1000 + number)
            allowed = FALSE_RELEASE_MAX + NOISE * (0.05 * 0.95 / runs) ** 0.5
            bad = released > allowed
            failed += bad
            print(
                f"  {spending:<14} n {cell.cases:>4} flips {cell.flip_rate:>4.0%} cluster {cell.cluster_size:>2} icc {cell.correlation:.1f}: "
                f"{released:6.2%} after {cases:4.0f} cases{'  MISSED' if bad else ''}"
            )
    print("what stopping early saves (pocock, 10 looks, 6 % flips when unchanged, 10 % when 10 points worse)")
    rules = GateRules(task_type="t")
    for cases in (200, 400, 800):
        released, _, mean = measure(Cell(cases=cases, flip_rate=0.06, difference=0.0), rules, runs, 7)
        saved = 1 - mean / cases
        _, breached, harm_mean = measure(Cell(cases=cases, flip_rate=0.10, difference=-0.10), rules, runs, 8)
        harm_saved = 1 - harm_mean / cases
        bad = cases >= 400 and (saved < SAVED_UNCHANGED_MIN or harm_saved < SAVED_HARMFUL_MIN)
        failed += bad
        print(
            f"  n {cases}: unchanged released {released:.1%}, {mean:.0f} cases ({saved:.0%} saved); "
            f"10 points worse: {breached:.1%} proved, {harm_mean:.0f} cases ({harm_saved:.0%} saved){'  MISSED' if bad else ''}"
        )
    print("all bars met" if not failed else f"{failed} bars missed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
