# SPDX-License-Identifier: Apache-2.0
"""Eight and a half weeks of mail for an accounts-payable inbox: a curated pilot, a messy tail, then a narrow scope.

Everything is drawn from one seed. What a mail says goes into the inbox; what accounts payable booked in the end goes
into the ERP. Nothing here knows or decides how the agent will do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.demo.erp import Booking, PostingRun, PurchaseOrder
from pilothouse.demo.mail import ENTITIES, LANGUAGES, Invoice, blur, render_invoice, render_notice

__all__ = [
    "CHANGE_DAY",
    "DAYS",
    "FRANCS_PER_EURO",
    "INCIDENT_DAY",
    "PHASE_DAY",
    "PILOT_DAYS",
    "PROMOTION_DAY",
    "RECOVERED_DAY",
    "REPAIR_DAY",
    "SCOPED_DAY",
    "STORY_DAYS",
    "TODAY_MAILS",
    "Mail",
    "World",
    "make_world",
]

DAYS = 14
"""The flawed pilot: it ends with a verdict."""

PILOT_DAYS = 2
"""Days 1 and 2 are the pilot: inputs that somebody chose."""

REPAIR_DAY = DAYS + 1
"""From this day on only mail that names a purchase order comes in, and the posting run is at night."""

SCOPED_DAY = REPAIR_DAY + 7
"""The repair takes a week; then the repaired version works for another."""

PHASE_DAY = SCOPED_DAY + 7
"""The gate of phase 1 is looked at when that week is over; by then 14 days have gone by without an undeclared host."""

INCIDENT_DAY = PHASE_DAY + 2
RECOVERED_DAY = INCIDENT_DAY + 8
"""A week of the version that held, after the incident."""

PROMOTION_DAY = INCIDENT_DAY + 29
"""Phase 1 began anew in the evening of the incident, and lasts four weeks."""

STORY_DAYS = PROMOTION_DAY

PILOT_MAILS_PER_DAY = 25
MAILS_PER_DAY = 32
SCOPED_MAILS_PER_DAY = 49
"""Seven days of it prove at most 2 % contradicted claims at the level of a planned look, make the 1,000 model calls of
which none may be another model's, and the 300 tasks without a critical mistake."""

QUIET_MAILS_PER_DAY = 8
"""Most of phase 1: a team of few people."""

TEAM_MAILS_PER_DAY = 58
"""Its last week, when everybody of the team has come: six of the seven days prove as much, so that it still holds in the
evening of the promotion."""

INCIDENT_MAILS = 24
TODAY_MAILS = 12
"""The first mail of phase 2, while somebody looks on: enough runs to play one of them again."""

CHANGE_DAY = 10
"""From this day on the provider answers with another model than the one that was asked for."""

FOREIGN_CURRENCY_FROM_DAY = 8
"""A supplier starts to invoice in Swiss francs, which nobody had thought of."""

FRANCS_PER_EURO = 1.07
"""The rate at which the made-up supplier invoices, and the made-up rate service answers."""

WORKDAY = (0.30, 0.80)
"""Mail arrives in this part of a day."""

PILOT_HOURS = (0.32, 0.45)
"""Pilot inputs were run in the morning, with somebody watching."""

TODAY_HOURS = (0.96, 0.98)
"""The last mail arrives some minutes before the story ends: its outcomes can be asked for by then."""

POSTING_RUN = (0.62, 0.64)
"""The ERP's posting run: about half an hour every afternoon, in which it accepts no writes."""

POSTING_RUN_REPAIRED = (0.04, 0.06)
"""The same run, moved to the night."""

DISPUTED = 0.015
"""Share of invoices in dispute with the supplier: not booked yet, so nobody can tell where they belong."""

DISPUTED_SCOPED = 0.005
"""The same among printed invoices that name their order."""

TAIL = (
    ("clean_order", 0.50),
    ("clean_no_order", 0.12),
    ("clean_credit", 0.04),
    ("blurred", 0.08),
    ("order_number_missing", 0.06),
    ("foreign_language", 0.07),
    ("foreign_credit", 0.02),
    ("duplicate", 0.02),
    ("two_in_one", 0.025),
    ("amount_in_words", 0.015),
    ("other_currency", 0.02),
    ("no_invoice", 0.03),
)
"""What production mail is made of; shares add to 1."""

CHOSEN = (("clean_order", 0.75), ("utility", 0.18), ("clean_credit", 0.07))
"""What somebody picked for the pilot."""

SCOPED = (("clean_order", 1.0),)
"""What is left when the scope is narrow: invoices that name their purchase order."""

