# SPDX-License-Identifier: Apache-2.0
"""What model calls have cost today stands beside both limits of the charter; what is not known is no zero."""

from __future__ import annotations

import pytest
from tests.stubs.evidence_made import edited_charter, load_charter

from pilothouse.ports.gateway import Spent
from pilothouse.reports.model_spending import spending_section

PICO = 10**12
LIMITS = "usd_per_day: 40, tokens_per_run: 9000, alert: {usd_per_day: 30, tokens_per_day: 5000}"


@pytest.fixture
def section(tmp_path):
    def made(spent, limits=LIMITS):
        path = tmp_path / "charter.yaml"
        path.write_text(edited_charter(("  judges:", f"  limits: {{{limits}}}\n  judges:")))
        found = spending_section(load_charter(path), spent)
        return [
            [one.mark.word if one.mark else one.text for one in row.cells] + [row.cells[2].small]
            for row in found.rows
        ]

    return made


def test_a_day_stands_beside_the_limit_that_tells_and_the_one_that_refuses(section):
    spent = Spent(usd_pico=31 * PICO, tokens=4_000, calls=200, estimated=3)
    assert section(spent) == [
        ["Estimated", "Settled exactly", "98.5 %", "", "", "197 of 200 calls"],
        ["Told", "USD of the day", "31", "30", "40", ""],
        ["Below", "Tokens of the day", "4,000", "5,000", "nothing", ""],
        ["Limited", "Tokens of a run", "each by itself", "nothing", "9,000", ""],
    ]
    assert section(Spent(usd_pico=40 * PICO, tokens=1, calls=1))[1][0] == "Used up"
    assert section(Spent(usd_pico=PICO, tokens=1, calls=1))[0][:3] == ["Exact", "Settled exactly", "100 %"]


def test_tokens_without_a_price_cost_something_that_nobody_knows(section):
    spent = Spent(tokens=4_000, calls=2, estimated=2)
    settled, usd = section(spent)[:2]
    assert usd[:3] == ["No price", "USD of the day", "unknown"]
    assert settled[:3] == ["Estimated", "Settled exactly", "0 %"]


def test_an_agent_that_never_called_shows_its_limits_and_one_without_limits_what_it_spent(section):
    assert [one[1] for one in section(None)] == ["USD of the day", "Tokens of the day", "Tokens of a run"]
    spent = section(Spent(usd_pico=PICO, tokens=1, calls=1), "window_tokens: 8000")
    assert [one[:2] for one in spent[1:]] == [
        ["No limit", "USD of the day"],
        ["No limit", "Tokens of the day"],
    ]
    assert section(None, "window_tokens: 8000") == []
