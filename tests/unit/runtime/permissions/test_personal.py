# SPDX-License-Identifier: Apache-2.0
"""Personal data is found by its checksum or its form, and a payload that may hold none is not sent with some."""

from __future__ import annotations

import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from fresh_ledger import ledger_url
from permissions_stub import IBAN, PAY, Boundary, call, opening

from pilothouse.ledger.ledger import open_ledger
from pilothouse.reports.control_sections import waiting_section
from pilothouse.runtime.provenance.personal import personal_kinds

WORDS = [
    "the",
    "invoice",
    "of",
    "march",
    "was",
    "paid",
    "twice",
    "and",
    "2026-11-30",
    "12:30:45",
    "order",
    "48211",
    "v1.2.3",
    "of",
    "3,000.00",
    "EUR",
    "page",
    "4/7",
]
TRIALS = 400


def luhn(body):
    digits = [int(sign) for sign in body]
    total = sum(sum(divmod(2 * one, 10)) if at % 2 == 0 else one for at, one in enumerate(digits[::-1]))
    return str(-total % 10)


def a_card(dice):
    begins, length, groups = dice.choice(
        [
            *(
                (begins, 16, [4, 4, 4, 4])
                for begins in ("4", "55", "2221", "2720", "2200", "3589", "6011", "62", "50")
            ),
            *((begins, 19, [4, 4, 4, 4, 3]) for begins in ("4", "2204", "3528", "62", "58")),
            *((begins, 15, [4, 6, 5]) for begins in ("34", "37")),
            *((begins, 14, [4, 6, 4]) for begins in ("300", "36", "38")),
        ]
    )
    body = begins + "".join(dice.choice("0123456789") for _ in range(length - len(begins) - 1))
    digits = [body + luhn(body), body + str((int(luhn(body)) + dice.randint(1, 9)) % 10)]
    if dice.random() < 0.3:
        return digits
    mark, ends = dice.choice(" -"), [sum(groups[:at]) for at in range(len(groups) + 1)]
    return [mark.join(one[begin:end] for begin, end in pairwise(ends)) for one in digits]


def an_iban(dice):
    country, body = dice.choice(["DE", "GB", "FR"]), "".join(dice.choice("0123456789") for _ in range(18))
    number = int(body + "".join(str(ord(sign) - 55) for sign in country) + "00")
    check = 98 - number % 97
    other = (check + dice.randint(1, 90)) % 97 + 2
    return f"{country}{check:02}{body}", f"{country}{other if other != check else other % 97 + 3:02}{body}"


def an_email(dice):
    name = "".join(dice.choice("abcdefghij.") for _ in range(8)).strip(".") or "a"
    return f"{name}@corp{dice.randint(1, 99)}.example", f"{name}@ corp"


def a_phone(dice):
    return (
        f"+{dice.randint(1, 99)} {dice.randint(100, 999)} {dice.randint(10_000, 999_999)}",
        f"+{dice.randint(1, 999)}",
    )


def a_number(dice):
    tail = f"{dice.randint(1, 99):02}-{dice.randint(1, 9999):04}"
    return f"{dice.choice([123, 555, 899]):03}-{tail}", f"{dice.choice(['000', '666', '900'])}-{tail}"


def an_address(dice):
    parts = [dice.randint(1, 254) for _ in range(4)]
    if dice.random() < 0.5:
        return f"2001:db8::{parts[0]:x}:{parts[1]:x}", "12:30:45"
    return ".".join(map(str, [81, *parts[1:]])), ".".join(map(str, [300, *parts[1:]]))


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("card number", a_card), ("IBAN", an_iban), ("e-mail address", an_email),
        ("phone number", a_phone), ("US social security number", a_number), ("IP address", an_address),
    ],
)  # fmt: skip
def test_every_value_that_is_one_is_found_and_none_with_a_broken_form(kind, made):
    dice = random.Random(kind)
    for _ in range(TRIALS):
        whole, broken = made(dice)
        before, after = (" ".join(dice.sample(WORDS, 4)) for _ in range(2))
        assert kind in personal_kinds(f"{before} {whole}, {after}"), whole
        assert kind not in personal_kinds(f"{before} {broken}, {after}"), broken


def test_ordinary_texts_hold_none():
    dice = random.Random(5)
    for _ in range(TRIALS):
        assert personal_kinds(" ".join(dice.sample(WORDS, len(WORDS)))) == ()
    assert personal_kinds("4111 1111 1111 1112 1111 1111 1111") == ()
    assert personal_kinds("127.0.0.1 :: 0000 0000 0000 0000 4111-1111-1111-1111-1") == ()


def goods(dice):
    """The number of an article or a place (GS1), whose check digit is another one than that of cards."""
    digits = "40" + "".join(dice.choice("0123456789") for _ in range(10))
    return digits + str(-sum(int(one) * (3 if at % 2 else 1) for at, one in enumerate(digits)) % 10)


def test_numbers_that_stand_on_invoices_are_no_cards_and_amounts_no_phones():
    dice = random.Random(7)
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    for _ in range(TRIALS):
        moment = begin + timedelta(seconds=dice.randrange(20 * 365 * 86_400))
        for number in (goods(dice), f"{moment:%Y%m%d%H%M%S}", f"{moment:%Y}{dice.randrange(10**9):09}"):
            assert personal_kinds(f"invoice {number} of March") == (), number
    assert personal_kinds("+12.000.000,00 EUR, and +1 250 000,50 more") == ()


HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    "made",
    [
        lambda dice: ".".join(str(dice.randrange(32)) for _ in range(4)),  # a version, a chapter
        lambda dice: f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}",
        lambda dice: f"172.{dice.randrange(16, 32)}.{dice.randrange(256)}.{dice.randrange(256)}",
        lambda dice: f"192.168.{dice.randrange(256)}.{dice.randrange(256)}",
        lambda dice: f"169.254.{dice.randrange(256)}.{dice.randrange(256)}",
        lambda dice: f"{dice.choice(['fe80', 'fd12', 'ff02'])}::{dice.randrange(1, 65_536):x}",
        lambda dice: dice.choice(["abc::def", "ba::da", "::ffff:10.4.2.1", "255.255.255.0", "224.0.0.1"]),
        lambda dice: ":".join(f"{dice.randrange(256):02x}" for _ in range(6)),  # of a network card
        lambda dice: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        lambda dice: "".join(dice.choices(HEX, k=dice.choice([7, 32, 40, 64]))),
        lambda dice: f"{dice.randrange(2000, 2040)}-11-30 {dice.randrange(2000, 2040)}-12-01",
        lambda dice: "17" + "".join(dice.choices(HEX[:10], k=dice.choice([8, 11, 17]))),  # of the epoch
        lambda dice: f"+{dice.randrange(10**8) / 100:,.2f} EUR",
    ],
)  # fmt: skip
def test_what_names_nobody_is_not_found(made):
    dice = random.Random(11)
    for _ in range(TRIALS):
        text = f"{dice.choice(WORDS)} {made(dice)} {dice.choice(WORDS[:8])}"
        assert personal_kinds(text) == (), text


@pytest.mark.parametrize("prefix", ["+49 30", "+44 20", "+1 (212)", "+33 1", "+48 601", "+91 98", "+81-3-", "+55 11", "+353 1 "])  # fmt: skip
def test_phone_numbers_of_many_countries_are_found(prefix):
    dice = random.Random(prefix)
    for _ in range(TRIALS):
        assert personal_kinds(f"call {prefix}{dice.randrange(10**6, 10**7)}.") == ("phone number",)


def test_an_address_of_the_old_kind_within_the_new_is_found():
    assert personal_kinds("from ::ffff:81.2.69.142") == ("IP address",)


@pytest.mark.parametrize(
    "value", ["+49 30 901820", "4111 1111 1111 1111", "123-45-6789", "81.2.69.142", IBAN]
)
def test_the_end_of_a_line_in_json_hides_nothing(value):
    assert len(personal_kinds(json.dumps(f"it is\n{value}\tand"))) == 1


def test_one_in_ten_numbers_that_begin_as_cards_passes_for_one_and_no_more():
    """Nothing in the digits tells them apart, and a word before them could be written by whoever wants a card to pass."""
    dice = random.Random(13)
    numbers = ["4" + "".join(dice.choices(HEX[:10], k=15)) for _ in range(2_000)]
    assert 0.08 < sum(bool(personal_kinds(f"order {one}")) for one in numbers) / 2_000 < 0.12


def test_a_number_is_read_as_it_is_written():
    for value in (4111111111111111, 4111111111111111.0, "4111111111111111"):
        assert personal_kinds(value) == ("card number",)
    assert (personal_kinds(True), personal_kinds(float("inf")), personal_kinds(4.5)) == ((), (), ())


def test_a_number_before_it_hides_no_card():
    for before in ("48211", "4242", "1234 5678"):
        assert personal_kinds(f"{before} 4111 1111 1111 1111") == ("card number",)


def test_other_forms_of_digits_and_signs_that_nobody_sees_hide_nothing():
    assert personal_kinds("４１１１ 1111\u200b 1111 1111") == ("card number",)


@pytest.mark.parametrize(
    "text", ["4 " * 50_000, "+1" + "()" * 50_000, ":" * 100_000, "1.1." * 25_000, "a@" * 50_000]
)
def test_a_text_that_is_made_to_be_slow_is_not(text):
    before = time.thread_time()
    personal_kinds(text)
    assert time.thread_time() - before < 5


@pytest.mark.parametrize(
    ("pii", "kind", "note", "personal"),
    [
        (None, "text", "card 4111 1111 1111 1111", ()),
        ("financial", "text", "card 4111 1111 1111 1111", ()),
        ("none", "text", "card 4111 1111 1111 1111", ("card number",)),
        ("none", "int", 4111111111111111, ("card number",)),
        ("none", "text", f"for {IBAN}", ("IBAN",)),  # the request names it, and the owner says that none goes
        ("none", "text", "thanks", ()),
    ],
)
def test_a_payload_that_may_hold_no_personal_data_is_not_sent_with_some(tmp_path, pii, kind, note, personal):
    args = {**PAY["args"], "note": {**PAY["args"]["note"], "type": kind, "pii": pii}}
    with open_ledger(ledger_url(tmp_path)) as ledger:
        boundary = Boundary(tmp_path, tools={"bank.pay@3": {**PAY, "args": args}}, database=ledger.database)
        boundary.desk.open_task(opening(f"Pay 150 to {IBAN}"))
        made = call(recipient=IBAN, amount=150.0, note=note)
        decided = boundary.desk.decide(made)
        assert decided.decision == ("ask" if personal else "allow")
        assert decided.failed == (("note",) if personal else ())
        if personal:
            assert "Argument note may hold no personal data." in decided.remedy
            asked = boundary.approvals.find(decided.approval)
            assert [one.personal for one in asked.arguments if one.name == "note"] == [personal]
            (shown,) = [
                one for one in waiting_section(asked, asked.asked_at, "/x", "lee").rows if "note" in str(one)
            ]
            assert f"holds: {personal[0]}" in str(shown)
            boundary.approvals.vote(asked.id, actor="lee", allows=True, reason="it is one of ours")
            assert boundary.desk.decide(made).decision == "allow"
