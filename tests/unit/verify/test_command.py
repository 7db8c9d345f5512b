# SPDX-License-Identifier: Apache-2.0
"""The verifier as an auditor has it: a copied folder, a terminal of any kind, and a file that nobody trusts."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pilothouse_verify
from pilothouse_verify.command import main


def bundle(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "{}")
    return path


@pytest.fixture
def copied(tmp_path):
    """The folder alone, where nothing else of this installation is found."""
    shutil.copytree(Path(pilothouse_verify.__file__).parent, tmp_path / "copied" / "pilothouse_verify")
    return tmp_path / "copied"


def started(copied, *words, flags=()):
    where = {"PYTHONPATH": str(copied), "PATH": os.environ["PATH"]}
    command = [sys.executable, *flags, "-m", "pilothouse_verify", *map(str, words)]
    return subprocess.run(command, env=where, cwd=copied, check=False, capture_output=True, timeout=60)


def test_a_copied_folder_is_a_program(copied, tmp_path):
    """It had none: the how-to says that it can be copied alone, and nothing in it could be started."""
    done = started(copied, bundle(tmp_path / "log.zip", "manifest.json"))
    assert (done.returncode, done.stdout) == (1, b"tampered: the bundle names no key\n"), done.stderr


def test_without_its_one_dependency_it_does_not_say_tampered(copied, tmp_path):
    """An import that failed ended with status 1, which means that somebody tampered."""
    done = started(copied, bundle(tmp_path / "log.zip", "manifest.json"), flags=("-S",))
    assert (done.returncode, b"`cryptography`, which is not installed" in done.stderr) == (2, True), done


def test_a_file_that_may_not_be_read_is_no_tampered_one(tmp_path, capsys):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(SystemExit) as ended:
            main([str(bundle(tmp_path / "log.zip", "manifest.json")), "--checkpoint", str(path)])
        assert ended.value.code == 2
        assert "cannot be opened" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_tampered_file_adds_no_line_and_steers_no_terminal(encoding, tmp_path, monkeypatch):
    """Its names came out as they were: they could clear "tampered" off the screen and write that all is consistent."""
    name = "checkpoints/1\x1b[2J\n7 records under 2 checkpoints are consistent\u202e ü"
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    with pytest.raises(SystemExit) as ended:
        main([str(bundle(tmp_path / "log.zip", name, name))])
    sys.stdout.flush()
    said = out.getvalue().decode(encoding)
    assert ended.value.code == 1
    assert said.startswith("tampered: checkpoints/1<U+001B>[2J<U+000A>7 records")
    assert [line.isprintable() for line in said.splitlines()] == [True]


def test_a_key_file_that_is_no_text_is_no_key(tmp_path, capsys):
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SystemExit) as ended:
        main([str(bundle(tmp_path / "log.zip", "manifest.json")), "--key", str(tmp_path / "key")])
    assert ended.value.code == 1
    assert "no Ed25519 verifier key" in capsys.readouterr().out
