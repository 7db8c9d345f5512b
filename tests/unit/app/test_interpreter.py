# SPDX-License-Identifier: Apache-2.0
"""A server that settles down leaves the lake the wide limit it asked for; a process without a lake gets a narrow one."""

from __future__ import annotations

import gc
import sys

import pytest

from pilothouse.app import SystemClock
from pilothouse.app.interpreter import YOUNG_MAX, tune_interpreter
from pilothouse.lake.node import YOUNG_OBJECTS_MAX, open_node


@pytest.fixture(autouse=True)
def as_it_was():
    limits, turn = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.set_threshold(*limits)
    sys.setswitchinterval(turn)
    gc.unfreeze()


def test_a_server_with_a_lake_keeps_the_limit_of_the_lake(tmp_path):
    node = open_node(tmp_path / "lake", SystemClock())
    try:
        tune_interpreter()
        assert gc.get_threshold()[0] == YOUNG_OBJECTS_MAX
    finally:
        node.stop()


def test_a_server_without_one_gets_its_own():
    gc.set_threshold(700)  # as interpreters start, some with more
    tune_interpreter()
    assert gc.get_threshold()[0] == YOUNG_MAX
