# SPDX-License-Identifier: Apache-2.0
"""Random ids of traces, spans and runs, drawn from the system many at a time: a system call for each costs more than the id's use.

A run's id begins with the time, so that what is written next into an index of runs lies beside what was written last.
"""

from __future__ import annotations

import os
import time

__all__ = ["new_run_id", "new_span_id", "new_trace_id"]

HALF_BYTES = 8
DRAWN = 512
"""Halves of one draw, 4 KiB."""

TICK_NS = 100_000_000
TICK_DIGITS = 4
"""Of a run's id, counting tenths of a second: runs that are written together begin alike, with those of two hours ago between
them. 112 random bits are left, 16 of them among the eight digits that lists show."""

_halves: list[str] = []
os.register_at_fork(after_in_child=_halves.clear)  # or both would go on with the same ones


def new_span_id() -> str:
    """Return a new id of a span or a model call: 16 hex digits, unique across threads.

    Example:
        >>> len({new_span_id() for _ in range(1_000)})
        1000
    """
    try:
        return _halves.pop()
    except IndexError:
        drawn = os.urandom(HALF_BYTES * DRAWN).hex()
        size = 2 * HALF_BYTES
        _halves.extend(drawn[at : at + size] for at in range(size, len(drawn), size))
        return drawn[:size]


def new_trace_id() -> str:
    """Return a new id of a trace: 32 hex digits.

    Example:
        >>> len(new_trace_id())
        32
    """
    return new_span_id() + new_span_id()


def new_run_id() -> str:
    """Return a new id of a run: 32 hex digits, of which the first four are the time."""
    tick = time.time_ns() // TICK_NS % 16**TICK_DIGITS
    return f"{tick:0{TICK_DIGITS}x}{new_trace_id()[TICK_DIGITS:]}"
