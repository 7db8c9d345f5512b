# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a process that this one outlives: whatever ends that process, a status that nobody said is no verdict.

Agents, scorers and verifiers in Python share the process of the command that asks them. `os._exit(0)` in one of them, or a
library that ends the program, leaves the status of a release and nothing else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["RUNS_CODE_OF_OTHERS", "outlive", "say_status"]

RUNS_CODE_OF_OTHERS = frozenset({"gate", "eval", "load", "curate", "verdict", "integration"})
"""Commands that load functions of agents, scorers, tools or verifiers."""

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that whoever started the command sends to this process and means for the other."""

FROM_TERMINAL = 0x80
"""`si_code` of a signal of the kernel: a terminal sends it to both processes."""

_say: list[int] = []
"""Where the process of a command says its status, in that process."""


def say_status(status: int) -> None:
    """Say what this process is about to end with; of two that are said the first counts.

    Args:
        status: Exit status.
    """
    while _say:
        descriptor = _say.pop()
        with suppress(OSError):
            os.write(descriptor, str(status).encode())
        os.close(descriptor)


def outlive(work: Callable[[], None]) -> int | None:
    """Run a command in a process of its own and wait for its end; call it before any thread is started.

    Args:
        work: The command; ends with `SystemExit`, or after `say_status` in whatever way.

    Returns:
        The status to exit with; None when the process ended by itself and had not said one.
    """
    said, say = os.pipe()
    alive, held = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*FORWARDED, signal.SIGCHLD))
    process = os.fork()
    if process == 0:
        os.close(said)
        os.close(held)
        _say.append(say)
        threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _run(work)
    os.close(say)
    os.close(alive)
    ended, was_told = _wait(process)
    os.set_blocking(said, False)
    try:
        told = os.read(said, 16)
    except BlockingIOError:  # a process that it started still holds the other end
        told = b""
    if told:
        return int(told) or ended
    return ended if was_told else None


def _run(work: Callable[[], None]) -> None:
    """Run the command in its own process, and end that."""
    try:
        work()
    except SystemExit as ended:
        code = ended.code
        say_status(code if isinstance(code, int) else 0 if code is None else 1)
        raise
    say_status(0)
    sys.exit(0)


def _end_with(alive: int) -> None:
    """End this process when whoever waits for it has ended: nobody would hear what it says."""
    with suppress(OSError):
        os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait(process: int) -> tuple[int, bool]:
    """Wait for the end of a process and hand on what is meant for it.

    Returns:
        Its status as a shell gives it, and whether a signal that it was sent ended it.
    """
    sent: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # where it was ignored, nobody could wait
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return (code if code >= 0 else 128 - code), -code in sent
        number, is_for_both = _next_signal()
        if number == signal.SIGCHLD:
            continue
        sent.add(number)
        if not is_for_both:
            with suppress(ProcessLookupError):
                os.kill(process, number)


def _next_signal() -> tuple[int, bool]:
    """Return the next signal, and whether the other process got it as well."""
    numbers = (*FORWARDED, signal.SIGCHLD)
    if sys.platform == "darwin":  # does not tell who sent it
        number = signal.sigwait(numbers)
        return number, number == signal.SIGINT
    told = signal.sigwaitinfo(numbers)
    return told.si_signo, told.si_code == FROM_TERMINAL
