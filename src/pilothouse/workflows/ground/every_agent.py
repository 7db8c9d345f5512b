# SPDX-License-Identifier: Apache-2.0
"""Work on every agent with a charter in force; a fault at one keeps no other waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pilothouse.ports.ledger import CharterInForce, Ledger

__all__ = ["Faults", "for_every_agent"]


class Faults:
    """What went wrong at single agents while others were worked on; the first is raised when all had their turn.

    Any fault is kept, also a bug of ours: a watch that is blind for one agent must not be blind for all.
    """

    def __init__(self) -> None:
        self._first: Exception | None = None

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Do a piece of work whose fault is kept for later."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised by `raise_first`
            self._first = self._first or error

    def raise_first(self) -> None:
        """Raise the first fault that was kept, if there is one."""
        if self._first is not None:
            raise self._first


def for_every_agent(ledger: Ledger, work: Callable[[CharterInForce], int]) -> int:
    """Work on each agent, and return the sum of what that returned.

    Args:
        ledger: Knows the charters in force.
        work: Does it for one agent; returns how much was done.

    Raises:
        Exception: The first fault, after all agents had their turn.
    """
    done, faults = 0, Faults()
    for record in ledger.charters():
        with faults.apart():
            done += work(record)
    faults.raise_first()
    return done
