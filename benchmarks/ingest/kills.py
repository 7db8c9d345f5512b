# SPDX-License-Identifier: Apache-2.0
"""SIGKILL and SIGTERM of the real server at 200 random moments; contents are compared by hash with an undisturbed node.

The test that makes 20 of them in `make test`, with more.
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
    chosen = options.parse_args()
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout", "0", "tests/anomaly/test_kill.py"],
        env={**os.environ, "PILOTHOUSE_KILLS": str(chosen.kills)},
        cwd=ROOT,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
