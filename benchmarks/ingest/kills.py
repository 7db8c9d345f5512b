# SPDX-License-Identifier: Apache-2.0
"""SIGKILL and SIGTERM of the real server at 200 random moments; contents are compared by hash with an undisturbed node.

The test that makes 20 of them in `make test`, with more, in two processes with a lake and a seed of their own. There
every second server merges files at once, with `--merging` each of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--at-once", type=int, default=2, help="lakes that are killed at the same time")
    options.add_argument(
        "--merging", action="store_true", help="merge files from the first moment of each life"
    )
    chosen = options.parse_args()
    share = -(-chosen.kills // chosen.at_once)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-s",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "0",
    ]
    running = [
        subprocess.Popen(
            [*command, "tests/anomaly/test_kill.py"],
            env={
                **os.environ,
                "PILOTHOUSE_KILLS": str(share),
                **({"PILOTHOUSE_KILLS_MERGING": "1"} if chosen.merging else {}),
            },
            cwd=ROOT,
        )
        for _ in range(chosen.at_once)
    ]
    return max(process.wait() for process in running)


if __name__ == "__main__":
    sys.exit(main())
