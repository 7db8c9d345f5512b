# SPDX-License-Identifier: Apache-2.0
"""A worker is killed at every point that matters; another one goes on, and nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kill_harness
import pytest
from kill_harness import TIMERS, outcome, prepare
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.work import Timer, WorkChange

__all__ = ["postgres_server"]

pytestmark = pytest.mark.slow

EXPECTED = sorted(["at-once", *(f"t{number}/page" for number in range(TIMERS))])
PAGES = len(EXPECTED)
TIMES = {"fire:before": 4, "fire:commit": 4, "fire:after": 4}
POINTS = [
    f"{name}@{nth}"
    for name in (
        "beat:before",
        "beat:after",
        "fire:before",
        "fire:commit",
        "fire:after",
        "claim:before",
        "claim:after",
        "send:before",
        "send:inside",
        "send:after",
        "settle:commit",
        "settle:after",
    )
    for nth in range(1, TIMES.get(name, 5) + 1)
]
REPEATABLE = {"send:before", "send:inside", "send:after", "settle:commit", "settle:after"}
"""Points at which pages are on their way in other threads: what died unsettled goes out again, under its own key."""


def killed(template, folder, points, life_s=0.6):
    done = subprocess.run(
        [sys.executable, kill_harness.__file__, template, str(folder), str(life_s), *points],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(found):
    where = found["point"]
    assert found["ends"][1] == 0, where
    # What a kill between send and settle sends again carries the same key: whoever receives it counts it once.
    assert sorted(set(found["sent"])) == EXPECTED, where
    assert [tuple(state) for state in found["states"]] == [(key, "done") for key in EXPECTED], where
    assert found["fired"] == TIMERS, where
    again = len(found["sent"]) - PAGES
    assert again <= (PAGES if where.partition("@")[0] in REPEATABLE else 0), where


@pytest.mark.parametrize("half", range(2))
def test_nothing_is_lost_or_doubled_whichever_of_fifty_points_a_kill_hits(tmp_path, half):
    assert len(POINTS) >= 50
    found = killed(f"sqlite:///{tmp_path}/ledger-{{}}.sqlite", tmp_path, POINTS[half::2])
    assert [one["point"] for one in found] == POINTS[half::2]
    for one in found:
        check(one)
    died = [one["point"] for one in found if one["ends"][0] == -signal.SIGKILL]
    assert len(died) >= len(found) // 2, "most of the doomed must have reached their point"


def test_kills_on_postgres_lose_and_double_nothing_either(request, tmp_path):
    for point in ("fire:commit@2", "settle:commit@1"):
        (found,) = killed(fresh_postgres_url(request), tmp_path, [point])
        check(found)
        (tmp_path / "effects-0.sqlite").unlink()


def single(url, effects, life_s, point="", nth=0):
    code = (
        "import sys; from kill_harness import work; "
        "sys.exit(work(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[5])))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, url, str(effects), str(life_s), point, str(nth)],
        cwd=Path(kill_harness.__file__).parent,
    )


def freeze(process, file):
    """Stop a process at a moment at which it writes nothing: in the middle it would hold the one lock of SQLite."""
    for _ in range(200):
        os.kill(process.pid, signal.SIGSTOP)
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as probe:
            try:
                probe.execute("BEGIN IMMEDIATE")
                probe.execute("ROLLBACK")
            except sqlite3.OperationalError:
                os.kill(process.pid, signal.SIGCONT)
                time.sleep(0.01)
            else:
                return
    pytest.fail("it was writing whenever we looked")


def test_a_process_that_was_frozen_comes_back_with_a_stale_fence_and_does_nothing_twice(tmp_path):
    url, effects = f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path / "effects.sqlite"
    prepare(url, effects)
    with open_ledger(url) as ledger:
        later = datetime.now(UTC) + timedelta(seconds=4)
        SqlWork(ledger.database).commit(
            None, WorkChange(timers=(Timer(key="later", due_at=later, kind="ack", subject="INC-1"),))
        )
    frozen = single(url, effects, 0.6)
    deadline = time.monotonic() + 30
    while len(outcome(url, effects)[0]) < PAGES and time.monotonic() < deadline:
        time.sleep(0.05)
    freeze(frozen, tmp_path / "ledger.sqlite")
    assert single(url, effects, 0.6).wait(60) == 0
    os.kill(frozen.pid, signal.SIGCONT)
    assert frozen.wait(60) == 0
    sent, states, fired = outcome(url, effects)
    assert sorted(set(sent)) == sorted([*EXPECTED, "later/page"])
    assert all(state == "done" for _, state in states)
    assert fired == TIMERS + 1


def test_a_second_process_takes_over_within_fifteen_seconds_of_a_kill(tmp_path):
    url, effects = f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path / "effects.sqlite"
    prepare(url, effects)
    assert single(url, effects, 10.0, "beat:after", 1).wait(30) == -signal.SIGKILL
    began = time.monotonic()
    assert single(url, effects, 10.0).wait(60) == 0
    assert time.monotonic() - began <= 15.0
    assert sorted(outcome(url, effects)[0]) == EXPECTED
