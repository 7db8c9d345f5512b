# SPDX-License-Identifier: Apache-2.0
"""Furnish the folder of a demo run: the agent's repository, its ERP, its mail, a charter in force, prices."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from pilothouse.core.evidence.price import Price, TokenClass
from pilothouse.demo.erp import create_erp
from pilothouse.demo.place import DemoPlace
from pilothouse.demo.traffic import (
    DAYS,
    INCIDENT_DAY,
    PHASE_DAY,
    PILOT_DAYS,
    PROMOTION_DAY,
    RECOVERED_DAY,
    SCOPED_DAY,
    STORY_DAYS,
    Mail,
    make_world,
)
from pilothouse.demo.triage_model import PINNED_MODEL
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.verdict.accept import accept_file

__all__ = ["CHARTER_SOURCE", "INBOXES", "PRICE_WORDS", "furnish"]

CHARTER_SOURCE = Path(__file__).parent / "charter"
SEED = 2026
"""One seed, so that everybody sees the same days."""

INBOXES = {
    "pilot": range(1, PILOT_DAYS + 1),
    "production": range(PILOT_DAYS + 1, DAYS + 1),
    "scoped": range(SCOPED_DAY, PHASE_DAY),
    "phase-1": range(PHASE_DAY, INCIDENT_DAY),
    "incident": range(INCIDENT_DAY, INCIDENT_DAY + 1),
    "recovery": range(INCIDENT_DAY + 1, RECOVERED_DAY),
    "team": range(RECOVERED_DAY, PROMOTION_DAY),
    "today": range(STORY_DAYS, STORY_DAYS + 1),
}
"""One run of the agent works through each, and these are its days."""

ACTOR = "pilothouse demo"
PRICES_USD_PER_MILLION: Mapping[TokenClass, str] = {
    TokenClass.INPUT: "3.00",
    TokenClass.CACHE_READ: "0.30",
    TokenClass.OUTPUT: "12.00",
    TokenClass.REASONING: "12.00",
}

PRICE_WORDS = tuple(
    word
    for token_class, usd in PRICES_USD_PER_MILLION.items()
    for word in (f"--{token_class.value.replace('_', '-')}", usd)
)
"""The same, as somebody types them behind `pilothouse price PROVIDER MODEL`."""


def furnish(place: DemoPlace, ledger: Ledger, *, began_at: datetime, scale: float = 1.0) -> None:
    """Write the agent's folder, its ERP and its mail; charter and prices are in force from the first day.

    Args:
        place: A claimed place.
        ledger: The ledger of its installation.
        began_at: Start of the first simulated day, aware UTC.
        scale: Share of the full volume, above 0 and at most 1.
    """
    shutil.copytree(CHARTER_SOURCE, place.agent_folder, ignore=shutil.ignore_patterns("__pycache__"))
    world = make_world(now=began_at + timedelta(days=STORY_DAYS), rng=random.Random(SEED), scale=scale)  # noqa: S311 - made-up mail, no secrets
    create_erp(place.erp, orders=world.orders, bookings=world.bookings, posting_runs=world.posting_runs)
    accept_file(ledger, place.charter, began_at, actor=ACTOR)
    ledger.add_prices(_prices(began_at), at=began_at, actor=ACTOR)
    for name, days in INBOXES.items():
        _write_inbox(place.inbox(name), [mail for mail in world.mails if mail.day in days])


def _prices(since: datetime) -> list[Price]:
    """Prices of the pinned model; nobody has entered one for the model that will answer later."""
    return [
        Price(
            provider="openai",
            model=PINNED_MODEL,
            token_class=token_class,
            usd_per_million=Decimal(usd),
            valid_from=since,
            source="made up for the demo",
            source_date=since.date(),
        )
        for token_class, usd in PRICES_USD_PER_MILLION.items()
    ]


def _write_inbox(path: Path, mails: list[Mail]) -> None:
    path.write_text("".join(json.dumps(asdict(mail)) + "\n" for mail in mails), encoding="utf-8")
