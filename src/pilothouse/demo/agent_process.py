# SPDX-License-Identifier: Apache-2.0
"""The process of the demo's agent: it imports its framework once, while the story begins, and works inbox after inbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from pilothouse.errors import InfrastructureError

__all__ = ["AgentProcess"]


class AgentProcess:
    """Starts the demo's agent at once, so that it is ready when the story needs it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "pilothouse.demo.agent", "--wait"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program with our own words
            command,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is meant for the demo, which sends the agent home
        )

    def work(self, arguments: Sequence[str], variables: Mapping[str, str]) -> Iterator[dict[str, int]]:
        """Let the agent work through one inbox; yield what it tells of each day.

        Args:
            arguments: Its command line.
            variables: What its environment must say.

        Raises:
            InfrastructureError: It ended with an error.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        try:
            process.stdin.write(json.dumps({"arguments": [*arguments], "variables": {**variables}}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone, and what it printed ends below
        try:
            for line in process.stdout:
                told = json.loads(line)
                if told.get("ended"):
                    return
                yield told
        except KeyboardInterrupt:
            process.kill()  # before the server that takes its telemetry: it would complain of that
            raise
        raise InfrastructureError(
            f"the demo's agent ended with status {process.wait()}",
            remedy="Read what it printed above.",
        )

    def close(self) -> None:
        """Send the agent home, at once if it is at work."""
        with self._process as process:
            process.kill()
