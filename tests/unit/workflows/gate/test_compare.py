# SPDX-License-Identifier: Apache-2.0
"""Two runs case by case, and scores that another harness wrote."""

from __future__ import annotations

import asyncio
import json
import math
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from evidence_made import V1, load_charter
from late_module import LateModule

from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.verdict.readiness import decide
from pilothouse.errors import MalformedRecord, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.dataset import Dataset, Manifest, dataset_hash
from pilothouse.evals.foreign_scores import ForeignScore, read_foreign_scores
from pilothouse.evals.journal import Journal
from pilothouse.evals.runner import Runner, TrialRequest
from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text
from pilothouse.evals.targets.target import AgentFailed, TargetSpec
from pilothouse.evals.trial import Reply
from pilothouse.workflows.gate.compare import compare_runs, imported_evidence, read_side

stats = LateModule("scipy.stats")
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def side(values, *, cluster=1, stratum=lambda n: "all"):
    return [
        ForeignScore(case_id=str(n), value=value, cluster=f"k{n // cluster}", stratum=stratum(n))
        for n, value in enumerate(values)
    ]


def inspect_log(path, samples, *, scorers=("match",)):
    """A log as Inspect 0.3 writes it: header and samples apart in an archive, or all in one JSON file."""
    header = {"version": 2, "status": "success", "eval": {"task": "triage", "model": "m-1"}}
    rows = [
        {"id": name, "epoch": epoch, "scores": {one: {"value": value, "answer": ""} for one in scorers}}
        for name, epoch, value in samples
    ]
    if path.suffix == ".json":
        path.write_text(json.dumps({**header, "samples": rows}), encoding="utf-8")
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for row in rows:
            archive.writestr(f"samples/{row['id']}_epoch_{row['epoch']}.json", json.dumps(row))
    return path


@pytest.mark.parametrize("suffix", [".eval", ".json"])
def test_an_inspect_log_is_read_with_its_letters_epochs_and_gaps(tmp_path, suffix):
    samples = [("a", 1, "C"), ("a", 2, "I"), ("b", 1, "P"), ("c", 1, "N"), ("d", 1, 0.7), ("e", 1, [1, 2])]
    run = read_foreign_scores(inspect_log(tmp_path / f"log{suffix}", samples))
    found = {(one.case_id, one.repeat): one.value for one in run.scores}
    assert found == {
        ("a", 0): 1.0,
        ("a", 1): 0.0,
        ("b", 0): 0.5,
        ("c", 0): 0.0,
        ("d", 0): 0.7,
        ("e", 0): None,
    }
    assert (run.harness, run.scorer, run.model) == ("inspect", "match", "m-1")


def test_a_log_with_several_scorers_asks_which(tmp_path):
    path = inspect_log(tmp_path / "log.eval", [("a", 1, "C")], scorers=("match", "judge"))
    with pytest.raises(UsageError, match="judge, match"):
        read_foreign_scores(path)
    assert read_foreign_scores(path, scorer="judge").scores[0].value == 1.0


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("x.eval", "no archive"),
        ("x.json", "[1]"),
        ("x.json", "{}"),
        ("x.jsonl", '{"id": 1}'),
        ("x.jsonl", "nothing"),
    ],
)
def test_what_is_no_log_is_refused_with_its_name(tmp_path, name, body):
    (tmp_path / name).write_text(body, encoding="utf-8")
    with pytest.raises(MalformedRecord) as refused:
        read_foreign_scores(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value.place)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("x.jsonl", '{"id": 1, "value": 1}\n{"id": 2, "value": 4}', "another scale"),
        ("x.jsonl", '{"id": 1, "value": -1}', "another scale"),
        ("x.jsonl", '{"id": 1, "value": Infinity}', "another scale"),
        ("x.jsonl", '{"id": 1, "value": 1}\n{"id": 1, "value": 0}', "stands in it twice"),
        ("x.jsonl", '{"id": 1, "value": 1, "repeat": "first"}', "no number of a repeat"),
        ("x.json", '{"eval": 1, "samples": []}', "no Inspect log"),
        ("x.json", '{"eval": {}, "samples": [1]}', "no JSON object"),
        ("x.json", '{"eval": {}, "samples": [{"id": 1, "scores": [1]}]}', "no JSON object"),
        ("x.json", '{"eval": {}, "samples": [{"id": 1, "epoch": null}]}', "no number of a repeat"),
    ],
)
def test_odd_scales_and_cases_that_count_twice_are_refused(tmp_path, name, body, said):
    (tmp_path / name).write_text(body, encoding="utf-8")
    with pytest.raises(MalformedRecord, match=said):
        read_foreign_scores(tmp_path / name)


