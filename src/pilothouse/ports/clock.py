# SPDX-License-Identifier: Apache-2.0
"""The port of time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["Clock"]


@runtime_checkable
class Clock(Protocol):
    """Tells the time; a test hands in one that stands still."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        ...
