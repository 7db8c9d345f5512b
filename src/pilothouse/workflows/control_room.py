# SPDX-License-Identifier: Apache-2.0
"""The opened parts with which people keep agents in hand: everything of an installation, and its controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ports import ControlStore
    from pilothouse.workflows.installation import Installation

__all__ = ["ControlRoom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRoom:
    """What commands and pages about a running agent are given.

    Attributes:
        installation: Opened lake and ledger.
        controls: What is paused or rolled back.
    """

    installation: Installation
    controls: ControlStore
