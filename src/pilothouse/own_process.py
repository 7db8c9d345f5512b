# SPDX-License-Identifier: Apache-2.0
"""Our own code as a process of its own: a module that hears from its server over one connection and gets no credential, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe

__all__ = ["last_words", "own_command", "start_module"]

PASSED_ON = frozenset(
    {"PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT"}
)
"""Variables that the process gets beside those of the interpreter: no credential is one of them."""

WORDS_MAX = 400
"""Of what a command said, the last: an error of ours is one sentence and what to type."""


def own_command(*words: str) -> list[str]:
    """Return what runs `pilothouse` with some words, by this interpreter.

    Args:
        words: As they are typed behind `pilothouse`.

    Example:
        >>> own_command("audit", "verify")[1:]
        ['-P', '-m', 'pilothouse', 'audit', 'verify']
    """
    return _interpreted("pilothouse", *words)


def last_words(said: bytes) -> str:
    r"""Return the end of what a command said, on one line.

    Args:
        said: Its output.

    Example:
        >>> last_words(b"no ledger\n  Name one.\n")
        'no ledger Name one.'
    """
    return " ".join(said.decode("utf-8", errors="replace").split())[-WORDS_MAX:]


def _interpreted(module: str, *words: str) -> list[str]:
    # -P: a file in the folder that this was started in is none of our modules.
    return [sys.executable, "-P", "-m", module, *words]


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
            process = subprocess.Popen(  # noqa: S603 - our own module
                _interpreted(module, str(theirs.fileno()), *words),
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
