# SPDX-License-Identifier: Apache-2.0
"""What the command line is given by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ports import Clock

__all__ = ["Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Openers and starters that commands call; nothing is opened before a command needs it.

    Attributes:
        clock: The time.
    """

    clock: Clock
