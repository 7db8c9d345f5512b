# SPDX-License-Identifier: Apache-2.0
"""A folder of somebody else's is asked for its history, and none of the programs that its repository names are run."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pilothouse import reading_git
from pilothouse.connectors import git_history
from pilothouse.connectors.git_history import files_changed_since, last_commit_at, text_at_revision
from pilothouse.reading_git import ask_git
from pilothouse.runtime.version import code_revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words):
    names = ("-c", "user.name=t", "-c", "user.email=t@corp.example", "-c", "commit.gpgSign=false")
    return subprocess.run(["git", "-C", str(folder), *names, *words], check=True, capture_output=True).stdout


@pytest.fixture
def trap(tmp_path):
    """A repository each of whose programs leaves a file when it is run."""
    folder, sprung = tmp_path / "theirs", tmp_path / "sprung"
    sprung.mkdir()
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "charter.yaml").write_text("agent: a\n", encoding="utf-8")
    (folder / "agent.py").write_text("print(1)\n", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")

    def program(name, then=""):
        path = tmp_path / f"{name}.sh"
        path.write_text(f"#!/bin/sh\ntouch '{sprung}/{name}'\n{then}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    for key, value in (
        ("core.fsmonitor", program("monitor", "false")),
        ("filter.x.y.clean", program("clean", "cat")),
        ("filter.x.y.smudge", program("smudge", "cat")),
        ("filter.x.y.required", "true"),
        ("diff.x.textconv", program("textconv", "cat $1")),
        ("diff.external", program("external")),
        ("log.showSignature", "true"),
        ("gpg.program", program("gpg")),
        ("core.pager", program("pager", "cat")),
    ):
        git(folder, "config", key, value)
    # Told by a file that the repository includes, as its own settings can.
    (folder / ".git" / "more").write_text(
        f'[filter "late"]\n\tclean = "{program("late", "cat")}"\n', encoding="utf-8"
    )
    git(folder, "config", "include.path", "more")
    (folder / ".gitattributes").write_text(
        "*.yaml filter=x.y diff=x\n*.py filter=late diff=x\n", encoding="utf-8"
    )
    hook = folder / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(program("hook"), hook)
    for name in ("charter.yaml", "agent.py"):
        os.utime(folder / name, (1, 1))  # so that git has to look at what is in them
    return folder, sprung


def test_the_trap_is_one(trap):
    folder, sprung = trap
    git(folder, "status", "--porcelain")
    assert {one.name for one in sprung.iterdir()} >= {"monitor", "clean", "late", "hook"}


def test_no_program_of_the_repository_is_run_and_the_answers_are_right(trap):
    folder, sprung = trap
    assert last_commit_at(folder / "charter.yaml") is not None
    assert files_changed_since(folder, "HEAD", ["charter.yaml", "agent.py"]) == ()
    (folder / "charter.yaml").write_text("agent: b\n", encoding="utf-8")
    assert files_changed_since(folder, "HEAD", ["charter.yaml", "agent.py"]) == ("charter.yaml",)
    assert text_at_revision(folder / "charter.yaml", "HEAD") == "agent: a\n"
    assert last_commit_at(folder / "charter.yaml") is None
    assert code_revision(folder).startswith("tree:")
    assert [one.name for one in sprung.iterdir()] == []


def test_no_program_that_checks_a_signature_is_run(trap):
    """An archive of a revision may ask for it too: `$Format:%G?$` in a file with `export-subst`."""
    folder, sprung = trap
    signed = git(folder, "cat-file", "commit", "HEAD").replace(
        b"\n\n", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n -----END PGP SIGNATURE-----\n\n", 1
    )
    (sprung.parent / "signed").write_bytes(signed)
    made = git(folder, "hash-object", "-t", "commit", "-w", str(sprung.parent / "signed")).decode().strip()
    assert ask_git(folder, "log", "-1", "--format=%G?", made, timeout_s=20).returncode == 0
    assert [one.name for one in sprung.iterdir()] == []


@pytest.fixture
def late_writer(trap, tmp_path, monkeypatch):
    """A `git` before which somebody writes programs into the repository at the last moment: when its settings were read."""
    folder, sprung = trap
    real = shutil.which("git")
    fresh = tmp_path / "fresh.sh"
    fresh.write_text(f"#!/bin/sh\ntouch '{sprung}/fresh'\ncat\n", encoding="utf-8")
    fresh.chmod(0o755)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    wrapper = bin_folder / "git"
    wrapper.write_text(
        f"""#!/bin/sh
case " $* " in *" --list "*|*" rev-parse "*) ;; *)
  printf '[filter "fresh"]\\n\\tclean = {fresh}\\n\\tsmudge = {fresh}\\n' >> '{folder}/.git/config'
  printf '*.yaml filter=fresh\\n*.py filter=fresh\\n' > '{folder}/.gitattributes'
  mkdir -p '{folder}/.git/info'; cp '{folder}/.gitattributes' '{folder}/.git/info/attributes'
