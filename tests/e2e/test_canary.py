# SPDX-License-Identifier: Apache-2.0
"""A canary from the agent's own code to the verdict: assignment, spans, outcomes, `pilothouse canary`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from agent_repository import AGENT, command_line, make_repository

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.ledger.ledger import open_ledger
from pilothouse.runtime.experiment import assign
from pilothouse.settings import load_settings

pytestmark = pytest.mark.slow

UNITS = 600
OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def pilothouse(tmp_path):
    return command_line(tmp_path / "home", make_repository(tmp_path / "repository"))


def serve(pilothouse, tmp_path, *, is_good):
    """Let both arms serve one task for each unit and let the system of record say how it ended."""
    now = int(datetime.now(UTC).timestamp()) * 10**9 - 3600 * 10**9
    spans, outcomes = [], []
    for number in range(UNITS):
        trace, began = f"{number + 1:032x}", now + number * 10**9
        mark = assign("exp-1", f"user-{number}", share=0.5, candidate_version=NEW)
        names = {
            "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": AGENT, "pilothouse.version": OLD,
            "pilothouse.task.type": "po_invoice", "pilothouse.task.result": "completed", **mark.attributes,
        }  # fmt: skip
        spans.append(
            {
                "traceId": trace, "spanId": f"{number + 1:016x}", "name": "invoke_agent", "kind": 1,
                "startTimeUnixNano": str(began), "endTimeUnixNano": str(began + 10**8),
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in names.items()],
            }
        )  # fmt: skip
        good = is_good(mark.arm, number)
        outcomes.append(
            Outcome(
                trace_id=trace, agent=AGENT, task_type="po_invoice", version_digest=names["pilothouse.version"],
                task_start_ns=began, claim=None, found="", critical=None, verifier="v",
                status=OutcomeStatus.VERIFIED if good else OutcomeStatus.CONTRADICTED, verified_at=datetime.now(UTC),
            )
        )  # fmt: skip
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "t"}, "spans": spans}]}]}
    (tmp_path / "traces.json").write_text(json.dumps(body), encoding="utf-8")
    assert pilothouse("import", tmp_path / "traces.json").returncode == 0
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        ledger.save_outcomes(outcomes)


def test_a_candidate_as_good_as_the_rest_is_proved_not_worse(pilothouse, tmp_path):
    serve(pilothouse, tmp_path, is_good=lambda arm, number: True)
    done = pilothouse("canary", "exp-1", "--agent", AGENT, "--share", "0.5", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["candidate_units"] + found["baseline_units"] == UNITS
    assert found["candidate_version"] == NEW


def test_each_look_begins_where_the_first_did_and_is_judged_by_its_rules(pilothouse, tmp_path):
    """A window that slid began another test with each day, and so did another margin."""
    serve(pilothouse, tmp_path, is_good=lambda arm, number: number % 3 != 0)
    look = ("canary", "exp-1", "--agent", AGENT, "--json")
    assert json.loads(pilothouse("canary", "exp-2", "--agent", AGENT, "--json").stdout)["tasks"] == 0
    first = json.loads(pilothouse(*look, "--margin", "10", "--days", "20").stdout)
    for more in ((), ("--days", "1"), ("--margin", "10")):
        again = json.loads(pilothouse(*look, *more).stdout)
        assert (again["since"], again["tasks"]) == (first["since"], UNITS)
        assert again["reading"] == first["reading"]
    other = pilothouse(*look, "--margin", "5")
    assert other.returncode == 2
    assert "judged by margin 10 points since its first look, not by 5 points" in other.stdout
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        (began,) = ledger.decisions(AGENT, kind="canary.began")
    assert json.loads(began.document)["experiment"] == "exp-1"


def test_harm_ends_the_canary_and_takes_the_release_verdict_back(pilothouse, tmp_path):
    serve(pilothouse, tmp_path, is_good=lambda arm, number: arm == "baseline" or number % 3 != 0)
    done = pilothouse("canary", "exp-1", "--agent", AGENT)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "proved worse by more than 2 points" in done.stdout
    with open_ledger(load_settings({}, home=tmp_path / "home").ledger_url) as ledger:
        (record,) = [one for one in ledger.evidence(AGENT) if one.kind == "release.verdict"]
    assert (record.binds.version, record.passed) == (NEW, False)


def test_a_split_that_does_not_fit_the_share_concludes_nothing(pilothouse, tmp_path):
    serve(pilothouse, tmp_path, is_good=lambda arm, number: True)
    done = pilothouse("canary", "exp-1", "--agent", AGENT, "--share", "0.2")
    assert done.returncode == 3
    assert "assignment broken" in done.stdout


def test_an_experiment_nobody_was_assigned_to_is_undecided(pilothouse):
    done = pilothouse("canary", "nothing", "--agent", AGENT)
    assert done.returncode == 3
    assert "not decided yet" in done.stdout
