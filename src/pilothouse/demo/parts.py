# SPDX-License-Identifier: Apache-2.0
"""What the demo is given by the composition root, and what it tells while it runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from pilothouse.ports.clock import Clock
from pilothouse.ports.gateway import GatewayStore
from pilothouse.ports.intake import Intake
from pilothouse.settings import Settings
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.review.queue import Workbench

__all__ = ["DemoParts", "Step", "Typed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command that was typed, and what came of it.

    Attributes:
        words: What was typed after `pilothouse`.
        status: Its exit status.
        said: What it printed as its result.
        hints: What it printed beside it.
    """

    words: tuple[str, ...]
    status: int
    said: str
    hints: str

    @property
    def line(self) -> str:
        """The command as a shell would take it.

        Example:
            >>> Typed(words=("minutes", "owner", "--text", "all well"), status=0, said="", hints="").line
            "pilothouse minutes owner --text 'all well'"
        """
        return shlex.join(("pilothouse", *self.words))

    @property
    def answer(self) -> str:
        """The first line of the answer: of its result, or of what stands beside it.

        Example:
            >>> Typed(words=("check",), status=0, said="", hints="  error: no charter").answer
            'error: no charter'
        """
        lines = [line.strip() for text in (self.said, self.hints) for line in text.splitlines()]
        return next((line for line in lines if line), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParts:
    """What the demo needs from the composition root.

    Attributes:
        clock: The time; the last simulated day ends now.
        open_installation: Open lake and ledger of some settings.
        open_intake: Open the lake for writing; what it took is folded at the end.
        open_control_room: Open what acts on verdicts.
        open_workbench: Open the review queue.
        open_gateway_store: Open keys and providers of the gateway.
        receive_telemetry: Take OTLP in over HTTP; gives the address.
        type_command: Run one line of the command line at a simulated moment.
        at_simulated: Let this process live at a moment for the time of a block.
    """

    clock: Clock
    open_installation: Callable[[Settings], AbstractContextManager[Installation]]
    open_intake: Callable[[Settings], AbstractContextManager[Intake]]
    open_control_room: Callable[[Settings], AbstractContextManager[ControlRoom]]
    open_workbench: Callable[[Settings], AbstractContextManager[Workbench]]
    open_gateway_store: Callable[[Settings], AbstractContextManager[GatewayStore]]
    receive_telemetry: Callable[[Settings], AbstractContextManager[str]]
    type_command: Callable[[Sequence[str], datetime], Typed]
    at_simulated: Callable[[datetime], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of progress.

    Attributes:
        text: What happens.
        day: Simulated day, or None outside of them.
        tasks: Tasks finished on that day.
        is_chapter: Whether a chapter of the story begins.
    """

    text: str
    day: int | None = None
    tasks: int | None = None
    is_chapter: bool = False

    @property
    def line(self) -> str:
        """The step as one line of text.

        Example:
            >>> Step(text="the pilot", day=1, tasks=25).line
            'day  1   25 tasks  the pilot'
            >>> Step(text="$ pilothouse check", day=15).line
            'day 15  $ pilothouse check'
        """
        day = "" if self.day is None else f"day {self.day:2}  "
        tasks = "" if self.tasks is None else f"{self.tasks:3} tasks  "
        return f"{day}{tasks}{self.text}".rstrip()
