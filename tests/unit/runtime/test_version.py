# SPDX-License-Identifier: Apache-2.0
"""The version that a launch reports, from the charter and the state of the code."""

from __future__ import annotations

import subprocess

import pytest

from pilothouse.runtime.version import code_revision
from pilothouse.workflows.gateway.launch import summarize_charter

CHARTER = """
agent: triage
model: {pin: {provider: acme, model: acme-large-2026-04-12, region: eu, retires_on: 2032-01-01}}
prompts: [system.md]
tools: {find@1: {contract: find.json}}
"""


@pytest.fixture
def charter(tmp_path):
    (tmp_path / "system.md").write_text("Be brief.")
    (tmp_path / "find.json").write_text("{}")
    path = tmp_path / "charter.yaml"
    path.write_text(CHARTER)
    return path


def test_the_version_does_not_depend_on_the_retirement_date(charter):
    before = summarize_charter(charter, revision="r").version
    charter.write_text(CHARTER.replace("2032-01-01", "2033-01-01"))
    assert summarize_charter(charter, revision="r").version == before


@pytest.mark.parametrize("change", ["model", "prompt", "contract", "code"])
def test_the_version_changes_with_everything_that_makes_the_agent(charter, change):
    before = summarize_charter(charter, revision="r").version
    revision = "r"
    match change:
        case "model":
            charter.write_text(CHARTER.replace("04-12", "09-30"))
        case "prompt":
            (charter.parent / "system.md").write_text("Be brief!")
        case "contract":
            (charter.parent / "find.json").unlink()
        case "code":
            revision = "s"
    assert summarize_charter(charter, revision=revision).version not in {before, None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "agent: triage",
        "model: ?",
        'model: {pin: {provider: a, model: "?", region: eu}}',
        "model: {pin: 3}",
    ],
)
def test_a_charter_without_a_pin_has_no_version(tmp_path, text):
    path = tmp_path / "charter.yaml"
    path.write_text(text)
    assert summarize_charter(path).version is None


def test_a_missing_charter_says_nothing(tmp_path):
    summary = summarize_charter(tmp_path / "charter.yaml")
    assert (summary.agent, summary.version) == (None, None)


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_code_revision_is_the_commit_until_something_changes(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "bot.py").write_text("print(1)\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_revision(tmp_path) == commit
    (tmp_path / "bot.py").write_text("print(2)\n")
    assert code_revision(tmp_path).startswith(f"{commit}+")


def test_without_git_the_code_revision_is_a_digest_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "bot.py").write_text("print(1)\n")
    first = code_revision(tmp_path)
    (tmp_path / "bot.py").write_text("print(2)\n")
    assert first.startswith("files:")
    assert code_revision(tmp_path) != first
