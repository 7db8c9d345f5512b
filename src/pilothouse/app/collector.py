# SPDX-License-Identifier: Apache-2.0
"""Tells the garbage collector of a server that what it has started with stays, and the interpreter whose turn is short."""

from __future__ import annotations

import atexit
import gc
import sys

__all__ = ["settle_down"]

YOUNG_MAX = 1_000
"""Objects that are made and stay between two looks at the young ones: a call leaves five, and a look at so many takes a third
of a millisecond. At 10,000 every look stopped all calls under way for three to eleven."""

ROUNDS = (20, 100)
"""Looks at the young ones for one at those that stayed, and of these for one at all: nothing of a call stays in a cycle."""

TURN_S = 0.001
"""How long a thread in the background keeps the interpreter from the one that answers; a fifth of the usual."""


def settle_down() -> None:
    """Do this once, in the process of a server, when everything is loaded.

    Modules, classes and connections are then never looked at again; a full look at half a million of them stops every
    answer for tens of milliseconds. A part that makes more and without cycles has asked for a wider limit when it was
    opened, as the lake does; it keeps it.
    """
    gc.collect()
    gc.freeze()
    # What stays frozen is never freed, and DuckDB's binding prints a page about each of its objects that are left.
    atexit.register(gc.unfreeze)
    gc.set_threshold(max(YOUNG_MAX, gc.get_threshold()[0]), *ROUNDS)
    sys.setswitchinterval(TURN_S)
