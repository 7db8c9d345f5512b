# SPDX-License-Identifier: Apache-2.0
"""Simulations 8-10: release tests against known truth."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from pilothouse.core.statistics import (
    CanaryDecision,
    CanaryTest,
    Comparison,
    PairedNonInferiority,
    anytime_interval,
    release_power,
    spending_bounds,
)
from pilothouse.core.statistics.clusters import cluster_design_effect
from pilothouse.core.statistics.tango import tango_z
from simulation.bars import Effort, generator, level, share

Z = float(special.ndtri(0.95))


def pairs(rng, n, flips, difference, repetitions):
    counts = rng.multinomial(
        n, [(flips + difference) / 2, (flips - difference) / 2, 1 - flips], size=repetitions
    ).astype(float)
    return counts[:, 0], counts[:, 1]


def simulation_8(effort):
    rng = generator(8)
    runs = effort.repetitions
    worst = max(
        release_power(n, flips + 1e-9, 0.05, -0.05)
        for n in (50, 100, 200, 400, 1_000)
        for flips in (0.05, 0.06, 0.10, 0.15, 0.20, 0.30)
    )
    b, c = pairs(rng, 200, 0.10, -0.05, runs)
    drawn, summed = float((tango_z(b, c, 200.0, 0.05) > Z).mean()), release_power(200, 0.10, 0.05, -0.05)
    b, c = pairs(rng, 200, 0.05, -0.05, runs)
    d, f = (b - c) / 200, (b + c) / 200
    wald = ((d + 0.05) / np.sqrt(np.maximum(f - d**2, 1e-12) / 200) > Z).mean()
    bad = max(gate(rng, flips, -0.05, runs)[0] for flips in (0.05, 0.06, 0.10, 0.20))
    released, _, cases = gate(rng, 0.06, 0.0, runs)
    _, worse, _ = gate(rng, 0.10, -0.10, runs)
    return [
        share(
            8,
            "Tango: false release at -5, worst of 30 cells, exact sums",
            worst,
            Effort(runs, fast=False),
            high=0.055,
        ),
        level(
            8,
            "Tango: drawn minus exact false release, n 200, flips 10 %",
            drawn - summed,
            effort,
            around=0.0,
            within=4 * math.sqrt(0.05 / runs),
        ),
        share(8, "contrast: Wald at n 200, flips 5 %", wald, effort, low=0.114, high=0.154, expected="0.134"),
        share(8, "Pocock-10: false release at -5, n_max 400, worst of 4 cells", bad, effort, high=0.055),
        share(
            8,
            "Pocock-10: harmless change released, n_max 400, flips 6 %",
            released,
            effort,
            low=0.94,
            high=0.98,
            expected="0.96",
        ),
        level(8, "Pocock-10: mean cases of that", cases, effort, around=197, within=10),
        share(8, "Pocock-10: true -10 proved worse, flips 10 %", worse, effort, low=0.94, expected="0.98"),
    ]


def gate(rng, flips, difference, repetitions, n_max=400, looks=10):  # noqa: PLR0917 - a world has that many dials
    """Share released, share proved worse, mean cases; without futility, which is not binding."""
    bounds = spending_bounds(tuple(j / looks for j in range(1, looks + 1)))
    step = n_max // looks
    counts = rng.multinomial(
        step, [(flips + difference) / 2, (flips - difference) / 2, 1 - flips], size=(repetitions, looks)
    )
    b, c = np.cumsum(counts[:, :, 0], axis=1).astype(float), np.cumsum(counts[:, :, 1], axis=1).astype(float)
    n = step * np.arange(1, looks + 1)
    z = tango_z(b, c, np.broadcast_to(n, b.shape).astype(float), 0.05)
    up, down = z > np.array(bounds), z < -np.array(bounds)
    end = np.where((up | down).any(axis=1), np.argmax(up | down, axis=1), looks - 1)
    rows = np.arange(repetitions)
    return float(up[rows, end].mean()), float(down[rows, end].mean()), float(n[end].mean())


CLUSTER_CELLS = [
    (groups, size, flips, icc)
    for groups, size in ((30, 4), (30, 20), (50, 5), (50, 20), (100, 5), (100, 10), (200, 4))
    for flips, icc in ((0.05, 0.1), (0.05, 0.3), (0.06, 0.1), (0.06, 0.3), (0.10, 0.1), (0.10, 0.3))
]
HARSH_CELLS = [(30, 20, 0.06, 0.3), (50, 20, 0.06, 0.3), (100, 5, 0.06, 0.3), (200, 4, 0.10, 0.3)]


def struck(rng, groups, size, flips, icc, difference, repetitions):  # noqa: PLR0917 - a world has that many dials
    """Wins and losses of each cluster when one event strikes a share sqrt(icc) of its cases alike: the harsher world."""
    chances = [(flips + difference) / 2, (flips - difference) / 2, 1 - flips]
    alike = rng.binomial(size, math.sqrt(icc), (repetitions, groups))
    event = rng.choice(3, p=chances, size=(repetitions, groups))
    own = rng.multinomial(size - alike, chances)
    return own[..., 0] + alike * (event == 0), own[..., 1] + alike * (event == 1)


def leaning(rng, groups, size, flips, icc, difference, repetitions):  # noqa: PLR0917 - a world has that many dials
    """Wins and losses of each cluster when every cluster draws its own chances (Dirichlet-multinomial)."""
    chances = np.array([(flips + difference) / 2, (flips - difference) / 2, 1 - flips])
    weights = (
        rng.standard_gamma(np.maximum((1 / icc - 1) * chances, 1e-9), size=(repetitions, groups, 3)) + 1e-300
    )
    counts = rng.multinomial(size, weights / weights.sum(axis=-1, keepdims=True))
    return counts[..., 0], counts[..., 1]


def measured_correlation(wins, losses, size):
    """Intra-cluster correlation of the differences: mean product of two cases of a cluster, standardised."""
    sums, flipped = wins - losses, wins + losses
    mean, square = sums.mean() / size, flipped.mean() / size
    together = ((sums**2 - flipped) / (size * (size - 1))).mean()
    return float((together - mean**2) / (square - mean**2))


def cluster_release(rng, cell, difference, repetitions, world=struck):
    """Share of runs that the clustered test releases, and the correlation that the world really has."""
    groups, size, flips, icc = cell
    wins, losses = world(rng, groups, size, flips, icc, difference, repetitions)
    names, critical = np.repeat(np.arange(groups), size), float(special.stdtrit(groups - 1, 0.95))
    place, kept = np.arange(size), []
    for b, c in zip(wins, losses, strict=True):
        d = (place < b[:, None]).astype(float) - (place >= size - c[:, None])
        kept.append(cluster_design_effect(d.ravel(), names).value)
    z = tango_z(wins.sum(axis=1).astype(float), losses.sum(axis=1).astype(float), float(groups * size), 0.05)
    return float((z / np.sqrt(kept) > critical).mean()), measured_correlation(wins, losses, size)


def simulation_9(effort):
    rng = generator(9)
    bars = []
    worlds = {"events": struck} if effort.fast else {"events": struck, "own chances": leaning}
    cells = HARSH_CELLS if effort.fast else CLUSTER_CELLS
    for name, world in worlds.items():
        found = [cluster_release(rng, cell, -0.05, effort.repetitions, world) for cell in cells]
        off = max(abs(icc - cell[3]) for (_, icc), cell in zip(found, cells, strict=True))
        bars += [
            share(
                9,
                f"clusters, {name}: false release at -5, worst of {len(cells)} cells",
                max(released for released, _ in found),
                effort,
                high=0.055,
            ),
            level(
                9,
                f"clusters, {name}: correlation of the data minus the one meant",
                off,
                effort,
                around=0.0,
                within=0.02,
            ),
        ]
    for icc, low, expected in ((0.1, 0.95, "0.98"), (0.3, 0.88, "0.92")):
        power, _ = cluster_release(rng, (100, 5, 0.05, icc), 0.0, effort.repetitions)
        what = f"clusters: power at no change, 100 x 5, ICC {icc}, flips 5 %"
        bars.append(share(9, what, power, effort, low=low, expected=expected))
    repeated = max(
        repeat_release(rng, n, flips, -0.05, effort.repetitions)
        for n, flips in ((200, 0.06), (200, 0.10), (400, 0.06))
    )
    bars.append(share(9, "repeats, k 8: false release at -5, worst of 3 cells", repeated, effort, high=0.055))
    return bars


def repeat_release(rng, n, flips, difference, repetitions, k=8):  # noqa: PLR0917 - a world has that many dials
    """The baseline ran each case k times; cases are sure or shaky, and the candidate is worse by `difference`."""
    test = PairedNonInferiority(0.05)
    shaky = flips / 0.48
    released = 0
    for _ in range(repetitions):
        chance = np.where(rng.random(n) < shaky, 0.6, 1.0)
        base = rng.binomial(k, chance) / k
        candidate = (rng.random(n) < np.maximum(chance + difference, 0.0)).astype(np.int64)
        result = test.decide_repeats(base, candidate)
        released += isinstance(result, Comparison) and result.decision.value == "not_worse"
    return released / repetitions


def simulation_10(effort):
    rng = generator(10)
    test = CanaryTest(0.05)

    def run(difference, n):
        d = rng.choice([1.0, -1.0, 0.0], p=[(0.05 + difference) / 2, (0.05 - difference) / 2, 0.95], size=n)
        return test.update(test.start(), d)[1]

    border = np.mean(
        [run(-0.05, 3_000).decision is CanaryDecision.NOT_WORSE for _ in range(effort.repetitions)]
    )
    accepted = [run(0.0, 2_000) for _ in range(effort.repetitions)]
    median = np.median(
        [r.decided_n if r.decision is CanaryDecision.NOT_WORSE else math.inf for r in accepted]
    )
    anytime, wilson = peeking(rng, effort.repetitions)
    return [
        share(
            10,
            "canary: accepted at the border, margin 5, flips 5 %",
            border,
            effort,
            high=0.05,
            expected="0.025",
        ),
        level(10, "canary: median pairs to accept, no change", median, effort, around=180, within=20),
        share(
            10, "anytime interval: ever wrong in 2,000 looks", anytime, effort, high=0.05, expected="0.027"
        ),
        share(
            10,
            "contrast: Wilson interval, a look every 50",
            wilson,
            effort,
            low=0.28,
            high=0.38,
            expected="0.33",
        ),
    ]


def peeking(rng, repetitions, p=0.94, n=2_000):
    """Shares of streams in which an interval ever misses the truth."""
    anytime = wilson = 0
    t = np.arange(1, n + 1)
    for _ in range(repetitions):
        s = np.cumsum(rng.random(n) < p)
        log_e = (
            special.betaln(0.5 + s, 0.5 + t - s)
            - special.betaln(0.5, 0.5)
            - s * math.log(p)
            - (t - s) * math.log(1 - p)
        )
        worst = int(np.argmax(log_e))
        e = anytime_interval(int(s[worst]), int(t[worst]))
        anytime += not e.low <= p <= e.high
        k, m = s[49::50], t[49::50]
        middle, reach = (k + 1.92) / (m + 3.84), 1.96 / (m + 3.84) * np.sqrt(k * (m - k) / m + 0.96)
        wilson += bool((np.abs(middle - p) > reach).any())
    return anytime / repetitions, wilson / repetitions
