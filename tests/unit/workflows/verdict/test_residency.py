# SPDX-License-Identifier: Apache-2.0
"""Where calls went is held against where they may go, regulations against their controls, and INT-9 follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.verdict import Status
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.residency import measure_residency, renew_residency

GOLDEN = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"
PIN, STAND_IN = "acme-large-2026-04-12", "acme-medium-2026-02-01"


def world(*tasks):
    at = int((NOW - timedelta(hours=1)).timestamp()) * 1_000_000_000
    found = [
        example_task(trace_id=f"{number:032x}", start_ns=at + number, end_ns=at + number + 1, **fields)
        for number, fields in enumerate(tasks)
    ]
    made = Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=MemoryLake(found), ledger=MemoryLedger()
    )
    accept_file(made.ledger, GOLDEN, NOW - timedelta(days=60), actor="test")
    return made, assess(made, AGENT, NOW, freeze=False)


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        ({"hosts": ("erp.corp.example:443",)}, 2),
        ({"hosts": ("erp.corp.example",)}, 2),
        ({"hosts": ("elsewhere.example:443",)}, 1),
        ({"models": (PIN,), "model_calls": 3}, 4),
        ({"models": (STAND_IN,), "model_calls": 3}, 4),
        ({"models": (PIN, "other-model"), "model_calls": 3}, 1),
    ],
)
def test_a_call_counts_by_the_region_that_the_charter_declares(fields, good):
    made, found = world({"hosts": ("mail.corp.example:443",)}, fields)
    seen = measure_residency(made, found.charter, found.verdict, NOW)
    record = next(one for one in seen.evidence if one.kind == "regions_observed")
    assert record.good == good
    assert record.n == 1 + fields.get("model_calls", 1)
    assert (record.good == record.n) is (not record.items)
    assert seen.contacts[0].is_allowed is (record.good == record.n)


def test_a_regulation_holds_when_each_of_its_controls_has_evidence():
    made, found = world({"hosts": ("erp.corp.example:443",)})
    seen = measure_residency(made, found.charter, found.verdict, NOW)
    assert [one.regulation for one in seen.controls] == ["gdpr", "sox"]
    assert all(one.missing for one in seen.controls)
    assert not [one for one in seen.evidence if one.kind == "control"], "missing is neither for nor against"
    held = replace_all(found.verdict, Status.HOLDS)
    better = measure_residency(made, found.charter, held, NOW)
    uncovered = [gap for one in better.controls for gap in one.missing]
    assert all("nothing here produces evidence" in gap for gap in uncovered)
    records = {one.scope.part: one for one in better.evidence if one.kind == "control"}
    assert {name: one.passed for name, one in records.items()} == {
        one.regulation: True for one in better.controls if not one.missing
    }
    fallen = measure_residency(made, found.charter, replace_all(found.verdict, Status.BREACHED), NOW)
    assert {one.scope.part: one.passed for one in fallen.evidence if one.kind == "control"} == {
        "gdpr": False,
        "sox": False,
    }


def test_a_control_that_failed_is_not_said_to_fail_once_only_evidence_is_lacking():
    made, found = world()

    def control(status, days):
        now = NOW + timedelta(days=days)
        measured = measure_residency(made, found.charter, replace_all(found.verdict, status), now)
        made.ledger.add_evidence(measured.evidence)
        (row,) = [
            one
            for one in assess(made, AGENT, now, freeze=False).verdict.requirements
            if one.requirement == "INT-9"
        ]
        return {item.status for item in row.items if item.kind == "control"}

    assert control(Status.BREACHED, 0) == {"breached"}
    assert control(Status.NO_EVIDENCE, 1) == {"no_evidence"}
    assert "holds" in control(Status.HOLDS, 2)
    assert control(Status.NO_EVIDENCE, 3) == {"no_evidence"}, "what held is not known any more"
    assert control(Status.BREACHED, 4) == {"breached"}


def test_a_region_that_the_charter_leaves_open_is_neither_inside_nor_outside():
    """Nobody has said where it is: that is no evidence, and no breach either."""
    said = "region: eu, rate_limit: {per_s: 4}"
    text = GOLDEN.read_text(encoding="utf-8").replace(said, said.replace("eu", '"?"'))
    charter = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)

    def measured(*tasks):
        made, found = world(*tasks)
        seen = measure_residency(made, charter, found.verdict, NOW)
        return seen, [one for one in seen.evidence if one.kind == "regions_observed"]

    mail, erp = {"hosts": ("mail.corp.example:443",)}, {"hosts": ("erp.corp.example:443",)}
    seen, records = measured(mail, erp)
    assert [(one.place, one.region, one.is_allowed, one.is_open) for one in seen.contacts] == [
        ("mail.corp.example:443", "not said yet", False, True),
        ("erp.corp.example:443", "eu", True, False),
    ]
    assert records == []
    _, [record] = measured(mail, erp, {"hosts": ("elsewhere.example:443",)})
    assert (record.n, record.good, record.detail) == (3, 2, "elsewhere.example:443 in unknown")


def test_it_reaches_the_verdict():
    made, found = world({"hosts": ("elsewhere.example:443",)})
    made.ledger.add_evidence(measure_residency(made, found.charter, found.verdict, NOW).evidence)
    verdict = assess(made, AGENT, NOW, freeze=False).verdict
    [item] = [one for one in verdict.requirements if one.requirement == "INT-9"]
    assert item.status is Status.BREACHED
    assert {one.kind: one.status.value for one in item.items} == {
        "regions_observed": "breached",
        "control": "no_evidence",
    }


def test_nothing_is_measured_where_nothing_was_seen_or_said():
    made, found = world()
    assert measure_residency(made, found.charter, found.verdict, NOW).evidence == ()


def test_a_running_server_renews_what_would_lapse_and_says_at_once_what_changed():
    made, _ = world({"hosts": ("erp.corp.example:443",)})
    assert renew_residency(made, NOW) == 1, "regions; nobody has shown anything about the two regulations"
    assert renew_residency(made, NOW + timedelta(hours=1)) == 0
    assert renew_residency(made, NOW + timedelta(hours=6)) == 1

    def regions(now):
        verdict = assess(made, AGENT, now, freeze=False).verdict
        (row,) = [one for one in verdict.requirements if one.requirement == "INT-9"]
        return next(one.status for one in row.items if one.kind == "regions_observed")

    assert regions(NOW + timedelta(hours=29)) is not Status.NO_EVIDENCE
    assert regions(NOW + timedelta(hours=31)) is Status.NO_EVIDENCE, "nobody renews it any more"
    made.lake.add(
        [
            example_task(
                trace_id="f" * 32, start_ns=int(NOW.timestamp()) * 10**9, hosts=("elsewhere.example:443",)
            )
        ]
    )
    assert renew_residency(made, NOW + timedelta(hours=7)) == 2, "regions, and gdpr rests on the inventory"
    assert regions(NOW + timedelta(hours=7)) is Status.BREACHED


def replace_all(verdict, status):
    rows = tuple(one.model_copy(update={"status": status}) for one in verdict.requirements)
    return verdict.model_copy(update={"requirements": rows})
