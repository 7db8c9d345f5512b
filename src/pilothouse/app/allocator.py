# SPDX-License-Identifier: Apache-2.0
"""Tells Arrow where a server's memory comes from, before anything loads it."""

from __future__ import annotations

import os

__all__ = ["choose_allocator"]

VARIABLE = "ARROW_DEFAULT_MEMORY_POOL"
"""Arrow reads it once, when it is loaded. `pyarrow.set_memory_pool` would come too late for the pages of its Parquet reader."""


def choose_allocator() -> None:
    """Have Arrow take its memory from the C library, unless the person who starts the server has chosen.

    Its own allocator keeps what a merge has used in pieces that it cannot give back, and takes new ones for the next.
    """
    os.environ.setdefault(VARIABLE, "system")
