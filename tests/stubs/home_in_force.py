# SPDX-License-Identifier: Apache-2.0
"""A data folder in which the charter of the page world is in force."""

from __future__ import annotations

import page_world as world
from fresh_ledger import ledger_url

from pilothouse.app.opening import SystemClock
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings


def home_in_force(home):
    """Make the folder and return its settings."""
    found = load_settings({}, home=home)
    found.home.mkdir()
    with open_ledger(ledger_url(found.home)) as ledger:
        ledger.accept_charter(
            agent=world.AGENT,
            digest="c" * 64,
            text=world.charter_text(),
            path="charter.yaml",
            at=SystemClock().now(),
        )
    return found