esac
exec {real} "$@"
""",
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    return real


def test_what_is_written_into_the_repository_after_its_settings_were_read_is_not_run(trap, late_writer):
    folder, sprung = trap
    index = (folder / ".git" / "index").read_bytes()
    assert files_changed_since(folder, "HEAD", ["charter.yaml", "agent.py"]) == ()
    assert (folder / ".git" / "index").read_bytes() == index
    assert last_commit_at(folder / "charter.yaml") is not None
    assert ask_git(folder, "archive", "--format=tar", "HEAD", timeout_s=20).returncode == 0
    assert [one.name for one in sprung.iterdir()] == []
    subprocess.run([late_writer, "-C", str(folder), "status"], check=True, capture_output=True)
    assert (sprung / "fresh").exists()  # it was written, and git by itself runs it


def test_a_repository_that_goes_away_meanwhile_counts_as_refusing(trap, monkeypatch):
    def gone(*_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(reading_git.shutil, "copy2", gone)
    assert ask_git(trap[0], "status", timeout_s=20).returncode == 128
    assert last_commit_at(trap[0] / "charter.yaml") is None


def test_a_filter_with_any_name_is_not_run(trap):
    folder, sprung = trap
    git(folder, "config", "filter.a=b.clean", str(sprung.parent / "clean.sh"))
    (folder / ".gitattributes").write_text("*.yaml filter=a=b\n", encoding="utf-8")
    assert ask_git(folder, "status", "--porcelain", timeout_s=20).stdout == b"?? .gitattributes\n"
    assert last_commit_at(folder / "charter.yaml") is not None
    assert [one.name for one in sprung.iterdir()] == []


def test_a_second_worktree_and_how_a_repository_keeps_its_lines_are_read_as_git_does(trap, tmp_path):
    folder, sprung = trap
    git(folder, "-c", "filter.x.y.required=false", "worktree", "add", "-q", "-b", "side", tmp_path / "side")
    for one in sprung.iterdir():
        one.unlink()
    side = tmp_path / "side"
    (side / "agent.py").write_text("print(2)\n", encoding="utf-8")
    git(side, "update-ref", "refs/worktree/mark", "HEAD")  # newer versions of git begin with such a folder
    assert (folder / ".git" / "worktrees" / "side" / "refs").is_dir()
    assert files_changed_since(side, "HEAD", ["charter.yaml", "agent.py"]) == ("agent.py",)
    assert ask_git(side, "rev-parse", "--abbrev-ref", "HEAD", timeout_s=20).stdout == b"side\n"
    git(folder, "config", "core.autocrlf", "true")
    (folder / "charter.yaml").write_bytes(b"agent: a\r\n")
    assert files_changed_since(folder, "HEAD", ["charter.yaml"]) == ()
    assert ask_git(tmp_path, "rev-parse", "HEAD", timeout_s=20).returncode == 128
    assert [one.name for one in sprung.iterdir()] == []


def test_a_file_that_was_changed_in_the_second_of_its_commit_is_changed(tmp_path):
    """Git compares whole seconds, and looks into a file that is as young as its list of files."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "core.trustctime", "false")
    charter, second = tmp_path / "charter.yaml", (1_700_000_000, 1_700_000_000)
    charter.write_text("agent: a\n", encoding="utf-8")
    os.utime(charter, second)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    charter.write_text("agent: b\n", encoding="utf-8")
    for path in (charter, tmp_path / ".git" / "index"):
        os.utime(path, second)
    assert git(tmp_path, "--no-optional-locks", "status", "--porcelain") == b" M charter.yaml\n"
    assert last_commit_at(charter) is None
    assert files_changed_since(tmp_path, "HEAD", ["charter.yaml"]) == ("charter.yaml",)


def test_what_git_cannot_compare_counts_as_changed(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "charter.yaml").write_text("agent: a\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")

    def refused(folder, *words, timeout_s):
        if words[0] in {"status", "diff"}:
            return subprocess.CompletedProcess(words, 128, b"", b"fatal: it is gone")
        return ask_git(folder, *words, timeout_s=timeout_s)

    monkeypatch.setattr(git_history, "ask_git", refused)
    assert last_commit_at(tmp_path / "charter.yaml") is None
    assert files_changed_since(tmp_path, "HEAD", ["charter.yaml"]) == ("charter.yaml",)


def test_no_program_of_a_repository_within_the_repository_is_run(trap, tmp_path):
    folder, sprung = trap
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    folder.rename(outer / "inner")
    # Of the outer one's files this one counts for more than what is set for all its inner ones.
    (outer / ".gitmodules").write_text(
        '[submodule "inner"]\n\tpath = inner\n\turl = ./inner\n\tignore = none\n', encoding="utf-8"
    )
    git(outer, "add", ".gitmodules", "inner")
    git(outer, "commit", "-qm", "first")
    for one in sprung.iterdir():
        one.unlink()
    os.utime(outer / "inner" / "charter.yaml", (2, 2))
    assert last_commit_at(outer / "inner") is not None
    assert files_changed_since(outer, "HEAD", ["inner"]) == ()
    assert [one.name for one in sprung.iterdir()] == []
    git(outer, "status", "--porcelain")
    assert {one.name for one in sprung.iterdir()} >= {"clean"}, "git by itself runs it"
    git(outer / "inner", "commit", "-q", "--allow-empty", "-m", "another")
    assert files_changed_since(outer, "HEAD", ["inner"]) == ("inner",)
    assert last_commit_at(outer / "inner") is None


def test_the_users_own_filters_stay(trap, tmp_path, monkeypatch):
    folder, sprung = trap
    own = tmp_path / "own.sh"
    own.write_text(f"#!/bin/sh\ntouch '{sprung}/own'\ncat\n", encoding="utf-8")
    own.chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[filter "mine"]\n\tclean = "{own}"\n', encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    (folder / ".gitattributes").write_text("*.yaml filter=mine\n", encoding="utf-8")
    assert last_commit_at(folder / "charter.yaml") is not None
    assert [one.name for one in sprung.iterdir()] == ["own"]


def test_without_git_nothing_is_known(trap, monkeypatch):
    monkeypatch.setattr(reading_git.shutil, "which", lambda _name: None)
    assert ask_git(trap[0], "status", timeout_s=20) is None
