# SPDX-License-Identifier: Apache-2.0
"""Kinds of input are analysed by a command and by the server, and the verdict says what is new and what is untested."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import page_site
import page_world as world
import pytest

from pilothouse.core.verdict.verdict import Status
from pilothouse.evals.case import Case, CaseLabel
from pilothouse.evals.dataset import load_dataset
from pilothouse.interfaces.cli.dataset_tail import _lines, _record, _week
from pilothouse.workflows.gate.datasets import add_cases, dataset_evidence
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.reports.inputs import ANALYSED, offer_cases
from pilothouse.workflows.reports.inputs_week import AGENTS_AT_ONCE, InputsWatch, look_at_inputs
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW = world.AGENT, world.NOW
RECALL = "Product recall of batch {n}: stop delivery to the warehouse"
WEEK = timedelta(days=7)


@pytest.fixture
def installation(tmp_path):
    made = page_site.make_installation(tmp_path / "home")
    charter = tmp_path / "agent" / "charter.yaml"
    charter.parent.mkdir()
    text = world.charter_text() + "\n"
    made.ledger.accept_charter(
        agent=AGENT, digest="f" * 64, text=text, path=str(charter), at=NOW - timedelta(days=11)
    )
    return made


def plant(installation, count, *, until=NOW, text=RECALL, start=70_000):
    """Add tasks with one kind of input, spread over the week that ends then."""
    like = world.make_tasks()[0]
    installation.lake.add([
        dataclasses.replace(
            like,
            trace_id=f"{start + n:032x}",
            input_preview=text.format(n=n),
            start_ns=world.ns(until - WEEK * (n + 1) / (count + 1)),
        )
        for n in range(count)
    ])  # fmt: skip


def label(installation, path, texts, at=NOW):
    """Put labelled cases into the charter's dataset, and count it as `dataset show --record` does."""
    task_type = next(iter(world.charter().task_types))
    cases = [
        Case(
            id=f"case-{n}",
            task_type=task_type,
            input=[{"role": "system", "content": "Route it."}, {"role": "user", "content": text}],
            expected={"queue": "approval"},
            source="human",
            label=CaseLabel(by="lee", at=NOW, value="approval"),
        )
        for n, text in enumerate(texts)
    ]
    path.parent.mkdir(exist_ok=True)
    file = path.parent / "cases.jsonl"
    file.write_text("".join(case.model_dump_json() + "\n" for case in cases), encoding="utf-8")
    add_cases(path, [file])
    installation.ledger.add_evidence(
        dataset_evidence(
            load_dataset(path), agent=AGENT, at=at, charter=charter_in_force(installation.ledger, AGENT)
        )
    )


def said(installation, requirement):
    verdict = assess(installation, AGENT, installation.clock.now(), freeze=False).verdict
    return next(one for one in verdict.requirements if one.requirement == requirement)


def test_a_frequent_kind_without_cases_breaches_until_somebody_labels_three(installation, tmp_path):
    assert said(installation, "DATA-3").status is Status.NO_EVIDENCE
    plant(installation, 40)
    folder = tmp_path / "agent" / "datasets" / "labelled"
    label(
        installation,
        folder,
        [f"Invoice INV-{n} over EUR {n}.00 from Nordwind GmbH" for n in range(6)],
        NOW - WEEK,
    )
    found, _, kept = look_at_inputs(installation, None, NOW, actor="test")
    assert kept == 2
    assert [kind.words[0] for kind in found.untested] == ["batch"]
    assert found.untested[0].share == pytest.approx(40 / (40 + len(world.make_tasks())))
    breached = said(installation, "DATA-3")
    assert breached.status is Status.BREACHED
    assert "batch, delivery, of, product" in breached.deciding.sentence
    assert breached.deciding.remedy == "pilothouse dataset tail"
    text = "\n".join(_lines(found, is_kept=True))
    assert " ! batch" in text
    assert "tail --offer" in text

    label(installation, folder, [RECALL.format(n=n) for n in range(3)])
    assert said(installation, "DATA-3").status is Status.NO_EVIDENCE, "the report was of other cases"
    found, _, _ = look_at_inputs(installation, AGENT, NOW, actor="test")
    assert found.untested == ()
    assert said(installation, "DATA-3").status is Status.HOLDS
    assert "Each kind of 1 %" in _lines(found, is_kept=True)[-1]


