# SPDX-License-Identifier: Apache-2.0
"""Tests of the core that reach no branch which no other test reaches run without being traced.

Being traced more than doubles what a test costs, and most tests walk where others have walked. `make untraced` finds those
that cost much and reach nothing of their own. They run all the same; and where what is traced does not reach 100 %, as
after a change that nobody has measured yet, `make coverage` runs again and traces everything.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import pytest

__all__ = ["Finding", "leave_untraced", "superfluous"]

NOTED = Path(__file__).parents[1] / "untraced.json"
"""Functions of tests, with all their parameters, that need not be traced."""

COSTS_FROM_S = 0.2
"""A test that is quicker is always traced: nothing is won, and it may be the one that a change makes necessary."""


def leave_untraced(items, noted=None):
    """Mark the tests that need not be traced, as pytest-cov understands it."""
    if noted is None:
        noted = json.loads(NOTED.read_text(encoding="utf-8"))
    known = frozenset(noted)
    for item in items:
        if _function_of(item.nodeid) in known:
            item.add_marker(pytest.mark.no_cover)


def superfluous(reached, cost_s, anyway=()):
    """Return tests, the dearest first, without which all that is reached together still is.

    Args:
        reached: By test, the branches that it reaches.
        cost_s: By test, its seconds.
        anyway: Branches that are reached without any test, by importing.
    """
    times = Counter(branch for branches in reached.values() for branch in branches)
    times.update(anyway)
    found = []
    for test in sorted(cost_s, key=lambda one: (-cost_s[one], one)):
        if cost_s[test] >= COSTS_FROM_S and all(times[branch] > 1 for branch in reached.get(test, ())):
            times.subtract(reached.get(test, ()))
            found.append(test)
    return found


class Finding:
    """A plugin that reads what each test of a run reached, once pytest-cov has brought it together; writes the file."""

    def __init__(self, data=Path(".coverage"), path=NOTED):
        self._data, self._path = data, path
        self._cost_s = defaultdict(float)

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self._cost_s[_function_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self):
        reached = defaultdict(set)
        with closing(sqlite3.connect(self._data)) as connection:
            rows = connection.execute(
                "SELECT context, file_id, fromno, tono FROM arc JOIN context ON context.id = context_id"
            )
            for context, *branch in rows:
                nodeid, _, when = context.rpartition("|")
                # What a fixture reaches is reached whether its test is traced or not.
                reached[_function_of(nodeid) if when == "run" else ""].add(tuple(branch))
        anyway = reached.pop("", set())
        found = sorted(superfluous(reached, self._cost_s, anyway))
        self._path.write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")


def _function_of(nodeid):
    return nodeid.partition("[")[0]
