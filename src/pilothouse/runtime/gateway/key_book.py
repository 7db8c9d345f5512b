# SPDX-License-Identifier: Apache-2.0
"""Resolve the virtual key of a request to its agent, including a key that was made a moment ago.

What is in force is read once a second, and `pilothouse run` hands its agent a key that is younger than that. So before a key of
ours is refused as unknown the ledger is asked once more; whoever shows an unknown key meanwhile shares the look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from pilothouse.ports.gateway import VirtualKey
from pilothouse.runtime.gateway.keys import check_key, is_unknown
from pilothouse.runtime.gateway.policy import Directory
from pilothouse.runtime.gateway.refusal import Refused

__all__ = ["LOOK_EVERY_S", "USE_NOTED_EVERY", "KeyBook"]

LOOK_EVERY_S = 0.25
"""Least time between two looks: invented keys cost four small queries a second, however many come, and wait as long for their
refusal."""

USE_NOTED_EVERY = timedelta(hours=1)
"""Least time between two notes of when a key was last used: whoever looks for keys that nobody needs asks for the day."""


class KeyBook:
    """Finds holders of keys, and remembers when each was last used; in the loop that serves, and nowhere else.

    Args:
        directory: Returns keys, providers and policies in force; costs nothing.
        look: Reads again what it returns; called in a thread. None where nothing can be read again.
    """

    def __init__(self, directory: Callable[[], Directory], look: Callable[[], None] | None = None) -> None:
        self._directory = directory
        self._look = look
        self._next_s = 0.0
        self._under_way: asyncio.Task[None] | None = None
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}

    async def holder(self, shown: str, now: datetime) -> tuple[VirtualKey, Directory]:
        """Return the key that was shown, and what was in force when it was found.

        Raises:
            Refused: No such key, or it is expired or revoked.
        """
        directory = self._directory()
        try:
            return self._used_now(check_key(shown, directory.keys, now), now), directory
        except Refused:
            if self._look is None or not is_unknown(shown, directory.keys):
                raise
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._read(self._look))
        await asyncio.shield(self._under_way)  # one that goes away must not stop it for the others
        directory = self._directory()
        return self._used_now(check_key(shown, directory.keys, now), now), directory

    def unnoted(self) -> Mapping[str, datetime]:
        """Return when keys were last used, by prefix, of which that was not noted within the hour; in any thread."""
        return {
            prefix: at
            for prefix, at in self._used.copy().items()
            if prefix not in self._noted or at - self._noted[prefix] >= USE_NOTED_EVERY
        }

    def note(self, uses: Mapping[str, datetime]) -> None:
        """Remember what is noted, once it is on disk."""
        self._noted.update(uses)

    def _used_now(self, key: VirtualKey, now: datetime) -> VirtualKey:
        self._used[key.prefix] = now
        return key

    async def _read(self, look: Callable[[], None]) -> None:
        await asyncio.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = time.monotonic() + LOOK_EVERY_S
        self._under_way = None  # who comes from now on needs a look of its own
        await asyncio.to_thread(look)
