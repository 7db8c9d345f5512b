# SPDX-License-Identifier: Apache-2.0
"""What a dataset is asked besides its cases: is it like the traffic, is every term in it, who opened its seal."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from pilothouse.core.evidence.task import Task
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import Dataset, Manifest, load_dataset
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.curation import golden
from pilothouse.workflows.curation.golden import golden_case, keep_golden
from pilothouse.workflows.curation.likeness import likeness_evidence, measure_likeness
from pilothouse.workflows.gate.datasets import dataset_evidence, shown_paths
from pilothouse.workflows.gate.named_sets import NamedSets
from pilothouse.workflows.gate.sealed_split import (
    OPENINGS_MAX,
    SEALED_RELEASE,
    count_opening,
    record_opening,
    sealed_marks,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


def dataset(*cases):
    return Dataset(
        path=Path("cases.jsonl"), manifest=Manifest(name="d", version="1.0.0", sha256="d" * 64), cases=cases
    )


def root(text, **more):
    fields = {"operation": "invoke_agent", "input": text, "output": '"ok"', "cut_bytes": 0, "tool_name": None}
    return SimpleNamespace(**{**fields, **more})


class Recorded:
    """A lake in which each task has the spans it is given."""

    def __init__(self, runs):
        self.runs = runs

    def window(self, wanted):
        return [self._task(trace_id) for trace_id in self.runs]

    def trace(self, trace_id, *, limit=2_000):
        if trace_id not in self.runs:
            return None
        spans = self.runs[trace_id][1]
        return SimpleNamespace(task=self._task(trace_id), spans=spans, spans_total=len(spans))

    def traces(self, trace_ids):
        return {trace_id: self.trace(trace_id) for trace_id in trace_ids}

    def _task(self, trace_id):
        return Task(
            trace_id=trace_id, agent="a", task_type=self.runs[trace_id][0],
            start_ns=NOW_NS - int(trace_id, 16), end_ns=NOW_NS,
        )  # fmt: skip


def traffic(*inputs, task_type="t"):
    return SimpleNamespace(
        lake=Recorded(
            {f"{at:032x}": (task_type, [root(json.dumps(one))]) for at, one in enumerate(inputs, start=1)}
        )
    )


def invoice(number, *, scale=1):
    return {"supplier": "s" * (5 + number % 40) * scale, "amount": number}


def like(world, cases):
    found = measure_likeness(world, cases, "a", NOW)
    return found, likeness_evidence(found, cases, agent="a", now=NOW)


def test_cases_like_the_traffic_pass_and_longer_or_other_ones_are_named():
    world = traffic(*(invoice(n) for n in range(100)))
    same = dataset(*(Case(id=f"c{n}", task_type="t", input=invoice(7 * n)) for n in range(80)))
    found, (record,) = like(world, same)
    assert (record.kind, record.passed, record.n) == ("dataset.distance", True, 100)
    assert record.binds.dataset == "d" * 64

    longer = dataset(*(Case(id=f"c{n}", task_type="t", input=invoice(7 * n, scale=2)) for n in range(80)))
    found, (record,) = like(world, longer)
    assert not record.passed
    assert found.differing == ("length · t",)

    other = dataset(
        *(Case(id=f"c{n}", task_type="t", input={**invoice(7 * n), "note": ""}) for n in range(80))
    )
    found, (record,) = like(world, other)
    assert "shape · t" in found.differing
    assert "they differ in" in record.detail


def test_a_prompt_that_was_typed_does_not_stand_in_for_the_examples_that_the_charter_names(tmp_path):
    """`dataset show --shown prompt.md --record` passed the leak test beside a library that held every case."""
    charter = SimpleNamespace(prompts=("p.md",), few_shot=SimpleNamespace(path="shots"))
    named, prompt, shots = NamedSets(charter=charter, folder=tmp_path), tmp_path / "p.md", tmp_path / "shots"
    prompt.write_text("Route it.")
    assert named.shown([]) == ((prompt,), False)
    assert named.shown([prompt]) == ((prompt,), True)
    shots.mkdir()
    assert named.shown([prompt]) == ((prompt, shots), True)
    assert named.shown([]) == ((prompt, shots), True)
    unknown = SimpleNamespace(prompts="?", few_shot=charter.few_shot)
    assert shown_paths(unknown, tmp_path) == ((shots,), False), "prompts that nobody named are not none"


def test_too_few_inputs_or_an_untested_part_of_the_traffic_give_no_record():
    cases = dataset(*(Case(id=f"c{n}", task_type="t", input=invoice(n)) for n in range(80)))
    for world in (traffic(*(invoice(n) for n in range(49))), traffic()):
        found, records = like(world, cases)
        assert not records
        assert "needs 50 recorded inputs" in found.sentence
    mixed = traffic(*(invoice(n) for n in range(100)))
    mixed.lake.runs |= {f"{at:032x}": ("rare", [root("{}")]) for at in range(200, 240)}
    found, records = like(mixed, cases)
    assert not records
    assert (found.untested, round(found.covered, 2)) == (("rare",), 0.71)


def test_synthetic_cases_and_attacks_are_not_meant_to_look_like_traffic():
    world = traffic(*(invoice(n) for n in range(100)))
    cases = [Case(id=f"c{n}", task_type="t", input=invoice(7 * n)) for n in range(80)]
    cases += [Case(id=f"s{n}", task_type="t", input="x" * n, source="synthetic") for n in range(80)]
    cases += [Case(id=f"a{n}", task_type="t", input="y" * n, source="adversarial:f") for n in range(80)]
    assert like(world, dataset(*cases))[1][0].passed


def test_each_term_of_the_glossary_needs_an_attack():
    attack = Case(id="a", task_type="t", input="a credit note", source="adversarial:f")
    plain = Case(id="b", task_type="t", input="a SKU")
    kinds = [
        {one.kind: one for one in dataset_evidence(dataset(attack, plain), agent="a", at=NOW, terms=terms)}
        for terms in ((), ("credit note",), ("credit note", "SKU"))
    ]
    assert "dataset.glossary" not in kinds[0]
    assert kinds[1]["dataset.glossary"].passed
    assert (kinds[2]["dataset.glossary"].passed, kinds[2]["dataset.glossary"].items) == (False, ("SKU",))


def test_the_terms_are_those_of_the_charters_own_glossary(tmp_path):
    """`dataset show --record --glossary FILE` let a file of one term stand in for the glossary of the charter."""
    sets = SimpleNamespace(glossary="terms.yaml")
    named = NamedSets(charter=sets, folder=tmp_path)
    assert (named.terms, "No domain term" in named.sentence) == ((), True)
    (tmp_path / "terms.yaml").write_text("credit note: money back\n- SKU\n")
    assert (named.terms, named.sentence) == (("credit note", "SKU"), "")
    assert NamedSets(charter=SimpleNamespace(glossary="?"), folder=tmp_path).terms == ()
    assert NamedSets().terms == ()
    other = NamedSets(charter=sets, folder=tmp_path, is_adversarial=False)
    assert other.sentence.endswith("nothing is said of that.")


class Openings:
    """A ledger that holds openings of the seal."""

    def __init__(self, *runs, dataset="d"):
        self.rows = [
            SimpleNamespace(document=json.dumps({"run_id": run, "dataset_digest": dataset})) for run in runs
        ]

    def decisions(self, agent, *, kind, limit):
        return self.rows if kind == SEALED_RELEASE else ()


def test_the_seal_opens_a_few_times_for_each_version_of_the_dataset_and_the_same_run_is_one_opening():
    full = Openings(*(f"r{n}" for n in range(OPENINGS_MAX)))
    assert (
        count_opening(Openings(), "a", dataset="d", sealed=(), run_id="r0")
        == "opening 1 of 4 of the sealed split"
    )
    assert count_opening(full, "a", dataset="d", sealed=(), run_id="r3").startswith("opening 4 of 4")
    with pytest.raises(UsageError, match="opened 4 times"):
        count_opening(full, "a", dataset="d", sealed=(), run_id="r9")
    assert count_opening(full, "a", dataset="another version", sealed=(), run_id="r9").startswith(
        "opening 1 of 4"
    )


def test_a_run_that_was_killed_after_it_looked_has_opened_the_seal():
    ledger = MemoryLedger()
    for number in range(OPENINGS_MAX):
        record_opening(ledger, "a", dataset="d", sealed=(), run_id=f"r{number}", at=NOW)
    assert count_opening(ledger, "a", dataset="d", sealed=(), run_id="r0").startswith("opening 4 of 4")
    with pytest.raises(UsageError, match="opened 4 times"):
        count_opening(ledger, "a", dataset="d", sealed=(), run_id="r9")


def test_another_case_makes_another_dataset_and_no_other_seal():
    ledger, first = MemoryLedger(), sealed_marks(f"{n:016x}" for n in range(10))
    for number in range(OPENINGS_MAX):
        record_opening(ledger, "a", dataset="d", sealed=first, run_id=f"r{number}", at=NOW)

    def opening(*numbers):
        marks = sealed_marks(f"{n:016x}" for n in numbers)
        return count_opening(ledger, "a", dataset="with another case", sealed=marks, run_id="r9")

    for seen in (range(10), range(5), range(19)):
        with pytest.raises(UsageError, match="opened 4 times"):
            opening(*seen)
    assert opening(*range(20)).startswith("opening 1 of 4")


def test_of_many_sealed_cases_the_share_that_was_seen_is_told_by_some():
    hashes = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(4_000)]
    ledger = MemoryLedger()
    for number in range(OPENINGS_MAX):
        marks = sealed_marks(hashes[:2_000])
        record_opening(ledger, "a", dataset="d", sealed=marks, run_id=f"r{number}", at=NOW)
    for later, is_new in ((hashes[:600], False), (hashes[:3_000], False), (hashes[1_500:], True)):
        marks = sealed_marks(later)
        assert len(marks) <= 512
        if is_new:
            assert count_opening(ledger, "a", dataset="e", sealed=marks, run_id="r9").startswith("opening 1")
        else:
            with pytest.raises(UsageError, match="opened 4 times"):
                count_opening(ledger, "a", dataset="e", sealed=marks, run_id="r9")


@pytest.mark.parametrize(("ledger", "agent"), [(None, "a"), (Openings(), None)])
def test_nobody_opens_the_seal_uncounted(ledger, agent):
    with pytest.raises(UsageError, match="--agent"):
        count_opening(ledger, agent, dataset="d", sealed=(), run_id="r")


def tool(name, arguments):
    return root(json.dumps(arguments), operation="execute_tool", tool_name=name, name=name)


def test_a_run_that_a_person_approved_becomes_a_golden_case_with_its_steps(tmp_path):
    trace_id = "a" * 32
    spans = [
        root('{"amount": 7}', output='{"queue": "ap-1"}'),
        tool("find", {"id": 9, "name": "x"}),
        tool("book", {}),
    ]
    case = golden_case(Recorded({trace_id: ("t", spans)}), trace_id, by="sam", at=NOW, ignore=["id"])
    assert [step.tool for step in case.trajectory.steps] == ["find", "book"]
    assert case.trajectory.steps[0].ignore == ("id",)
    assert (case.input, case.expected, case.label.by) == ({"amount": 7}, {"queue": "ap-1"}, "sam")
    folder = tmp_path / "datasets" / "golden"
    assert len(keep_golden(folder, case).cases) == 1
    again = keep_golden(folder, case.model_copy(update={"id": "golden-2", "input": 2}))
    assert (
        [one.id for one in again.cases]
        == [one.id for one in load_dataset(folder).cases]
        == [case.id, "golden-2"]
    )
    assert sorted(one.name for one in folder.parent.iterdir()) == ["golden"]


def test_two_people_may_keep_a_golden_run_at_the_same_moment(tmp_path, monkeypatch):
    trace_id = "a" * 32
    case = golden_case(
        Recorded({trace_id: ("t", [root("{}", output="{}"), tool("find", {})])}), trace_id, by="sam", at=NOW
    )
    real = golden.add_cases

    def meanwhile(folder, files, **about):
        monkeypatch.setattr(golden, "add_cases", real)
        keep_golden(folder, case.model_copy(update={"id": "of-kim", "input": 2}))
        return real(folder, files, **about)

    monkeypatch.setattr(golden, "add_cases", meanwhile)
    keep_golden(tmp_path / "golden", case)
    assert {one.id for one in load_dataset(tmp_path / "golden").cases} == {case.id, "of-kim"}


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ([root("1")], "it called no tool"),
        ([root("1", cut_bytes=5), tool("find", {})], "not recorded whole"),
        ([tool("find", {})], "not recorded whole"),
        ([root("1"), *([tool("find", {})] * 201)], "201 tool calls"),
    ],
)
def test_a_run_that_cannot_be_golden_is_refused_with_why(spans, why):
    with pytest.raises(UsageError, match=why):
        golden_case(Recorded({"a" * 32: ("t", spans)}), "a" * 32, by="sam", at=NOW)
    with pytest.raises(UnknownName, match="no trace"):
        golden_case(Recorded({}), "b" * 32, by="sam", at=NOW)
