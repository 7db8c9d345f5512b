# SPDX-License-Identifier: Apache-2.0
"""Resolve the virtual key of a request to its agent, including a key that was made a moment ago.

What is in force is read once a second, and `pilothouse run` hands its agent a key that is younger than that. So before a key of
ours is refused as unknown the ledger is asked once more; whoever shows an unknown key meanwhile shares the look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from pilothouse.ports.gateway import VirtualKey
from pilothouse.runtime.gateway.keys import check_key, is_unknown
from pilothouse.runtime.gateway.policy import Directory
from pilothouse.runtime.gateway.refusal import Refused

__all__ = ["LOOK_EVERY_S", "KeyBook"]

LOOK_EVERY_S = 0.25
"""Least time between two looks: invented keys cost four small queries a second, however many come, and wait as long for their
refusal."""


class KeyBook:
    """Finds holders of keys; in the loop that serves, and nowhere else.

    Args:
        directory: Returns keys, providers and policies in force; costs nothing.
        look: Reads again what it returns; called in a thread. None where nothing can be read again.
    """

    def __init__(self, directory: Callable[[], Directory], look: Callable[[], None] | None = None) -> None:
        self._directory = directory
        self._look = look
        self._next_s = 0.0
        self._under_way: asyncio.Task[None] | None = None

    async def holder(self, shown: str, now: datetime) -> tuple[VirtualKey, Directory]:
        """Return the key that was shown, and what was in force when it was found.

        Raises:
            Refused: No such key, or it is expired or revoked.
        """
        directory = self._directory()
        try:
            return check_key(shown, directory.keys, now), directory
        except Refused:
            if self._look is None or not is_unknown(shown, directory.keys):
                raise
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._read(self._look))
        await asyncio.shield(self._under_way)  # one that goes away must not stop it for the others
        directory = self._directory()
        return check_key(shown, directory.keys, now), directory

    async def _read(self, look: Callable[[], None]) -> None:
        await asyncio.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = time.monotonic() + LOOK_EVERY_S
        self._under_way = None  # who comes from now on needs a look of its own
        await asyncio.to_thread(look)
