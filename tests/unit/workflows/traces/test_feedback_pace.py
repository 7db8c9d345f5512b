# SPDX-License-Identifier: Apache-2.0
"""A sender may say so much in a minute, and a clock that is set back makes that minute no longer."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pilothouse.errors import UsageError
from pilothouse.workflows.traces.feedback import Desk, TooFast


def test_a_minute_is_a_minute_though_the_clock_goes_back():
    clock = SimpleNamespace(at=datetime(2026, 11, 21, tzinfo=UTC))
    clock.now = lambda: clock.at
    desk = Desk("key", None, None, None, None, clock=clock)

    def fill():
        for _ in range(60):
            with pytest.raises(UsageError):
                desk.hand_in(b"{}", bearer="", sender="10.0.0.1")
        with pytest.raises(TooFast):
            desk.hand_in(b"{}", bearer="", sender="10.0.0.1")

    fill()
    clock.at += timedelta(minutes=1)
    fill()
    clock.at -= timedelta(hours=1)
    fill()
