# SPDX-License-Identifier: Apache-2.0
"""The start-up hook of a Python agent: records or replays the random numbers and times that it draws and the hosts that it contacts."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_folder"]


def hook_folder() -> Path:
    """Return the folder that goes first on the agent's Python path."""
    return Path(__file__).with_name("site")
