# SPDX-License-Identifier: Apache-2.0
"""Every requirement in six worlds: what it says is checked in to be read, and which statuses it can reach is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.situations import domain_text, verdicts
from pilothouse.core.verdict.framework import DOMAINS, ITEMS

FOLDER = Path(__file__).parent / "situations"

NEVER_BREACHED = {"EVAL-4", "OWN-5", "DATA-5"}
"""Decided by signatures alone: who has not signed has not signed."""

WITHOUT_DATE = {"DATA-5"}
"""Signed at the start of a phase and bound to its text: it ends with an edit, not with a day."""


@pytest.fixture(scope="module")
def found():
    return verdicts()


def reached(found, requirement):
    statuses = set()
    for verdict in found.values():
        one = next(each for each in verdict.requirements if each.requirement == requirement)
        statuses.add(one.reason.value if one.reason else one.status.value)
    return statuses


@pytest.mark.parametrize("domain", [*DOMAINS, "Q", "PROD"])
def test_what_each_requirement_says_reads_as_it_is_checked_in(found, domain):
    assert domain_text(domain, found) == (FOLDER / f"{domain}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("item", sorted(ITEMS))
def test_each_of_the_25_items_reaches_every_status_that_it_can(found, item):
    statuses = reached(found, item)
    dated = set() if item in WITHOUT_DATE else {"at_risk", "stale"}
    assert {"holds", "missing", *dated} <= statuses
    assert ("breached" in statuses) is (item not in NEVER_BREACHED)


def test_a_worse_world_is_never_better(found):
    order = {"breached": 0, "no_evidence": 1, "at_risk": 2, "holds": 3}
    for requirement in (one.requirement for one in found["holds"].requirements):
        by_world = {
            name: next(one for one in verdict.requirements if one.requirement == requirement)
            for name, verdict in found.items()
        }
        best = order[by_world["holds"].status.value]
        assert all(order[one.status.value] <= best for one in by_world.values()), requirement
        assert by_world["missing"].status.value == "no_evidence", requirement
