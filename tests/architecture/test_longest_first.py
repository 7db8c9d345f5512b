# SPDX-License-Identifier: Apache-2.0
"""The order of tests among workers: the longest first, each file in one piece, whatever the noted seconds know."""

from __future__ import annotations

import json
from types import SimpleNamespace

from longest_first import Noting, order


def items(*nodeids):
    return [SimpleNamespace(nodeid=one) for one in nodeids]


def test_the_longest_file_comes_first_and_no_file_is_torn_apart():
    collected = items("a.py::one", "a.py::two", "b.py::one", "new.py::one", "b.py::two", "c.py::one")
    order(collected, {"b.py": 9.0, "c.py": 40, "gone.py": 100})
    assert [one.nodeid for one in collected] == [
        "c.py::one", "b.py::one", "b.py::two", "a.py::one", "a.py::two", "new.py::one",
    ]  # fmt: skip


def test_what_counts_of_a_file_is_what_one_worker_alone_must_do(tmp_path):
    noting = Noting(tmp_path / "noted.json")
    spent = {
        "a.py::free[x@y]": 4.0,
        "a.py::other": 4.0,
        "b.py::one@shared": 4.0,
        "c.py::one@shared": 3.0,
        "c.py::alone": 1.0,
    }
    for nodeid, seconds in spent.items():
        noting.pytest_runtest_logreport(SimpleNamespace(nodeid=nodeid, duration=seconds))
    noting.pytest_sessionfinish()
    assert json.loads((tmp_path / "noted.json").read_text()) == {"b.py": 7, "c.py": 7}
