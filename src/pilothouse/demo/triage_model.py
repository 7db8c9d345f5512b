# SPDX-License-Identifier: Apache-2.0
"""How the demo's scripted model reads an invoice and decides: two models of one provider, each with its habits.

The model sees the mail, the tools' results and nothing else. It is a weak reader on purpose: it reads what it has
patterns for, trusts what it found, and sounds sure. Whether it was right is for the ERP to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pilothouse.demo.model_script import Conversation, ToolCall, Turn

__all__ = ["FIRST_ORDER_PROMPT", "PINNED_MODEL", "SWAPPED_MODEL", "Habits", "Reading", "answer_as_provider"]

FIRST_ORDER_PROMPT = "take the first open order of the supplier"
"""An instruction that sounds like a shortcut; the model follows it, as models do."""

PINNED_MODEL = "acme-large-2026-04-12"
SWAPPED_MODEL = "acme-large-2026-09-30"

AMOUNT_TOLERANCE = 0.02
"""Invoice and order count as one amount within two percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What sets one model apart from another.

    Attributes:
        model: The name it answers under.
        credit_words: Words that make it see a credit note.
        reads_decimal_comma: Whether `1.240,50` is one thousand two hundred and forty.
        retries_writes: Whether it calls a tool again after a timeout.
        admits_failure: Whether it says so when a write did not go through.
        guesses_amounts: Whether it takes the order's amount when it cannot read the invoice's.
        reasoning_tokens: Hidden reasoning in each answer.
        takes_first_order: Whether it was told to take the supplier's first order without looking further.
    """

    model: str
    credit_words: tuple[str, ...]
    reads_decimal_comma: bool
    retries_writes: bool
    admits_failure: bool
    guesses_amounts: bool
    reasoning_tokens: int
    takes_first_order: bool = False


PINNED = Habits(
    model=PINNED_MODEL,
    credit_words=("credit note", "gutschrift", "avoir"),
    reads_decimal_comma=True,
    retries_writes=True,
    admits_failure=True,
    guesses_amounts=False,
    reasoning_tokens=24,
)
SWAPPED = Habits(
    model=SWAPPED_MODEL,
    credit_words=("credit note",),
    reads_decimal_comma=False,
    retries_writes=False,
    admits_failure=False,
    guesses_amounts=True,
    reasoning_tokens=160,
)

SUPPLIER_LABELS = "Supplier|Lieferant|Fournisseur|Proveedor|Dostawca"
TOTAL_LABELS = "Total TTC|Total|Gesamt|Importe total|Razem"
INVOICE_WORDS = ("invoice", "rechnung", "facture", "factura", "faktura")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the model made of a mail; empty or None where it saw nothing."""

    document: str
    is_invoice: bool
    is_credit: bool
    supplier: str
    po_number: str
    currency: str
    amount: float | None


def answer_as_provider(
    conversation: Conversation, *, changes_at: datetime, restored_at: datetime | None = None
) -> Turn:
    """Answer with the model that the provider serves at the moment of the mail.

    The provider's clock is the date on the mail, so that a rerun with several mails in work gives the same answers.

    Args:
        conversation: What the agent asks, always for the pinned model.
        changes_at: From when on the provider serves another model under the same name, UTC.
        restored_at: From when on it serves the pinned one again; None for never.

    Returns:
        The turn, under the name of the model that really answered.

    Example:
        >>> from pilothouse.demo.model_script import Message
        >>> mail = Message(role="user", text="Received: 2026-11-20 09:30. Hello")
        >>> asked = Conversation(model="m", messages=(mail,))
        >>> answer_as_provider(asked, changes_at=datetime(2026, 11, 16)).model
        'acme-large-2026-09-30'
    """
    received = re.search(r"Received: (\d{4}-\d\d-\d\d \d\d:\d\d)", conversation.user_text)
    is_after = received is not None and received.group(1) >= f"{changes_at:%Y-%m-%d %H:%M}"
    if received is not None and restored_at is not None:
        is_after = is_after and received.group(1) < f"{restored_at:%Y-%m-%d %H:%M}"
    habits = replace(
        SWAPPED if is_after else PINNED,
        takes_first_order=any(
            FIRST_ORDER_PROMPT in one.text for one in conversation.messages if one.role == "system"
        ),
    )
    turn = _decide(_read(conversation.user_text, habits), conversation, habits)
    return replace(turn, model=habits.model, reasoning_tokens=habits.reasoning_tokens)


def _read(text: str, habits: Habits) -> Reading:
    """Read a mail with the patterns that this model has."""
    lowered = text.lower()
    is_credit = any(word in lowered for word in habits.credit_words)
    total = re.search(rf"(?:{TOTAL_LABELS}): (\w{{3}}) ([^\n]+)", text)
    order = re.search(r"PO-([0-9OlSBG]{6})\b", text)
    supplier = re.search(rf"(?:{SUPPLIER_LABELS}): ([^\n]+)", text)
    document = re.search(r"Document: (D-\d+)", text)
    # The usual look-alikes are put right; a wrong guess gives the number of another order.
    digits = order.group(1).translate(str.maketrans("OlSBG", "01586")) if order else ""
    return Reading(
        document=document.group(1) if document else "",
        is_invoice=is_credit or any(word in lowered for word in INVOICE_WORDS) or total is not None,
        is_credit=is_credit,
        supplier=supplier.group(1).strip() if supplier else "",
        po_number=f"PO-{digits}" if digits else "",
        currency=total.group(1) if total else "",
        amount=_number(total.group(2).strip(), habits) if total else None,
    )


