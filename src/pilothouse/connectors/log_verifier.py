# SPDX-License-Identifier: Apache-2.0
"""Runs `pilothouse audit verify` as a process of its own: a long log takes minutes and memory that calls must not wait for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pilothouse.own_process import last_words, own_command

__all__ = ["verify_log_apart"]

VERIFY_S_MAX = 1_800.0
"""Half of the pause between two looks; 4,000 records take about a second, so only what hangs takes longer."""


def verify_log_apart(home: Path) -> str:
    """Verify the log of a data folder, put the result on record, and return what was said last.

    Args:
        home: Data folder; the address of the ledger comes with the environment.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            own_command("audit", "verify", "--home", str(home)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERIFY_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it was not done after {VERIFY_S_MAX / 60:.0f} minutes"
    return last_words(done.stderr or done.stdout)
