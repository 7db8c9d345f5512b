# SPDX-License-Identifier: Apache-2.0
"""`make test` leaves out what is marked `long`, says so, and runs it when it is asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from long_lane import leave_out


def item(name, *marks):
    return SimpleNamespace(name=name, get_closest_marker=lambda mark: mark if mark in marks else None)


@pytest.mark.parametrize(
    ("asked", "words", "run"),
    [
        ("", ["tests", "src"], ["short"]),
        ("slow", ["tests"], ["short"]),
        ("not slow", ["tests"], ["short"]),
        ("long", ["tests"], ["short", "whole"]),
        ("", ["tests/e2e/test_drill_all.py::test_whole"], ["short", "whole"]),
    ],
)
def test_what_is_long_runs_only_when_it_is_asked_for(asked, words, run):
    told = []

    def tell(items):
        told.extend(items)

    config = SimpleNamespace(
        option=SimpleNamespace(markexpr=asked),
        args=words,
        hook=SimpleNamespace(pytest_deselected=tell),
    )
    items = [item("short", "slow"), item("whole", "slow", "long")]
    leave_out(config, items)
    assert [one.name for one in items] == run, "a mark that is asked for is pytest's to choose by"
    assert [one.name for one in told] == (["whole"] if run == ["short"] else [])