@pytest.mark.parametrize(
    ("count", "cases", "status"),
    [(3, 0, Status.HOLDS), (20, 0, Status.AT_RISK), (60, 0, Status.BREACHED), (60, 3, Status.AT_RISK)],
)
def test_a_new_kind_of_a_week_warns_and_breaches_without_labels(installation, tmp_path, count, cases, status):
    watch = InputsWatch(installation)
    before = NOW - timedelta(days=8)
    assert watch.look(before) >= 1, "the first analysis is what later weeks are compared with"
    assert watch.look(before + timedelta(hours=5)) == 0, "not yet its turn again"
    plant(installation, count)
    if cases:
        label(
            installation,
            tmp_path / "agent" / "datasets" / "labelled",
            [RECALL.format(n=n) for n in range(cases)],
        )
    assert watch.look(NOW) >= 1
    found = said(installation, "DATA-6")
    assert found.status is status
    assert ("product" in found.deciding.sentence) is (status is not Status.HOLDS)
    assert len(installation.ledger.decisions(AGENT, kind=ANALYSED)) == 2, "a week later there is another one"


def test_the_command_prints_what_it_found_and_says_what_is_missing(installation, tmp_path):
    found, week, kept = look_at_inputs(installation, AGENT, NOW, actor="test")
    assert kept == 1, "without a dataset nothing can be said about cases"
    assert found.labelled is None
    assert "no labelled dataset" in _lines(found, is_kept=True)[-1].lower()
    assert week.compared_with is None
    assert "nothing to compare" in _week(week)[0]
    told = json.loads(json.dumps(_record(found, week)))
    assert told["kinds"][0]["cases"] is None
    assert told["week"]["new"] == []
    later = NOW + WEEK
    plant(installation, 20, until=later, start=80_000)
    _, week, _ = look_at_inputs(installation, AGENT, later, actor="test")
    assert "too few" in _week(week)[0]
    plant(installation, 200, until=later, text="Invoice INV-{n} over EUR from Nordwind GmbH", start=90_000)
    _, week, _ = look_at_inputs(installation, AGENT, later, actor="test")
    assert " ! batch" in _week(week)[1]


def test_too_few_inputs_leave_no_record(tmp_path):
    made = page_site.make_installation(tmp_path / "home")
    early = NOW - timedelta(days=12)
    found, week, kept = look_at_inputs(made, AGENT, early, actor="test")
    assert (kept, week.is_enough) == (0, False)
    assert "Too little for a record" in _lines(found, is_kept=False)[-1]
    empty, _, kept = look_at_inputs(made, AGENT, NOW - timedelta(days=60), actor="test")
    assert (kept, empty.kinds.kinds) == (0, ())


def test_untested_inputs_are_offered_as_cases(installation, tmp_path):
    plant(installation, 40)
    found, _, _ = look_at_inputs(installation, AGENT, NOW, actor="test")
    offered = offer_cases(installation.lake, found, tmp_path / "tail.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "tail.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == offered
    assert all(line["source"].startswith("production:") and "label" not in line for line in lines)


def test_every_agent_has_its_turn(installation):
    for number in range(2 * AGENTS_AT_ONCE):
        text = world.charter_text().replace(f"agent: {AGENT}", f"agent: other-agent-{number}")
        installation.ledger.accept_charter(
            agent=f"other-agent-{number}", digest=f"{number:064}", text=text, path="charter.yaml",
            at=NOW - timedelta(days=1),
        )  # fmt: skip
    watch = InputsWatch(installation)
    for _ in range(3):
        watch.look(NOW)
    assert len(watch._looked) == 2 * AGENTS_AT_ONCE + 1
