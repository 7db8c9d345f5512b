# SPDX-License-Identifier: Apache-2.0
"""What a charter declares of a model that somebody hosts holds only where its server says all of it, and says the same."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.stubs.evidence_made import edited_charter, load_charter

from pilothouse.core.evidence.deployment import DEPLOYMENT
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import ProviderError
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.workflows.gateway.deployments import measure_deployment, renew_deployments
from pilothouse.workflows.verdict.accept import accept_file

DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL = "acme-large-2026-04-12"
ACME = {"acme": Provider(name="acme", url="http://127.0.0.1:9/v1", protocol=WireProtocol.OPENAI)}
DECLARED = "deployment: {weights: 4f1c2d9, engine: vllm 0.11.0, quantisation: fp8}"
SAYS = {"revision": "4f1c2d9", "engine": "vllm 0.11.0", "meta": {"quantization": "fp8"}}


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "charter.yaml"
    found.write_text(edited_charter(("retires_on: 2032-06-30}", f"retires_on: 2032-06-30, {DECLARED}}}")))
    return found


def listing(name=MODEL, **entry):
    return lambda _provider: json.dumps(
        {"object": "list", "data": [{"id": "o"}, {"id": name, **entry}]}
    ).encode()


def judged(charter, *records):
    """Return the items of EVAL-7 that are about the deployment."""
    judging = {one.requirement: one for one in decide(charter, list(records), NOW).requirements}["EVAL-7"]
    return [one for one in judging.items if (one.scope.part or "").startswith("deployment")]


@pytest.mark.parametrize(
    ("says", "passed", "detail"),
    [
        (SAYS, True, "acme lists acme-large-2026-04-12 with 3 parts as declared: weights 4f1c2d9"),
        (
            {**SAYS, "revision": "9e0"},
            False,
            "another deployment of acme-large-2026-04-12: weights is 9e0 and not",
        ),
        ({"revision": "4f1c2d9"}, None, "does not say its engine or quantisation"),
        ({"revision": "9e0"}, False, "weights is 9e0 and not 4f1c2d9"),
        ({"revision": 7, "engine": ""}, None, "does not say its weights or engine or quantisation"),
    ],
)
def test_all_of_it_must_be_said_and_the_same(path, says, passed, detail):
    charter = load_charter(path)
    found = measure_deployment(charter, ACME, listing(**says), NOW)
    assert found.passed is passed
    assert detail in found.detail
    (item,) = judged(charter, found)
    wanted = {True: Status.HOLDS, False: Status.BREACHED, None: Status.NO_EVIDENCE}[passed]
    assert item.status is wanted


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": 1}', b'{"data": [1, {"id": "o"}]}'])
def test_a_model_that_is_not_listed_is_not_shown(path, body):
    found = measure_deployment(load_charter(path), ACME, lambda _: body, NOW)
    assert (found.passed, found.counts) == (None, {"unknown": 3})
    assert "does not list" in found.detail


def test_nothing_declared_asks_nothing_and_nothing_looked_at_shows_nothing(path):
    assert measure_deployment(load_charter(), ACME, listing(**SAYS), NOW) is None
    assert judged(load_charter()) == []
    (item,) = judged(load_charter(path))
    assert item.status is Status.NO_EVIDENCE


def test_another_declaration_ends_what_was_shown(path):
    found = measure_deployment(load_charter(path), ACME, listing(**SAYS), NOW)
    path.write_text(path.read_text().replace("weights: 4f1c2d9", "weights: 5a5a5a5"))
    (item,) = judged(load_charter(path), found)
    assert item.status is Status.NO_EVIDENCE


def test_the_name_that_a_pin_is_served_under_is_its_name_in_the_listing_too(path):
    path.write_text(path.read_text().replace(DECLARED, f"{DECLARED}, served_as: [large]"))
    assert measure_deployment(load_charter(path), ACME, listing("large", **SAYS), NOW).passed


def test_a_server_that_nobody_knows_says_how_to_add_it(path):
    with pytest.raises(ProviderError, match="no provider 'acme'"):
        measure_deployment(load_charter(path), {}, listing(**SAYS), NOW)


def test_a_record_is_renewed_when_it_changes_or_gets_old(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        charter = shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
        charter.write_text(
            charter.read_text().replace("retires_on: 2032-06-30}", f"retires_on: 2032-06-30, {DECLARED}}}")
        )
        accept_file(ledger, charter, NOW, actor="test")
        renewed = [
            renew_deployments(ledger, ACME, listing(**says), NOW + timedelta(hours=hours))
            for says, hours in ((SAYS, 0), (SAYS, 1), ({}, 2), (SAYS, 3), (SAYS, 10))
        ]
        stored = ledger.evidence("ap-invoice-triage", kinds=(DEPLOYMENT,))
    assert renewed == [1, 0, 1, 1, 1]
    assert len(stored) == 4
