# SPDX-License-Identifier: Apache-2.0
"""The control room that most workflows are tried in: a clock that a test moves, and a service that is paged."""

from __future__ import annotations

import pytest
from control_rooms import Hands, control_room_at
from sinks import web_sink


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def room(tmp_path, clock):
    with control_room_at(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def web():
    with web_sink() as sink:
        yield sink
