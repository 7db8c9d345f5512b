# SPDX-License-Identifier: Apache-2.0
"""Supervises a command in a child process: if foreign code ends the child, its exit status does not pass for a verdict.

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

__all__ = ["RUNS_FOREIGN_CODE", "report_status", "supervise"]

RUNS_FOREIGN_CODE = frozenset({"gate", "eval", "load", "curate", "verdict", "integration"})
"""Commands that load functions of agents, scorers, tools or verifiers."""

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals sent to the supervisor that are meant for the child."""

FROM_TERMINAL = 0x80
"""`si_code` of a signal of the kernel: a terminal sends it to both processes."""

_report_to: list[int] = []
"""In the child: the pipe on which it reports its status."""


def report_status(status: int) -> None:
    """Report the status with which this process is about to exit; the first report counts.

    Args:
        status: Exit status.
    """
    while _report_to:
        descriptor = _report_to.pop()
        with suppress(OSError):
            os.write(descriptor, str(status).encode())
        os.close(descriptor)


def supervise(work: Callable[[], None]) -> int | None:
    """Run a command in a child process and wait for its end; call it before any thread is started.

    Args:
        work: The command; ends with `SystemExit`, or after `report_status` in whatever way.

    Returns:
        The status to exit with; None when the child ended by itself without reporting one.
    """
    reported, report = os.pipe()
    alive, held = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*FORWARDED, signal.SIGCHLD))
    process = os.fork()
    if process == 0:
        os.close(reported)
        os.close(held)
        _report_to.append(report)
        threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _run(work)
    os.close(report)
    os.close(alive)
    ended, was_told = _wait(process)
    os.set_blocking(reported, False)
    try:
        told = os.read(reported, 16)
    except BlockingIOError:  # a process that it started still holds the other end
        told = b""
    if told:
        return int(told) or ended
    return ended if was_told else None


def _run(work: Callable[[], None]) -> None:
    """Run the command in the child, and exit."""
    try:
        work()
    except SystemExit as ended:
        code = ended.code
        report_status(code if isinstance(code, int) else 0 if code is None else 1)
        raise
    report_status(0)
    sys.exit(0)


def _end_with(alive: int) -> None:
    """End the child when its supervisor has ended: nobody would read its status."""
    with suppress(OSError):
        os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait(process: int) -> tuple[int, bool]:
    """Wait for the end of the child and forward signals to it.

    Returns:
        Its status as a shell gives it, and whether a forwarded signal ended it.
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
    """Return the next signal, and whether the child received it as well."""
    numbers = (*FORWARDED, signal.SIGCHLD)
    if sys.platform == "darwin":  # does not tell who sent it
        number = signal.sigwait(numbers)
        return number, number == signal.SIGINT
    told = signal.sigwaitinfo(numbers)
    return told.si_signo, told.si_code == FROM_TERMINAL
