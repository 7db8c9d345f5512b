# SPDX-License-Identifier: Apache-2.0
"""Run every simulation in full and print expected, observed and allowed; exit 1 when a bar is missed.

    python benchmarks/statistics/run.py [NUMBER ...]

Simulation 19 needs a copy of the NAB corpus in the folder that PILOTHOUSE_NAB names.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import speed

from simulation.bars import HEADER, Effort
from simulation.catalogue import SIMULATIONS


def main(wanted: list[int]) -> int:
    began, missed = time.perf_counter(), []
    by_number = {simulation.number: simulation for simulation in SIMULATIONS}
    print(HEADER)
    for number in wanted or by_number:
        simulation = by_number[number]
        bars = simulation.run(Effort(simulation.full, fast=False))
        if not bars:
            print(f"{simulation.number:>3}  skipped: the folder of its files is not set (PILOTHOUSE_NAB)")
        for bar in bars:
            print(bar, flush=True)
            missed += [bar] * (not bar.passed)
    if not wanted:
        for bar in speed.bars():
            print(bar, flush=True)
            missed += [bar] * (not bar.passed)
    print(f"{len(missed)} bars missed; {time.perf_counter() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
