# SPDX-License-Identifier: Apache-2.0
"""The environment of an agent process, and the version it reports."""

from __future__ import annotations

import subprocess

import pytest

from pilothouse.runtime.launcher import (
    Launch,
    agent_environment,
    code_revision,
    command_name,
    summarize_charter,
)

LAUNCH = Launch(endpoint="http://127.0.0.1:4318", agent="triage")
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


def test_traces_go_to_the_endpoint_over_http():
    env = agent_environment(LAUNCH, {})
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
    assert env["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert env["OTEL_SEMCONV_STABILITY_OPT_IN"] == "gen_ai_latest_experimental"


def test_variables_that_would_overrule_the_endpoint_are_dropped():
    env = agent_environment(LAUNCH, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere/v1/traces"})
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in env


def test_a_parent_from_outside_is_dropped():
    assert "TRACEPARENT" not in agent_environment(LAUNCH, {"TRACEPARENT": "00-aa-bb-01"})


def test_resource_attributes_of_the_user_are_kept_and_ours_are_escaped():
    launch = Launch(endpoint="http://h", agent="a,b=c", version="4f1c", environment="pilot")
    env = agent_environment(launch, {"OTEL_RESOURCE_ATTRIBUTES": "team=ap%20eu,pilothouse.agent=old"})
    assert env["OTEL_RESOURCE_ATTRIBUTES"].split(",") == [
        "team=ap%20eu",
        "pilothouse.agent=a%2Cb%3Dc",
        "pilothouse.version=4f1c",
        "deployment.environment.name=pilot",
    ]


def test_how_much_content_is_captured_stays_the_users_choice():
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert agent_environment(LAUNCH, {})[name] == "SPAN_ONLY"
    assert agent_environment(LAUNCH, {name: "NO_CONTENT"})[name] == "NO_CONTENT"


def test_model_addresses_stay_the_users_without_a_base_url():
    env = agent_environment(LAUNCH, {"OPENAI_BASE_URL": "http://mine/v1"})
    assert env["OPENAI_BASE_URL"] == "http://mine/v1"
    assert "ANTHROPIC_BASE_URL" not in env


def test_a_base_url_is_given_to_both_clients_in_their_own_form():
    launch = Launch(endpoint="http://h", agent="a", base_url="http://127.0.0.1:8089/v1/")
    env = agent_environment(launch, {"OPENAI_BASE_URL": "http://mine/v1"})
    assert env["OPENAI_BASE_URL"] == "http://127.0.0.1:8089/v1"
    assert env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8089"


def test_the_inherited_environment_is_not_changed():
    inherited = {"PATH": "/bin"}
    agent_environment(LAUNCH, inherited)
    assert inherited == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("command", "name"),
    [(["python", "bot.py"], "bot"), (["uv", "run", "agents/x.py", "-v"], "x"), (["node"], "node")],
)
def test_a_nameless_agent_is_called_after_its_command(command, name):
    assert command_name(command) == name


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
