# SPDX-License-Identifier: Apache-2.0
"""Opens the run log of an installation, for a server that writes or a command that reads, and says what a page may offer of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.ports.runlog import RunLog
    from pilothouse.runtime.runlog.recorder import Recorder
    from pilothouse.settings import Settings

__all__ = ["can_replay", "open_run_log"]


@contextmanager
def open_run_log(settings: Settings, on_note: Callable[[str], None] | None = None) -> Iterator[Recorder]:
    """Open the run log for the time of a command or of a server; several processes may have it open.

    Args:
        settings: Values in force.
        on_note: Of a server: told what its operator should know. A server's run log is written by a process of its own.
    """
    from pilothouse.runtime.runlog.recorder import open_recorder
    from pilothouse.runtime.taps.spool import absorb

    log = open_recorder(settings.runs_folder, on_note)
    try:
        absorb(settings.runs_folder / "spool", log)
        yield log
    finally:
        log.close()


def can_replay(log: RunLog, run: str) -> bool:
    """Return whether a run is there and a replay of it gives recorded answers back.

    Args:
        log: The run log.
        run: Whole run id.
    """
    row = log.summary(run)
    return row is not None and row.replayable.is_playable
