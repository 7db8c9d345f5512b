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


@pytest.fixture
def repository(tmp_path, charter):
    git(tmp_path, "init", "-q")
    charter.write_text(
        CHARTER + "datasets: {labelled: {path: datasets/labelled}}\ncontext: {probes: datasets/planted/}\n"
        "change_plan: docs/change.md\nrunbooks: {docs/other.md: {drill: 90d}}\nalerts: [{id: a, runbook: docs/run.md}]\n"
    )
    (tmp_path / "bot.py").write_text("print(1)\n")
    (tmp_path / "queues.json").write_text("{}")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def write(path, text="more\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def version(folder):
    return summarize_charter(folder / "charter.yaml").version


def test_what_is_written_about_an_agent_is_no_other_version_of_it(repository):
    before = version(repository)
    write(repository / "charter.yaml", "title: Other\n")
    for name in (
        "datasets/labelled/cases.jsonl",
        "datasets/labelled/labels/answers.jsonl",
        "datasets/planted/one.json",
        "docs/change.md",
        "docs/other.md",
        "docs/run.md",
    ):
        write(repository / name)
    assert version(repository) == before
    git(repository, "add", ".")
    assert version(repository) == before
    git(repository, "commit", "-q", "-m", "about the agent")
    assert version(repository) == before
    git(repository, "commit", "-q", "--allow-empty", "-m", "the work of a colleague")
    assert version(repository) == before


@pytest.mark.parametrize(
    "name", ["bot.py", "queues.json", "new.py", "deep/new.py", "datasets/labelled/hidden.py", "system.md"]
)
def test_a_change_of_the_code_is_one_version_before_its_commit_and_after_it(repository, name):
    before = version(repository)
    write(repository / name, "# other\n")
    changed = version(repository)
    assert changed not in {before, None}
    git(repository, "add", ".")
    assert version(repository) == changed
    git(repository, "commit", "-q", "-m", "other")
    assert version(repository) == changed


def test_a_file_that_is_gone_is_another_version_and_a_copy_of_the_repository_the_same(
    repository, tmp_path_factory
):
    before = version(repository)
    copy = tmp_path_factory.mktemp("clones") / "copy"
    git(repository, "clone", "-q", "--depth", "1", repository.as_uri(), str(copy))
    assert version(copy) == before
    (repository / "queues.json").unlink()
    gone = version(repository)
    assert gone != before
    git(repository, "commit", "-q", "-a", "-m", "gone")
    assert version(repository) == gone


def test_a_charter_with_strange_parts_still_has_a_version(repository):
    before = version(repository)
    (repository / "charter.yaml").write_text(
        CHARTER
        + "datasets: {labelled: {path: .}, adversarial: 3}\ncontext: [x]\nalerts: {a: 1}\nrunbooks: '?'\n"
    )
    write(repository / "queues.json")
    assert version(repository) not in {before, None}


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_charter_that_lies_apart_from_its_code_is_of_another_version_when_that_changes(
    repository, is_committed
):
    apart = repository / "pilot"
    write(apart / "charter.yaml", CHARTER)
    write(apart / "notes.md")
    if is_committed:
        git(repository, "add", ".")
    before = version(apart)
    write(apart / "charter.yaml", "title: Other\n")
    assert version(apart) == before
    write(repository / "bot.py", "# other\n")
    changed = version(apart)
    assert changed not in {before, None}
    git(repository, "add", "bot.py")
    git(repository, "commit", "-q", "-m", "other")
    assert version(apart) == changed
    write(apart / "own.py", "# from here on its code is here\n")
    git(repository, "add", ".")
    own = version(apart)
    write(repository / "bot.py", "# the work of a colleague\n")
    assert version(apart) == own


def test_trials_that_somebody_put_under_version_control_are_no_part_of_the_agent(repository):
    write(repository / "charter.yaml", CHARTER)
    write(repository / ".pilothouse/evals.db", "trials\n")
    git(repository, "add", ".")
    before = version(repository)
    write(repository / ".pilothouse/evals.db", "trials of one more gate\n")
    assert version(repository) == before


def test_a_folder_of_which_git_knows_nothing_is_named_by_its_files(repository):
    (repository / ".gitignore").write_text("apart/\n")
    write(repository / "apart/bot.py", "print(1)\n")
    first = code_revision(repository / "apart")
    assert first.startswith("files:")
    write(repository / "apart/bot.py", "print(2)\n")
    assert code_revision(repository / "apart") != first


def test_without_git_the_code_revision_is_a_digest_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "bot.py").write_text("print(1)\n")
    first = code_revision(tmp_path)
    (tmp_path / "bot.py").write_text("print(2)\n")
    assert first.startswith("files:")
    assert code_revision(tmp_path) != first
