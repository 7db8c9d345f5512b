# SPDX-License-Identifier: Apache-2.0
"""`pilothouse load` as a person runs it: from a planted loss under load, or recorded traffic, to EVAL-6 of the verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from agent_repository import (
    HOUR_NS,
    TYPES,
    bring_in,
    command_line,
    frozen_requirement,
    labelled,
    make_repository,
    task_span,
    write_lines,
)

from pilothouse.workflows.gateway.launch import summarize_charter

pytestmark = pytest.mark.slow

CASES = 180
"""60 for each task type: 52 pairs without a loss prove 5 points."""

TASKS = 70


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A repository with labelled cases, and tasks on record of the version that its charter describes."""
    tmp_path = tmp_path_factory.mktemp("load")
    repository = make_repository(tmp_path / "repository")
    pilothouse = command_line(tmp_path / "home", repository)
    write_lines(repository / "cases.jsonl", [labelled(n) for n in range(CASES)])
    version = summarize_charter(repository / "charter.yaml").version
    now_ns = int(datetime.now(UTC).timestamp()) * 10**9
    spans = [
        task_span(
            number,
            # Old enough for the system of record to have been asked.
            now_ns - HOUR_NS - (TASKS - number) * 20 * 10**9,
            pilothouse__version=version,
            pilothouse__task__type=TYPES[number % 3],
            # Every seventh task did not record what it was asked.
            **({} if number % 7 == 3 else {"input__value": json.dumps({"amount": number})}),
            output__value=json.dumps({"queue": f"ap-{number % 7}"}),
        )
        for number in range(TASKS)
    ]
    bring_in(pilothouse, tmp_path, spans)
    pilothouse("verdict")  # asks the system of record about each task
    return pilothouse, tmp_path / "home"


def volume_items(pilothouse, home):
    pilothouse("verdict")
    return {one["scope"]["task_type"]: one for one in frozen_requirement(home, "EVAL-6")["items"]}


def test_a_load_run_moves_the_verdict_and_a_loss_that_latency_does_not_show_breaches_it(world):
    pilothouse, home = world
    settings = ("--dataset", "cases.jsonl", "--scorer", "exact")

    less = pilothouse("load", "python:app:route", "--times", "2", "--rate", "60000", *settings)
    assert less.returncode == 0, less.stdout + less.stderr
    assert "nothing went on record: that takes --times 10 or more" in less.stderr
    before = volume_items(pilothouse, home)
    assert {one["status"] for one in before.values()} == {"no_evidence"}
    assert {one["remedy"] for one in before.values()} == {"pilothouse load TARGET --times 10"}

    more = ("--times", "10", "--times", "100")
    good = pilothouse("load", "python:app:route", *more, "--rate", "12000", *settings, "--json")
    assert good.returncode == 0, good.stdout + good.stderr
    found = json.loads(good.stdout)
    assert [arm["name"] for arm in found["arms"]] == ["1x", "10x", "100x", "1x again"]
    assert {arm["good"] for arm in found["arms"]} == {CASES}
    assert "3 records for ap-invoice-triage" in good.stderr
    assert {one["status"] for one in volume_items(pilothouse, home).values()} == {"holds"}

    # 20 tasks a second of 80 ms: hardly two are open at once; at ten times that, sixteen.
    worse = pilothouse("load", "python:app:crowded", "--rate", "1200", *settings, "--json")
    assert worse.returncode == 1, worse.stdout + worse.stderr
    found = json.loads(worse.stdout)
    once, crowded, again = found["arms"]
    assert {arm["answered"] for arm in found["arms"]} == {CASES}
    assert crowded["good"] < CASES / 2 < 0.9 * CASES < min(once["good"], again["good"])
    statuses = {one["requirement"]: one["status"] for one in found["items"]}
    assert statuses["quality at 10x"] == "breached"
    assert statuses["answers at 10x"] == "holds"
    after = volume_items(pilothouse, home)
    assert {one["status"] for one in after.values()} == {"breached"}
    assert {one["source"] for one in after.values()} == {"pilothouse load python:app:crowded --times 10"}


def test_recorded_tasks_are_sent_again_as_they_came_and_what_was_verified_is_what_they_expect(world):
    pilothouse, _ = world
    done = pilothouse(
        "load", "python:app:route", "--recorded", "--skip-idle", "--scorer", "exact", "--times", "1000", "--json"
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["arms"][0]["good"] == TASKS - TASKS // 7
    assert any(
        note.startswith("10 recorded tasks left out: without a recorded input") for note in found["notes"]
    )
    # A task every 20 seconds: jumped over, since nothing was open meanwhile.
    assert found["arms"][0]["skipped_s"] > 1_200
    rows = (pilothouse.folder / ".pilothouse" / "traffic-ap-invoice-triage.jsonl").read_text("utf-8")
    case = json.loads(rows.splitlines()[0])
    assert case["source"] == f"production:{1:032x}"
    assert case["expected"] == {"queue": "ap-0"}
