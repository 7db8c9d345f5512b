# SPDX-License-Identifier: Apache-2.0
"""The demo's five weeks of mail: a curated pilot, a messy tail, a narrow scope, the same for everybody."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.demo.mail import Invoice, blur, render_invoice
from pilothouse.demo.traffic import (
    DAYS,
    INCIDENT_DAY,
    PHASE_DAY,
    PILOT_DAYS,
    PROMOTION_DAY,
    REPAIR_DAY,
    SCOPED_DAY,
    STORY_DAYS,
    make_world,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def world():
    return make_world(now=NOW, rng=random.Random(2026))


def test_the_same_seed_gives_the_same_world(world):
    assert make_world(now=NOW, rng=random.Random(2026)) == world


def test_every_mail_arrives_within_the_days_of_the_story_in_order(world):
    times = [mail.arrived_ns for mail in world.mails]
    assert times == sorted(times)
    start = (NOW - timedelta(days=STORY_DAYS)).timestamp() * 1e9
    assert start <= times[0]
    assert times[-1] <= NOW.timestamp() * 1e9


def test_the_pilot_is_about_fifty_clean_english_invoices(world):
    pilot = [mail for mail in world.mails if mail.day <= PILOT_DAYS]
    assert 40 <= len(pilot) <= 60
    assert all(re.search(r"\n(INVOICE|CREDIT NOTE)\n", mail.text) for mail in pilot)


def test_the_pilot_never_meets_a_posting_run(world):
    pilot = [mail.arrived_ns for mail in world.mails if mail.day <= PILOT_DAYS]
    assert not any(run.from_ns <= ns < run.to_ns for ns in pilot for run in world.posting_runs)


def test_production_has_a_tail_that_the_pilot_had_not(world):
    production = "\n".join(mail.text for mail in world.mails if PILOT_DAYS < mail.day <= DAYS)
    pilot = "\n".join(mail.text for mail in world.mails if mail.day <= PILOT_DAYS)
    for sign in (
        "RECHNUNG",
        "GUTSCHRIFT|AVOIR|NOTA DE ABONO|KOREKTA",
        "CHF",
        "thousand",
        "statement of account",
    ):
        assert re.search(sign, production), sign
        assert not re.search(sign, pilot), sign


def test_the_narrow_scope_holds_only_printed_invoices_with_an_order(world):
    scoped = [mail for mail in world.mails if mail.day >= REPAIR_DAY]
    assert all(re.search(r"\nPurchase order: PO-\d{6}\n", mail.text) for mail in scoped)
    assert all(re.search(r"\nTotal: (EUR|GBP) [\d,]+\.\d\d$", mail.text) for mail in scoped)


def test_a_week_of_the_narrow_scope_stands_before_each_look_at_the_gate(world):
    for first in (SCOPED_DAY, PROMOTION_DAY - 7):
        assert sum(first <= mail.day < first + 7 for mail in world.mails) >= 300
    assert PHASE_DAY - SCOPED_DAY == 7
    assert timedelta(days=STORY_DAYS - 1 - INCIDENT_DAY) >= timedelta(weeks=4)


def test_the_repaired_agent_meets_no_posting_run(world):
    scoped = [mail.arrived_ns for mail in world.mails if mail.day >= REPAIR_DAY]
    assert not any(run.from_ns <= ns < run.to_ns for ns in scoped for run in world.posting_runs)


def test_some_production_mail_meets_a_posting_run(world):
    met = sum(
        run.from_ns <= mail.arrived_ns < run.to_ns for mail in world.mails for run in world.posting_runs
    )
    assert 0.01 < met / len(world.mails) < 0.10


def test_every_booked_order_exists(world):
    orders = {order.po_number for order in world.orders}
    assert {booking.po_number for booking in world.bookings} - {""} <= orders


def test_a_few_documents_are_not_booked_yet(world):
    missing = {mail.document for mail in world.mails} - {booking.document for booking in world.bookings}
    assert 0 < len(missing) < 0.04 * len(world.mails)


def test_a_duplicate_points_to_an_earlier_document(world):
    repeats = [booking for booking in world.bookings if booking.duplicate_of]
    assert repeats
    assert all(booking.duplicate_of < booking.document for booking in repeats)


def test_a_mail_says_nothing_about_where_it_belongs(world):
    assert not any(
        word in mail.text
        for mail in world.mails
        for word in ("po-match", "approval", "credits", "split", "duplicates")
    )


def test_an_amount_in_words_is_the_rounded_amount():
    invoice = Invoice(
        supplier="A",
        number="1",
        language="en",
        entity="E",
        currency="EUR",
        amount=4_217.6,
        po_number="",
        in_words=True,
    )
    assert render_invoice(invoice).endswith("Total: EUR four thousand two hundred and eighteen")


def test_a_bad_scan_keeps_the_length_and_changes_look_alikes_only():
    text = "PO-408151 Total: EUR 1,650.80" * 20
    scanned = blur(text, random.Random(3))
    assert len(scanned) == len(text)
    changed = {(a, b) for a, b in zip(text, scanned, strict=True) if a != b}
    assert changed
    assert all(a in "01568ol" for a, _ in changed)
