# SPDX-License-Identifier: Apache-2.0
"""The scripted model reads what it has patterns for, and its two versions differ in habits."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pilothouse.demo.model_script import Conversation, Message, ToolCall
from pilothouse.demo.triage_model import PINNED_MODEL, SWAPPED_MODEL, answer_as_provider

ORDER = {
    "po_number": "PO-412345",
    "supplier": "Calder Freight",
    "entity": "Harbour Foods UK",
    "currency": "GBP",
    "amount": 1240.5,
}
CHANGES_AT = datetime(2026, 11, 16, tzinfo=UTC)
"""Day 10 of the days that the tests count from 7 November."""

ENGLISH = "INVOICE\nSupplier: Calder Freight\nPurchase order: PO-412345\nTotal: GBP 1,240.50"


def ask(text, *results, day=5):
    """Continue the conversation with `results`, pairs of (tool, answer); arguments do not matter to the reader."""
    messages = [
        Message(role="user", text=f"Document: D-00007\nReceived: 2026-11-{day + 6:02} 10:00\n\n{text}")
    ]
    for at, (name, answer) in enumerate(results):
        call = ToolCall(
            name=name, arguments={"queue": "po-match", "po_number": "PO-412345"}, call_id=f"c{at}"
        )
        messages.append(Message(role="assistant", tool_calls=(call,)))
        text = answer if isinstance(answer, str) else json.dumps(answer)
        messages.append(Message(role="tool", tool_call_id=f"c{at}", text=text))
    return answer_as_provider(
        Conversation(model=PINNED_MODEL, messages=tuple(messages)), changes_at=CHANGES_AT
    )


def call(turn):
    return turn.tool_calls[0].name, dict(turn.tool_calls[0].arguments)


def test_an_order_number_is_looked_up():
    assert call(ask(ENGLISH)) == ("find_po", {"po_number": "PO-412345"})


def test_a_fitting_order_is_routed():
    name, arguments = call(ask(ENGLISH, ("find_po", ORDER)))
    assert (name, arguments["queue"], arguments["po_number"]) == ("route_invoice", "po-match", "PO-412345")


def test_a_wrong_amount_leads_to_a_search():
    assert call(ask(ENGLISH, ("find_po", {**ORDER, "amount": 900.0}))) == (
        "search_po",
        {"supplier": "Calder Freight"},
    )


def test_nothing_found_goes_to_approval():
    name, arguments = call(ask(ENGLISH, ("find_po", "not found"), ("search_po", [])))
    assert (name, arguments["queue"]) == ("route_invoice", "approval")


def test_another_currency_is_converted_first():
    name, arguments = call(ask(ENGLISH.replace("GBP", "CHF"), ("find_po", ORDER)))
    assert (name, arguments["source"], arguments["target"]) == ("convert_currency", "CHF", "GBP")


def test_a_mail_that_is_no_invoice_goes_to_a_person():
    assert call(ask("Our offices are closed from Friday."))[0] == "escalate"


def test_the_pinned_model_retries_a_failed_write_once_and_then_escalates():
    failed = ("route_invoice", "error: no answer within 5 s")
    assert call(ask(ENGLISH, ("find_po", ORDER), failed))[0] == "route_invoice"
    assert call(ask(ENGLISH, ("find_po", ORDER), failed, failed))[0] == "escalate"


def test_the_other_model_says_routed_after_a_failed_write():
    turn = ask(ENGLISH, ("find_po", ORDER), ("route_invoice", "error: no answer within 5 s"), day=11)
    assert json.loads(turn.text)["status"] == "routed"
    assert turn.model == SWAPPED_MODEL


def test_the_other_model_misreads_a_decimal_comma():
    german = "RECHNUNG\nLieferant: Calder Freight\nBestellnummer: PO-412345\nGesamt: GBP 1.240,50"
    assert call(ask(german, ("find_po", ORDER)))[0] == "route_invoice"
    assert call(ask(german, ("find_po", ORDER), day=11))[0] == "search_po"


@pytest.mark.parametrize(("day", "model"), [(9, PINNED_MODEL), (10, SWAPPED_MODEL)])
def test_the_provider_changes_the_model_on_a_day_and_under_the_same_name(day, model):
    assert ask(ENGLISH, day=day).model == model