SUPPLIERS = (
    ("Northwind Paper", "en"),
    ("Calder Freight", "en"),
    ("Brightwater Cleaning", "en"),
    ("Oakline Furniture", "en"),
    ("Pennant Safety", "en"),
    ("Tidewell Catering", "en"),
    ("Mossgate Tools", "en"),
    ("Arrowfield Print", "en"),
    ("Kessler Verpackung", "de"),
    ("Lindauer Technik", "de"),
    ("Imprimerie Vasseur", "fr"),
    ("Transports Delmas", "fr"),
    ("Talleres Ibarra", "es"),
    ("Zielinski Logistyka", "pl"),
)
UTILITIES = ("City Water", "Harbour Grid", "Norfolk Telecom")
"""Suppliers without any purchase order: what people choose when a pilot needs invoices without one."""

ALIEN_SUPPLIER = "Uhrwerk Aarau"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail in the inbox.

    Attributes:
        document: Handle of the document in the ERP.
        day: Simulated day, from 1.
        arrived_ns: Simulated arrival, Unix nanoseconds UTC.
        text: What it says.
    """

    document: str
    day: int
    arrived_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside the agent for one demo run.

    Attributes:
        mails: By arrival, oldest first.
        orders: Open purchase orders.
        bookings: What accounts payable booked in the end; some documents are not booked yet.
        posting_runs: When the ERP accepts no writes.
    """

    mails: tuple[Mail, ...]
    orders: tuple[PurchaseOrder, ...]
    bookings: tuple[Booking, ...]
    posting_runs: tuple[PostingRun, ...]


def make_world(*, now: datetime, rng: random.Random, scale: float = 1.0) -> World:
    """Draw the mail of the story, which ends now.

    Args:
        now: End of the last day, aware UTC.
        rng: Source of everything random.
        scale: Share of the full volume, above 0 and at most 1.

    Returns:
        Mail, orders, bookings and posting runs that belong together.

    Example:
        >>> from datetime import UTC
        >>> world = make_world(now=datetime(2026, 11, 20, tzinfo=UTC), rng=random.Random(1), scale=0.1)
        >>> len(world.posting_runs) == STORY_DAYS
        True
    """
    return _Drawing(now=now, rng=rng).draw(scale)


def _of_day(day: int) -> tuple[int, tuple[tuple[str, float], ...]]:
    """Return how many mails a day brings, and of which kinds."""
    if day <= PILOT_DAYS:
        return PILOT_MAILS_PER_DAY, CHOSEN
    if day <= DAYS:
        return MAILS_PER_DAY, TAIL
    if day == INCIDENT_DAY:
        return INCIDENT_MAILS, SCOPED
    if day == STORY_DAYS:
        return TODAY_MAILS, SCOPED
    if day < PHASE_DAY:
        return SCOPED_MAILS_PER_DAY, SCOPED
    return (QUIET_MAILS_PER_DAY if day < PROMOTION_DAY - 7 else TEAM_MAILS_PER_DAY), SCOPED


def _hours_of(day: int) -> tuple[float, float]:
    """Return in which part of a day its mail arrives."""
    if day <= PILOT_DAYS:
        return PILOT_HOURS
    return TODAY_HOURS if day == STORY_DAYS else WORKDAY


