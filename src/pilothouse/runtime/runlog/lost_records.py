# SPDX-License-Identifier: Apache-2.0
"""Which agents have calls that went on without a record: somebody is told, for nobody misses what was never there."""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.runtime.gateway.untold import Untold
from pilothouse.runtime.recent import Recent

__all__ = ["LostRecord", "LostRecords"]

TOLD_MAX = 10_000
"""Agents of which it is remembered on which day it was told, as many as there may be keys; one that is forgotten is told anew, and the ledger knows it."""

_NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRecord:
    """A call whose record could not be written.

    Attributes:
        agent: Agent id.
        run: Run id.
        why: Why, as the run log says.
        at_ns: When the call came in, Unix nanoseconds.
    """

    agent: str
    run: str
    why: str
    at_ns: int


class LostRecords:
    """Collects them on the event loop, of each agent the first of a day (UTC).

    Attributes:
        untold: Those that nobody has put on record.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._told = Recent[str, int](TOLD_MAX)
        self.untold = Untold[LostRecord]()

    def note(self, lost: LostRecord) -> None:
        """Note a call."""
        day = lost.at_ns // _NS_PER_DAY
        if self._told.get(lost.agent) == day or not self.untold.has_room:
            return
        self._told.put(lost.agent, day)
        self.untold.add(lost)
