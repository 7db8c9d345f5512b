# SPDX-License-Identifier: Apache-2.0
"""The watch end to end: a simulated agent at 10,000 tasks a day through the product's own tick, beside what is expected.

Every world starts from the same quiet month, which is lived once and copied. What is printed beside each figure is the
expectation of the statistics alone (`make bench-statistics`, simulations 4 to 6), with its tolerance. Three delays say little of
what scatters by five days: the same worlds are lived by their counts too (`tests/simulation/watch_counts.py`), coin by coin.
There each seed must be found on the very day of the product, and the median of two hundred is held against the tolerance.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from pilothouse.connectors.charter_file import read_charter_text  # noqa: E402
from pilothouse.core.charter.charter import Charter  # noqa: E402
from pilothouse.core.statistics.labels import labels_for_half_width  # noqa: E402
from pilothouse.core.statistics.quality import quality_interval  # noqa: E402
from pilothouse.core.statistics.results import Estimate  # noqa: E402
from pilothouse.workflows.watch.labels import pooled  # noqa: E402
from simulation.watch_counts import Counted, after_a_month, delay  # noqa: E402 - the path above leads there
from simulation.watch_worlds import QUALITY, SE, SP, charter_text, simulation  # noqa: E402

MONTH = 30
WINDOW = 28
"""Days of one estimate, as the watch keeps them."""

DAYS = 40
"""Days of each world after its month."""

FALSE_MAX = 0.02
"""Share of worlds without a fall that may have an alarm (simulation 5)."""


def ramp(t):
    return QUALITY - 0.15 * min(t + 1, 14) / 14, SE, SP


def step(points):
    return lambda _t: (QUALITY - points / 100, SE, SP)


def harsher(_t):
    return QUALITY, 0.85, SP


def lenient(_t):
    return QUALITY - 0.10, SE, 0.35


WORLDS = (
    ("94 % -> 79 % in 14 days", ramp, "8 ± 2", 6, 11),
    ("a sudden 5 points", step(5), "8 ± 3 (11 without a burst)", 5, 11),
    ("a sudden 10 points", step(10), "3 ± 1", 2, 4),
    ("10 points while the judge turns lenient", lenient, "6 ± 3", 3, 9),
    ("only the judge turns harsher", harsher, "no alarm", None, None),
)


def main() -> int:
    """Run the worlds and print one line for each; return 1 when a figure lies outside its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks a day")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions of each world")
    parser.add_argument(
        "--quiet-days", type=int, default=365, help="days of the quiet year with changes of mix"
    )
    parser.add_argument("--first-seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument(
        "--quiet-only", action="store_true", help="the quiet year of each seed and nothing else"
    )
    parser.add_argument("--counted", type=int, default=200, help="repetitions of each world by its counts")
    wanted = parser.parse_args()
    began, missed = time.process_time(), 0
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
    print(f"{'world':<44} {'expected':<28} observed")
    counted = {} if wanted.quiet_only else _counted(seeds, wanted.counted, wanted.tasks)
    with tempfile.TemporaryDirectory() as folder:
        months = [_month(Path(folder) / f"month-{seed}", seed, wanted.tasks) for seed in seeds]
        for name, world, expected, low, high in () if wanted.quiet_only else WORLDS:
            lived = {
                seed: _delay(month, Path(folder), world, seed, wanted.tasks)
                for seed, month in zip(seeds, months, strict=True)
            }
            print(f"{name:<44} {expected:<28} {_days(lived.values())}", flush=True)
            missed += _compare(
                {seed: delay(month, world, seed) for seed, month in counted.items()}, lived, low, high
            )
        for seed, month in list(zip(seeds, months, strict=True))[: None if wanted.quiet_only else 1]:
            missed += _quiet_year(month, Path(folder), seed, wanted.tasks, wanted.quiet_days)
    print(f"CPU: {time.process_time() - began:.0f} s")
    return 1 if missed else 0


def _counted(seeds: range, number: int, tasks: int) -> dict[int, Counted]:
    """Months by their counts: those of the seeds that the product lives, and the others."""
    text = read_charter_text(charter_text(), file="charter.yaml")
    charter = Charter.model_validate(text.value)
    wanted = sorted({*seeds, *range(seeds.start, seeds.start + number)})
    return {seed: after_a_month(charter, seed, tasks=tasks) for seed in wanted}


def _days(found: Iterable[float | None]) -> str:
    shown = sorted(math.inf if one is None else one for one in found)
    return " / ".join("never" if one == math.inf else f"{one:.0f}" for one in shown) + " days"


