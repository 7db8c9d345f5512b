# SPDX-License-Identifier: Apache-2.0
"""The open tasks of one agent and their tokens; they survive a change of the charter, which must not clear their taint."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakSet

from pilothouse.core.evidence.loops import NO_RUN
from pilothouse.errors import Denied
from pilothouse.ports.permissions import TaskOpening
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.provenance.context import TaskContext

__all__ = ["TASKS_CLOSED_MAX", "TASKS_OPEN_MAX", "OpenTasks", "task_type_of", "token_digest"]

TASKS_OPEN_MAX = 10_000
"""Open tasks of one process; the one not used for longest is closed, and its effects are denied from then on."""

TASKS_TEXTS_MAX = 1_000
"""Tasks whose foreign texts are kept, up to a megabyte each: those used last. Of others a value that stood in one is the model's word."""

TASKS_CLOSED_MAX = 100_000
"""Runs of closed tasks that are remembered, about 20 MB: one that comes back has read what nobody remembers."""


TOKENS_OF_BEFORE_S = 3_600.0
"""After a start, tokens of the process before are still shown by whoever opened a task there; they open nothing, and call nobody."""

REFUSED_RECORDED_MAX = 10
"""Refused tokens of one minute that are put on record one by one: a hundred calls of a forger say no more, and each costs the disk a write."""

MINUTE_S = 60.0


_ALL: WeakSet[OpenTasks] = WeakSet()


def _after_fork() -> None:
    for tasks in _ALL:  # whoever held a lock is not in this process
        tasks._lock = threading.Lock()  # noqa: SLF001 - of the class below


os.register_at_fork(after_in_child=_after_fork)


def token_digest(token: str) -> str:
    """Return the stored digest of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def task_type_of(call: ToolCall, context: TaskContext) -> str:
    """Return the task type that entitles a call: its task's, or its own outside of a run."""
    return call.task_type if call.run == NO_RUN else context.opening.task_type


class OpenTasks:
    """Tasks by run; safe to share between threads, and a forked process goes on with those that were open."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin without tasks.

        Args:
            monotonic: Seconds that no change of the wall clock touches.
        """
        self._monotonic, self._begun_s = monotonic, monotonic()
        self._lock = threading.Lock()
        _ALL.add(self)
        self._tasks: OrderedDict[str, TaskContext] = OrderedDict()
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._tokens: dict[str, str] = {}
        self._token_of: dict[str, str] = {}
        """By run, the digest of its token: both go when the task goes."""
        self._refused_since_s, self._refused, self._left_out = self._begun_s, 0, 0

    def open(self, opening: TaskOpening) -> str:
        """Open a task and return its token.

        Raises:
            Denied: The run has a task already; its request cannot be told again.
        """
        token = secrets.token_urlsafe(32)
        with self._lock:
            if opening.run in self._tasks:
                raise Denied(
                    f"run {opening.run[:12]} has an open task already, and its request is fixed",
                    remedy="Open each task once, before the model reads anything.",
                    subject=opening.run,
                )
            self._tokens[token_digest(token)] = opening.run
            self._token_of[opening.run] = token_digest(token)
            self._keep(opening.run, TaskContext(opening, tainted=opening.run in self._closed))
        return token

    def run_of(self, token: str) -> str | None:
        """Return the run of a task token; None for an unknown or expired token."""
        with self._lock:
            return self._tokens.get(token_digest(token))

    def is_settled(self) -> bool:
        """Whether every token that can be meant was given here, so that an unknown one is forged, or went astray."""
        return self._monotonic() - self._begun_s >= TOKENS_OF_BEFORE_S

    def refused(self) -> int | None:
        """Count a refused token; return how many before it are not on record, or None where this one is only counted.

        After the first of a minute each tenfold number is on record, so that the log says how many there were, and stays short.
        """
        with self._lock:
            now = self._monotonic()
            if now - self._refused_since_s >= MINUTE_S:
                self._refused_since_s, self._refused = now, 0
            self._refused += 1
            if self._refused > REFUSED_RECORDED_MAX and str(self._refused).strip("0") != "1":
                self._left_out += 1
                return None
            left_out, self._left_out = self._left_out, 0
            return left_out

    def needs_token(self, run: str) -> bool:
        """Whether a task was opened for a run, so that naming the run alone proves nothing: trace ids are not secret."""
        with self._lock:
            return run in self._token_of

    def context(self, run: str) -> TaskContext | None:
        """Return the state of an open task, or None."""
        with self._lock:
            return self._tasks.get(run)

    def context_of(self, call: ToolCall) -> TaskContext:
        """Return the task of a call; one that only the agent's code named has an empty request."""
        with self._lock:
            found = self._tasks.get(call.run)
            if found is None:
                is_back = call.run in self._closed
                opening = TaskOpening(
                    agent=call.agent,
                    run=call.run,
                    task_type="unknown" if is_back else call.task_type,
                    requester="",
                    segments=(),
                    opened_by="agent",
                )
                found = TaskContext(opening, tainted=is_back)
                self._keep(call.run, found)
            self._tasks.move_to_end(call.run)
            self._use(call.run)
            return found

    def _use(self, run: str) -> None:
        """Mark a task as used, and drop the texts of the least recently used one beyond the limit."""
        self._recent[run] = None
        self._recent.move_to_end(run)
        if len(self._recent) > TASKS_TEXTS_MAX:
            old, _ = self._recent.popitem(last=False)
            forgotten = self._tasks.get(old)
            if forgotten is not None:
                forgotten.forget_texts()

    def _keep(self, run: str, context: TaskContext) -> None:
        """Store an open task, and close the least recently used one, with its token, beyond the limit."""
        self._tasks[run] = context
        self._use(run)
        while len(self._tasks) > TASKS_OPEN_MAX:
            old, _ = self._tasks.popitem(last=False)
            self._tokens.pop(self._token_of.pop(old, ""), None)
            self._closed[old] = None
            if len(self._closed) > TASKS_CLOSED_MAX:
                self._closed.popitem(last=False)
