# SPDX-License-Identifier: Apache-2.0
"""Runs blocking functions in threads that a caller can abandon.

A blocking call cannot be interrupted in Python, only left behind. Threads are kept and handed work
through a queue of C: a third of the cost of an executor, because every tool call pays it.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["Answer", "Workers"]

Answer = tuple[bool, Any]
"""Whether it returned, and what it returned or raised."""

_Job = tuple[Callable[[], Any], contextvars.Context, "SimpleQueue[Answer]"]


class Workers:
    """Threads of one tool.

    Args:
        name: For the threads.
        left_behind_max: Calls without an answer that may go on in the background, before no more are started.
    """

    def __init__(self, name: str, *, left_behind_max: int) -> None:
        self._name = name
        self._left_behind_max = left_behind_max
        self._idle: list[SimpleQueue[_Job]] = []
        self._lock = threading.Lock()
        self._busy = 0
        self._left_behind = 0

    def start(self, call: Callable[[], Any]) -> SimpleQueue[Answer] | None:
        """Start a call in a thread, with the caller's context variables.

        Returns:
            Where its answer will lie; None when too many calls before it never came back.
        """
        answers: SimpleQueue[Answer] = SimpleQueue()
        job: _Job = (call, contextvars.copy_context(), answers)
        with self._lock:
            if self._left_behind >= self._left_behind_max:
                return None
            self._busy += 1
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(job)
        return answers

    def wait(self, answers: SimpleQueue[Answer], timeout_s: float | None) -> Answer | None:
        """Wait for an answer.

        Args:
            answers: What `start` returned.
            timeout_s: Longest wait, seconds; None waits for ever.

        Returns:
            The answer; None when it did not come in time.
        """
        with contextlib.suppress(Empty):
            return answers.get(timeout=timeout_s)
        return None

    def leave_behind(self, answers: SimpleQueue[Answer]) -> None:
        """Abandon a call; it is counted until it ends."""
        with self._lock:
            self._left_behind += 1
        threading.Thread(
            target=self._see_off, args=(answers,), name=f"{self._name}-late", daemon=True
        ).start()

    def _see_off(self, answers: SimpleQueue[Answer]) -> None:
        answers.get()
        with self._lock:
            self._left_behind -= 1

    def _work(self, inbox: SimpleQueue[_Job]) -> None:
        while True:
            call, context, answers = inbox.get()
            try:
                answer: Answer = (True, context.run(call))
            except BaseException as error:  # noqa: BLE001 - whatever it raises belongs to whoever waits for it
                answer = (False, error)
            with self._lock:
                self._busy -= 1
                self._idle.append(inbox)
            answers.put(answer)
            del call, context, answers, answer
