# SPDX-License-Identifier: Apache-2.0
"""What `pilothouse up` says when it starts, and when it cannot."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forked_process import command_line_process, run_command_line
from postgres_server import fresh_postgres_url, postgres_server
from started_server import started_server

CHARTER = Path(__file__).parents[2] / "examples" / "plain_python" / "charter.yaml"
UP = ("up", "--port", "0", "--grpc-port", "0")
COMMAND = [sys.executable, "-m", "pilothouse", *UP]
HINT = "No charter is in force yet"

__all__ = ["postgres_server"]

pytestmark = pytest.mark.slow


def started(home):
    return subprocess.Popen(
        [*COMMAND, "--home", str(home)], stderr=subprocess.PIPE, text=True, cwd=home.parent
    )


def forked(home, *options):
    return command_line_process(*UP, "--home", home, *options, stderr=subprocess.PIPE, cwd=home.parent)


def said_at_start(server):
    """Stop a server with Ctrl-C when it says how to, and return what it said."""
    with server as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Ctrl-C" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    return "".join(lines)


def test_the_hint_to_draft_a_charter_ends_with_the_first_charter(tmp_path):
    home = tmp_path / "home"
    assert HINT in said_at_start(started(home))
    assert HINT not in said_at_start(forked(home, "--charter", str(CHARTER)))
    assert HINT not in said_at_start(forked(home)), "the charter is in the ledger by now"


def test_a_home_that_cannot_be_made_is_one_clear_message(tmp_path):
    (tmp_path / "file").touch()
    done = subprocess.run(
        [*COMMAND, "--home", str(tmp_path / "file" / "home")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert "cannot be made" in done.stderr
    assert "PILOTHOUSE_HOME" in done.stderr
    assert "bug" not in done.stderr


def test_a_second_server_on_the_ledger_of_another_folder_says_who_has_it(tmp_path, request, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_LEDGER", fresh_postgres_url(request))
    with started_server("--grpc-port", "0", "--home", str(tmp_path / "one")):
        done = run_command_line(*UP, "--home", str(tmp_path / "two"))
    assert done.returncode == 4
    assert "another server runs on this ledger: " in done.stderr
    assert str(tmp_path / "one")[-40:] in done.stderr
