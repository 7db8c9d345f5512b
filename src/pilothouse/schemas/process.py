# SPDX-License-Identifier: Apache-2.0
"""Holds texts and values against schemas that may take for ever, in processes of their own that end when their time is over.

A pattern that is being matched lets no other thread run and cannot be interrupted, so nothing but the end of a process stops
it. A process ends itself: none is left behind, whatever becomes of the server.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection

from pilothouse.own_process import start_module
from pilothouse.schemas.text_check import data_problem, text_problem

__all__ = [
    "CHECK_S",
    "WAITING_MAX",
    "CheckCrowded",
    "CheckUnfinished",
    "SchemaProcesses",
    "serve",
    "shared_processes",
]

CHECK_S = 2.0
"""For one text: a thousand times what a large one needs."""

START_S = 20.0
"""Until a process has been started on a machine that does other things."""

PROCESSES_MAX = 2
"""At once, some 30 MB each; further texts wait for their turn."""

WAITING_MAX = 100
"""Texts that wait: at the worst of each, whoever comes later would wait for more than a minute and a half."""

MEMORY_BYTES_MAX = 1 << 30
"""Of a process, so that what grows instead of lasting is an error there and not here."""


class CheckUnfinished(Exception):
    """Nobody knows whether it is valid, so it is not."""


class CheckCrowded(CheckUnfinished):
    """Too many others wait; whoever has the time asks again."""


class SchemaProcesses:
    """Some processes, started when the first text needs one; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._idle: list[_Checker] = []
        self._waiting = 0

    def ask(self, schema: str, text: str, *, is_data: bool) -> Future[str]:
        """Return what will be what is wrong with a text, or empty.

        Args:
            schema: JSON Schema as text.
            text: What is held against it.
            is_data: Whether it is plain data as JSON; else it is what a model wrote.

        Returns:
            A future, which fails with `CheckUnfinished` where that is not known in time.
        """
        with self._lock:
            if self._waiting >= WAITING_MAX:
                refused: Future[str] = Future()
                refused.set_exception(CheckCrowded(f"not applied: {WAITING_MAX} others wait"))
                return refused
            self._waiting += 1
            if self._threads is None:
                self._threads = ThreadPoolExecutor(PROCESSES_MAX, thread_name_prefix="pilothouse-schema")
            found = self._threads.submit(self._checked, schema, text, is_data)
        found.add_done_callback(self._leave)
        return found

    async def problem(self, schema: str, text: str) -> str:
        """Return what is wrong with what a model wrote, with its JSON path, or empty; also wrong is what is not known in time.

        Args:
            schema: JSON Schema as text.
            text: What must be JSON of that schema.
        """
        try:
            return await asyncio.wrap_future(self.ask(schema, text, is_data=False))
        except CheckUnfinished as unknown:
            return f"$: the schema was {unknown}, so nothing is known to be valid"

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            ended, self._idle = self._idle, []
        for checker in ended:
            checker.close()

    def _leave(self, _done: Future[str]) -> None:
        with self._lock:
            self._waiting -= 1

    def _checked(self, schema: str, text: str, is_data: bool) -> str:
        with self._lock:
            checker = self._idle.pop() if self._idle else _Checker()
        found = None
        try:
            found = checker.ask(schema, text, is_data=is_data)
        except OSError as error:
            raise CheckUnfinished(f"not applied ({type(error).__name__})") from error
        finally:
            with self._lock:
                is_kept = found is not None and self._threads is not None
                if is_kept:
                    self._idle.append(checker)
            if not is_kept:
                checker.close()
        if found is None:
            raise CheckUnfinished(f"not applied within {CHECK_S:g} s")
        return found


@functools.cache
def shared_processes() -> SchemaProcesses:
    """Return the processes that all tools and scorers of this process share: hardly any schema needs one."""
    return SchemaProcesses()


# A forked process has neither the threads of the one before nor a right to its connections.
os.register_at_fork(after_in_child=shared_processes.cache_clear)


class _Checker:
    """One process, asked by one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def ask(self, schema: str, text: str, *, is_data: bool) -> str | None:
        """Return what is wrong with a text, or None when the process has ended over it.

        Raises:
            OSError: It cannot be started.
        """
        connection = self._connection or self._start()
        try:
            connection.send_bytes(json.dumps((schema, text, is_data)).encode())
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
        self._process, self._connection = start_module("pilothouse.schemas.process")
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
            schema, text, is_data = json.loads(connection.recv_bytes())
            signal.setitimer(signal.ITIMER_REAL, CHECK_S)
            found = data_problem(schema, json.loads(text)) if is_data else text_problem(schema, text)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send_bytes(found.encode("utf-8", "replace"))
        except (EOFError, OSError):
            return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
