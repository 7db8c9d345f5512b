# SPDX-License-Identifier: Apache-2.0
"""What the command line is given by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pilothouse.ports import Clock
from pilothouse.settings import Settings
from pilothouse.workflows.installation import Installation

__all__ = ["Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Openers and starters that commands call; nothing is opened before a command needs it.

    Attributes:
        clock: The time.
        open_installation: Open lake and ledger of the settings for the time of a command.
    """

    clock: Clock
    open_installation: Callable[[Settings], AbstractContextManager[Installation]]
