# SPDX-License-Identifier: Apache-2.0
"""A gate run killed with -9 at many points: what was committed is there, the same command finishes, totals are exact."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest

pytestmark = pytest.mark.slow

KILLS = 50
CASES = 300
AT_ONCE = 16
DURABLE_S = 0.010
AGENT_S = 0.004

AGENT = f"""
import asyncio, os
calls = os.open("calls.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

async def run(q, ctx):
    os.write(calls, (ctx.key + "\\n").encode())
    await asyncio.sleep({AGENT_S})
    return q["n"] * 2
"""

RUN = """
import asyncio, json, os, sys
from pathlib import Path
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.dataset import load_dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.limits import AdaptiveLimit
from pilothouse.evals.runner import Runner, TrialRequest
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.targets.address import open_target

async def main():
    registry = ScorerRegistry()
    target = open_target("python:agent:run")
    cases = load_dataset(Path("cases.jsonl")).cases
    with Journal(Path("evals.db")) as journal:
        runner = Runner(
            journal, CheckBook(registry, default=registry.make("exact")), run_id="r",
            limit=AdaptiveLimit(start=%d, most=%d),
        )
        print("ready", os.getpid(), flush=True)
        outcomes = await runner.run([TrialRequest(case=c, index=0, target=target, config="c") for c in cases])
        sums = [len(outcomes), sum(o.success.value for o in outcomes), sum(o.reused for o in outcomes)]
        print("result", json.dumps(sums), flush=True)

# Each line asks for one run in a process of its own, forked while this one is still without threads.
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        asyncio.run(main())
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
""" % (AT_ONCE, AT_ONCE)  # noqa: UP031 - the program is full of braces


class Runs:
    """One warm program that runs the gate as often as it is asked to, each time in a new process."""

    def __init__(self, folder):
        self.program = subprocess.Popen(
            [sys.executable, "run.py"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.communicate(timeout=60)

    def told(self):
        word, _, rest = self.program.stdout.readline().strip().partition(" ")
        assert word, self.program.stderr.read()
        return word, json.loads(rest)

    def start(self):
        self.program.stdin.write("run\n")
        self.program.stdin.flush()
        word, child = self.told()
        assert word == "ready"
        return child

    def end(self):
        """Return the exit status, or minus the signal, and what the run said of its totals."""
        word, totals = self.told()
        if word == "ended":
            return totals, None
        return self.told()[1], totals


def committed(folder):
    with closing(sqlite3.connect(folder / "evals.db")) as database, database:
        rows = database.execute("SELECT key, reply FROM trial WHERE status = 'done'").fetchall()
        scores = database.execute("SELECT count(*) FROM score").fetchone()[0]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return dict(rows), scores


def test_no_committed_trial_is_lost_at_fifty_kills_and_the_totals_are_exact(tmp_path):
    (tmp_path / "agent.py").write_text(AGENT, encoding="utf-8")
    (tmp_path / "run.py").write_text(RUN, encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text(
        "".join(json.dumps({"input": {"n": n}, "expected": 2 * n}) + "\n" for n in range(CASES)),
        encoding="utf-8",
    )
    with Runs(tmp_path) as runs:
        known, repeats_worst = kill_often(runs, tmp_path)
        # In flight, and those that ended within 10 ms: however slow the disk, no trial starts while one waits longer.
        assert repeats_worst <= AT_ONCE + AT_ONCE * math.ceil(DURABLE_S / AGENT_S), repeats_worst

        runs.start()
        assert runs.end() == (0, [CASES, CASES, len(known)])
    rows, scores = committed(tmp_path)
    assert (len(rows), scores) == (CASES, CASES)
    print(f"{KILLS} kills, at most {repeats_worst} calls to repeat")


def kill_often(runs, folder):
    """Return what is committed after all kills, and the most calls that one of them made repeat."""
    kills = rounds = repeats_worst = 0
    known: dict[str, str] = {}
    while kills < KILLS:
        rounds += 1
        assert rounds < 3 * KILLS
        child = runs.start()
        # Points spread over the whole run: from the first calls to after the last commit.
        time.sleep(0.001 + 0.0021 * (kills % 25))
        with suppress(ProcessLookupError):  # it may have come to its end by itself
            os.kill(child, signal.SIGKILL)
        kills += runs.end()[0] == -signal.SIGKILL
        log = folder / "calls.log"
        calls = log.read_text(encoding="utf-8").split() if log.exists() else []
        now, _ = committed(folder)
        assert known.items() <= now.items(), "a committed trial was lost or changed"
        assert set(now) <= set(calls), "a trial is recorded that was never run"
        repeats_worst = max(repeats_worst, len(set(calls)) - len(now))
        known = now
        if len(known) == CASES:
            # Everything is done: begin again, so that every kill has something to interrupt.
            for name in ("evals.db", "evals.db-wal", "evals.db-shm", "calls.log"):
                (folder / name).unlink(missing_ok=True)
            known = {}
    return known, repeats_worst