def test_a_value_that_is_no_number_is_no_score(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"id": 1, "value": NaN}\n{"id": 2, "value": null}', encoding="utf-8")
    assert [one.value for one in read_foreign_scores(tmp_path / "x.jsonl").scores] == [None, None]


class Agent:
    """Answers with what it is told to; what is no text is a crash."""

    def __init__(self, version, answers):
        self.spec = TargetSpec(address="test", version=version, fingerprint="f", version_is_declared=True)
        self._answers = answers

    async def run(self, case, context):
        if self._answers[case.id] is None:
            raise AgentFailed("crashed")
        return Reply(output=self._answers[case.id])

    async def close(self):
        pass


@pytest.fixture
def stored(tmp_path):
    """Runs answers of a version against the cases, judged by a scorer, and reads them back as a side."""
    forbids = [{"scorer": "contains", "args": {"text": "no", "absent": True}, "must_not": True}]
    cases = [
        Case(id=f"c{n}", task_type="t", input=n, expected="Yes", asserts=forbids if n == 0 else [])
        for n in range(4)
    ]
    dataset = Dataset(
        path=tmp_path, manifest=Manifest(name="d", version="0.0.0", sha256=dataset_hash(cases)), cases=cases
    )
    path = tmp_path / "j.db"

    def run(version, answers, scorer):
        registry = ScorerRegistry()
        book = CheckBook(registry, default=registry.make(*parse_scorer_text(scorer)))
        agent = Agent(version, {f"c{n}": one for n, one in enumerate(answers)})

        async def go():
            with Journal(path) as journal:
                journal.put_config(version, version=version, address="test", environment="{}", at="")
                requests = [TrialRequest(case=one, index=0, target=agent, config=version) for one in cases]
                await Runner(journal, book, run_id="r").run(requests)

        asyncio.run(go())

    def read(version, metric=None):
        scores = read_side(version, journal=path, dataset=dataset, metric=metric, pass_at=0.5)
        return {one.case_id: one.value for one in scores}

    return run, read


def test_a_stored_run_that_crashed_is_a_failed_case_and_not_a_missing_one(stored):
    run, read = stored
    run("a" * 64, ["Yes", None, "Yes", "yes"], "exact")
    assert read("a" * 64) == {"c0": 1.0, "c1": 0.0, "c2": 1.0, "c3": 0.0}


def test_a_stored_side_counts_one_scorer_and_asks_which_of_several(stored):
    run, read = stored
    run("a" * 64, ["Yes no", "yes", "Yes", "nay"], "exact")
    run("a" * 64, ["Yes no", "yes", "Yes", "nay"], "contains")
    with pytest.raises(UsageError, match="contains, exact"):
        read("a" * 64)
    assert read("a" * 64, "contains") == {"c0": 1.0, "c1": 1.0, "c2": 1.0, "c3": 0.0}
    assert read("a" * 64, "exact") == {"c0": 0.0, "c1": 0.0, "c2": 1.0, "c3": 0.0}
    assert set(read("a" * 64, "json_subset").values()) == {None}


