# SPDX-License-Identifier: Apache-2.0
"""The closed place of a replay: it closes on a system with mounts of its own, and nothing outlives it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pilothouse.runtime.replay import inside
from pilothouse.runtime.replay.sandbox import UNSHARE, is_closable, prepare_place

pytestmark = pytest.mark.skipif(not is_closable(), reason="this system gives no namespaces")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "scratch").mkdir()
    return prepare_place(tmp_path / "scratch", tmp_path / "source", 4318)


def processes_of(word):
    """Return the processes whose command line holds a word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def test_what_the_agent_left_behind_ends_with_it(place):
    word = str(place.folder)
    left = f"setsid sh -c 'sleep 61 & echo > begun; wait' {word} & until [ -e begun ]; do sleep 0.05; done; exit 7"
    assert place.run(["/bin/sh", "-c", left], os.environ, timeout_s=60) == 7
    assert not processes_of(word)


def test_an_agent_that_does_not_want_to_end_is_ended(place):
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    assert place.run(["/bin/sh", "-c", deaf, str(place.folder)], os.environ, timeout_s=0.5) == 124
    assert not processes_of(str(place.folder))


def test_a_mount_below_run_is_hidden_and_in_nobodys_way(place):
    within = [
        *UNSHARE,
        sys.executable,
        "-I",
        inside.__file__,
        "--socket",
        str(place.socket_file),
        "--port",
        "4318",
    ]
    within += ["--scratch", str(place.folder), "--cwd", str(place.folder / "work"), "--"]
    seen = "ls -A /run | wc -l; touch /usr/mine 2>/dev/null || echo closed"
    mounts = 'mount -t tmpfs x /run && mkdir /run/user && mount -t tmpfs x /run/user && touch /run/user/bus && exec "$@"'
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mounts,
        "sh",
        *within,
        "/bin/sh",
        "-c",
        seen,
    ]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)
    assert (done.stderr, done.stdout.split(), done.returncode) == ("", ["0", "closed"], 0)
