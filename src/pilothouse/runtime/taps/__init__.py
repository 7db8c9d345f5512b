# SPDX-License-Identifier: Apache-2.0
"""The start-up hook of a Python agent: what a process draws and which hosts it contacts, recorded or played back."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_folder"]


def hook_folder() -> Path:
    """Return the folder that goes first on the agent's Python path."""
    return Path(__file__).with_name("site")
