# SPDX-License-Identifier: Apache-2.0
"""The verifier of the demo's charter reads the ERP and tells truth from claim."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from pilothouse.connectors.verifier_loader import load_verifier
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.task import Task
from pilothouse.demo.erp import Booking, Erp, PostingRun, PurchaseOrder, create_erp
from pilothouse.demo.furnish import CHARTER_SOURCE

ORDER = PurchaseOrder(
    po_number="PO-412345", supplier="Calder", entity="Harbour Foods UK", currency="GBP", amount=10.0
)
FOREIGN = replace(ORDER, po_number="PO-412346", entity="Harbour Foods DE")
BOOKED = Booking(
    document="D-00001", queue="po-match", po_number="PO-412345", entity="Harbour Foods UK", duplicate_of=""
)


@pytest.fixture
def erp(tmp_path):
    shutil.copytree(CHARTER_SOURCE / "verifiers", tmp_path / "verifiers")
    bookings = [
        BOOKED,
        replace(BOOKED, document="D-00002", queue="duplicates", duplicate_of="D-00001"),
        replace(BOOKED, document="D-00003"),
        replace(BOOKED, document="D-00004", queue="approval", po_number=""),
    ]
    runs = [PostingRun(from_ns=1_000, to_ns=2_000)]
    create_erp(tmp_path / "erp.sqlite", orders=[ORDER, FOREIGN], bookings=bookings, posting_runs=runs)
    with Erp(tmp_path / "erp.sqlite") as opened:
        yield opened


@pytest.fixture
def ask(erp, tmp_path):
    verifier = load_verifier("verifiers.erp:routing_matches", tmp_path)

    def about(document, queue="po-match", po_number="PO-412345", claim=None):
        routed = {"document": document, "queue": queue, "po_number": po_number}
        claim = claim or json.dumps({"routed": routed})
        return verifier.ask(Task(trace_id="0" * 32, agent="a", start_ns=1, end_ns=2, claim=claim))

    return about


def route(erp, document, queue="po-match", po_number="PO-412345"):
    erp.route(document=document, queue=queue, po_number=po_number, at_ns=5)


def test_what_was_routed_and_booked_as_claimed_is_verified(erp, ask):
    route(erp, "D-00001")
    assert ask("D-00001").status is OutcomeStatus.VERIFIED


def test_a_claim_without_a_routing_is_contradicted(ask):
    finding = ask("D-00001")
    assert finding.status is OutcomeStatus.CONTRADICTED
    assert finding.found == "D-00001: the ERP has no routing"


def test_a_write_during_a_posting_run_leaves_no_routing(erp, ask):
    with pytest.raises(TimeoutError):
        erp.route(document="D-00001", queue="po-match", po_number="PO-412345", at_ns=1_500)
    assert ask("D-00001").status is OutcomeStatus.CONTRADICTED


def test_another_routing_than_claimed_is_contradicted(erp, ask):
    route(erp, "D-00001", queue="approval", po_number="")
    assert ask("D-00001").found == "D-00001: the ERP has it in approval"


def test_another_booking_than_routing_is_contradicted(erp, ask):
    route(erp, "D-00004")
    assert ask("D-00004").found == "D-00004: booked as approval"


def test_a_repeated_invoice_is_a_critical_mistake(erp, ask):
    route(erp, "D-00002")
    assert ask("D-00002").critical == "paid_twice"


def test_another_company_is_a_critical_mistake(erp, ask):
    route(erp, "D-00003", po_number="PO-412346")
    assert ask("D-00003", po_number="PO-412346").critical == "routed_to_foreign_entity"


def test_what_nobody_has_booked_cannot_be_told(erp, ask):
    route(erp, "D-00009")
    assert ask("D-00009").status is OutcomeStatus.UNVERIFIABLE


@pytest.mark.parametrize("claim", ["", "no json", "[]", '{"routed": {}}', "null"])
def test_a_claim_that_names_no_document_cannot_be_told(ask, claim):
    assert ask("", claim=claim or " ").status is OutcomeStatus.UNVERIFIABLE