def test_the_interval_of_independent_pairs_covers_what_scipy_says_of_them():
    rng = np.random.default_rng(1)
    old = (rng.random(400) < 0.9).astype(float)
    new = np.where(rng.random(400) < 0.1, 1 - old, old)
    part = compare_runs(side(old), side(new)).parts[0]
    d = 100 * (new - old)
    reach = stats.norm.ppf(0.975) * d.std(ddof=1) / math.sqrt(400)
    assert part.difference == pytest.approx(d.mean())
    assert part.low == pytest.approx(d.mean() - reach, abs=0.5)
    assert part.high == pytest.approx(d.mean() + reach, abs=0.5)


def test_clusters_widen_the_interval_and_strata_stand_apart():
    new = [float(n % 40 >= 4) for n in range(400)]
    alone = compare_runs(side([1.0] * 400), side(new)).parts[0]
    found = compare_runs(
        side([1.0] * 400, cluster=4, stratum=lambda n: "long" if n % 2 else "short"), side(new, cluster=4)
    )
    assert found.parts[0].high - found.parts[0].low > alone.high - alone.low
    assert [one.part for one in found.parts] == ["all", "task · long", "task · short"]
    assert len(found.worse) == 40


def test_a_case_without_a_score_makes_no_pair_and_is_counted():
    found = compare_runs(side([1.0, None, 1.0, 1.0]), side([0.0, 1.0, 1.0]))
    assert (found.parts[0].pairs, found.unscored, found.only_before) == (2, 1, 1)
    assert found.parts[0].low is None
    assert "cannot decide" in found.parts[0].note or "clusters" in found.parts[0].note


def test_imported_scores_are_marked_as_such_and_count_each_case_once(tmp_path):
    path = inspect_log(tmp_path / "log.eval", [("a", 1, "C"), ("a", 2, "C"), ("b", 1, "I"), ("c", 1, None)])
    (record,) = imported_evidence(
        read_foreign_scores(path), agent="a", version="v" * 64, dataset=None, at=NOW, pass_at=0.5
    )
    assert (record.basis, record.n, record.good, record.items) == (Basis.IMPORTED, 2, 1, ("b",))
    assert record.scope.task_type == "triage"


def test_a_foreign_run_that_says_much_of_itself_is_imported_all_the_same(tmp_path):
    run = replace(read_foreign_scores(inspect_log(tmp_path / "log.eval", [("a", 1, "C")])), model="m" * 3_000)
    (record,) = imported_evidence(run, agent="a", version="v" * 64, dataset=None, at=NOW, pass_at=0.5)
    assert len(record.detail) == 2_000, "the first of it is kept"


def test_imported_scores_that_show_harm_are_held_against_the_charter_in_force(tmp_path):
    scores = [(f"c{n}", 1, "I") for n in range(40)]
    run = read_foreign_scores(inspect_log(tmp_path / "log.eval", scores))
    charter = load_charter()
    run = replace(run, scores=tuple(replace(one, task_type="po_invoice") for one in run.scores))
    (record,) = imported_evidence(
        run, agent=charter.agent, version=V1, dataset=None, at=NOW, pass_at=0.5, charter=charter
    )
    found = decide(charter, [record], NOW, version=V1)
    assert next(one.status for one in found.requirements if one.requirement == "EVAL-5") == "breached"


def test_a_task_type_named_all_is_not_all_of_them():
    def of(types):
        return [
            ForeignScore(case_id=f"{name}-{n}", value=float(n % 2), cluster=f"{name}-{n}", task_type=name)
            for name in types
            for n in range(10)
        ]

    both = {one.part: one.pairs for one in compare_runs(of(["all", "other"]), of(["all", "other"])).parts}
    assert both == {"all": 20, "task type all": 10, "other": 10}
    alone = {one.part: one.pairs for one in compare_runs(of(["all"]), of(["all"])).parts}
    assert alone == {"all": 10}
