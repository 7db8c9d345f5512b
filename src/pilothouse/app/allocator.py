# SPDX-License-Identifier: Apache-2.0
"""Chooses Arrow's memory allocator for a server, before Arrow is loaded."""

from __future__ import annotations

import os

__all__ = ["choose_allocator"]

VARIABLE = "ARROW_DEFAULT_MEMORY_POOL"
"""Arrow reads it once, when it is loaded. `pyarrow.set_memory_pool` would come too late for the pages of its Parquet reader."""


def choose_allocator() -> None:
    """Let Arrow allocate from the C library, unless the environment names an allocator.

    Its own allocator fragments after a merge: it cannot return the memory, and allocates anew for the next one.
    """
    os.environ.setdefault(VARIABLE, "system")
