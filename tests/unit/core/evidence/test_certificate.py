# SPDX-License-Identifier: Apache-2.0
"""A certificate becomes exactly the records that the framework asks for, and a part of one is no certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.contract import ToolContract, parse_contract
from pilothouse.core.evidence.certificate import (
    CERTIFICATE,
    Certificate,
    FaultRow,
    ToolMatrix,
    certificate_evidence,
)
from pilothouse.core.evidence.evidence import WARNINGS, Basis, Binding, Scope, Source
from pilothouse.core.verdict.integration_order import order_integrations
from pilothouse.errors import CharterInvalid

CHARTER = Charter.model_validate(
    read_charter_file(Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml").value
)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
GOOD = FaultRow(fault="timeout", passed=True, seen="as it must be")
BAD = FaultRow(fault="429", passed=False, seen="asked at once")


def certificate(**fields):
    usual = {
        "agent": CHARTER.agent,
        "integration": "erp",
        "backend": "erp.corp.example:443",
        "environment": "production",
        "matrices": (ToolMatrix(tool="erp.route@1", rows=(GOOD,)),),
        "probes": (FaultRow(fault="rate", passed=True, seen="as it must be"),),
        "whole": True,
        "issued_at": NOW,
    }
    return Certificate(**(usual | fields))


def records(found):
    return {one.kind: one for one in certificate_evidence(CHARTER, found, source=Source(command="test"))}


def test_a_sound_certificate_becomes_three_records():
    found = records(certificate())
    assert set(found) == {"tool.faults", "integration.rate", "integration.certificate"}
    assert all(one.passed and one.binds.contract for one in found.values())


def again(*passed_on, **changed):
    """Verify on days before, each with what was found, and then today."""
    earlier = [
        records(certificate(issued_at=NOW - timedelta(days=days), matrices=(ToolMatrix(tool="erp.route@1", rows=(row,)),)))[CERTIFICATE]
        for days, row in passed_on
    ]  # fmt: skip
    earlier = [one.model_copy(update=changed) for one in earlier]
    (last,) = (
        one
        for one in certificate_evidence(
            CHARTER, certificate(), source=Source(command="test"), earlier=earlier
        )
        if one.kind == CERTIFICATE
    )
    return last


def test_a_certificate_warns_until_one_seven_days_later_confirms_it():
    """An integration that was verified once, a minute ago, stood as if it had been stable for a week."""
    first = again()
    assert first.passed
    assert first.counts == {WARNINGS: 1}
    assert first.detail.startswith(
        "it has stood for 0 of 7 days; verify it again from 27 Nov 2026, 00:00 UTC on; 2 checks"
    )
    assert again((2, GOOD)).detail.startswith(
        "it has stood for 2 of 7 days; verify it again from 25 Nov 2026"
    )
    assert again((7, GOOD)).counts == {}
    assert again((7, GOOD)).detail == "2 checks, against erp.corp.example:443"
    assert again((1, GOOD), (8, GOOD)).counts == {}


def test_days_begin_anew_with_what_failed_and_are_those_of_these_contracts_as_they_were_measured():
    assert again((9, GOOD), (3, BAD), (2, GOOD)).detail.startswith("it has stood for 2 of 7 days")
    for other in (
        {"binds": Binding(contract="other")},
        {"scope": Scope(integration="mail")},
        {"basis": Basis.IMPORTED},
    ):
        assert again((9, GOOD), **other).counts == {WARNINGS: 1}
    assert again((-1, BAD)).detail.startswith("it has stood for 0 of 7 days"), "the clock went back"
    probe = FaultRow(fault="rate", passed=False, seen="too many")
    assert records(certificate(probes=(probe,)))[CERTIFICATE].counts == {}, "what failed is no warning"


def test_what_was_wrong_is_named_in_the_record():
    found = records(certificate(matrices=(ToolMatrix(tool="erp.route@1", rows=(GOOD, BAD)),)))
    assert not found["tool.faults"].passed
    assert not found["integration.certificate"].passed
    assert "429: asked at once" in found["integration.certificate"].detail
    probe = FaultRow(fault="rate", passed=False, seen="too many")
    assert certificate(probes=(probe,)).findings == ("erp: rate: too many",)


def test_a_part_or_nothing_is_no_certificate():
    assert "integration.certificate" not in records(certificate(whole=False))
    assert records(certificate(matrices=(), probes=())) == {}


def test_the_order_puts_the_harmless_and_simple_first():
    ranks = order_integrations(CHARTER, {"erp": False})
    assert [rank.name for rank in ranks] == ["archive", "mail", "erp"]
    assert [rank.place for rank in ranks] == [1, 2, 3]
    assert "last verification failed" in ranks[2].reasons
    held = {one.name: len(CHARTER.integrations[one.name].data) for one in ranks}
    assert {one.name: one.reasons[-1] for one in ranks} == {
        name: "1 class of data" if count == 1 else f"{count} classes of data" for name, count in held.items()
    }
    assert len(set(held.values())) > 1
    assert ranks[2].joins_early, "the charter begins with the one that changes something"
    assert order_integrations(CHARTER, {"erp": True})[2].certified


def test_what_is_open_counts_as_worst():
    tools = {name: tool.model_copy(update={"effect": "?"}) for name, tool in CHARTER.tools.items()}
    erp = CHARTER.integrations["erp"].model_copy(
        update={"auth": "?", "kind": "?", "criticality": "?", "data": "?"}
    )
    charter = CHARTER.model_copy(
        update={"tools": tools, "integrations": {**CHARTER.integrations, "erp": erp}}
    )
    last = order_integrations(charter, {})[-1]
    assert last.name == "erp"
    assert "worst effect of its tools: not said" in last.reasons
    assert order_integrations(CHARTER.model_copy(update={"integrations": "?"}), {}) == ()


def test_a_contract_says_what_may_be_repeated():
    base = {"name": "crm.find", "version": 1, "description": "", "input": {}, "output": {}}
    assert ToolContract.model_validate(base).repeatable("read") == "natural"
    assert ToolContract.model_validate(base).repeatable("external") == "none"
    assert ToolContract.model_validate({**base, "idempotency": "key"}).repeatable("external") == "key"
    with pytest.raises(CharterInvalid) as caught:
        parse_contract(
            '{"name": "crm.find", "version": 1, "description": "", "input": {}, "output": {}, "key_argument": "k"}',
            path="c.json",
        )
    assert "key_argument" in caught.value.findings[0]
    with pytest.raises(CharterInvalid) as caught:
        parse_contract("{", path="c.json")
    assert caught.value.findings[0].startswith("file")
