# SPDX-License-Identifier: Apache-2.0
"""How long a fall goes unnoticed, as a distribution over hundreds of months, beside what no detector can beat.

Each month of each seed is lived through the watch's own code (`tests/simulation/watch_stream.py`), its own baseline
included; `run.py` shows single months through the whole product.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import optimize

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from pilothouse.connectors.charter_file import read_charter_text  # noqa: E402
from pilothouse.core.charter.charter import Charter  # noqa: E402
from simulation.watch_stream import Stream  # noqa: E402 - the path above leads there
from simulation.watch_worlds import QUALITY, SE, SP, charter_text  # noqa: E402

MONTH, LIMIT, YEAR = 30, 120, 365
LABELS, BURST, JUDGED, ARL = 20, 60, 300, 365.0
TOLERANCE, AT_LINE_DAYS = 0.02, 120


def main() -> int:
    """Print quantiles of delays, false alarms of quiet years and the bound; return 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="months and quiet years")
    seeds = parser.parse_args().seeds
    charter = Charter.model_validate(read_charter_text(charter_text(), file="charter.yaml").value)
    began, missed = time.process_time(), 0
    print(f"{'days to the alarm':<40} {'promise':<14} median  75 %  90 %  95 %")
    for name, points, known, low, high in (
        ("5 points, baseline of the first month", 5, False, 5, 11),
        ("5 points, baseline known", 5, True, 5, 11),
        ("7 points, baseline of the first month", 7, False, 3, 7),
        ("10 points, baseline of the first month", 10, False, 2, 4),
    ):
        days = [_delay(charter, seed, points / 100, known=known) for seed in range(seeds)]
        middle, *tail = np.quantile(days, [0.5, 0.75, 0.9, 0.95])
        fine = low <= middle <= high
        missed += not fine
        shown = "  ".join(f"{one:4.0f}" for one in tail)
        print(
            f"{name:<40} {f'{low} to {high}':<14} {middle:6.0f}  {shown}{'' if fine else '   OUTSIDE'}",
            flush=True,
        )
    for points in (5, 7, 10):
        at_usual, at_burst = (_bound(points / 100, labels) for labels in (LABELS, BURST))
        print(
            f"{f'no bet is quicker on average, {points} points':<40} {'':<14} {at_usual:.1f} with {LABELS} labels a day, {at_burst:.1f} with {BURST}"
        )
    found = [_at_the_line(charter, seed) for seed in range(seeds)]
    promised = AT_LINE_DAYS / ARL
    error = 3 * math.sqrt(promised / seeds)
    missed += np.mean(found) > promised + error
    print(
        f"{f'quality at its line, known, {AT_LINE_DAYS} days':<40} {f'<= {promised:.2f} alarms':<14} {np.mean(found):.2f} alarms",
        flush=True,
    )
    for name, spread in (("quiet year", 0.0), ("quiet year, quality wanders by 1.5 points", 0.015)):
        found = [_year(charter, seed, spread) for seed in range(seeds)]
        alarms, bursts, suspected, labels = np.mean(found, axis=0)
        missed += alarms > 1
        print(
            f"{name:<40} {'<= 1 alarm':<14} {alarms:.3f} alarms, {bursts:.1f} bursts, {suspected:.1f} days of suspicion, "
            f"{labels:.1f} labels a day",
            flush=True,
        )
    print(f"{seeds} seeds, {time.process_time() - began:.0f} s CPU")
    return int(missed > 0)


def _delay(charter: Charter, seed: int, drop: float, *, known: bool) -> float:
    agent = Stream(charter=charter, rng=np.random.default_rng(seed))
    agent.run(lambda _t: (QUALITY, SE, SP), MONTH)
    if known:
        exact = replace(agent.quality.base, value=QUALITY, low=QUALITY - 1e-3, high=QUALITY + 1e-3)
        agent.quality = replace(agent.quality, base=exact)
    return agent.until_alarm(lambda _t: (QUALITY - drop, SE, SP), LIMIT)


def _year(charter: Charter, seed: int, spread: float) -> tuple[int, int, int, float]:
    agent = Stream(charter=charter, rng=np.random.default_rng(10_000 + seed))
    agent.run(lambda _t: (QUALITY, SE, SP), MONTH)
    before, days, labels = agent.bursts, agent.suspected, agent.labels
    wander = np.random.default_rng(20_000 + seed)
    alarms = agent.run(lambda _t: (float(np.clip(wander.normal(QUALITY, spread), 0.85, 0.999)), SE, SP), YEAR)
    return len(alarms), agent.bursts - before, agent.suspected - days, (agent.labels - labels) / YEAR


def _at_the_line(charter: Charter, seed: int) -> int:
    """Alarms where quality is exactly the line: there the promise is tight, whatever labels are bought on the way."""
    agent = Stream(charter=charter, rng=np.random.default_rng(30_000 + seed))
    agent.run(lambda _t: (QUALITY, SE, SP), MONTH)
    exact = replace(agent.quality.base, value=QUALITY, low=QUALITY - 1e-3, high=QUALITY + 1e-3)
    agent.quality = replace(agent.quality, base=exact)
    return len(agent.run(lambda _t: (QUALITY - TOLERANCE, SE, SP), AT_LINE_DAYS))


def _bound(drop: float, labels: float) -> float:
    """Mean days that any bet on the weighted scores needs: log(ARL) over the best growth of any stake and allocation.

    The line, the judge and both qualities are known exactly here, and the stake and the split of the labels are the best
    ones for exactly this fall. Second implementation: nothing of the detector is used (Lorden 1971 for the quotient).
    """
    passed = QUALITY * SE + (1 - QUALITY) * (1 - SP)
    weight = np.array([passed, 1 - passed])
    m = np.array([QUALITY * SE, QUALITY * (1 - SE)]) / weight
    theta, line = QUALITY - drop, QUALITY - TOLERANCE
    good = theta * np.array([SE, 1 - SE])
    bad = (1 - theta) * np.array([1 - SP, SP])

    def growth(x: np.ndarray) -> float:
        stake, share = 1 / (1 + np.exp(-x))
        chance = np.minimum(np.array([share, 1 - share]) * labels / (JUDGED * weight), 1.0)
        reach = (m + (1 - m) / chance).max() - line
        bet, gap = 0.9999 * stake / reach, line - m
        gains = (1 - chance) * (good + bad) * np.log1p(bet * gap)
        gains += chance * good * np.log1p(bet * (gap - (1 - m) / chance))
        gains += chance * bad * np.log1p(bet * (gap + m / chance))
        return -float(gains.sum())

    starts = [np.array([a, b]) for a in (-2.0, 0.0, 2.0) for b in (-1.0, 0.0, 1.0)]
    best = max(-optimize.minimize(growth, start, method="Nelder-Mead").fun for start in starts)
    return math.log(ARL) / (JUDGED * best)


if __name__ == "__main__":
    sys.exit(main())
