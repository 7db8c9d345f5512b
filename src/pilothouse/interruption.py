# SPDX-License-Identifier: Apache-2.0
"""A stop that waits for the end of a transaction: whoever is stopped can still write that he was.

Python raises `KeyboardInterrupt` between any two steps of the program. Between a transaction's begin and the block that
ends it, it leaves a transaction that nobody ends: what is to be written on the way out waits for that lock as long as
the ledger allows, and it is this process that holds it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "INTERRUPTED",
    "ONE_STOP_S",
    "repeat_lost_stops",
    "stop_between_transactions",
    "unbroken",
    "was_told_to_stop",
]

INTERRUPTED = 130
"""Exit status of what was interrupted, as a shell gives it."""

ONE_STOP_S = 1.0
"""Within which further signals are the same stop: a terminal that closes says so, and then its shell does, too."""


class _Transactions(threading.local):
    """How deep in transactions a thread is; handlers of signals run in the main thread and see its own."""

    depth = 0
    stop_waits = False


_transactions = _Transactions()
_told: list[int] = []
"""The signals that were taken for a stop, since the outermost block that takes them began."""


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold a stop that comes in this block until the block ends; a second one, a second later, is not held.

    Example:
        >>> with unbroken():
        ...     written = "whole"
        >>> written
        'whole'
    """
    _transactions.depth += 1
    try:
        yield
    finally:
        _transactions.depth -= 1
        if _transactions.stop_waits and not _transactions.depth:
            _transactions.stop_waits = False
            raise KeyboardInterrupt


@contextmanager
def stop_between_transactions(numbers: Iterable[int]) -> Iterator[None]:
    """Let signals raise `KeyboardInterrupt` in the main thread, but in no transaction; a signal that is ignored stays so.

    Args:
        numbers: Signals, as `signal.SIGTERM`.
    """
    said_at = float("-inf")

    def stop(number: int, _frame: object) -> None:
        nonlocal said_at
        now = time.monotonic()
        if now - said_at < ONE_STOP_S:
            return
        said_at = now
        _told.append(number)
        if _transactions.depth and not _transactions.stop_waits:
            _transactions.stop_waits = True
            return
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in numbers}
    replaced = {
        number: was for number, was in before.items() if was in {signal.SIG_DFL, signal.default_int_handler}
    }
    if replaced:
        _told.clear()
    try:
        for number in replaced:
            signal.signal(number, stop)
        yield
    finally:
        for number, was in replaced.items():
            signal.signal(number, was)


def was_told_to_stop() -> bool:
    """Whether a stop came in the newest `stop_between_transactions`, so that what failed since then failed by it."""
    return bool(_told)


def repeat_lost_stops() -> None:
    """Let Ctrl-C be said again when it was lost: it came while the interpreter tidied up, where no exception goes up."""
    before = sys.unraisablehook

    def hear(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is not KeyboardInterrupt:
            before(lost)
            return
        main = threading.main_thread().ident
        again = threading.Timer(
            ONE_STOP_S * 1.1, signal.pthread_kill, [main, signal.SIGINT]
        )  # it may be asleep
        again.daemon = True
        again.start()

    sys.unraisablehook = hear
