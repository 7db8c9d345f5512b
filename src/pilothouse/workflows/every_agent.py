# SPDX-License-Identifier: Apache-2.0
"""Work on every agent with a charter in force; a fault at one keeps no other waiting."""

from __future__ import annotations

from collections.abc import Callable

from pilothouse.errors import PilothouseError
from pilothouse.ports.ledger import CharterInForce, Ledger

__all__ = ["for_every_agent"]


def for_every_agent(ledger: Ledger, work: Callable[[CharterInForce], int]) -> int:
    """Work on each agent, and return the sum of what that returned.

    Args:
        ledger: Knows the charters in force.
        work: Does it for one agent; returns how much was done.

    Raises:
        PilothouseError: The first fault, after all agents had their turn.
    """
    done, failed = 0, None
    for record in ledger.charters():
        try:
            done += work(record)
        except PilothouseError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return done
