# SPDX-License-Identifier: Apache-2.0
"""How much processor time the statistics take, warm; the import beyond numpy and scipy, cold.

Processor time is what one idle core would take; it does not depend on what else the machine does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from pilothouse.core.statistics import (
    DayCounts,
    DayStratum,
    DropDetector,
    PairedNonInferiority,
    SequentialGate,
    Stratum,
    quality_interval,
    text_drift,
)
from simulation.bars import HEADER, Bar
from simulation.drift_worlds import texts, vocabulary

BASELINE = "import numpy, scipy.special"
OURS = f"{BASELINE}, pilothouse.core.statistics as s; [getattr(s, name) for name in s.__all__]"


def milliseconds(work, repetitions=50):
    """Median processor time of one call."""
    work()
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1_000 * float(np.median(times))


def import_milliseconds(code, repetitions=7):
    """Smallest processor time in which a fresh interpreter imports something, without its own start."""
    program = f"import time; t = time.process_time(); {code}; print(time.process_time() - t)"
    return 1_000 * min(
        float(
            subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(repetitions)
    )


def bars() -> list[Bar]:
    rng = np.random.default_rng(1)

    def day(i):
        return DayCounts(
            day=date(2026, 1, 1) + timedelta(days=i),
            strata=(
                DayStratum(
                    name="pass",
                    judged=270,
                    labelled_good=12,
                    labelled_bad=0,
                    probability=0.0445,
                    predicted=0.98,
                ),
                DayStratum(
                    name="fail", judged=30, labelled_good=4, labelled_bad=4, probability=0.264, predicted=0.5
                ),
            ),
        )

    detector = DropDetector(m0=0.92)
    state = detector.start()
    for i in range(5):
        state, _ = detector.update(state, day(i))
    next_day = day(6)
    strata = [
        Stratum(name="pass", judged=1888, labelled=120, good=119),
        Stratum(name="fail", judged=212, labelled=80, good=38),
    ]
    base = (rng.random(1_000) < 0.94).astype(np.int64)
    candidate = np.where(rng.random(1_000) < 0.06, 1 - base, base)
    b, c = int((candidate > base).sum()), int((candidate < base).sum())
    clusters = np.repeat(np.arange(200), 5)
    single = PairedNonInferiority(0.05)
    gate = SequentialGate(0.05, 2_000)
    world = vocabulary(rng)
    reference, current = texts(rng, world, 1_000), texts(rng, world, 300, 0.2)

    def line(what, observed, limit):
        return Bar(number=0, what=what, observed=observed, low=-float("inf"), high=limit)

    return [
        line(
            "day of 300 judged and 20 labelled items, ms",
            milliseconds(lambda: detector.update(state, next_day)),
            1.0,
        ),
        line("decision on 1,000 pairs, ms", milliseconds(lambda: single.decide_pairs(base, candidate)), 5.0),
        line(
            "decision on 1,000 pairs in 200 clusters, ms",
            milliseconds(lambda: single.decide_pairs(base, candidate, clusters=clusters)),
            5.0,
        ),
        line(
            "look of a sequential gate, ms", milliseconds(lambda: gate.update(gate.start(), b, c, 1_000)), 5.0
        ),
        line("quality interval, ms", milliseconds(lambda: quality_interval(strata)), 15.0),
        line(
            "texts, 300 against 1,000, ms",
            milliseconds(lambda: text_drift(reference, current, np.random.default_rng(1)), 5),
            1_000.0,
        ),
        line(
            "import of everything beyond numpy and scipy, ms",
            import_milliseconds(OURS) - import_milliseconds(BASELINE),
            150.0,
        ),
    ]


if __name__ == "__main__":
    print(HEADER)
    found = bars()
    for bar in found:
        print(bar)
    sys.exit(not all(bar.passed for bar in found))
