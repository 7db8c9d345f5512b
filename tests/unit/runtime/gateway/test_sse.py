# SPDX-License-Identifier: Apache-2.0
"""A stream is cut at the ends of its events, wherever its provider cuts it."""

from __future__ import annotations

import random
import time

import pytest

from pilothouse.runtime.gateway import sse
from pilothouse.runtime.gateway.sse import EventCutter

STREAM = b"data: 1\n\ndata: 2\r\n\r\n: ping\r\rdata: 3\r\ndata: 4\n\nevent: e\ndata: 5"


@pytest.mark.parametrize("seed", range(200))
def test_what_goes_on_ends_with_an_event_and_nothing_is_lost(seed):
    chance, cutter, passed = random.Random(seed), EventCutter(), b""
    places = sorted(chance.sample(range(len(STREAM)), chance.randrange(len(STREAM))))
    for begin, end in zip([0, *places], [*places, len(STREAM)], strict=True):
        part = cutter.feed(STREAM[begin:end])
        assert not part or part.endswith(sse.ENDS)
        passed += part
    assert passed.endswith(b"4\n\n")
    assert passed + cutter.rest() == STREAM


def test_an_event_that_comes_byte_by_byte_is_looked_at_once():
    event = b"data: " + b"x y " * 25_000 + b"\n\n"
    cutter, began = EventCutter(), time.thread_time()
    passed = b"".join(cutter.feed(event[at : at + 1]) for at in range(len(event)))
    assert passed == event
    assert time.thread_time() - began < 2.0, "it took 13 seconds"


def test_one_that_is_too_long_goes_on_in_parts(monkeypatch):
    monkeypatch.setattr(sse, "TAIL_BYTES_MAX", 4)
    cutter = EventCutter()
    assert [cutter.feed(part) for part in (b"a\n\nbcdef", b"gh", b"ijk", b"\n\n")] == [
        b"a\n\nbcdef",
        b"",
        b"ghijk",
        b"\n\n",
    ]
    assert cutter.rest() == b""
