# SPDX-License-Identifier: Apache-2.0
"""A floor under scores of a model judge alone is proved, and broken, by labels of the answers of the run."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.core.verdict.verdict import Reason, Status
from pilothouse.evals.answers import Answer, answer_id
from pilothouse.evals.journal import Journal
from pilothouse.evals.score import failed, passed
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.scorers.scorer import ScorerKind, ScorerSpec
from pilothouse.workflows.gate.judge_cards import stored_answers
from pilothouse.workflows.gate.release import open_gate
from pilothouse.workflows.gate.request import GateRequest

NOW = datetime(2026, 11, 20, tzinfo=UTC)
VERSION, EARLIER = "c" * 64, "b" * 64
N = 120


class Judge:
    """A judge that fails every tenth answer."""

    spec = ScorerSpec(name="judge", kind=ScorerKind.JUDGE, version="j1")

    def score(self, case, result):
        return failed("no") if case.input % 10 == 0 else passed()


@pytest.fixture
def world(tmp_path):
    """A dataset, recorded answers, and a way to label some of them and to gate."""
    rows = [{"id": f"c{n}", "task_type": "t", "input": n, "expected": "x"} for n in range(N)]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [{"id": f"c{n}", "output": f"said {n}"} for n in range(N)]

    def label(numbers, good=lambda n: True, *, version=VERSION, at=NOW):
        rows = []
        for n in range(N):
            is_asked = n in numbers
            said = {"good": good(n), "by": "sam", "at": at} if is_asked else {}
            rows.append(
                Answer(
                    id=answer_id(n, f"said {n}"), case_id=f"c{n}", task_type="t", input=n, output=f"said {n}",
                    version=version if is_asked else VERSION, **said,
                )
            )  # fmt: skip
        lines = "".join(row.model_dump_json(exclude_defaults=True) + "\n" for row in rows)
        (tmp_path / "cases.answers.jsonl").write_text(lines)

    def floor(least=0.9, lost=()):
        rows = [row for n, row in enumerate(said) if n not in lost]
        (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        request = GateRequest(
            candidate=f"recorded:{tmp_path / 'said.jsonl'}",
            candidate_version=VERSION,
            dataset=tmp_path / "cases.jsonl",
            journal=tmp_path / "j.db",
            floor=least,
            scorer="judge",
            complete=True,
        )

        async def go():
            with Journal(request.journal) as journal:
                run = open_gate(request, journal=journal, now=NOW, registry=ScorerRegistry({"judge": Judge}))
                verdict = await run.measure()
                return verdict, stored_answers(journal, run.dataset, VERSION)

        verdict, world.stored = asyncio.run(go())
        return next(one for one in verdict.items if one.requirement == "floor")

    world = floor
    world.label = label
    return world


def test_without_labels_the_command_that_makes_them_is_said(world):
    floor = world()
    assert (floor.status, floor.reason) == (Status.NO_EVIDENCE, Reason.MISSING)
    assert floor.remedy.startswith("pilothouse eval label --by PERSON --dataset ")
    assert f"--version {VERSION[:12]} --count " in floor.remedy
    assert {one.verdicts["j1"] for one in world.stored} == {True, False}


def test_what_a_judge_said_comes_along_where_the_cases_name_it_themselves(world, tmp_path):
    path = tmp_path / "cases.jsonl"
    rows = [json.loads(line) | {"asserts": [{"scorer": "judge"}]} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    world()
    assert {one.verdicts["j1"] for one in world.stored} == {True, False}


def test_labels_prove_a_floor_that_the_judge_would_not(world):
    world.label(range(80))
    floor = world()
    assert floor.status is Status.HOLDS
    assert floor.n == 80


def test_labels_break_a_floor_that_the_judge_would_hold(world):
    world.label(range(100), good=lambda n: n % 3 > 0)
    assert world().status is Status.BREACHED


def test_labels_prove_no_floor_by_the_answers_that_are_missing(world):
    """An agent that ended itself over two of 120 cases was good in all that people could label."""
    world.label(range(N))
    assert world(0.96).status is Status.HOLDS
    floor = world(0.96, lost=(5, 7))
    assert (floor.status, floor.value) == (Status.NO_EVIDENCE, None)
    assert "2 results are missing: counted as failures they leave it open" in floor.sentence


def test_labels_of_what_stayed_say_nothing_of_what_changed(world):
    world.label(range(90), version=EARLIER)
    floor = world()
    assert floor.status is Status.NO_EVIDENCE
    assert "people labelled 90 of the 120 answers" in floor.sentence


@pytest.mark.parametrize("at", [NOW - timedelta(days=91), NOW + timedelta(days=1)])
def test_old_labels_and_those_dated_ahead_do_not_count(world, at):
    world.label(range(120), at=at)
    assert world().reason is Reason.MISSING
