# SPDX-License-Identifier: Apache-2.0
"""A program as a target: long-lived workers that read one JSON line and write one back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import shutil
import signal
from collections import deque
from contextlib import suppress
from typing import Any, Final

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.targets.target import AgentFailed, TargetSpec, TargetUnreachable, as_reply
from pilothouse.evals.trial import OUTPUT_BYTES_MAX, Reply, TrialContext

__all__ = ["WorkerProcess"]

STDERR_BYTES_MAX = 64 * 1024
"""Kept of each worker, for the message when it dies."""

DEATHS_MAX = 5
"""Workers that may die in a row without one answer, before the program itself is called broken."""

KILLED: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGKILL, 128 + signal.SIGTERM})
"""Statuses of a worker that was ended from outside (no memory is left, the machine goes down), and of a shell whose child was.
All others are the agent's: it crashed, or it left."""

LINE_BYTES_MAX = OUTPUT_BYTES_MAX + 64 * 1024
STOP_WAIT_S = 2.0


class WorkerProcess:
    """Runs `exec:COMMAND` workers, one case at a time each, as many as trials run at once.

    A line in is `{"id", "input", "trial", "seed", "traceparent", "deadline_s"}`; a line out is the reply with the
    same `id` beside it: `{"id", "output", ...}`.

    Args:
        command: Program and arguments as a shell would split them; no shell is used.
        version: Version digest, or None to take the digest of command and program file.

    Raises:
        UsageError: There is no such program.
    """

    def __init__(self, command: str, *, version: str | None = None) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(
                f"{command!r} cannot be split into words: {error}.",
                remedy="Close every quote of exec:COMMAND.",
            ) from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise UsageError(
                f"no program {self._words[0] if self._words else ''!r}.",
                remedy="Give exec:COMMAND with a program on the PATH, for example exec:'python agent.py'.",
            )
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._deaths = 0
        self._has_answered = False
        self.spec = TargetSpec(
            address=f"exec:{command}",
            version=version or _program_digest(self._words),
            fingerprint=_program_digest(self._words),
            version_is_declared=version is not None,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Send the case to an idle worker, or to a new one.

        Raises:
            UsageError: The program never answered in the form that is asked for, so nothing is known of the agent in it.
        """
        if self._deaths >= DEATHS_MAX:
            raise TargetUnreachable(f"{DEATHS_MAX} workers died in a row without an answer")
        worker = self._idle.pop() if self._idle else await self._start()
        line = {
            "id": context.key,
            "input": case.input,
            "trial": context.index,
            "seed": context.seed,
            "traceparent": context.traceparent,
            "deadline_s": context.deadline_s,
        }
        try:
            answer = await worker.ask(json.dumps(line, ensure_ascii=False).encode() + b"\n", context.key)
        except BaseException as error:
            # Cancelled at its deadline, or dead: what it would still write belongs to no other case.
            self._all.discard(worker)
            self._deaths += 1 if worker.is_dead else 0
            await worker.stop(at_once=True)
            if isinstance(error, _OutOfForm) and not self._has_answered:
                raise UsageError(
                    f"{self.spec.address} does not answer as a program is asked to: {error}.",
                    remedy='Write one line of JSON for each line read, with its id: {"id": ..., "output": ...}, and all else to stderr.',
                ) from error
            raise
        self._deaths = 0
        self._has_answered = True
        self._idle.append(worker)
        return as_reply(answer)

    async def close(self) -> None:
        """Stop every worker."""
        await asyncio.gather(*(worker.stop() for worker in self._all))

    async def _start(self) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            *self._words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            start_new_session=True,  # what a worker starts ends with it
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        worker = _Worker(process)
        self._all.add(worker)
        return worker


class _OutOfForm(AgentFailed):
    """A line that is no JSON, or not the answer to the case that was asked."""


class _Worker:
    """One process and the tail of what it wrote to stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._stderr: deque[bytes] = deque()
        self._stderr_bytes = 0
        self._drain = asyncio.create_task(self._read_stderr())

    @property
    def is_dead(self) -> bool:
        return self._process.returncode is not None

    async def ask(self, line: bytes, key: str) -> dict[str, Any]:
        """Write one line and read one, which carries the same id.

        Raises:
            AgentFailed: The agent crashed, left or wrote something else.
            TargetUnreachable: The system killed it.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise TargetUnreachable("worker has no pipes")
        try:
            stdin.write(line)
            await stdin.drain()
            answer = await stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        except ValueError as error:
            raise AgentFailed(f"output_too_large: more than {LINE_BYTES_MAX} bytes in a line") from error
        if not answer:
            await self._process.wait()
            tail = b"".join(self._stderr).decode("utf-8", "replace").strip().splitlines()
            status, last = self._process.returncode, tail[-1] if tail else "nothing on stderr"
            if status in KILLED:
                # Fewer at once leave each more memory.
                raise TargetUnreachable(
                    f"worker was killed from outside, status {status}: {last}", is_pressure=True
                )
            raise AgentFailed(f"worker ended with status {status}: {last}")
        try:
            told = json.loads(answer)
        except ValueError as error:
            raise _OutOfForm(f"line is no JSON: {answer[:200].decode('utf-8', 'replace')!r}") from error
        if not isinstance(told, dict) or told.pop("id", None) != key:
            raise _OutOfForm("answer does not carry the id of its case")
        return told

    async def stop(self, *, at_once: bool = False) -> None:
        """End the process by closing its input, and kill it when that does not end it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.returncode is None:
            try:
                async with asyncio.timeout(0 if at_once else STOP_WAIT_S):
                    await self._process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()
        # Whoever left the group and still holds the pipe is not waited for.
        _, unread = await asyncio.wait([self._drain], timeout=STOP_WAIT_S)
        for one in unread:
            one.cancel()

    async def _read_stderr(self) -> None:
        if self._process.stderr is None:
            return
        while chunk := await self._process.stderr.read(4096):
            self._stderr.append(chunk)
            self._stderr_bytes += len(chunk)
            while self._stderr_bytes > STDERR_BYTES_MAX:
                self._stderr_bytes -= len(self._stderr.popleft())


def _program_digest(words: list[str]) -> str:
    """Hash the command and every word of it that is a file: a changed script is another version."""
    found = hashlib.sha256("\0".join(words).encode())
    for word in words[1:]:
        if os.path.isfile(word):  # noqa: PTH113 - a word is text from a command line, not yet a path
            with open(word, "rb") as file:  # noqa: PTH123 - same reason
                found.update(file.read())
    return found.hexdigest()
