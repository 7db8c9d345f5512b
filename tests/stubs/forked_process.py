# SPDX-License-Identifier: Apache-2.0
"""Processes that are forked from one that has loaded Pilothouse, so that a test pays for the work and not for the loading.

Importing what a command needs costs one to two seconds of CPU, and a server three; hundreds of them paid it each. The
standard library's fork server pays once for a pytest worker. What is started is still a process: it has its own
arguments, environment, folder, standard streams, signals and exit status, and SIGKILL ends it as it ends any other.
What must hold of `python -m pilothouse` itself is tested with really started ones (test_up.py, test_run.py,
test_check_and_init.py, and all processes of the demo).
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryFile
from unittest.mock import patch

from no_pandas import NO_PANDAS

__all__ = ["ForkedProcess", "command_line_process", "run_command_line"]

TESTS = Path(__file__).parents[1]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["loaded_modules", "forked_process"])


class ForkedProcess:
    """A forked process; what it has in common with `subprocess.Popen` has the same names there.

    Args:
        target: A function that can be imported; its end is the end of the process.
        arguments: Its arguments.
        argv: The words by which the process is started.
        cwd: Its folder; by default this one.
        env: Its whole environment; by default this one's.
        stdout: A file, `subprocess.PIPE`, or None for nowhere.
        stderr: As `stdout`; also `subprocess.STDOUT`.
    """

    def __init__(self, target, *arguments, argv, cwd=None, env=None, stdout=None, stderr=None):
        self.args = list(argv)
        self.returncode = None
        opened = []
        self.stdout, out = _stream(stdout, opened)
        self.stderr, err = (None, out) if stderr is subprocess.STDOUT else _stream(stderr, opened)
        self._process = _CONTEXT.Process(
            target=_become,
            args=(self.args, str(cwd or Path.cwd()), dict(os.environ if env is None else env), (out, err)),
            kwargs={"target": target, "arguments": arguments},
        )
        _start_fork_server()
        self._process.start()
        self.pid = self._process.pid
        for connection in opened:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    def poll(self):
        """Return the exit status, or None while it runs."""
        if self.returncode is None and self._process.exitcode is not None:
            self.returncode = self._process.exitcode
            self._process.close()
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end and return the exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs after this many seconds.
        """
        if self.poll() is None:
            self._process.join(timeout)
            if self.poll() is None:
                raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, number):
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """End it as the operating system does."""
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def command_line_process(*words, **options):
    """Start `pilothouse` with some words; the options are those of `ForkedProcess`."""
    return ForkedProcess(_command_line, argv=["pilothouse", *map(str, words)], **options)


def run_command_line(*words, cwd=None, env=None, timeout=120.0):
    """Run `pilothouse` to its end and return what `subprocess.run(..., capture_output=True, text=True)` would.

    Args:
        words: The words after `pilothouse`.
        cwd: Its folder; by default this one.
        env: Its whole environment; by default this one's.
        timeout: After which it is killed and the test fails, seconds.
    """
    with TemporaryFile() as out, TemporaryFile() as err:
        process = command_line_process(*words, cwd=cwd, env=env, stdout=out, stderr=err)
        try:
            process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        said = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, err)]
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def _start_fork_server():
    """Start what processes are forked from, unless it runs: it looks for what to load first on PYTHONPATH alone."""
    path = os.pathsep.join(map(str, (Path(__file__).parent, NO_PANDAS)))
    # A thread that numpy starts when it is imported is none that a fork may meet.
    with patch.dict(os.environ, PYTHONPATH=path, OPENBLAS_NUM_THREADS="1"):
        forkserver.ensure_running()


def _command_line():
    import pilothouse.app  # noqa: PLC0415 - the test's own process has no need of it

    pilothouse.app.main()


def _stream(wanted, opened):
    """Return our end and the other end of a standard stream; what must be closed here once it is handed over is noted."""
    if wanted is None:
        return None, None
    if wanted is subprocess.PIPE:
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        opened += [ours, theirs]
        return os.fdopen(os.dup(ours.fileno()), encoding="utf-8"), theirs
    theirs = Connection(os.dup(wanted.fileno()))
    opened.append(theirs)
    return None, theirs


def _become(argv, cwd, env, streams, *, target, arguments):
    """Become the started program: in the forked process."""
    assert "loaded_modules" in sys.modules, "every process would load everything itself"
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = argv
    # Its folder first, as `python -m` has it, and nothing of the tests.
    sys.path[:] = [cwd, *(one for one in sys.path if one and not Path(one).is_relative_to(TESTS))]
    for number, stream in zip((1, 2), streams, strict=True):
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2((stream or nowhere).fileno(), number)
    for stream in set(streams) - {None}:
        stream.close()
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", closefd=False)
    try:
        target(*arguments)
    finally:
        atexit._run_exitfuncs()
