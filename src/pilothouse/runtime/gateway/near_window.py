# SPDX-License-Identifier: Apache-2.0
"""Which calls came near the window of their model: they go on, and somebody is told.

Only a call that reaches a level is looked at, and of an agent only the first on a day that goes higher than those before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.runtime.gateway.untold import Untold
from pilothouse.runtime.recent import Recent

__all__ = ["REFUSED_LEVEL", "NearCall", "NearWindow"]

REFUSED_LEVEL = 100
"""Level, in percent, of a call that does not fit and is refused."""

TOLD_MAX = 10_000
"""Models of agents whose highest level of the day is remembered, as many as there may be keys; one that is forgotten is told anew, and the ledger knows it."""

_NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCall:
    """A call that reached a level of the window.

    Attributes:
        agent: Agent id.
        model: Model that was to be asked.
        run: Run id.
        level: The highest level that it reached, in percent, or `REFUSED_LEVEL`.
        share: What input and output could fill at most, as a share of the window.
        window: Tokens of the window.
    """

    agent: str
    model: str
    run: str
    level: int
    share: float
    window: int


class NearWindow:
    """Collects them on the event loop.

    Attributes:
        untold: Those that nobody has put on record.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._told = Recent[tuple[str, str], tuple[int, int]](TOLD_MAX)
        self.untold = Untold[NearCall]()

    def note(self, near: NearCall, at_ns: int) -> None:
        """Note a call, unless its agent has come as near with that model on that day (UTC).

        Args:
            near: The call.
            at_ns: When it came in, Unix nanoseconds.
        """
        whose, told = (near.agent, near.model), (at_ns // _NS_PER_DAY, near.level)
        if (self._told.get(whose) or (0, 0)) >= told or not self.untold.has_room:
            return
        self._told.put(whose, told)
        self.untold.add(near)