def _compare(
    counted: dict[int, float], lived: dict[int, int | None], low: int | None, high: int | None
) -> int:
    """Print the same world by its counts; return 1 when its median is outside or a day differs from the product's."""
    apart = [
        seed for seed, days in lived.items() if counted[seed] != (math.inf if days is None else float(days))
    ]
    days = np.array(list(counted.values()))
    if low is None or high is None:
        found = float(np.mean(np.isfinite(days)))
        fine, said = found <= FALSE_MAX, f"{100 * found:.1f} % with an alarm in {DAYS} days"
    else:
        middle, *tail = (float(np.quantile(days, one, method="lower")) for one in (0.5, 0.75, 0.9))
        fine, said = (
            low <= middle <= high,
            f"median {middle:.0f}, 75 % {tail[0]:.0f}, 90 % {tail[1]:.0f} days",
        )
    words = ("" if fine else "   OUTSIDE") + (f"   NOT THE SAME DAYS: seeds {apart}" if apart else "")
    print(f"{f'  by counts, {len(days)} seeds':<44} {'':<28} {said}{words}", flush=True)
    return int(not fine or bool(apart))


def _month(folder: Path, seed: int, tasks: int) -> Path:
    with simulation(folder, seed, tasks_per_day=tasks) as agent:
        agent.run(lambda _t: (QUALITY, SE, SP), MONTH)
        agent.save(folder)
    return folder


def _delay(month: Path, folder: Path, world, seed: int, tasks: int) -> int | None:
    copy = folder / "world"
    shutil.copytree(month, copy)
    try:
        with simulation(copy, 1_000 + seed, tasks_per_day=tasks) as agent:
            agent.load(copy)
            return agent.run(world, DAYS, until_alarm=True)
    finally:
        shutil.rmtree(copy)


def _quiet_year(month: Path, folder: Path, seed: int, tasks: int, days: int) -> int:
    """A year in which true quality wanders from day to day with a standard deviation of 1.5 points around 94 %."""
    copy = folder / "year"
    shutil.copytree(month, copy)
    wander = np.random.default_rng(7 + seed)
    with simulation(copy, 7 + seed, tasks_per_day=tasks) as agent:
        agent.load(copy)
        windows: list[tuple[date, float, int]] = []
        before = agent.labels
        for start in range(0, days, WINDOW):
            length = min(WINDOW, days - start)
            agent.run(lambda _t: (float(np.clip(wander.normal(QUALITY, 0.015), 0.85, 0.999)), SE, SP), length)
            strata = [one for one in pooled(agent.quality_state().recent) if one.judged]
            estimate = quality_interval(strata)
            if length == WINDOW and isinstance(estimate, Estimate):
                half = (estimate.high - estimate.low) / 2
                windows.append((agent.day, half, sum(one.labelled for one in strata)))
        alarms, warnings = len(agent.alarms()), len(agent.alarms("judge"))
        rules = Counter(one.rule for one in agent.watch.room.incidents.incidents())
        others = sum(number for rule, number in rules.items() if rule != "quality-drop")
        labels = (agent.labels - before) / days
        half = float(np.mean([one[1] for one in windows]))
        uniform = float(np.mean([agent.uniform_labels(half, until) for until, _, _ in windows]))
    scale = 365 / days
    print(
        f"{f'quiet {days} days, mix changes of 1.5 points':<44} {'<= 0.2 alarms a year':<28} "
        f"{alarms * scale:.2f} alarms of quality, {others * scale:.2f} of all others, {warnings * scale:.1f} bursts a year, "
        f"{labels:.1f} labels a day (seed {seed}; incidents by rule: {dict(rules)})",
        flush=True,
    )
    spent = float(np.mean([one[2] for one in windows]))
    plain = QUALITY * (1 - QUALITY) * (1.96 / half) ** 2
    best = _best_saving()
    print(
        f"{f'labels for ±{100 * half:.1f} points in 28 days, {len(windows)} windows':<44} {f'at most {best:.2f}x':<28} "
        f"{spent:.0f} drawn by verdict, {uniform:.0f} drawn uniformly with the judge: {uniform / spent:.2f}x"
    )
    print(
        f"{'':<44} {'>= 2x':<28} {plain:.0f} drawn uniformly without a judge: {plain / spent:.1f}x",
        flush=True,
    )
    return int(alarms * scale > 1) + int(uniform < 0.9 * best * spent) + int(plain < 2 * spent)


def _best_saving() -> float:
    """What no allocation over two verdicts of this judge exceeds: Neyman's against proportional (Cochran 1977, 5.6)."""
    passed = QUALITY * SE + (1 - QUALITY) * (1 - SP)
    weights = np.array([passed, 1 - passed])
    rates = np.array([QUALITY * SE / passed, QUALITY * (1 - SE) / (1 - passed)])
    uniform, allocated = (labels_for_half_width(weights, rates, 0.01, allocated=way) for way in (False, True))
    return uniform / allocated


if __name__ == "__main__":
    sys.exit(main())
