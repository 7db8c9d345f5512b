# SPDX-License-Identifier: Apache-2.0
"""What people are likely to mistype or forget is answered with what is true, and with what to type."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from pilothouse import app
from pilothouse.app import command_tree
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.answers import read_answers
from pilothouse.evals.glossary import read_terms
from pilothouse.interfaces.cli import show
from pilothouse.interfaces.cli.replay_case import _answer
from pilothouse.runtime.tools.mcp_servers import read_servers
from pilothouse.workflows.replay.change import read_substitution

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
AGENT = "ap-invoice-triage"

LABEL = (
    '{"input": 1, "output": "2", "case_id": "c1", "good": true, "by": "sam", "at": "2026-11-20T12:00:00Z"}'
)


def replaced(prompt):
    return read_substitution(
        model=None, params={}, prompt=prompt, tool_results={}, tool_contracts=(), code=None
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    cli = command_tree()

    def typed(*words):
        return CliRunner().invoke(cli, list(words))

    return typed


@pytest.fixture
def agent(run):
    """An agent whose charter is in force."""
    assert run("verdict", "--charter", str(CHARTER)).exit_code == 3
    return AGENT


@pytest.mark.parametrize("words", [("--kind", "call.decided"), ("another",)])
def test_a_log_with_records_is_not_called_empty(run, agent, words):
    assert agent in run("audit", "list").output
    said = run("audit", "list", *words).output
    assert said == "No record of that agent, kind or time. `pilothouse audit list` shows the newest of all.\n"


def test_the_list_of_records_names_who_acted(run, agent):
    actors = {one["actor"] for one in json.loads(run("audit", "list", agent, "--json").output)}
    lines = run("audit", "list", agent).output.splitlines()
    assert {line.rpartition("  by ")[2] for line in lines} == actors


def test_records_as_json_are_the_signed_text_with_what_nobody_sees(run, agent):
    assert run("pause", agent, "--reason", "ev\u202eil").exit_code == 0
    assert "ev\u202eil" in run("audit", "list", agent, "--json").output
    assert "ev⟨U+202E⟩il" not in run("audit", "list", agent, "--json").output
    assert "ev\u202eil" not in run("pause", agent, "--reason", "again").output


def test_records_as_json_are_one_document_also_when_there_is_none(run, agent):
    records = json.loads(run("audit", "list", agent, "--json").output)
    assert {one["agent"] for one in records} == {agent}
    assert len(records) > 1
    assert json.loads(run("audit", "list", "another", "--json").output) == []


def test_an_empty_log_says_what_makes_the_first_record(run):
    assert run("audit", "list").output.startswith("No record yet")


@pytest.mark.parametrize("words", [("{agent}",), ("{agent}", "bundle.zip"), ("bundle", "{agent}")])
def test_the_auditors_file_is_named_before_the_agent(run, agent, tmp_path, words):
    error = run("report", "auditor", *(word.format(agent=agent) for word in words)).exception
    assert isinstance(error, UsageError)
    assert f"`pilothouse report auditor bundle.zip {agent}`" in error.remedy
    assert not (tmp_path / agent).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("people", "check", "--directory", "no.csv"), "no.csv cannot be read (No such file or directory)"),
        (
            ("mcp", "pin", "crm", "--servers", "no.json"),
            "'no.json' is no list of MCP servers (No such file or directory)",
        ),
    ],
)
def test_a_file_that_is_not_there_is_said_in_words(run, words, said):
    error = run(*words).exception
    assert isinstance(error, UsageError)
    assert error.message == said


def test_a_misspelt_tool_is_not_said_to_be_paused(run, agent):
    error = run("pause", agent, "--tool", "erp.rout@1").exception
    assert isinstance(error, UnknownName)
    assert error.message == "no tool 'erp.rout@1'. Did you mean 'erp.route@1'?"
    assert run("pause", agent, "--tool", "erp.route@1").output.startswith(
        f"erp.route@1 of {agent} is paused, since"
    )


def test_calls_past_the_permissions_say_how_calls_come_to_pass_them(run, agent, tmp_path):
    now_ns = time.time_ns()
    root = {"traceId": "a" * 32, "spanId": "b" * 16, "name": f"invoke_agent {agent}"}
    call = {
        "traceId": "a" * 32,
        "spanId": "c" * 16,
        "parentSpanId": "b" * 16,
        "name": "execute_tool erp.route",
    }
    named = [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "erp.route")]
    spans = [
        {
            **span,
            "startTimeUnixNano": str(now_ns - 10**9),
            "endTimeUnixNano": str(now_ns),
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in [("pilothouse.agent", agent), *(named if span is call else ())]
            ],
        }
        for span in (root, call)
    ]
    sent = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    (tmp_path / "traces.json").write_text(json.dumps(sent), encoding="utf-8")
    assert run("import", "traces.json").exit_code == 0
    said = run("policy", "check").output
    assert "1 of 1 tool calls without a decision on record" in said
    assert (
        f"@pilothouse.tool, or let the agent reach them by `pilothouse mcp proxy`; the calls: `pilothouse traces --agent {agent}`"
        in said
    )


def test_an_agent_of_which_nothing_arrived_is_known_and_told_which_key_makes_spans(
    run, agent, tmp_path, monkeypatch
):
    """`run` gives a key without spans, and an agent in another language was said not to exist."""
    span = {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "name": "invoke_agent other",
        "startTimeUnixNano": str(time.time_ns() - 10**9),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [{"key": "pilothouse.agent", "value": {"stringValue": "other"}}],
    }
    (tmp_path / "traces.json").write_text(
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}), encoding="utf-8"
    )
    assert run("import", "traces.json").exit_code == 0
    done = run("traces", "--agent", agent)
    assert done.exit_code == 0
    assert f"pilothouse key add {agent}" in " ".join(done.output.split())
    assert isinstance(run("traces", "--agent", "nobody").exception, UnknownName)
    assert json.loads(run("traces", "--agent", agent, "--json").stdout) == {"tasks": []}
    assert f"pilothouse key add {agent}" in " ".join(run("verdict", agent).output.split())
    assert "no agent span" in run("traces").stdout
    (tmp_path / "charter.yaml").symlink_to(CHARTER)
    monkeypatch.chdir(tmp_path)
    here = run("traces")
    assert not here.stdout
    assert "Tasks came from 'other': `pilothouse traces --agent other`." in " ".join(here.stderr.split())


def test_whoever_is_not_asked_for_a_signature_is_told_who_is_before_any_question(run, agent):
    """Nothing was shown to them, and the error spoke of the text above."""
    assert "asks for no signature of" in str(run("evidence", "attest", "OWN-5", "--as", "nobody").exception)
    asked = run("evidence", "attest", "OWN-5", "--as", "vp")
    assert "the text above" in asked.exception.remedy
    assert "OWN-5: " in asked.output


def test_the_first_verdict_of_a_draft_says_that_no_verifier_is_named(run, tmp_path):
    """It said "not asked yet", and nothing would ever have asked."""
    (tmp_path / "package.json").write_text('{"name": "orders"}', encoding="utf-8")
    assert run("init", ".").exit_code == 0
    span = {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "name": "invoke_agent orders",
        "startTimeUnixNano": str(time.time_ns() - 10**9),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [
            {"key": "pilothouse.agent", "value": {"stringValue": "orders"}},
            {"key": "pilothouse.task.type", "value": {"stringValue": "main"}},
            {"key": "pilothouse.task.result", "value": {"stringValue": "completed"}},
        ],
    }
    (tmp_path / "traces.json").write_text(
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}), encoding="utf-8"
    )
    assert run("import", "traces.json").exit_code == 0
    said = " ".join(run("verdict").output.split())
    assert "said done 1 " in said
    assert "the charter names no verifier" in said


def test_a_key_of_an_agent_without_a_charter_says_what_it_lacks(run, agent):
    assert "No charter" not in run("key", "add", agent).output
    said = run("key", "add", agent[:-1]).output
    prefix = said.split("_")[1]
    assert f"No charter of {agent[:-1]} is in force, so nothing pins its model" in said
    assert f"If you meant {agent}: `pilothouse key revoke {prefix}`." in said


def test_minutes_that_were_just_kept_are_the_first_line(run, agent):
    said = run(
        "minutes", "sponsor", "--as", "vp", "--text", "Cost, volume and the incident were seen."
    ).output
    assert said.startswith("sponsor      held on ")


def test_a_byte_order_mark_is_no_part_of_what_a_file_says(tmp_path):
    """Editors and spreadsheets write one; before the first term, key or answer it would be a letter of it."""

    def written(text):
        file = tmp_path / "file"
        file.write_text(text, encoding="utf-8-sig")
        return file

    assert read_terms(written("three-way match: all agree\n")) == ("three-way match",)
    assert set(read_servers(written('{"mcpServers": {"crm": {"command": "python"}}}'))) == {"crm"}
    assert _answer(written('{"queue": "approval"}')) == {"queue": "approval"}
    assert replaced(written("You route invoices.")).prompt == "You route invoices."
    assert [one.by for one in read_answers(written(LABEL))] == ["sam"]


def test_a_text_in_another_encoding_is_said_and_no_bug(tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(UsageError, match=r"prompt\.txt cannot be read"):
        replaced(file)


@pytest.mark.parametrize("page", sorted(show.OWN_COMMANDS))
def test_a_page_that_another_command_prints_names_it(run, page):
    error = run("show", page, "another").exception
    assert isinstance(error, UsageError)
    assert error.remedy == f"Type `{show.OWN_COMMANDS[page]}`."


def test_a_charter_for_a_past_moment_is_refused_and_not_passed_over(run, agent):
    error = run("verdict", "--charter", str(CHARTER), "--as-of", "2026-01-01").exception
    assert isinstance(error, UsageError)
    assert "by the charter that was in force then" in error.message


def test_traces_before_the_first_task_say_that_only_an_instrumented_agent_sends(run):
    done = run("traces")
    assert done.exit_code == 0
    for said in (
        "ten seconds after its end",
        "without instrumentation sends nothing",
        "docs/how-to/README.md",
    ):
        assert said in done.stderr


def test_whoever_names_a_variable_learns_that_the_running_server_may_lack_it(run, monkeypatch):
    words = ("provider", "add", "acme", "http://127.0.0.1:9/v1", "--credential-env", "ACME_KEY")
    assert not run(*words).stderr
    monkeypatch.setattr(app, "read_server", lambda home: SimpleNamespace(url="http://127.0.0.1:9"))
    assert "reads ACME_KEY in the environment that it was started with" in run(*words).stderr
    assert not run(*words[:-2]).stderr


def test_a_canary_of_the_only_agent_need_not_name_it(run, agent):
    assert run("canary", "none-yet").exit_code == 3
    assert "canary" in {one["kind"] for one in json.loads(run("audit", "list", agent, "--json").output)}
