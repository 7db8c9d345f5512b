# SPDX-License-Identifier: Apache-2.0
"""Processes that tests start find no pandas, as in an installation.

`pip install pilothouse` brings none. Our oracles of statistics do, and pyarrow loads what it finds to learn whether a list
is of pandas: half a second of CPU in each process that reads the lake.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["NO_PANDAS", "hide_from_children"]

NO_PANDAS = Path(__file__).parents[2] / "benchmarks" / "ingest" / "without"


def hide_from_children():
    """Let what this process starts from now on find no pandas; it itself still does."""
    inherited = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(NO_PANDAS), inherited)))
