# SPDX-License-Identifier: Apache-2.0
"""Record agents of real frameworks through the gateway, stop the provider, replay them; and fuzz context edits.

`python benchmarks/replay/run.py --runs 100` is the full table; `--runs 20` takes a fifth of the time.
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


def replay_frameworks(runs: int) -> None:
    """Print one line for each configuration: runs that were equal, split and merged."""
    from framework_agents import CONFIGURATIONS
    from test_replay_frameworks import record, replay, sessions_of

    from pilothouse.runtime.replay.mode import ReplayMode
    from pilothouse.runtime.runlog.recorder import Recorder

    for configuration in CONFIGURATIONS:
        with tempfile.TemporaryDirectory() as folder, Recorder(Path(folder)) as log:
            did = record(log, configuration, runs)
            sessions = sessions_of(log, ReplayMode.STRICT)
            replayed = replay(configuration, sessions, runs)
            same = sum(
                did[number] == replayed[number] and sessions[number][1].first_divergence() is None
                for number in range(runs)
            )
            stream = "stream" if configuration[2] else "whole"
            name = f"{configuration[0]:<14} {configuration[1]:<10} {stream:<7}"
            print(f"{name} {same}/{runs} equal, {len(log.runs())} runs found", flush=True)


def fuzz_edits(cases: int) -> None:
    """Print how many edited requests and their ledgers were not the original."""
    from test_context import fuzz

    began = time.process_time()
    edited, lost = fuzz(cases, seed=random.Random(6).randrange(10**6))
    print(
        f"context edits: {cases} cases, {edited} edited, {lost} lost, {time.process_time() - began:.0f} s CPU"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--cases", type=int, default=10_000)
    options = parser.parse_args()
    fuzz_edits(options.cases)
    replay_frameworks(options.runs)