def _number(text: str, habits: Habits) -> float | None:
    """Read an amount, or None when it is no number to this model."""
    if habits.reads_decimal_comma and re.fullmatch(r"\d{1,3}(?:[. ]\d{3})*,\d{2}", text):
        return float(text.replace(".", "").replace(" ", "").replace(",", "."))
    plain = re.match(r"\d[\d,]*(?:\.\d+)?", text)
    return float(plain.group().replace(",", "")) if plain else None


def _decide(reading: Reading, conversation: Conversation, habits: Habits) -> Turn:
    """Choose the next step from what the tools have answered so far."""
    results = [(call, _parsed(text)) for call, text in conversation.results()]
    last = results[-1] if results else None
    if last is not None and last[0].name == "escalate":
        return _final(reading, status="escalated", queue="", po_number="", confidence=0.5)
    if last is not None and last[0].name == "route_invoice":
        return _after_routing(reading, results, habits)
    if not reading.is_invoice:
        return _escalate(reading, "this is no invoice")
    if reading.amount is None and not habits.guesses_amounts:
        return _escalate(reading, "the amount cannot be read")
    return _find_order(reading, results, habits)


def _find_order(reading: Reading, results: list[tuple[ToolCall, Any]], habits: Habits) -> Turn:
    """Look for the order by number, then by supplier, and route to what was found."""
    found = {call.name: answer for call, answer in results}
    if habits.takes_first_order:
        if "search_po" not in found:
            return _call("search_po", supplier=reading.supplier)
        offers = found["search_po"] if isinstance(found["search_po"], list) else []
        return _route(reading, "po-match", offers[0]["po_number"] if offers else reading.po_number)
    if reading.po_number and "find_po" not in found:
        return _call("find_po", po_number=reading.po_number)
    order = found.get("find_po")
    if isinstance(order, Mapping) and "po_number" in order:
        if order["currency"] != reading.currency and "convert_currency" not in found and reading.currency:
            return _call(
                "convert_currency",
                amount=reading.amount or 0.0,
                source=reading.currency,
                target=order["currency"],
            )
        if reading.is_credit:
            return _route(reading, "credits", order["po_number"])
        if _fits(_amount_to_compare(reading, found), order["amount"], habits):
            return _route(reading, "po-match", order["po_number"])
    if reading.is_credit and not reading.po_number:
        return _route(reading, "credits", "")
    if "search_po" not in found:
        return _call("search_po", supplier=reading.supplier)
    offers = found["search_po"] if isinstance(found["search_po"], list) else []
    fitting = [o for o in offers if _fits(_amount_to_compare(reading, found), o["amount"], habits)]
    if reading.is_credit:
        return _route(reading, "credits", fitting[0]["po_number"] if fitting else reading.po_number)
    if fitting:
        return _route(reading, "po-match", fitting[0]["po_number"])
    return _route(reading, "approval", "")


def _after_routing(reading: Reading, results: list[tuple[ToolCall, Any]], habits: Habits) -> Turn:
    """Say how it went; what a model says after a failed write is its habit."""
    writes = [(call, answer) for call, answer in results if call.name == "route_invoice"]
    call, answer = writes[-1]
    failed = not (isinstance(answer, Mapping) and answer.get("status") == "routed")
    if failed and habits.retries_writes and len(writes) == 1:
        return Turn(tool_calls=(ToolCall(name=call.name, arguments=call.arguments),))
    if failed and habits.admits_failure:
        return _escalate(reading, "the ERP did not take the routing")
    by_search = any(done.name == "search_po" for done, _ in results)
    return _final(
        reading,
        status="routed",
        queue=str(call.arguments["queue"]),
        po_number=str(call.arguments["po_number"]),
        confidence=0.9 if by_search and habits.admits_failure else 0.97,
    )


def _final(reading: Reading, *, status: str, queue: str, po_number: str, confidence: float) -> Turn:
    kind = None
    if reading.is_invoice:
        kind = "credit_note" if reading.is_credit else "po_invoice" if po_number else "non_po_invoice"
    answer = {
        "document": reading.document,
        "status": status,
        "task_type": kind,
        "queue": queue,
        "po_number": po_number,
        "confidence": confidence,
    }
    return Turn(text=json.dumps(answer))


def _amount_to_compare(reading: Reading, found: Mapping[str, Any]) -> float | None:
    converted = found.get("convert_currency")
    if isinstance(converted, Mapping) and "amount" in converted:
        return float(converted["amount"])
    return reading.amount


def _fits(amount: float | None, ordered: float, habits: Habits) -> bool:
    if amount is None:
        return habits.guesses_amounts
    return abs(amount - ordered) <= AMOUNT_TOLERANCE * ordered


def _route(reading: Reading, queue: str, po_number: str) -> Turn:
    return _call("route_invoice", document=reading.document, queue=queue, po_number=po_number)


def _escalate(reading: Reading, reason: str) -> Turn:
    return _call("escalate", document=reading.document, reason=reason)


def _call(name: str, **arguments: Any) -> Turn:
    return Turn(tool_calls=(ToolCall(name=name, arguments=arguments),))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
