# SPDX-License-Identifier: Apache-2.0
"""The four ways to play a run again; alone here because the command line names them before anything is loaded."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ReplayMode"]


class ReplayMode(StrEnum):
    """How requests are answered that are not in the record."""

    STRICT = "strict"
    PIN_TOOLS = "pin-tools"
    FORK = "fork"
    COMPARE = "compare"
