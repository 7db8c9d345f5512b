# SPDX-License-Identifier: Apache-2.0
"""What takes longest begins first, so that no worker still works when all others have ended.

The order comes from a file of seconds that `make longest` writes. It decides nothing else: a file of tests that it does
not know comes where it was collected, and one that is gone is not missed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

__all__ = ["Noting", "order"]

NOTED = Path(__file__).parents[1] / "longest_first.json"
"""By file of tests: the seconds of what one worker alone must do of it."""

NOTED_FROM_S = 5.0
"""What is shorter fills gaps wherever it stands."""


def order(items, noted=None):
    """Put the tests of the longest files first; tests of one file stay together, in their order."""
    if noted is None:
        noted = json.loads(NOTED.read_text(encoding="utf-8"))
    items.sort(key=lambda item: -noted.get(_file_of(item.nodeid), 0.0))


class Noting:
    """A plugin that measures a run, and writes the file."""

    def __init__(self, path=NOTED):
        self._path = path
        self._spent_s = defaultdict(float)
        self._scopes = defaultdict(set)

    def pytest_runtest_logreport(self, report):
        scope = _scope_of(report.nodeid)
        self._spent_s[scope] += report.duration
        self._scopes[_file_of(report.nodeid)].add(scope)

    def pytest_sessionfinish(self):
        longest = {file: max(self._spent_s[one] for one in scopes) for file, scopes in self._scopes.items()}
        kept = {file: round(seconds) for file, seconds in longest.items() if seconds >= NOTED_FROM_S}
        sorted_text = json.dumps(dict(sorted(kept.items(), key=lambda one: (-one[1], one[0]))), indent=1)
        self._path.write_text(f"{sorted_text}\n", encoding="utf-8")


def _scope_of(nodeid):
    """Return what one worker runs as a whole: a group, or a test of none; pytest-xdist writes a group behind an @."""
    return nodeid.rpartition("@")[2] if nodeid.rfind("@") > nodeid.rfind("]") else nodeid


def _file_of(nodeid):
    return nodeid.partition("::")[0]
