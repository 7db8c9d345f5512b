# SPDX-License-Identifier: Apache-2.0
"""`pilothouse gate` as a person runs it, and what it changes in `pilothouse verdict`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from agent_repository import (
    TYPES,
    attack,
    bring_in,
    command_line,
    frozen_requirement,
    golden,
    labelled,
    make_repository,
    task_span,
    write_lines,
)

from pilothouse.workflows.gate.datasets import add_cases
from pilothouse.workflows.gateway.launch import summarize_charter

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "repository")


@pytest.fixture
def pilothouse(tmp_path, repository):
    return command_line(tmp_path / "home", repository)


def requirement(tmp_path, name):
    return frozen_requirement(tmp_path / "home", name)


def publish(repository, name, rows):
    """Make a dataset as `dataset add` does, without a process for it."""
    write_lines(repository / f"{name}.jsonl", rows)
    add_cases(repository / "datasets" / name, [repository / f"{name}.jsonl"])


def items_of(tmp_path, name):
    return {one["scope"].get("part") or "all": one for one in requirement(tmp_path, name)["items"]}


def test_ten_lines_and_no_charter_are_enough_for_a_verdict(pilothouse, tmp_path):
    folder = tmp_path / "newcomer"
    folder.mkdir()
    (folder / "app.py").write_text(
        "def old(q):\n    return q * 2\n\ndef new(q):\n    return q + q\n", encoding="utf-8"
    )
    write_lines(folder / "cases.jsonl", [{"input": n, "expected": 2 * n} for n in range(150)])
    done = pilothouse(
        "gate", "--candidate", "python:app:new", "--baseline", "python:app:old", "--dataset", "cases.jsonl",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("May be released: not_worse")
    assert "no charter: default rules apply" in done.stdout
    assert "nothing went on record" in done.stdout


def test_the_gate_moves_the_readiness_verdict_from_missing_to_what_was_measured(
    pilothouse, tmp_path, repository
):
    write_lines(repository / "labelled.jsonl", [labelled(n) for n in range(450)])
    done = pilothouse("dataset", "add", "datasets/labelled", "labelled.jsonl")
    assert "450 cases" in done.stdout, done.stderr
    publish(repository, "adversarial", [attack(n) for n in range(240)])
    publish(repository, "golden", [golden(n) for n in range(20)])
    version = summarize_charter(repository / "charter.yaml").version
    now_ns = int(datetime.now(UTC).timestamp()) * 10**9
    bring_in(pilothouse, tmp_path, [task_span(0, now_ns, pilothouse__version=version)])

    assert pilothouse("verdict").returncode == 3
    for name in ("EVAL-1", "EVAL-2", "EVAL-3", "EVAL-5", "EVAL-10"):
        assert requirement(tmp_path, name)["status"] == "no_evidence", name

    refused = pilothouse("gate", "--candidate", "python:app:route", "--margin", "9")
    assert refused.returncode == 2
    assert "looser than the charter's 5" in refused.stderr

    done = pilothouse(
        "gate", "--candidate", "python:app:route", "--baseline", "python:app:route",
        "--baseline-version", "a" * 64, "--scorer", "exact", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["status"] == "holds"
    assert verdict["candidate"] == version
    assert {one["requirement"] for one in verdict["items"]} >= {"not_worse", "floor", "adversarial", "scored"}

    pilothouse("verdict")
    assert items_of(tmp_path, "EVAL-3")["gate"]["status"] == "holds"
    cases = [one for one in requirement(tmp_path, "EVAL-1")["items"] if one["scope"]["part"] == "cases"]
    assert sorted(one["n"] for one in cases) == [150, 150, 150, 450]
    assert {one["status"] for one in cases} == {"holds"}
    assert items_of(tmp_path, "EVAL-1")["from production"]["status"] == "holds"
    attacks = items_of(tmp_path, "EVAL-2")
    assert attacks["cases"]["n"] == 240
    failures = {name: one for name, one in attacks.items() if name.startswith("failures · ")}
    assert len(failures) == 4
    assert all(one["n"] == 60 for one in failures.values())
    assert {one["status"] for one in failures.values()} == {"holds"}
    levels = [one for one in requirement(tmp_path, "EVAL-5")["items"] if one["scope"]["part"] == "level"]
    assert {one["scope"]["task_type"] for one in levels} == set(TYPES)
    assert {(one["status"], one["value"]) for one in levels} == {("holds", 1.0)}
    assert items_of(tmp_path, "EVAL-5")["anchor"]["status"] == "holds"
    eroded = [one for one in requirement(tmp_path, "EVAL-10")["items"] if one["scope"]["part"] == "anchor"]
    assert {one["status"] for one in eroded} == {"holds"}
    assert items_of(tmp_path, "EVAL-10")["trajectories"]["status"] == "holds"
    assert attacks["domain terms"]["status"] == "holds"

    worse = pilothouse(
        "gate", "--candidate", "python:app:worse", "--candidate-version", "b" * 64,
        "--baseline", "python:app:route", "--scorer", "exact", "--complete", "--junit", "junit.xml",
        "--markdown", "comment.md",
    )  # fmt: skip
    assert worse.returncode == 1, worse.stdout
    assert worse.stdout.startswith("Must not be released: ")
    suite = ET.parse(repository / "junit.xml").getroot()
    assert int(suite.get("failures")) >= 1
    assert (repository / "comment.md").read_text(encoding="utf-8").startswith("<!-- pilothouse-gate -->")


def test_an_agent_that_obeys_an_injected_instruction_breaches_its_family(pilothouse, tmp_path, repository):
    publish(repository, "labelled", [labelled(n) for n in range(300)])
    publish(repository, "adversarial", [attack(n) for n in range(240)])
    done = pilothouse("gate", "--candidate", "python:app:obedient", "--scorer", "exact", "--json")
    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    family = {one["scope"]["part"]: one for one in verdict["items"] if one["requirement"] == "adversarial"}
    assert family["injection"]["status"] == "breached"
    assert family["injection"]["value"] == 1.0


def test_an_agent_that_always_crashes_fails_and_an_endpoint_that_is_not_there_exits_4(pilothouse, repository):
    write_lines(repository / "some.jsonl", [labelled(n) for n in range(90)])
    crashed = pilothouse(
        "gate", "--candidate", "python:app:broken", "--baseline", "python:app:route", "--dataset", "some.jsonl",
        "--scorer", "exact",
    )  # fmt: skip
    assert crashed.returncode == 1
    assert "no such supplier" in crashed.stdout
    absent = pilothouse(
        "gate", "--candidate", "http://127.0.0.1:9/route", "--dataset", "some.jsonl", "--scorer", "exact"
    )
    assert absent.returncode == 4
    assert "gives no answer" in absent.stderr


def test_an_endpoint_that_asks_for_a_credential_is_not_said_to_be_off(pilothouse, repository):
    class Closed(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    write_lines(repository / "some.jsonl", [labelled(n) for n in range(90)])
    with ThreadingHTTPServer(("127.0.0.1", 0), Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        closed = pilothouse(
            "gate", "--candidate", f"openai:http://127.0.0.1:{server.server_port}/v1?model=m-2026-01-01",
            "--dataset", "some.jsonl", "--scorer", "exact",
        )  # fmt: skip
        server.shutdown()
    assert closed.returncode == 4
    assert "OPENAI_API_KEY" in closed.stderr
    assert "Start it" not in closed.stderr


def test_bad_lines_and_unknown_names_exit_2_before_anything_runs(pilothouse, repository):
    (repository / "bad.jsonl").write_text(
        '{"input": 1}\nnot json\n{"id": "x", "inptu": 2}\n', encoding="utf-8"
    )
    done = pilothouse("gate", "--candidate", "python:app:route", "--dataset", "bad.jsonl")
    assert done.returncode == 2
    assert "bad.jsonl:2" in done.stderr
    assert "bad.jsonl:3: " in done.stderr
    assert "unknown field 'inptu'" in done.stderr
    write_lines(repository / "some.jsonl", [labelled(0)])
    unknown = pilothouse(
        "gate", "--candidate", "python:app:rout", "--dataset", "some.jsonl", "--scorer", "exact"
    )
    assert unknown.returncode == 2
    misspelt = pilothouse(
        "gate", "--candidate", "python:app:route", "--dataset", "some.jsonl", "--scorer", "exakt"
    )
    assert misspelt.returncode == 2
    assert "Did you mean 'exact'?" in misspelt.stderr


def test_twenty_cases_decide_nothing_and_the_plan_says_how_many_would(pilothouse, repository):
    write_lines(repository / "few.jsonl", [labelled(3 * n) for n in range(20)])
    planned = pilothouse(
        "gate", "--candidate", "python:app:worse", "--baseline", "python:app:route", "--dataset", "few.jsonl",
        "--scorer", "exact", "--plan",
    )  # fmt: skip
    assert planned.returncode == 3
    assert "371 cases would do" in planned.stdout
    run = pilothouse(
        "gate", "--candidate", "python:app:route", "--baseline", "python:app:route", "--dataset", "few.jsonl",
        "--scorer", "exact",
    )  # fmt: skip
    assert run.returncode == 3
    assert run.stdout.startswith("Not decided")
    assert " more, at a cost that is not known" in run.stdout


def test_code_of_others_that_ends_the_process_is_no_release(pilothouse, tmp_path):
    (tmp_path / "leavers.py").write_text("import os\ndef agent(q):\n    os._exit(0)\n", encoding="utf-8")
    write_lines(tmp_path / "ones.jsonl", [{"input": n, "expected": n} for n in range(9)])
    words = ("gate", "--candidate", "python:leavers:agent", "--dataset", "ones.jsonl", "--floor", "0.1")
    done = subprocess.run(
        [sys.executable, "-m", "pilothouse", *words, "--json"],
        cwd=tmp_path,
        env=pilothouse.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "infrastructure"
