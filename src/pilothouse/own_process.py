# SPDX-License-Identifier: Apache-2.0
"""Starts a module of ours as a process of its own that hears from its server over one connection and gets no credential."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe

__all__ = ["start_module"]

PASSED_ON = frozenset(
    {"PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT"}
)
"""Variables that the process gets beside those of the interpreter: no credential is one of them."""


def start_module(module: str, *words: str) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a module; it finds the number of its end of the connection in front of its words.

    What a terminal sends to stop the server does not reach it, and it prints nowhere.

    Args:
        module: Name of the module, as behind `python -m`.
        words: Further arguments.

    Returns:
        The process, and our end of the connection.

    Raises:
        OSError: It cannot be started.

    Example:
        >>> process, connection = start_module("pilothouse.schemas.process")
        >>> connection.close()
        >>> process.wait()
        0
    """
    ours, theirs = Pipe()
    with theirs:
        try:
            # -P: a file in the folder that the server was started in is none of our modules.
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), *words],
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return process, ours


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("PYTHON")
    }
