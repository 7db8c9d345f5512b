# SPDX-License-Identifier: Apache-2.0
"""The program `pilothouse`, also as `python -m pilothouse`."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import NoReturn

from pilothouse.interruption import INTERRUPTED, repeat_lost_stops
from pilothouse.supervised import RUNS_FOREIGN_CODE, report_status, supervise

__all__ = ["main"]


def main() -> None:
    """Run the command line, in a process that this one outlives where it runs code of others."""
    repeat_lost_stops()
    if RUNS_FOREIGN_CODE.isdisjoint(sys.argv[1:2]):
        _run()
        return
    status = supervise(_run)
    if status is None:
        from pilothouse.interfaces.cli.main import say_unfinished  # noqa: PLC0415 - a second of modules, for an error

        say_unfinished(sys.argv[1:])
    sys.exit(status)


def _run() -> None:
    """Run what was typed; Ctrl-C while its modules are still loaded ends it quietly, too."""
    try:
        from pilothouse.app import main as run  # noqa: PLC0415 - half a second of modules is what this guards

        run()
    except KeyboardInterrupt:
        _leave()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _leave()
        raise


def _leave() -> NoReturn:
    """End at once what was interrupted.

    Threads of libraries are still at work for it, and an interpreter that is taken down under them can crash.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what a process of its own was started for is still sent home
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    report_status(INTERRUPTED)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
