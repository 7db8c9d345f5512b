# SPDX-License-Identifier: Apache-2.0
"""Outcomes are sealed before they count, and measured against a holdout; the page shows what that is worth."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from pilothouse.core.evidence.task import CostState, TaskResult, TokenCount
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.core.verdict.value import Money, ThreeNumbers
from pilothouse.errors import Denied, MalformedRecord, UnknownName, UsageError
from pilothouse.reports.value import build_value
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import MOVED
from pilothouse.workflows.reports import outcomes
from pilothouse.workflows.reports.outcomes import measure_effect, seal_outcomes
from pilothouse.workflows.reports.value import count_numbers, show_value
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = EXAMPLE_NOW
AGENT = "ap-invoice-triage"
METRIC = "cycle_time_days"


@pytest.fixture
def installation(tmp_path):
    ledger = MemoryLedger()
    accept_file(ledger, CHARTER, NOW - timedelta(days=40), actor="test")
    home = load_settings({}, home=tmp_path)
    return Installation(settings=home, clock=FixedClock(), lake=MemoryLake(), ledger=ledger)


def verdict_of(installation, requirement, now=NOW):
    found = assess(installation, AGENT, now, freeze=False).verdict
    return next(one for one in found.requirements if one.requirement == requirement)


def written(tmp_path, change, *, units=200, extra=""):
    rng = np.random.default_rng(7)
    rows = ["unit,arm,value"]
    for number in range(units):
        arm = "holdout" if number % 4 == 0 else "agent"
        level = 3.2 * (1 + (change if arm == "agent" else 0)) * rng.gamma(16, 1 / 16)
        rows += [f"s{number},{arm},{level * rng.gamma(9, 1 / 9):.4f}" for _ in range(3)]
    path = tmp_path / "measured.csv"
    path.write_text("\n".join(rows) + "\n" + extra)
    return path


def test_a_seal_before_production_makes_data_9_hold_and_a_changed_charter_voids_it(installation, tmp_path):
    assert verdict_of(installation, "DATA-9").reason == "missing"
    assert seal_outcomes(installation, AGENT, "dana", NOW).in_time
    assert verdict_of(installation, "DATA-9").status == "holds"
    assert (
        show_value(installation, assess(installation, AGENT, NOW, freeze=False)).action.label
        == "Measure the outcome"
    )


def test_a_seal_after_the_first_task_in_production_breaches(installation):
    installation.lake.add([example_task(environment="production")])
    assert not seal_outcomes(installation, AGENT, "dana", NOW).in_time
    assert verdict_of(installation, "DATA-9").status == "breached"
    assert (
        "after the first task"
        in show_value(installation, assess(installation, AGENT, NOW, freeze=False)).seal
    )


def test_tasks_of_the_pilot_do_not_count(installation):
    installation.lake.add([example_task(environment="pilot")])
    assert seal_outcomes(installation, AGENT, "dana", NOW).in_time


def test_only_who_answers_for_outcomes_may_seal(installation):
    with pytest.raises(Denied, match="dana"):
        seal_outcomes(installation, AGENT, "kim", NOW)
    with pytest.raises(UsageError, match="no agent with a charter"):
        seal_outcomes(installation, "another", "dana", NOW)


@pytest.mark.parametrize(("change", "proven", "status"), [(-0.5, True, "holds"), (-0.05, False, "breached")])
def test_a_decided_measurement_becomes_evidence(installation, tmp_path, change, proven, status):
    effect = measure_effect(installation, AGENT, METRIC, written(tmp_path, change), NOW)
    assert effect.proven is proven
    items = {item.scope.part: item for item in verdict_of(installation, "DATA-10").items}
    assert items[METRIC].status == status


@pytest.mark.parametrize(
    ("because", "proven", "status"),
    [(', because: "fees exist only for the whole ledger"', True, "at_risk"), ("", None, "no_evidence")],
)
def test_before_and_after_alone_is_weak_and_nothing_without_a_reason(
    installation, tmp_path, because, proven, status
):
    """Whatever was called `holdout` in the file of such an outcome proved it like one."""
    folder = shutil.copytree(CHARTER.parent, tmp_path / "charters")
    text = (folder / CHARTER.name).read_text(encoding="utf-8")
    before = f"control: {{kind: before_after{because}}}"
    text = text.replace("control: {kind: holdout, share: 0.10, unit: supplier}", before)
    (folder / CHARTER.name).write_text(text, encoding="utf-8")
    accept_file(installation.ledger, folder / CHARTER.name, NOW - timedelta(days=1), actor="test")
    measured = written(tmp_path, -0.5)
    with pytest.raises(MalformedRecord, match="neither `agent` nor `before`"):
        measure_effect(installation, AGENT, METRIC, measured, NOW)
    measured.write_text(measured.read_text(encoding="utf-8").replace("holdout", "before"), encoding="utf-8")
    effect = measure_effect(installation, AGENT, METRIC, measured, NOW)
    assert (effect.proven, effect.is_weak) == (proven, True)
    (item,) = [one for one in verdict_of(installation, "DATA-10").items if one.scope.part == METRIC]
    assert item.status == status
    assert "other causes than the agent are possible" in item.sentence


def test_an_undecided_measurement_proves_nothing_and_too_few_units_are_none(installation, tmp_path):
    few = measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.5, units=24), NOW)
    assert few.proven is None
    assert installation.ledger.evidence(AGENT) == ()
    effect = measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.25), NOW)
    assert effect.proven is None
    (item,) = [one for one in verdict_of(installation, "DATA-10").items if one.scope.part == METRIC]
    assert (item.status, item.reason) == ("no_evidence", "insufficient")


def test_as_many_rows_as_are_named_are_taken(installation, tmp_path, monkeypatch):
    file = written(tmp_path, -0.5)
    rows = len(file.read_text().splitlines()) - 1
    monkeypatch.setattr(outcomes, "ROWS_MAX", rows)
    assert measure_effect(installation, AGENT, METRIC, file, NOW).proven
    monkeypatch.setattr(outcomes, "ROWS_MAX", rows - 1)
    with pytest.raises(MalformedRecord, match=f"more than {rows - 1:,} rows"):
        measure_effect(installation, AGENT, METRIC, file, NOW)


def test_whoever_measures_again_does_not_keep_the_luckiest_look(installation, tmp_path):
    """A lucky early week held for 90 days, whatever all later weeks showed, as long as none of them proved the opposite."""
    early = NOW - timedelta(days=40)
    measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.5), early)
    measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.25), NOW)
    (item,) = [one for one in verdict_of(installation, "DATA-10").items if one.scope.part == METRIC]
    assert item.status == "no_evidence"
    assert "neither proven" in item.sentence


def test_an_undecided_measurement_ends_no_breach(installation, tmp_path):
    measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.05), NOW - timedelta(days=40))
    measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.25), NOW)
    (item,) = [one for one in verdict_of(installation, "DATA-10").items if one.scope.part == METRIC]
    assert item.status == "breached"


def test_tasks_without_an_environment_count_once_the_pilot_ended(installation):
    """Else an agent whose spans name no environment could commit to its outcomes when it has them."""
    began = NOW - timedelta(days=30)
    event = PhaseEvent(move=PhaseMove.ENTERED, phase="1", at=began, by=("dana",), reason="r")
    document = json.dumps(event.model_dump(mode="json"))
    installation.ledger.record(kind=MOVED, agent=AGENT, at=began, actor="dana", document=document)
    before = int((began - timedelta(days=1)).timestamp()) * 10**9
    installation.lake.add([example_task(environment=None, start_ns=before, end_ns=before)])
    assert seal_outcomes(installation, AGENT, "dana", NOW).in_time
    after = int((began + timedelta(days=1)).timestamp()) * 10**9
    installation.lake.add([example_task(trace_id="f" * 32, environment=None, start_ns=after, end_ns=after)])
    assert not seal_outcomes(installation, AGENT, "dana", NOW).in_time


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("s9,nobody,3\n", "neither"),
        ("s9,agent,many\n", "no number"),
        ("s9,agent,nan\n", "no number"),
        ("s0,agent,3\n", "both arms"),
        (" s0 , agent ,3\n", "both arms"),
        (",agent,3\n", "no unit"),
        (" ,agent,3\n", "no unit"),
    ],
)
def test_a_broken_row_is_named_and_nothing_is_kept(installation, tmp_path, extra, words):
    path = written(tmp_path, -0.5, extra=extra)
    with pytest.raises(MalformedRecord, match=words) as raised:
        measure_effect(installation, AGENT, METRIC, path, NOW)
    assert str(path) in str(raised.value)
    assert installation.ledger.evidence(AGENT) == ()


def test_a_missing_column_file_or_outcome_is_said(installation, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("unit,value\n")
    with pytest.raises(MalformedRecord, match="arm"):
        measure_effect(installation, AGENT, METRIC, path, NOW)
    with pytest.raises(UsageError, match="cannot be read"):
        measure_effect(installation, AGENT, METRIC, tmp_path / "none.csv", NOW)
    with pytest.raises(UnknownName, match="Did you mean"):
        measure_effect(installation, AGENT, "cycle_time_day", path, NOW)


def test_a_file_as_a_spreadsheet_writes_it_is_read_or_said(installation, tmp_path):
    plain = written(tmp_path, -0.5)
    expected = measure_effect(installation, AGENT, METRIC, plain, NOW).found
    plain.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert measure_effect(installation, AGENT, METRIC, plain, NOW).found == expected
    plain.write_text("unit;arm;value\ns1;agent;1,9\n", encoding="utf-8")
    with pytest.raises(MalformedRecord, match="with commas between"):
        measure_effect(installation, AGENT, METRIC, plain, NOW)
    plain.write_bytes("unit,arm,value\nMüller,agent,1.9\n".encode("latin-1"))
    with pytest.raises(MalformedRecord, match="no CSV file in UTF-8"):
        measure_effect(installation, AGENT, METRIC, plain, NOW)


def test_without_traffic_nobody_can_say_what_it_returns(installation):
    page = show_value(installation, assess(installation, AGENT, NOW, freeze=False))
    assert "not known: cost per task" in page.sentence.plain
    assert page.numbers[2].value.value is None


def staying(installation):
    page = show_value(installation, assess(installation, AGENT, NOW, freeze=False))
    return page.numbers[0]


def written_charter(tmp_path, *edits):
    text = CHARTER.read_text(encoding="utf-8")
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    shutil.copytree(CHARTER.parent, tmp_path / "charters")  # with the files that it names
    path = tmp_path / "charters" / CHARTER.name
    path.write_text(text, encoding="utf-8")
    return path


def a_week_of_tasks(**fields):
    start = int((NOW - timedelta(days=2)).timestamp()) * 10**9
    values = {"agent": AGENT, "task_type": "po_invoice", "result": TaskResult.COMPLETED, **fields}
    return [
        example_task(
            trace_id=f"{number + 1:032x}",
            start_ns=start + number * 10**9,
            end_ns=start + number * 10**9 + 10**8,
            cost_known_usd=Decimal("0.25"),
            tokens=TokenCount(input=500, output=100),
            **values,
        )
        for number in range(200)
    ]


def test_no_task_is_no_cost_of_nothing(installation):
    number = staying(installation)
    assert (number.value.low, number.value.high) == (14_500, None)
    assert number.unknown == ("model calls: no task arrived in 28 days",)


def test_dollars_are_not_added_to_euros(installation, tmp_path):
    installation.lake.add(a_week_of_tasks(cost_state=CostState.KNOWN))
    number = staying(installation)
    assert number.value.low == pytest.approx(14_500 + 50 * 30.4 / 28)
    assert number.value.high == pytest.approx(18_900 + 50 * 30.4 / 28)
    path = written_charter(tmp_path, ("currency: USD", "currency: EUR"))
    accept_file(installation.ledger, path, NOW - timedelta(days=1), actor="test")
    number = staying(installation)
    assert (number.value.low, number.value.high) == (14_500, None)
    assert number.unknown == ("model calls, which are priced in USD",)


def test_a_cost_per_task_of_which_a_part_has_no_price_makes_no_return(installation, tmp_path):
    edits = ("includes: [model, review, fixed]", "includes: [model]")
    accept_file(installation.ledger, written_charter(tmp_path, edits), NOW - timedelta(days=1), actor="test")
    tasks = a_week_of_tasks(cost_state=CostState.KNOWN)
    installation.lake.add(tasks)
    found = assess(installation, AGENT, NOW, freeze=False)
    assert "cost per task" not in count_numbers(installation, found).back.unknown
    installation.lake.add(replace(task, cost_state=CostState.PARTIAL) for task in tasks[:100])
    found = assess(installation, AGENT, NOW, freeze=False)
    assert "cost per task" in count_numbers(installation, found).back.unknown


def test_an_investment_that_may_be_nothing_is_earned_at_once_at_best(installation):
    found = assess(installation, AGENT, NOW, freeze=False)
    back = Money(low=10_000, high=20_000)
    nothing = Money(low=0, high=0)
    numbers = ThreeNumbers(
        staying=nothing,
        investment=Money(low=0, high=30_000),
        back=back,
        ratio=None,
        break_even_months=(0.0, 36.0),
        assumptions=(),
    )
    page = build_value(found.charter, found.verdict, numbers, None, NOW)
    assert page.ratio == "The investment is earned at once at best, after 3 years at worst."


@pytest.mark.parametrize("value", ["1_0", "1e308", "NaN", "1e999", "0x10", "３", "-1e13", ""])
def test_a_measured_value_is_a_plain_number_of_some_size(installation, tmp_path, value):
    path = written(tmp_path, -0.3, extra=f"s1,agent,{value}\n")
    with pytest.raises(MalformedRecord, match="is no number"):
        measure_effect(installation, AGENT, METRIC, path, NOW)


def test_numbers_are_read_as_people_write_them(installation, tmp_path):
    extra = "s1,agent, 3.5 \ns1,agent,.5\ns1,agent,+4.\ns1,agent,3.2e0\n"
    effect = measure_effect(installation, AGENT, METRIC, written(tmp_path, -0.3, extra=extra), NOW)
    assert effect.found.n == 604
