# SPDX-License-Identifier: Apache-2.0
"""CPU of one tick of the watch over 100 agents with 10 task types each: when nothing is due, and when a day closes."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from pilothouse.workflows.watch.effects import settle_all  # noqa: E402
from pilothouse.workflows.watch.evidence import record_watch_evidence  # noqa: E402
from pilothouse.workflows.watch.tick import (  # noqa: E402
    AGENTS_AT_ONCE,
    advance_all,
    run_watch,
)
from pilothouse.workflows.watch.whole import look_at_whole  # noqa: E402
from simulation.watch_worlds import many_agents  # noqa: E402 - the path above leads there

AGENTS, TYPES, TASKS = 100, 10, 20
LIMIT_S = 2.0


def main() -> int:
    """Print CPU seconds of each kind of tick; return 1 when one takes more than 2 s."""
    with (
        tempfile.TemporaryDirectory() as folder,
        many_agents(Path(folder), AGENTS, TYPES, TASKS) as (watch, live),
    ):
        night = datetime(2026, 1, 2, 1, 5, tzinfo=UTC)
        for day in range(4):
            live()
            _catch_up(watch, night + timedelta(days=day))
        live()
        closing = night + timedelta(days=4)
        parts = []
        for name, act in (
            ("days counted", advance_all),
            ("whole agents", look_at_whole),
            ("effects", settle_all),
            ("evidence", record_watch_evidence),
        ):
            began = time.process_time()
            act(watch, closing)
            parts.append((name, time.process_time() - began))
        _catch_up(watch, closing)
        began = time.process_time()
        run_watch(watch, closing + timedelta(minutes=1))
        quiet = time.process_time() - began
    print(f"{AGENTS} agents x {TYPES} task types, {TASKS} tasks a day each:")
    print(f"  a tick with nothing due: {quiet:.2f} s CPU (at most {LIMIT_S:g})")
    closing_s = sum(one[1] for one in parts)
    print(
        f"  a tick in which the day of {AGENTS_AT_ONCE} agents closes: {closing_s:.2f} s CPU (at most {LIMIT_S:g})"
    )
    for name, seconds in parts:
        print(f"    {name}: {seconds:.2f} s")
    return int(max(quiet, closing_s) > LIMIT_S)


def _catch_up(watch, now):
    """Tick until every agent has its day."""
    while run_watch(watch, now).days:
        pass


if __name__ == "__main__":
    sys.exit(main())
