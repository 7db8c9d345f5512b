# SPDX-License-Identifier: Apache-2.0
"""The collaborators of all tool calls of an agent: guards, observers, the store of idempotency records, and clocks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pilothouse.ports.tools import CallGuard, CallObserver, IdempotencyStore, Presenter, ToolCall
from pilothouse.runtime.tools.loops import LoopWatch

__all__ = ["Door"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The collaborators that all calls of an agent share.

    Attributes:
        guards: Who may refuse a call, asked in order: kill switch, permissions.
        stops: Who may refuse each attempt of a call, without waiting: what a person has paused goes out no more.
        observers: Who keeps what happens: run log, audit log, spans.
        presenter: Who stands between results and the model; without one it is shown everything.
        store: Where calls with an effect are kept; without one, such calls are refused.
        loops: Who notices that a run goes in circles.
        monotonic: Monotonic seconds.
        wall_ns: Unix nanoseconds UTC.
        chance: Uniform in [0, 1).
    """

    guards: Sequence[CallGuard] = ()
    stops: Sequence[CallGuard] = ()
    observers: Sequence[CallObserver] = ()
    presenter: Presenter | None = None
    store: IdempotencyStore | None = None
    loops: LoopWatch = field(default_factory=LoopWatch)
    monotonic: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns
    chance: Callable[[], float] = random.random

    def filled(self, call: ToolCall) -> ToolCall:
        """Return a call with what its names of unread values stand for; it is made with these arguments.

        Raises:
            ToolError: A name stands for nothing in its task.
        """
        return call if self.presenter is None else self.presenter.filled(call)

    def person_of(self, call: ToolCall) -> str:
        """Return the requester of a call's task; `unknown` where none was named."""
        return "unknown" if self.presenter is None else self.presenter.requester(call.run)

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return datetime.fromtimestamp(self.wall_ns() / 1e9, UTC)
