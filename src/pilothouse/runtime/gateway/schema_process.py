# SPDX-License-Identifier: Apache-2.0
"""Holds texts against schemas that may take for ever, in processes of their own that end when their time is over.

A pattern that is being matched lets no other thread run and cannot be interrupted, so nothing but the end of a process stops
it. A process ends itself: none is left behind, whatever becomes of the server.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from multiprocessing.connection import Connection

import msgspec

from pilothouse.runtime.gateway.schema_check import text_problem
from pilothouse.runtime.own_process import start_module

__all__ = ["CHECK_S", "SchemaProcesses", "serve"]

CHECK_S = 2.0
"""For one text: a thousand times what a large one needs."""

START_S = 20.0
"""Until a process has been started on a machine that does other things."""

PROCESSES_MAX = 2
"""At once, some 30 MB each; further texts wait for their turn."""

MEMORY_BYTES_MAX = 1 << 30
"""Of a process, so that what grows instead of lasting is an error there and not here."""


class SchemaProcesses:
    """The processes of one gateway; started when the first text needs one, in the loop that serves."""

    def __init__(self) -> None:
        """Begin with none."""
        self._turns = asyncio.Semaphore(PROCESSES_MAX)
        self._idle: list[_Checker] = []

    async def problem(self, schema: str, text: str) -> str:
        """Return what is wrong with a text, with its JSON path, or empty; also wrong is what is not known in time.

        Args:
            schema: JSON Schema as text.
            text: What must be JSON of that schema.
        """
        async with self._turns:
            checker = self._idle.pop() if self._idle else _Checker()
            found = None
            try:
                found = await asyncio.to_thread(checker.ask, schema, text)
            except OSError as error:
                return f"$: the output schema cannot be applied ({type(error).__name__}), so nothing is known to be valid"
            finally:
                if found is None:
                    checker.close()
                else:
                    self._idle.append(checker)
        if found is None:
            return (
                f"$: the output schema was not applied within {CHECK_S:g} s, so nothing is known to be valid"
            )
        return found

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().close()


class _Checker:
    """One process, asked by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def ask(self, schema: str, text: str) -> str | None:
        """Return what is wrong with a text, or None when the process has ended over it.

        Raises:
            OSError: It cannot be started.
        """
        connection = self._connection or self._start()
        try:
            connection.send_bytes(msgspec.json.encode((schema, text)))
            if not connection.poll(START_S + CHECK_S):
                return None
            return connection.recv_bytes().decode()
        except (EOFError, ConnectionError):
            return None

    def close(self) -> None:
        """End the process at once; whoever still asks it gets no answer."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if self._connection is not None:
            self._connection.close()

    def _start(self) -> Connection:
        self._process, self._connection = start_module("pilothouse.runtime.gateway.schema_process")
        return self._connection


def serve(connection: Connection) -> None:
    """Answer until the other side is closed; the time of each text is up when the system ends this process.

    Args:
        connection: Schemas and texts come in, what is wrong goes out.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    while True:
        try:
            schema, text = msgspec.json.decode(connection.recv_bytes(), type=tuple[str, str])
            signal.setitimer(signal.ITIMER_REAL, CHECK_S)
            found = text_problem(schema, text)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send_bytes(found.encode("utf-8", "replace"))
        except (EOFError, OSError):
            return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
