# SPDX-License-Identifier: Apache-2.0
"""With `--json` there is one document on stdout whatever happens, and a status that is not that of a verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pilothouse.app import command_tree
from pilothouse.errors import ExitStatus
from pilothouse.interfaces.cli.main import run_cli


def broken() -> typer.Typer:
    """Return a command line whose commands meet what nobody foresaw."""
    cli = typer.Typer()

    @cli.command("one")
    def one(as_json: bool = typer.Option(False, "--json")) -> None:
        raise ZeroDivisionError

    @cli.command("two")
    def two() -> None:
        """Be another one, so that both have to be named."""

    return cli


def test_a_bug_is_one_document_too(capsys):
    with pytest.raises(SystemExit) as ended:
        run_cli(broken(), ["one", "--json"])
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert (ended.value.code, error["code"]) == (ExitStatus.INFRASTRUCTURE, "bug")
    assert "PILOTHOUSE_DEBUG=1" in error["remedy"]
    assert said.err == ""


def test_what_stands_behind_two_dashes_asks_for_nothing(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run_cli(command_tree(), ["run", "--home", str(tmp_path), "--", "no-such-program", "--json"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (ExitStatus.USAGE, "")
    assert "no program 'no-such-program' on the path" in said.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_what_cannot_be_written_has_the_status_of_infrastructure():
    with Path("/dev/full").open("wb") as full:
        for words in (["explain", "--json"], ["verdict", "nobody", "--json"]):
            ended = subprocess.run(
                [sys.executable, "-m", "pilothouse", *words], stdout=full, stderr=subprocess.PIPE, check=False
            )
            assert ended.returncode == ExitStatus.INFRASTRUCTURE, ended.stderr
            assert b"Traceback" not in ended.stderr


def test_who_stops_reading_is_told_no_verdict():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pilothouse", "explain", "--json"],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (ExitStatus.INFRASTRUCTURE, b"")
