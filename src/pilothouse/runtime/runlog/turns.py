# SPDX-License-Identifier: Apache-2.0
"""Work in short turns: after each one whoever waits for the processor gets it.

A process that works on a group of events has the processor for as long as the kernel lets it, some milliseconds, and on
few cores somebody who answers a call waits for it meanwhile.
"""

from __future__ import annotations

import os
import time

__all__ = ["TURN_S", "Turns"]

TURN_S = 0.0002
"""Length of a turn: four events, or one statement. Giving way where nobody waits costs a microsecond."""


class Turns:
    """Gives the processor away when a turn is over.

    Attributes:
        is_hurried: Whether it keeps the processor instead: who gives way has a tenth of a busy one, and falls further behind
            who is behind already.
    """

    def __init__(self, turn_s: float = TURN_S) -> None:
        """Take turns of `turn_s` seconds of wall time."""
        self.is_hurried = False
        self._turn_s = turn_s
        self._began = time.perf_counter()

    def give_way(self) -> None:
        """Let others go first, if a turn has passed since they last could."""
        if not self.is_hurried and time.perf_counter() - self._began >= self._turn_s:
            os.sched_yield()
            self._began = time.perf_counter()
