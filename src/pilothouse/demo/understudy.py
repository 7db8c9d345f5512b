# SPDX-License-Identifier: Apache-2.0
"""An agent's process that is started ahead: it imports its framework while the story types commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from pilothouse.errors import InfrastructureError

__all__ = ["Understudy"]


class Understudy:
    """Has one process of the demo's agent ready, and the next one as soon as that is used.

    Args:
        runs: How often the agent works in the story; none is started that nobody needs.
    """

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._waiting: subprocess.Popen[str] | None = _start()

    def work(self, arguments: Sequence[str], variables: Mapping[str, str]) -> Iterator[str]:
        """Let the agent work; yield the lines that it prints.

        Args:
            arguments: Its command line.
            variables: Its environment, whole.

        Raises:
            InfrastructureError: It ended with an error.
        """
        with self._waiting or _start() as process:
            self._runs -= 1
            self._waiting = _start() if self._runs > 0 else None
            if process.stdin is None or process.stdout is None:
                raise AssertionError("both are pipes")
            try:
                process.stdin.write(
                    json.dumps({"arguments": [*arguments], "variables": {**variables}}) + "\n"
                )
                process.stdin.flush()
                yield from process.stdout
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise InfrastructureError(
                f"the demo's agent ended with status {process.returncode}",
                remedy="Read what it printed above.",
            )

    def close(self) -> None:
        """Send the one that waits home, if the story ended early."""
        if self._waiting is not None:
            with self._waiting as process:
                process.kill()


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pilothouse.demo.agent", "--wait"]
    return subprocess.Popen(  # noqa: S603 - our own program with our own words
        command, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
