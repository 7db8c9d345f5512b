# SPDX-License-Identifier: Apache-2.0
"""Keys that were made a moment ago: before a key is refused as unknown, the ledger is asked once more.

What is in force is read once a second, and `pilothouse run` hands its agent a key that is younger than that. Whoever shows an
unknown key meanwhile shares one look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["LOOK_EVERY_S", "Newcomers"]

LOOK_EVERY_S = 0.25
"""Least time between two looks: invented keys cost four small queries a second, however many come, and wait as long for their
refusal."""


class Newcomers:
    """Looks for keys that are not known yet; in the loop that serves, and nowhere else.

    Args:
        look: Reads again what is in force; called in a thread. None where nothing can be read again.
    """

    def __init__(self, look: Callable[[], None] | None) -> None:
        self._look = look
        self._next_s = 0.0
        self._under_way: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when what is in force has been read at or after this moment."""
        if self._look is None:
            return
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._read(self._look))
        await asyncio.shield(self._under_way)  # one that goes away must not stop it for the others

    async def _read(self, look: Callable[[], None]) -> None:
        await asyncio.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = time.monotonic() + LOOK_EVERY_S
        self._under_way = None  # who comes from now on needs a look of its own
        await asyncio.to_thread(look)