class _Drawing:
    """The state of one drawing: counters, orders and bookings so far."""

    def __init__(self, *, now: datetime, rng: random.Random) -> None:
        self._start = now - timedelta(days=STORY_DAYS)
        self._rng = rng
        self._orders: list[PurchaseOrder] = []
        self._bookings: list[Booking] = []
        self._seen: list[tuple[str, Invoice]] = []
        self._numbers = iter(rng.sample(range(400_000, 499_999), 20_000))
        self._documents = 0
        self._disputed = DISPUTED

    def draw(self, scale: float) -> World:
        mails: list[Mail] = []
        for day in range(1, STORY_DAYS + 1):
            if REPAIR_DAY <= day < SCOPED_DAY:
                continue
            volume, kinds = _of_day(day)
            self._disputed = DISPUTED if day <= DAYS else DISPUTED_SCOPED
            low, high = _hours_of(day)
            moments = sorted(self._rng.uniform(low, high) for _ in range(max(3, round(volume * scale))))
            mails.extend(self._mail(day, day - 1 + moment, kinds) for moment in moments)
        runs = [
            PostingRun(from_ns=self._ns(day + start), to_ns=self._ns(day + end))
            for day in range(STORY_DAYS)
            for start, end in [POSTING_RUN if day < DAYS else POSTING_RUN_REPAIRED]
        ]
        return World(
            mails=tuple(mails),
            orders=tuple(self._orders),
            bookings=tuple(self._bookings),
            posting_runs=tuple(runs),
        )

    def _ns(self, days: float) -> int:
        return int((self._start + timedelta(days=days)).timestamp() * 1_000_000_000)

    def _mail(self, day: int, moment: float, kinds: tuple[tuple[str, float], ...]) -> Mail:
        self._documents += 1
        document = f"D-{self._documents:05d}"
        kind = self._rng.choices([name for name, _ in kinds], weights=[share for _, share in kinds])[0]
        if kind == "other_currency" and day < FOREIGN_CURRENCY_FROM_DAY:
            kind = "clean_order"
        if kind == "duplicate" and not self._seen:
            kind = "clean_order"
        arrived_ns = self._ns(moment)
        received = (self._start + timedelta(days=moment)).strftime("%Y-%m-%d %H:%M")
        header = f"Document: {document}\nReceived: {received}\n"
        return Mail(
            document=document,
            day=day,
            arrived_ns=arrived_ns,
            text=header + "\n".join(self._body(kind, document)),
        )

    def _body(self, kind: str, document: str) -> Iterator[str]:
        """Yield the text of a mail and book it as accounts payable will."""
        if kind == "no_invoice":
            self._book(document, queue="not-an-invoice")
            yield render_notice(self._rng)
            return
        if kind == "duplicate":
            first, invoice = self._rng.choice(self._seen[-200:])
            self._book(document, queue="duplicates", invoice=invoice, duplicate_of=first)
            yield render_invoice(invoice)
            return
        invoice = self._invoice(kind)
        if kind == "two_in_one":
            self._book(document, queue="split", invoice=invoice)
            yield render_invoice(invoice)
            yield render_invoice(self._invoice("clean_order"))
            return
        self._book(document, queue=invoice.right_queue, invoice=invoice)
        self._seen.append((document, invoice))
        text = render_invoice(invoice)
        yield blur(text, self._rng) if kind == "blurred" else text

    def _invoice(self, kind: str) -> Invoice:
        """Draw an invoice, and the order it belongs to."""
        supplier, language = self._supplier(kind)
        entity = self._rng.choice(ENTITIES[1:] if kind == "other_currency" else ENTITIES)
        amount = round(self._rng.uniform(80, 9_800), 2)
        currency = "GBP" if entity.endswith("UK") else "EUR"
        credit = kind.endswith("credit")
        with_order = kind not in {"clean_no_order", "utility"} and not (credit and self._rng.random() < 0.3)
        order = ""
        if with_order:
            order = self._order(supplier, entity, currency, amount)
            if self._rng.random() < 0.25:
                # Standing orders: the same supplier, the same amount, another month.
                self._order(supplier, entity, currency, amount)
        return Invoice(
            supplier=supplier,
            number=f"{supplier[:2].upper()}-{self._rng.randrange(10_000, 99_999)}",
            language=language,
            entity=entity,
            currency="CHF" if kind == "other_currency" else currency,
            amount=round(amount * FRANCS_PER_EURO, 2) if kind == "other_currency" else amount,
            po_number=order,
            shows_order=kind != "order_number_missing",
            in_words=kind == "amount_in_words",
            credit=credit,
        )

    def _supplier(self, kind: str) -> tuple[str, str]:
        if kind == "other_currency":
            return ALIEN_SUPPLIER, "en"
        if kind == "utility":
            return self._rng.choice(UTILITIES), "en"
        if kind.startswith("foreign"):
            return self._rng.choice([entry for entry in SUPPLIERS if entry[1] in LANGUAGES[1:]])
        return self._rng.choice([entry for entry in SUPPLIERS if entry[1] == "en"])

    def _order(self, supplier: str, entity: str, currency: str, amount: float) -> str:
        number = f"PO-{next(self._numbers)}"
        self._orders.append(
            PurchaseOrder(
                po_number=number, supplier=supplier, entity=entity, currency=currency, amount=amount
            )
        )
        return number

    def _book(
        self, document: str, *, queue: str, invoice: Invoice | None = None, duplicate_of: str = ""
    ) -> None:
        if invoice is not None and self._rng.random() < self._disputed:
            return  # in dispute with the supplier: not booked yet, so nobody can tell
        self._bookings.append(
            Booking(
                document=document,
                queue=queue,
                po_number=invoice.po_number if invoice else "",
                entity=invoice.entity if invoice else "",
                duplicate_of=duplicate_of,
            )
        )
