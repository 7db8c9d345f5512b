# SPDX-License-Identifier: Apache-2.0
"""What a gate puts on record of the anchor and of the difference to it: nothing that was not proved, and nothing that lapses for good."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from pilothouse.core.verdict.verdict import Status
from pilothouse.evals.journal import Journal
from pilothouse.evals.score import failed, passed
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.scorers.scorer import ScorerKind, ScorerSpec
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.gate.arms import anchor_elsewhere, anchor_version
from pilothouse.workflows.gate.release import open_gate
from pilothouse.workflows.gate.release_evidence import release_evidence
from pilothouse.workflows.gate.request import GateRequest

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, tzinfo=UTC)
N = 120


class Judge:
    """A judge that passes everything, and that nobody measured."""

    spec = ScorerSpec(name="judge", kind=ScorerKind.JUDGE, version="j1")

    def score(self, case, result):
        return passed()


class Backwards:
    """A computed scorer that finds right what is wrong."""

    spec = ScorerSpec(name="backwards", kind=ScorerKind.DETERMINISTIC, version="b1")

    def score(self, case, result):
        return failed("right") if result.reply.output == case.expected else passed()


@pytest.fixture
def gate(tmp_path):
    """Gate recorded outputs as agent `a`; what is found goes into one ledger."""
    ledger = MemoryLedger()
    moments = (NOW + timedelta(minutes=number) for number in count())

    def recorded(name, rule, cases):
        path = tmp_path / f"{name}.jsonl"
        lines = [json.dumps({"id": f"c{n}", "output": rule(n), "claim": name}) for n in range(cases)]
        path.write_text("\n".join(lines) + "\n")
        return f"recorded:{path}"

    def run(name, rule, *, baseline=None, cases=N, kinds=1, registry=None, **options):
        rows = [
            {"id": f"c{n}", "task_type": f"t{n % kinds}", "input": n, "expected": 2 * n} for n in range(cases)
        ]
        dataset = tmp_path / f"cases{cases}.jsonl"
        dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
        request = GateRequest(
            candidate=recorded(name, rule, cases),
            baseline=recorded(*baseline, cases) if isinstance(baseline, tuple) else baseline,
            dataset=dataset,
            journal=tmp_path / "j.db",
            agent="a",
            **options,
        )

        async def go():
            with Journal(request.journal) as journal:
                opened = open_gate(
                    request, journal=journal, now=next(moments), ledger=ledger, registry=registry
                )
                return opened, await opened.measure()

        opened, verdict = asyncio.run(go())
        records = release_evidence(opened, verdict, agent="a")
        ledger.add_evidence(records)
        return verdict, records

    return run


def right(n):
    return 2 * n


def half(n):
    return 2 * n if n % 2 else -1


def of_kind(records, kind):
    return [one for one in records if one.kind == kind]


def item(verdict, name):
    return next(one for one in verdict.items if one.requirement == name)


def test_a_judge_that_nobody_measured_puts_no_difference_on_record(gate):
    registry = ScorerRegistry({"mine": Judge})
    verdict, records = gate("new", half, baseline=("old", right), registry=registry, scorer="mine")
    assert item(verdict, "not_worse").status is Status.NO_EVIDENCE
    assert of_kind(records, "release.difference") == []


def test_an_anchor_with_a_part_of_the_cases_puts_no_difference_on_record(gate):
    gate("old", right, floor=0.5)
    verdict, records = gate("new", right, cases=2 * N, floor=0.5)
    assert item(verdict, "not_eroded").status is Status.NO_EVIDENCE
    assert of_kind(records, "release.difference") == []


def test_the_anchor_counts_for_the_next_version_of_the_cases_too(gate):
    first, _ = gate("old", right, floor=0.5)
    second, records = gate("new", right, cases=N + 3, floor=0.5)
    assert item(second, "not_eroded").status is Status.HOLDS
    (anchor,) = of_kind(records, "eval.anchor")
    assert anchor.binds.version == first.candidate
    assert anchor.binds.dataset == second.dataset_digest != first.dataset_digest


def test_a_version_proved_better_takes_the_anchors_place(gate):
    bad, _ = gate("bad", lambda n: 2 * n if n % 10 else -1, floor=0.3)
    good, records = gate("good", right, floor=0.3, complete=True)
    (anchor,) = of_kind(records, "eval.anchor")
    assert anchor.binds.version == good.candidate
    assert bad.candidate[:12] in anchor.detail
    slipped, _ = gate("slipped", lambda n: 2 * n if n % 3 else -1, floor=0.3, complete=True)
    assert slipped.anchor == good.candidate
    assert item(slipped, "not_eroded").status is not Status.HOLDS, "against the bad one it would have passed"


def test_another_scorer_moves_no_anchor_and_holds_nothing_against_it(gate):
    """An odd scorer "proved" a bad version better, and later ones were held against that one."""
    odd = {"registry": ScorerRegistry({"backwards": Backwards}), "scorer": "backwards"}
    good, records = gate("good", right, floor=0.3)
    (first,) = of_kind(records, "eval.anchor")
    assert first.method == "exact"
    for baseline in (good.candidate, "anchor"):
        bad, records = gate("bad", half, baseline=baseline, complete=True, **odd)
        assert (bad.anchor, of_kind(records, "eval.anchor"), of_kind(records, "release.difference")) == (
            None,
            [],
            [],
        )
        assert any("was measured by exact, and this run by backwards" in note for note in bad.notes)
    _, records = gate("good", right, floor=0.3, pass_at=0.9)
    assert of_kind(records, "release.difference") == []
    again, records = gate("bad", half, floor=0.3, complete=True)
    assert again.anchor == good.candidate
    assert item(again, "not_eroded").status is Status.BREACHED


def test_an_anchor_from_before_its_scorers_were_named_is_that_of_the_usual_ones_and_of_the_first_that_are_typed(
    gate,
):
    """Every scorer compared with it for good, so that an odd one proved that nothing had eroded."""
    good, records = gate("good", right, floor=0.3)
    (named,) = of_kind(records, "eval.anchor")
    unnamed, usual = named.model_copy(update={"method": ""}), GateRequest(candidate="python:a:b")
    for asked in (usual, replace(usual, scorer="contains"), replace(usual, pass_at=0.9)):

        def found(*anchors, asked=asked):
            said = {"request": asked, "scored_by": "contains"}
            version = anchor_version(anchors, dataset=named.binds.dataset, **said)
            assert (version is None) == (anchor_elsewhere(anchors, **said) is anchors[-1])
            return version

        assert found(unnamed) == good.candidate
        assert found(named) is None
        assert found(unnamed, named) == (good.candidate if asked is usual else None)


def test_the_anchor_itself_has_not_eroded(gate):
    first, records = gate("old", right, floor=0.5)
    again, more = gate("old", right, floor=0.5)
    assert again.candidate == first.candidate
    for found in (records, more):
        (difference,) = of_kind(found, "release.difference")
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_a_version_that_is_better_in_one_task_type_only_leaves_the_anchor_where_it_is(gate):
    """It may be worse in the other one, and versions after it would be held against that."""
    first, _ = gate("first", lambda n: 2 * n if n % 4 else -1, cases=2 * N, kinds=2, floor=0.3)
    second, records = gate("second", right, cases=2 * N, kinds=2, floor=0.3, complete=True)
    assert [one.binds.version for one in of_kind(records, "eval.anchor")] == [first.candidate]
    assert second.status is Status.HOLDS


def test_a_first_gate_that_is_stopped_names_no_anchor_that_nobody_can_be_held_against(gate):
    verdict, records = gate("new", half, baseline=("old", right), floor=0.9)
    assert verdict.status is Status.BREACHED
    assert of_kind(records, "eval.anchor") == []


def test_a_case_more_leaves_nearly_all_cases_of_a_run_that_takes_a_part_of_them(tmp_path):
    """Drawn by the digest of the cases, the part was another one, and the anchor had no answer to it."""

    def taken(folder, cases):
        (tmp_path / folder).mkdir()
        dataset = tmp_path / folder / "cases.jsonl"
        rows = [{"id": f"c{n}", "task_type": "t", "input": n, "expected": 2 * n} for n in range(cases)]
        dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
        outputs = tmp_path / folder / "outputs.jsonl"
        outputs.write_text("".join(json.dumps({"id": row["id"], "output": 0}) + "\n" for row in rows))
        request = GateRequest(
            candidate=f"recorded:{outputs}", dataset=dataset, journal=tmp_path / "j.db", max_cases=200
        )
        with Journal(request.journal) as journal:
            return {case.id for case in open_gate(request, journal=journal, now=NOW).selection.cases}

    before, after = taken("before", 400), taken("after", 403)
    assert len(before & after) >= 0.97 * len(after)
