# SPDX-License-Identifier: Apache-2.0
"""`pilothouse up` as a process of its own, until it says where it listens."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager

from forked_process import command_line_process


@contextmanager
def started_server(*words, kill=False, **variables):
    """Start a server and give its base address; at the end everything it has taken is on disk, unless it is killed."""
    process = command_line_process(
        "up", "--port", "0", *words, stderr=subprocess.PIPE, env={**os.environ, **variables}
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
