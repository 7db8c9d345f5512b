# SPDX-License-Identifier: Apache-2.0
"""How long a failed attempt is waited for before the next, and where it is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pilothouse.runtime.gateway.failure import Failure, pause_before_next
from pilothouse.runtime.gateway.policy import Limits

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
DATE = b"Fri, 20 Nov 2026 09:00:20 GMT"


@pytest.mark.parametrize(
    ("said", "while_another_is_left", "at_the_last"),
    [
        ({b"retry-after": b"1"}, 1.0, 1.0),
        ({b"retry-after": b"20"}, None, 20.0),
        ({b"retry-after": DATE}, None, 20.0),
        ({b"retry-after-ms": b"1500", b"retry-after": b"2"}, 1.5, 1.5),
        ({b"retry-after": b"61"}, None, None),
        ({b"retry-after": b"1000000000"}, None, None),
        ({b"retry-after": b"-1"}, 0.2, 0.2),
        ({b"retry-after": b"0"}, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_wait_that_is_asked_for_is_waited_or_not_begun(status, said, while_another_is_left, at_the_last):
    failure = Failure.of_status(status, list(said.items()), b"", NOW)
    for is_last, waited in ((False, while_another_is_left), (True, at_the_last)):
        pause = pause_before_next(failure, Limits(), tries=1, is_last=is_last, left_s=120.0, chance=0.5)
        assert pause == waited
    if at_the_last:
        assert (
            pause_before_next(failure, Limits(), tries=1, is_last=True, left_s=at_the_last, chance=0.5)
            is None
        )
