# SPDX-License-Identifier: Apache-2.0
"""The port of time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["Clock"]


@runtime_checkable
class Clock(Protocol):
    """A source of time; tests pass a fixed one."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        ...
