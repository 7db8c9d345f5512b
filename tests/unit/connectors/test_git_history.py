# SPDX-License-Identifier: Apache-2.0
import subprocess

import pytest

from pilothouse.connectors import git_history
from pilothouse.connectors.git_history import files_changed_since, text_at_revision
from pilothouse.errors import LimitExceeded, UsageError


def git(folder, *arguments):
    identity = ["-c", "user.name=T", "-c", "user.email=t@corp.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository" / "agent"
    folder.mkdir(parents=True)
    git(folder.parent, "init", "-q")
    (folder / "charter.yaml").write_text("agent: one\n")
    (folder / "a.md").write_text("a\n")
    (folder / "b.md").write_text("b\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    (folder / "charter.yaml").write_text("agent: two\n")
    (folder / "a.md").write_text("changed\n")
    return folder


def test_a_file_is_read_as_it_stood(repository):
    assert text_at_revision(repository / "charter.yaml", "HEAD") == "agent: one\n"


def test_changed_files_are_those_whose_content_differs(repository):
    (repository / "new.md").write_text("new\n")
    assert files_changed_since(repository, "HEAD", ["b.md", "a.md", "none.md"]) == ("a.md",)
    assert files_changed_since(repository, "HEAD", []) == ()


@pytest.mark.parametrize(
    "revision", ["no-such-tag", "--output=x", "-h", "HEAD:charter.yaml", "", " ", "HEAD~99"]
)
def test_a_wrong_revision_is_a_usage_error(repository, revision):
    with pytest.raises(UsageError, match="revision"):
        text_at_revision(repository / "charter.yaml", revision)
    assert not (repository / "x").exists()


def test_a_file_that_was_not_there_yet_is_a_usage_error(repository):
    (repository / "late.yaml").write_text("x")
    with pytest.raises(UsageError, match="does not exist at revision"):
        text_at_revision(repository / "late.yaml", "HEAD")


def test_outside_a_repository_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="lies in no git repository"):
        text_at_revision(tmp_path / "charter.yaml", "HEAD")
    with pytest.raises(UsageError, match="there is no folder"):
        text_at_revision(tmp_path / "none" / "charter.yaml", "HEAD")


def test_without_git_is_a_usage_error(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="git is not installed"):
        text_at_revision(repository / "charter.yaml", "HEAD")


def test_a_git_that_hangs_is_a_usage_error(repository, monkeypatch):
    def hang(*_arguments, **_options):
        raise subprocess.TimeoutExpired("git", 1)

    monkeypatch.setattr(git_history.subprocess, "run", hang)
    with pytest.raises(UsageError, match="did not answer"):
        text_at_revision(repository / "charter.yaml", "HEAD")


def test_an_old_file_beyond_the_limit_is_refused(repository, monkeypatch):
    monkeypatch.setattr(git_history, "OUTPUT_BYTES_MAX", 3)
    with pytest.raises(LimitExceeded, match="larger than"):
        text_at_revision(repository / "charter.yaml", "HEAD")
