# SPDX-License-Identifier: Apache-2.0
"""The program `pilothouse`, also as `python -m pilothouse`."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import NoReturn

from pilothouse.interruption import INTERRUPTED, repeat_lost_stops

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process; Ctrl-C while its modules are still loaded ends it quietly, too."""
    repeat_lost_stops()
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
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
