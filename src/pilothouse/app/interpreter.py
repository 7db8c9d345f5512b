# SPDX-License-Identifier: Apache-2.0
"""Tunes garbage collector and thread switching of a server process for short pauses."""

from __future__ import annotations

import atexit
import gc
import sys

__all__ = ["tune_interpreter"]

YOUNG_MAX = 1_000
"""Threshold of the youngest generation: a call leaves five objects, and a collection of so many takes a third of a millisecond. At
10,000 each collection stopped all calls under way for three to eleven."""

ROUNDS = (20, 100)
"""Thresholds of the older generations: nothing of a call stays in a cycle, so they are rarely collected."""

TURN_S = 0.001
"""Switch interval: how long a background thread may hold the interpreter lock; a fifth of the default."""


def tune_interpreter() -> None:
    """Tune the interpreter of a server once, when everything is loaded.

    Modules, classes and connections are then never collected again; a full collection of half a million objects stops every
    answer for tens of milliseconds. A part that allocates more, without cycles, raised the threshold when it was opened, as the
    lake does; that threshold is kept.
    """
    gc.collect()
    gc.freeze()
    # What stays frozen is never freed, and DuckDB's binding prints a page about each of its objects that are left.
    atexit.register(gc.unfreeze)
    gc.set_threshold(max(YOUNG_MAX, gc.get_threshold()[0]), *ROUNDS)
    sys.setswitchinterval(TURN_S)
