# SPDX-License-Identifier: Apache-2.0
"""A week of recorded runs is asked again with another model, and the release gate decides over what people have judged."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from forked_process import run_command_line
from recorded_runs import conversation, record
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.settings import load_settings
from pilothouse.workflows.gateway.launch import summarize_charter
from pilothouse.workflows.review.trusted_labels import GATE_SHARE
from pilothouse.workflows.verdict.accept import accept_file

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "src/pilothouse/demo/charter/charter.yaml"
AGENT, JUDGED = "ap-invoice-triage", 60
PINNED = "acme-large-2026-04-12"
RUNS = JUDGED + 2


def numbers():
    """Numbers of runs whose question falls to the gate's share of labels, so that few runs decide."""
    drawn = (
        number
        for number in range(1, 1_000)
        if hashlib.sha256(f"split Where is {number}?".encode()).digest()[0] / 256 < GATE_SHARE
    )
    return list(islice(drawn, RUNS))


def pilothouse(home, words, cwd):
    environment = {**os.environ, "PILOTHOUSE_HOME": str(home), "NO_COLOR": "1"}
    return run_command_line(*words, cwd=cwd, env=environment, timeout=200)


def judge(ledger, run, now):
    """Let a person accept what a run answered."""
    queue = SqlReviewQueue(ledger.database)
    item = ReviewItem(
        item_id=f"item-{run}",
        agent=AGENT,
        task_type="po_invoice",
        trace_id=run,
        source=ReviewSource.SAMPLED,
        why="drawn",
        input=f"Where is {int(run, 16)}?",
        proposal="It is in Lyon.",
        call_digest=run * 2,
        probability=0.1,
        created_at=now,
        due_at=now + timedelta(days=1),
    )
    queue.add([item])
    queue.claim(item.item_id, "kim", now)
    queue.answer(Label(item_id=item.item_id, agent=AGENT, reviewer="kim", answer=Answer.ACCEPT, at=now))


def test_a_week_is_replayed_for_a_candidate_and_the_gate_decides_with_its_shares(tmp_path):
    home, now = tmp_path / "home", datetime.now(UTC)
    runs = [f"{number:032x}" for number in numbers()]
    with Recorder(home / "runs") as log:
        for number, run in zip(numbers(), runs, strict=True):
            record(log, conversation(1, order=str(number)), run=run, agent=AGENT)
    with open_ledger(load_settings(home=home).ledger_url) as ledger:
        shutil.copytree(DEMO.parent, tmp_path / "charter")
        charter = tmp_path / "charter/charter.yaml"
        accept_file(ledger, charter, now, actor="test")
        for run in runs[:JUDGED]:
            judge(ledger, run, now)
    with ProviderStub(default=Plan(text="It is in Kiel.")) as stub:
        words = ["replay", "--since", "7d", "--agent", AGENT, "--upstream", stub.origin]
        nothing = pilothouse(home, words, tmp_path)
        assert (nothing.returncode, "needs one agent and one change" in nothing.stderr) == (2, True)
        changed = pilothouse(
            home, [*words, "--model", "other-2026-02-02", "--to", "pairs", "--json"], tmp_path
        )
        assert len(stub.seen) == RUNS
        assert {seen.json["model"] for seen in stub.seen} == {"other-2026-02-02"}
    said = json.loads(changed.stdout)
    assert {
        name: said[name] for name in ("runs", "served", "live", "blocked", "changed", "unjudgeable", "pairs")
    } == {
        "runs": RUNS,
        "served": 0,
        "live": RUNS,
        "blocked": 0,
        "changed": RUNS,
        "unjudgeable": 0,
        "pairs": JUDGED,
    }
    assert f"The gate counts {JUDGED} of them" in " ".join(changed.stderr.split())
    assert "names 'routed_correctly' as metric: add the --scorer" in " ".join(changed.stderr.split())
    command = shlex.split(
        " ".join(changed.stderr.partition("Decide: pilothouse ")[2].partition("The gate counts")[0].split())
    )
    decided = pilothouse(home, [*command, "--scorer", "exact", "--json"], tmp_path)
    assert decided.returncode == 1, decided.stdout
    with open_ledger(load_settings(home=home).ledger_url) as ledger:
        (kept,) = [one for one in ledger.evidence(AGENT) if one.kind == "release.verdict"]
    assert not kept.passed
    in_force = summarize_charter(charter).version
    charter.write_text(charter.read_text().replace(PINNED, "other-2026-02-02"))
    changed = summarize_charter(charter).version
    assert kept.binds.version == changed != in_force
    assert f"--baseline-version {in_force}" in " ".join(command)
    assert "counterfactual by calls of 62 recorded runs" in kept.detail
    assert "0 % of calls served from the record, 100 % live, 0 % blocked" in kept.detail
