# SPDX-License-Identifier: Apache-2.0
"""Which tests need not be traced: only what is dear and reaches nothing alone, and never two that only reach it together."""

from __future__ import annotations

from types import SimpleNamespace

from untraced import leave_untraced, superfluous


def test_only_what_is_dear_and_reaches_nothing_alone_is_left_out():
    reached = {"own": {1, 9}, "same": {1, 2}, "twin": {2, 3}, "cheap": {3}, "import": {7}}
    cost_s = {"own": 5.0, "same": 4.0, "twin": 3.0, "cheap": 0.01, "import": 1.0, "nowhere": 2.0}
    # Without `same` the second branch hangs on `twin`, which therefore stays; the third would be there without it.
    assert superfluous(reached, cost_s, anyway={7}) == ["same", "nowhere", "import"]
    left = [branches for test, branches in reached.items() if test in {"own", "twin", "cheap"}]
    assert set().union(*left) | {7} == set().union(*reached.values())


def test_all_parameters_of_a_function_are_left_out_and_a_strangers_name_is_not_missed():
    marked = []
    items = [
        SimpleNamespace(
            nodeid=nodeid, add_marker=lambda mark, nodeid=nodeid: marked.append((nodeid, mark.name))
        )
        for nodeid in ("a.py::one[x]", "a.py::one[y]", "a.py::one_more", "b.py::two")
    ]
    leave_untraced(items, ["a.py::one", "gone.py::three"])
    assert marked == [("a.py::one[x]", "no_cover"), ("a.py::one[y]", "no_cover")]
