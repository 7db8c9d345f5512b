# SPDX-License-Identifier: Apache-2.0
"""Simulations 15 and 16: drift tests on worlds that changed and worlds that did not."""

from __future__ import annotations

import numpy as np

from pilothouse.core.statistics import feature_drift, sequence_drift, text_drift
from simulation.bars import generator, level, share


def features(rng, n, shift=0.0):
    table = rng.normal(size=(20, n))
    table[0] += shift
    return {f"f{i:02d}": row for i, row in enumerate(table)}


STEPS = {
    "start": (("search", 0.8), ("read", 0.2)),
    "search": (("read", 0.7), ("search", 0.2), ("end", 0.1)),
    "read": (("update", 0.5), ("search", 0.2), ("end", 0.3)),
    "update": (("notify", 0.6), ("end", 0.4)),
    "notify": (("end", 1.0),),
}


def session(rng, shifted):
    """Tool names of one session; a shifted one skips reading before it updates."""
    if shifted:
        return ["search", "update", "update", "notify"]
    tool, calls = "start", []
    while tool != "end" and len(calls) < 30:
        drawn, reached = rng.random(), 0.0
        steps = STEPS[tool]
        for tool, chance in steps:  # noqa: B007 - where it stops is where the session goes
            reached += chance
            if drawn < reached:
                break
        if tool != "end":
            calls.append(tool)
    return calls


def sessions(rng, n, share_shifted=0.0):
    return [session(rng, rng.random() < share_shifted) for _ in range(n)]


def simulation_15(effort):
    rng = generator(15)
    runs = effort.repetitions
    calm = runs if effort.fast else 7 * runs
    quiet = np.mean(
        [bool(feature_drift(features(rng, 5_000), features(rng, 300)).flagged) for _ in range(calm)]
    )
    seen = np.mean(
        ["f00" in feature_drift(features(rng, 5_000), features(rng, 300, 0.3)).flagged for _ in range(runs)]
    )
    usual, odd = sessions(rng, 8_000), session(rng, shifted=True)

    def flagged(share_shifted):
        drawn = [usual[i] for i in rng.integers(0, len(usual), 900)]
        moved = [odd if rng.random() < share_shifted else one for one in drawn[600:]]
        return sequence_drift(drawn[:600], moved, rng).rejected

    still = np.mean([flagged(0.0) for _ in range(runs)])
    found = np.mean([flagged(0.05) for _ in range(runs // 3)])
    error = 2 * (0.05 * 0.95 / calm) ** 0.5
    return [
        share(15, "20 features, n 300: any flag when nothing changed", quiet, effort, high=0.05 + error),
        share(
            15,
            "20 features, n 300: .3 sd in one is flagged",
            seen,
            effort,
            low=0.81,
            high=0.95,
            expected="0.88",
        ),
        share(15, "sequences, 600/300 sessions: flag when nothing changed", still, effort, high=0.09),
        share(15, "sequences: 5 % of sessions shifted is flagged", found, effort, low=0.9),
    ]


TOPICS, WORDS, COMMON = 77, 30, 400


def vocabulary(rng):
    letters = np.array(list("abcdefghijklmnoprstuvw"))
    words = [
        "".join(rng.choice(letters, size=int(rng.integers(3, 9)))) for _ in range(TOPICS * WORDS + COMMON)
    ]
    return [words[t * WORDS : (t + 1) * WORDS] for t in range(TOPICS)], words[TOPICS * WORDS :]


def texts(rng, world, n, share_new=0.0):
    """Short questions: a few words of their topic among common ones; topics 67-76 are the new ones."""
    topics, common = world
    topic = np.where(rng.random(n) < share_new, rng.integers(67, 77, n), rng.integers(0, 67, n))
    own, rest = rng.integers(2, 5, n), rng.integers(5, 11, n)
    drawn = rng.integers(0, WORDS, (n, 4)).tolist(), rng.integers(0, COMMON, (n, 10)).tolist()
    order = rng.random((n, 14))
    made = []
    for text, (words, others) in enumerate(zip(*drawn, strict=True)):
        said = [topics[topic[text]][word] for word in words[: own[text]]]
        said += [common[word] for word in others[: rest[text]]]
        made.append(" ".join(said[place] for place in order[text, : len(said)].argsort()))
    return made


def simulation_16(effort):
    rng = generator(16)
    world = vocabulary(rng)
    runs = effort.repetitions

    def flagged(reference, current, new, times=runs):
        return np.mean(
            [
                text_drift(texts(rng, world, reference), texts(rng, world, current, new), rng).rejected
                for _ in range(times)
            ]
        )

    quiet = flagged(1_000, 300, 0.0, runs if effort.fast else 6 * runs)
    small, large = flagged(1_000, 300, 0.10), flagged(1_000, 300, 0.40)
    bars = [
        share(16, "texts, 1,000/300: flag when nothing changed", quiet, effort, high=0.08),
        level(
            16, "texts: power at 40 % minus power at 10 % on ten new topics", large - small, effort, low=0.3
        ),
    ]
    if not effort.fast:
        more = flagged(3_000, 1_000, 0.10)
        bars.append(
            level(16, "texts: power at 1,000 minus power at 300, 10 % new", more - small, effort, low=0.05)
        )
    return bars
