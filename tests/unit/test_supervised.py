# SPDX-License-Identifier: Apache-2.0
"""A command whose process is ended by others has no status: what it says counts, and only what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

BEFORE = """
import os, signal, subprocess, sys, time
from pilothouse.supervised import supervise, report_status

def work():
"""
AFTER = """
status = supervise(work)
sys.exit(99 if status is None else status)
"""


SAY = "print(os.getpid(), flush=True)"


def program(body):
    return BEFORE + textwrap.indent(body, "    ") + AFTER


def status_of(body):
    return subprocess.run([sys.executable, "-c", program(body)], timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("pass", 0),
        ("sys.exit('why')", 1),
        ("os._exit(0)", 99),
        ("os._exit(1)", 99),
        ("os.kill(os.getpid(), signal.SIGKILL)", 99),
        ("os.execv('/bin/true', ['true'])", 99),
        ("import ctypes; ctypes.CDLL(None).exit(0)", 99),
        ("report_status(130); os._exit(130)", 130),
        ("report_status(1); os._exit(0)", 1),
        ("import atexit; atexit.register(os._exit, 5); sys.exit(0)", 5),
        ("subprocess.Popen(['sleep', '30']); os._exit(0)", 99),
        ("os.fork() or time.sleep(30); os._exit(0)", 99),
    ],
)
def test_only_what_was_said_counts(body, status):
    assert status_of(body) == status


@pytest.fixture
def started():
    held = []

    def start(body):
        process = subprocess.Popen([sys.executable, "-c", program(body)], stdout=subprocess.PIPE, text=True)
        held.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in held:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_sent_to_the_one_that_waits_is_meant_for_the_other(started, number):
    process, _ = started(f"signal.signal({int(number)}, lambda *_: sys.exit(7)); {SAY}; time.sleep(30)")
    process.send_signal(number)
    assert process.wait(timeout=20) == 7


def test_whoever_is_told_to_end_and_ends_by_that_has_ended_so(started):
    process, _ = started(f"{SAY}; time.sleep(30)")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM


def test_whoever_waits_takes_the_other_along(started):
    process, inner = started(f"{SAY}; time.sleep(60)")
    process.kill()
    process.wait(timeout=20)
    for _ in range(200):
        try:
            os.kill(inner, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the process of the command goes on, and nobody waits for it")
