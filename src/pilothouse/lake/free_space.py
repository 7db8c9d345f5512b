# SPDX-License-Identifier: Apache-2.0
"""Whether the disk has room for the next request, so that nothing is acknowledged that cannot be kept."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from pilothouse.ports.lake import disk_floor_bytes

__all__ = ["FreeSpace"]

CHECK_S = 1.0
"""How often the free space is measured: at full load a second writes some tens of MiB, the floor is a GiB."""


class FreeSpace:
    """The free space of a folder's disk, measured at most once a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked_at = float("-inf")
        self._has_room = True

    @property
    def has_room(self) -> bool:
        """Whether more is free than the floor."""
        at = time.monotonic()
        if at - self._asked_at > CHECK_S:
            usage = shutil.disk_usage(self._folder)
            self._has_room = usage.free > disk_floor_bytes(usage.total)
            self._asked_at = at
        return self._has_room

    @property
    def free_bytes(self) -> int:
        """Free space now."""
        return shutil.disk_usage(self._folder).free
