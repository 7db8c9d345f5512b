# SPDX-License-Identifier: Apache-2.0
"""Record agents of real frameworks through the gateway, stop the provider, replay and mutate them; fuzz context edits.

`python benchmarks/replay/run.py --runs 100` is the full table; `--runs 20` takes a fifth of the time. Ends with status 1
when a bar is missed: every run equal, every mutation placed, 98 % of them classified, no edit lossy.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "tests/stubs", ROOT / "tests/e2e", ROOT / "tests/unit/runtime"):
    sys.path.insert(0, str(folder))

CLASSIFIED_MIN = 0.98

CALLS = 3
"""Model calls of each run: two that ask for tools, and the answer."""


def replay_frameworks(runs: int, mutated: int) -> bool:
    """Print one line for each configuration, and the mutations of all; return whether the bars are met."""
    from framework_agents import CONFIGURATIONS
    from test_replay_frameworks import mutations, record, replay, sessions_of

    from pilothouse.runtime.replay.mode import ReplayMode
    from pilothouse.runtime.runlog.recorder import Recorder

    equal, found = 0, []
    print(f"{'framework':<14} {'API':<10} {'answers':<7} {'runs':>5} {'found':>6} {'equal':>6} {'CPU s':>6}")
    for place, configuration in enumerate(CONFIGURATIONS):
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder, Recorder(Path(folder)) as log:
            did = record(log, configuration, runs)
            sessions = sessions_of(log, ReplayMode.STRICT)
            replayed = replay(configuration, sessions, runs)
            same = sum(
                number in sessions and is_equal(did[number], replayed[number], sessions[number][1])
                for number in range(runs)
            )
            for number in sorted(set(range(runs)) - set(sessions)):
                print(f"run {number} came to no call: {did[number]}")
            found += mutations(log, range(place, mutated, len(CONFIGURATIONS)))
            seen = len(log.runs())
        equal += same
        stream = "stream" if configuration[2] else "whole"
        took = time.process_time() - began
        print(
            f"{configuration[0]:<14} {configuration[1]:<10} {stream:<7} {runs:>5} {seen:>6} {same:>6} {took:>6.0f}",
            flush=True,
        )
    whole = runs * len(CONFIGURATIONS)
    placed, classified = sum(one.is_placed for one in found), sum(one.is_classified for one in found)
    print(f"{equal} of {whole} runs equal")
    print(
        f"{len(found)} seeded mutations: {placed} with the right call and path, {classified} with the right class"
    )
    for one in found:
        if not one.is_placed or not one.is_classified:
            print(f"  expected {one.expected}, named {one.named}")
    return equal == whole and placed == len(found) and classified >= CLASSIFIED_MIN * len(found)


def is_equal(did, replayed, session):
    """Return whether a run went well, went the same way again, and nothing of it went anywhere else."""
    served = session.counts.served == CALLS and not session.counts.live
    return isinstance(did, tuple) and did == replayed and served and session.first_divergence() is None


def fuzz_edits(cases: int) -> bool:
    """Print how many edited requests and their ledgers were not the original; return whether none was."""
    from test_context import fuzz

    began = time.process_time()
    edited, lost = fuzz(cases, seed=random.Random(6).randrange(10**6))
    print(
        f"context edits: {cases} cases, {edited} edited, {lost} lost, {time.process_time() - began:.0f} s CPU"
    )
    return lost == 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--mutations", type=int, default=200)
    parser.add_argument("--cases", type=int, default=10_000)
    options = parser.parse_args()
    met = [fuzz_edits(options.cases), replay_frameworks(options.runs, options.mutations)]
    sys.exit(0 if all(met) else 1)
