# SPDX-License-Identifier: Apache-2.0
"""How an invoice looks when it arrives: in five languages, in words, and through a bad scanner."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["ENTITIES", "LANGUAGES", "Invoice", "blur", "render_invoice", "render_notice"]

ENTITIES = ("Harbour Foods UK", "Harbour Foods DE", "Harbour Foods FR")
"""Companies of the group that pays."""

LANGUAGES = ("en", "de", "fr", "es", "pl")

LABELS = {
    "en": ("INVOICE", "CREDIT NOTE", "Supplier", "Number", "Purchase order", "Bill to", "Total"),
    "de": ("RECHNUNG", "GUTSCHRIFT", "Lieferant", "Nummer", "Bestellnummer", "Rechnung an", "Gesamt"),
    "fr": ("FACTURE", "AVOIR", "Fournisseur", "Numéro", "Commande", "Facturé à", "Total TTC"),
    "es": ("FACTURA", "NOTA DE ABONO", "Proveedor", "Número", "Pedido", "Facturar a", "Importe total"),
    "pl": ("FAKTURA", "KOREKTA", "Dostawca", "Numer", "Zamówienie", "Nabywca", "Razem"),
}

SCANNER_CONFUSIONS = str.maketrans({"0": "O", "1": "l", "5": "S", "8": "B", "6": "G", "o": "0", "l": "1"})
BLUR_RATE = 0.10
"""Share of confusable characters that a bad scan changes."""

NOTICES = (
    "Dear customer, please find your monthly statement of account. No payment is due on this document.",
    "Our offices are closed from Friday. Orders placed before noon are shipped the same day.",
    "Payment reminder: our records show open items. Please contact us if they have been settled.",
    "We have changed our bank. Please use the new account from now on.",
)

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
WORDS = (*ONES.split(), "seventeen", "eighteen", "nineteen")
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """What a supplier wants to say.

    Attributes:
        supplier: Supplier's name.
        number: Supplier's own invoice number.
        language: One of `LANGUAGES`.
        entity: Company that is billed.
        currency: ISO code.
        amount: In `currency`.
        po_number: Order it belongs to, empty when there is none.
        shows_order: Whether the supplier remembered to print the order number.
        in_words: Whether the amount is written in words.
        credit: Whether it is a credit note.
    """

    supplier: str
    number: str
    language: str
    entity: str
    currency: str
    amount: float
    po_number: str
    shows_order: bool = True
    in_words: bool = False
    credit: bool = False

    @property
    def right_queue(self) -> str:
        """Where accounts payable books it.

        Example:
            >>> render = Invoice(supplier="A", number="1", language="en", entity="E", currency="EUR",
            ...     amount=1.0, po_number="")
            >>> render.right_queue
            'approval'
        """
        if self.credit:
            return "credits"
        return "po-match" if self.po_number else "approval"


def render_invoice(invoice: Invoice) -> str:
    """Print an invoice as its supplier would.

    Example:
        >>> text = render_invoice(Invoice(supplier="Kessler", number="K-1", language="de", entity="E",
        ...     currency="EUR", amount=1240.5, po_number="PO-412345"))
        >>> text.splitlines()[-1]
        'Gesamt: EUR 1.240,50'
    """
    title, credit, supplier, number, order, bill_to, total = LABELS[invoice.language]
    lines = [
        "",
        credit if invoice.credit else title,
        f"{supplier}: {invoice.supplier}",
        f"{number}: {invoice.number}",
    ]
    if invoice.po_number and invoice.shows_order:
        lines.append(f"{order}: {invoice.po_number}")
    lines.append(f"{bill_to}: {invoice.entity}")
    lines.append(f"{total}: {invoice.currency} {_amount(invoice)}")
    return "\n".join(lines)


def render_notice(rng: random.Random) -> str:
    """Return a mail that is no invoice at all.

    Example:
        >>> render_notice(random.Random(3)) in NOTICES
        True
    """
    return rng.choice(NOTICES)


def blur(text: str, rng: random.Random) -> str:
    """Pass a text through a bad scanner.

    Args:
        text: What was printed.
        rng: Which characters suffer.

    Returns:
        Text of the same length in which some look-alike characters are exchanged.

    Example:
        >>> len(blur("PO-408151", random.Random(1)))
        9
    """
    return "".join(
        letter.translate(SCANNER_CONFUSIONS) if rng.random() < BLUR_RATE else letter for letter in text
    )


def _amount(invoice: Invoice) -> str:
    if invoice.in_words:
        return _in_words(round(invoice.amount))
    text = f"{invoice.amount:,.2f}"
    if invoice.language == "en":
        return text
    thousands = " " if invoice.language in {"fr", "pl"} else "."
    return text.replace(",", "#").replace(".", ",").replace("#", thousands)


def _in_words(number: int) -> str:
    """Spell a whole number below ten thousand."""
    if number >= 1_000:
        rest = f" {_in_words(number % 1_000)}" if number % 1_000 else ""
        return f"{WORDS[number // 1_000]} thousand{rest}"
    if number >= 100:
        rest = f" and {_in_words(number % 100)}" if number % 100 else ""
        return f"{WORDS[number // 100]} hundred{rest}"
    if number >= 20:
        rest = f"-{WORDS[number % 10]}" if number % 10 else ""
        return f"{TENS[number // 10]}{rest}"
    return WORDS[number]
