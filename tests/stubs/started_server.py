# SPDX-License-Identifier: Apache-2.0
"""`pilothouse up` as a process of its own, until it says where it listens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def started_server(*words, kill=False, **variables):
    """Start a server and give its base address; at the end everything it has taken is on disk, unless it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pilothouse", "up", "--port", "0", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        base = next((word for line in lines for word in line.split() if word.startswith("http")), None)
        assert base is not None, lines
        yield base.rstrip("/").partition("/gw")[0]
    finally:
        process.send_signal(signal.SIGKILL if kill else signal.SIGINT)
        process.wait(60)
        process.stderr.close()
