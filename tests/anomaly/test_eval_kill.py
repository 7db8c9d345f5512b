# SPDX-License-Identifier: Apache-2.0
"""A gate run killed with -9 at many points: what was committed is there, the same command finishes, totals are exact."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

KILLS = 50
CASES = 300
AT_ONCE = 16
COMMIT_S = 0.010
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
import asyncio, json, sys
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
        print("ready", flush=True)
        outcomes = await runner.run([TrialRequest(case=c, index=0, target=target, config="c") for c in cases])
        print(json.dumps([len(outcomes), sum(o.success.value for o in outcomes), sum(o.reused for o in outcomes)]))

asyncio.run(main())
""" % (AT_ONCE, AT_ONCE)  # noqa: UP031 - the program is full of braces


def start(folder):
    process = subprocess.Popen(
        [sys.executable, "run.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def committed(folder):
    with sqlite3.connect(folder / "evals.db") as database:
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
    kills = rounds = 0
    known: dict[str, str] = {}
    repeats_worst = 0
    while kills < KILLS:
        rounds += 1
        assert rounds < 3 * KILLS
        before = len(known)
        process = start(tmp_path)
        # Points spread over the whole run: from the first calls to after the last commit.
        time.sleep(0.001 + 0.0021 * (kills % 25))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        calls = (
            (tmp_path / "calls.log").read_text(encoding="utf-8").split()
            if (tmp_path / "calls.log").exists()
            else []
        )
        now, _ = committed(tmp_path)
        assert known.items() <= now.items(), "a committed trial was lost or changed"
        assert set(now) <= set(calls), "a trial is recorded that was never run"
        lost = len(set(calls)) - len(now)
        repeats_worst = max(repeats_worst, lost)
        known = now
        if len(known) == CASES or len(known) == before == CASES:
            # Everything is done: begin again, so that every kill has something to interrupt.
            for name in ("evals.db", "evals.db-wal", "evals.db-shm", "calls.log"):
                (tmp_path / name).unlink(missing_ok=True)
            known = {}
    # In flight, and those that ended within one commit interval (with a disk that needs its time to sync).
    assert repeats_worst <= 2 * AT_ONCE + AT_ONCE * (10 * COMMIT_S / AGENT_S), repeats_worst

    process = start(tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    total, good, reused = json.loads(out)
    assert (total, good) == (CASES, CASES)
    assert reused == len(known)
    rows, scores = committed(tmp_path)
    assert (len(rows), scores) == (CASES, CASES)
    print(f"{KILLS} kills, at most {repeats_worst} calls to repeat")
