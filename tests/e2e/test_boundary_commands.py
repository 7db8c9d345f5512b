# SPDX-License-Identifier: Apache-2.0
"""policy, approve and audit as a person types them, down to the verdict they change."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from otlp_bodies import request, to_json
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.app.boundary import audit_log, permission_desk
from pilothouse.errors import UnknownName, UsageError
from pilothouse.ledger import permission_book
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.tool_calls import SqlToolCalls
from pilothouse.ports.permissions import Segment, TaskOpening
from pilothouse.ports.tools import ToolCall
from pilothouse.settings import load_settings
from pilothouse.workflows.ground.in_force import charter_of

CHARTER = Path(__file__).parents[2] / "src" / "pilothouse" / "demo" / "charter" / "charter.yaml"
AGENT = "ap-invoice-triage"
RUN = "a" * 32


@pytest.fixture
def type_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    runner, cli = CliRunner(), command_tree()

    def run(*words, code=0):
        done = runner.invoke(cli, list(words))
        if code is not None:
            assert done.exit_code == code, done.output
        return done.output

    run("verdict", AGENT, "--charter", str(CHARTER), code=None)
    return run


@pytest.fixture(autouse=True)
def no_planted_proposal(monkeypatch):
    """One question in fifty is followed by a known-bad one, which would wait beside it."""
    monkeypatch.setattr(permission_book.secrets, "randbelow", lambda _among: 1)


def decide(*, document, origin_text):
    settings = load_settings()
    with open_ledger(settings.ledger_url) as ledger, ExitStack() as held:
        record = ledger.charter(AGENT)
        desk = permission_desk(ledger, settings, record, charter_of(record), held)
        desk.open_task(
            TaskOpening(
                agent=AGENT,
                run=RUN,
                task_type="po_invoice",
                requester="ana",
                segments=(Segment(text=origin_text, source="typed"),),
                opened_by="service",
            )
        )
        return desk.decide(
            ToolCall(
                tool="route_invoice@1",
                args={"document": document, "queue": "approval"},
                agent=AGENT,
                version=None,
                run=RUN,
                span_id="b" * 16,
                parent_span_id=None,
                call_id="1",
                task_type="po_invoice",
                effect="external",
                integration="erp",
                contract="sha256:c",
            )
        )


def item(type_in, requirement):
    verdict = json.loads(type_in("verdict", AGENT, "--json", code=None))
    text = json.dumps(verdict)
    assert requirement in text
    return [
        one for one in walk(verdict) if one.get("requirement") == requirement or one.get("id") == requirement
    ]


def walk(value):
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from walk(one)
    elif isinstance(value, list):
        for one in value:
            yield from walk(one)


def kept_evidence():
    with open_ledger(load_settings().ledger_url) as ledger:
        return sorted(one.model_dump_json() for one in ledger.evidence(AGENT))


@pytest.mark.slow
def test_an_agent_that_asks_nobody_is_told_so_and_not_paused_for_it(type_in, tmp_path):
    """The command that its own page advises may not be what stops it; whoever asks sometimes and not always goes past."""
    import_a_call(type_in, tmp_path, seconds_ago=3_600)

    def bypass():
        found, records = bypass_of(type_in)
        return found["past"], records

    assert bypass() == (1, [])
    told = type_in("policy", "check", code=3)
    assert "no call asks the boundary, so nothing is known of what it would stop" in told
    assert "pilothouse mcp proxy" in told
    (found,) = json.loads(type_in("policy", "check", "--json", code=None))
    assert f"in 1 run, newest first: {found['runs_past'][0]}" in told
    decide(document="D-00007", origin_text="route D-00007")
    past, (record,) = bypass()
    assert (past, record["n"], record["good"]) == (1, 1, 0)


def import_a_call(type_in, tmp_path, *, seconds_ago):
    begun = int(datetime.now(UTC).timestamp()) * 10**9 - seconds_ago * 10**9
    spans = [
        {"span_id": bytes([1] * 8), "attributes": {"gen_ai.operation.name": "invoke_agent"}},
        {
            "span_id": bytes([2] * 8),
            "parent_span_id": bytes([1] * 8),
            "attributes": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "route_invoice"},
        },
    ]
    spans = [{**one, "start": begun, "end": begun + 10**9} for one in spans]
    (tmp_path / "spans.json").write_bytes(to_json(request(spans, {"pilothouse.agent": AGENT})))
    type_in("import", str(tmp_path / "spans.json"))


def bypass_of(type_in):
    (found,) = json.loads(type_in("policy", "check", "--json", code=None))
    return found, [one for one in found["evidence"] if one["kind"] == "policy.bypass"]


@pytest.mark.slow
def test_a_decided_call_of_a_task_that_was_opened_without_its_trace_is_not_past_the_boundary(
    type_in, tmp_path
):
    """Its decision names a run of its own: nobody can tell, which is no breach, and nothing is proved either."""
    decide(document="D-00007", origin_text="route D-00007")
    import_a_call(type_in, tmp_path, seconds_ago=3)
    found, (record,) = bypass_of(type_in)
    assert (found["past"], found["unlinked"]) == (0, 1)
    assert (record["n"], record["good"], record["counts"]) == (1, 0, {"unknown": 1})
    assert "send its id as `run`" in type_in("policy", "check", code=None)
    assert "breached" not in {one.get("status") for one in item(type_in, "INT-8")}


@pytest.mark.slow
def test_policies_are_proven_and_their_evidence_reaches_the_verdict(type_in):
    assert "10 of 10 weakened rules" in type_in("policy", "test", str(CHARTER))
    assert "nothing is known about unused permissions" in type_in("policy", "check", code=3)
    held = kept_evidence()
    assert "says nothing about what it needs" in type_in("policy", "unused", AGENT)
    assert kept_evidence() == held, "who only asks changes no verdict"
    decide(document="D-00007", origin_text="route D-00007")
    assert "12 permissions unused since" in type_in("policy", "check", code=1)
    assert "Nobody used them since" in type_in("policy", "unused", AGENT)
    unused = json.loads(type_in("policy", "unused", AGENT, "--json"))
    assert (unused["agent"], unused["reviewed"], len(unused["unused"])) == (AGENT, False, 12)
    assert {"tool", "task_type"} == set(unused["unused"][0])
    for nobody in ("nobody", "agent", ""):
        type_in("policy", "unused", AGENT, "--keep", "--as", nobody, "--reason", "first week", code=1)
    assert "No record" in type_in("audit", "list", "--kind", "policy.unused_reviewed")
    type_in("policy", "unused", AGENT, "--keep", "--as", "kim", "--reason", "first week")
    assert "reviewed" in type_in("policy", "check")
    assert "policy.compiled" in type_in("policy", "check", "--json")
    assert item(type_in, "INT-8")


def test_a_call_is_asked_answered_and_explained(type_in):
    asked = decide(document="D-00007", origin_text="route the invoice")
    assert asked.decision == "ask"
    assert AGENT in type_in("approve", "list")
    shown = type_in("approve", "show", asked.approval[:12])
    assert "D-00007" in shown
    assert "from model" in shown
    type_in("approve", "allow", asked.approval[:12], "--as", "eve", code=None)
    assert "state pending" in type_in("approve", "show", asked.approval[:12])
    assert "approved" in type_in(
        "approve", "allow", asked.approval[:12], "--as", "lee", "--reason", "seen it"
    )
    assert "1 agreed" in type_in("approve", "record", AGENT)
    assert "Nothing waits" in type_in("approve", "list")
    explained = type_in("policy", "explain", str(asked.position))
    assert "asked about" in explained
    assert "✗ document: from model" in explained
    for position, said in (("999", "no record 999; the log has"), ("0", "it is charter.in_force")):
        with pytest.raises(UnknownName, match=said):
            CliRunner().invoke(command_tree(), ["policy", "explain", position], catch_exceptions=False)


def test_an_empty_log_proves_nothing(type_in, tmp_path):
    assert "nothing is proven" in type_in("audit", "verify", "--home", str(tmp_path / "new"), code=3)


@pytest.mark.slow
def test_the_log_verifies_is_anchored_exported_and_a_change_is_found_and_breaches(type_in, tmp_path):
    position = decide(document="D-00007", origin_text="route D-00007").position
    assert "anchored in" in type_in("audit", "anchor", str(tmp_path / "anchors"), "--outside")
    assert "payloads that match: 1, erased: 0" in type_in("audit", "verify")
    assert "tlog-proof" in type_in("audit", "prove", str(position))
    type_in("audit", "export", str(tmp_path / "bundle.zip"))
    key = type_in("audit", "key").strip()
    anchor = next((tmp_path / "anchors").iterdir())
    code = "import sys; from pilothouse_verify.command import main; main(sys.argv[1:])"
    verifier = [sys.executable, "-c", code, str(tmp_path / "bundle.zip")]
    assert subprocess.run(verifier, check=False).returncode == 3
    assert subprocess.run([*verifier, "--key", key, "--checkpoint", str(anchor)], check=False).returncode == 0
    grown = tmp_path / "grown.txt"
    grown.write_text(type_in("audit", "prove", "--since", str(anchor)))
    proof = [*verifier[:3], str(grown), "--key", key, "--checkpoint", str(anchor)]
    assert subprocess.run(proof, check=False).returncode == 0
    with pytest.raises(UsageError, match="one record or the growth"):
        CliRunner().invoke(command_tree(), ["audit", "prove"], catch_exceptions=False)
    assert "replaces the key" in type_in("audit", "rotate-key", "--reason", "a laptop was stolen")
    keys = tmp_path / "key.txt"
    keys.write_text(type_in("audit", "key"))
    grown.write_text(type_in("audit", "prove", "--since", str(anchor)))
    assert subprocess.run([*proof[:5], str(keys), *proof[6:]], check=False).returncode == 0
    assert subprocess.run(proof, check=False).returncode == 1  # with the old key alone
    assert "cannot be read any more" in type_in("audit", "erase", "ana", "--reason", "asked")
    assert "erased: 1" in type_in("audit", "verify")
    with closing(sqlite3.connect(tmp_path / "home" / "ledger.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE audit_records SET record = replace(record, 'ask', 'allow') WHERE position = ?",
            (position,),
        )
    found = type_in("audit", "verify", code=1)
    assert "TAMPERED" in found
    assert "No anchor" not in found  # there is one, and it does not confirm this
    breached = json.dumps(item(type_in, "MON-10"))
    assert "breached" in breached


def test_the_log_is_empty_of_words_that_were_said(type_in, tmp_path):
    decide(document="D-SECRET-7", origin_text="route D-SECRET-7")
    settings = load_settings()
    with open_ledger(settings.ledger_url) as ledger:
        assert not any("D-SECRET-7" in text for _, text in audit_log(ledger, settings).texts())


def test_a_run_that_is_erased_takes_what_its_calls_returned_with_it(type_in):
    settings = load_settings()
    with open_ledger(settings.ledger_url) as ledger:
        store = SqlToolCalls(ledger.database, audit_log(ledger, settings).keys.wrapper)
        at = datetime.now(UTC)

        store.begin(
            call="c1", key="k1", args_digest="d1", agent=AGENT, run=RUN, tool="route_invoice@1", at=at
        )
        store.step("c1", before="sent", after="done", result='{"iban": "DE1"}', at=at, person="ana")
        assert store.known("c1").result == '{"iban": "DE1"}'
        assert "kept for their repetition: 1 forgotten" in type_in("erase", RUN)
        assert (store.known("c1").state, store.known("c1").result) == ("done", None)
