# SPDX-License-Identifier: Apache-2.0
"""Runs `pilothouse audit verify` as a process of its own: a long log takes minutes and memory that calls must not wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["verify_log_apart"]

VERIFY_S_MAX = 1_800.0
"""Half of the pause between two looks; 4,000 records take about a second, so only what hangs takes longer."""

WORDS_MAX = 400
"""Of what it said, the last: an error of ours is one sentence and what to type."""


def verify_log_apart(home: Path) -> str:
    """Verify the log of a data folder, put the result on record, and return what was said last.

    Args:
        home: Data folder; the address of the ledger comes with the environment.
    """
    try:
        # -P: a file in the folder that the server was started in is none of our modules.
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "pilothouse", "audit", "verify", "--home", str(home)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERIFY_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it was not done after {VERIFY_S_MAX / 60:.0f} minutes"
    said = (done.stderr or done.stdout).decode("utf-8", errors="replace")
    return " ".join(said.split())[-WORDS_MAX:]
