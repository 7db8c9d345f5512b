# SPDX-License-Identifier: Apache-2.0
"""`pilothouse import`, `traces` and `trace` as processes, with and without a running server."""

from __future__ import annotations

import json
import os
import time

import pytest
from forked_process import run_command_line
from otlp_bodies import request, run_spans, to_json
from otlp_server import start_server

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def pilothouse(home, *words):
    environment = {**os.environ, "PILOTHOUSE_HOME": str(home), "COLUMNS": "200"}
    return run_command_line(*words, env=environment)


def test_imported_tasks_are_listed_and_shown(home, tmp_path):
    old = time.time_ns() - 14 * 86_400 * 10**9
    (tmp_path / "a.json").write_bytes(to_json(request(run_spans(1, start=old))))
    (tmp_path / "b.pb").write_bytes(request(run_spans(2, start=time.time_ns())).SerializeToString())
    done = pilothouse(home, "import", str(tmp_path / "a.json"), str(tmp_path / "b.pb"))
    assert (done.returncode, done.stdout) == (0, "8 items in 2 requests from 2 files imported.\n")
    listed = json.loads(pilothouse(home, "traces", "--json").stdout)["tasks"]
    assert [task["trace_id"][-1] for task in listed] == ["2", "1"]
    assert listed[1]["start_ns"] == old
    assert listed[0]["cost"] == "unknown"
    shown = pilothouse(home, "traces", "--agent", "triage", "--limit", "1")
    assert "po_invoice" in shown.stdout
    assert "--limit 10" in shown.stderr
    trace = pilothouse(home, "trace", listed[0]["trace_id"])
    assert "execute_tool lookup" in trace.stdout
    assert json.loads(pilothouse(home, "trace", listed[0]["trace_id"], "--json").stdout)["spans_total"] == 4


def test_a_broken_file_is_named_and_everything_good_is_kept(home, tmp_path):
    (tmp_path / "mixed.jsonl").write_bytes(to_json(request(run_spans(1))) + b'\n{"resourceSpans"\n')
    done = pilothouse(home, "import", str(tmp_path / "mixed.jsonl"))
    assert done.returncode == 2
    assert f"{tmp_path / 'mixed.jsonl'}:2:1: it is no JSON" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(json.loads(pilothouse(home, "traces", "--json").stdout)["tasks"]) == 1


def test_importing_twice_counts_once(home, tmp_path):
    (tmp_path / "a.json").write_bytes(to_json(request(run_spans(1))))
    for _ in range(2):
        pilothouse(home, "import", str(tmp_path / "a.json"))
    (task,) = json.loads(pilothouse(home, "traces", "--json").stdout)["tasks"]
    assert (task["spans"], task["revision"]) == (4, 0)


def test_weeks_of_before_have_their_cost_without_a_server(home, tmp_path):
    """Prices that were said first did not reach an import: its tasks stayed of unknown cost, those of over a month ago for good."""
    said = (
        "--input",
        "2",
        "--cache-read",
        "0.5",
        "--cache-creation",
        "3",
        "--output",
        "8",
        "--reasoning",
        "8",
    )
    since = ("--from", "2026-01-01", "--source", "list")
    assert pilothouse(home, "price", "openai", "gpt-x-2026", *said, *since).returncode == 0
    (tmp_path / "a.json").write_bytes(
        to_json(request(run_spans(1, start=time.time_ns() - 60 * 86_400 * 10**9)))
    )
    pilothouse(home, "import", str(tmp_path / "a.json"))
    (task,) = json.loads(pilothouse(home, "traces", "--json").stdout)["tasks"]
    assert (task["cost_state"], task["cost_usd"]) == ("known", "0.00465")


def test_while_a_server_runs_the_import_goes_through_it(home, tmp_path):
    server = start_server(home / "lake")
    (tmp_path / "a.json").write_bytes(to_json(request(run_spans(1))))
    (tmp_path / "bad.pb").write_bytes(request([{"trace_id": b"x"}]).SerializeToString())
    done = pilothouse(home, "import", str(tmp_path / "a.json"), str(tmp_path / "bad.pb"))
    assert done.stdout == "4 items in 1 request from 2 files imported.\n"
    assert "span 0: trace_id" in done.stderr
    assert len(json.loads(pilothouse(home, "traces", "--json").stdout)["tasks"]) == 1
    assert server.stop() == 0


def test_nothing_there_and_misspelt_names_say_what_to_do(home, tmp_path):
    empty = pilothouse(home, "traces")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "pilothouse import" in empty.stderr
    (tmp_path / "a.json").write_bytes(to_json(request(run_spans(1))))
    pilothouse(home, "import", str(tmp_path / "a.json"))
    wrong = pilothouse(home, "traces", "--agent", "tirage")
    assert (wrong.returncode, "Did you mean 'triage'?" in wrong.stderr) == (2, True)
    assert pilothouse(home, "trace", "0" * 32).returncode == 2
    assert pilothouse(home, "import", "nowhere.json").returncode == 2
