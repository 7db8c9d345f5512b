# SPDX-License-Identifier: Apache-2.0
"""Sets of a charter: an open one is one item that waits for its answer, an empty one is no item."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from evidence_made import everything_holds, load_charter

from pilothouse.core.verdict.decisive import Decisive
from pilothouse.core.verdict.expansion import OpenQuestion, bound_of, expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import Committed, Floor, Per

CHARTER = load_charter()
SETS = {
    Per.ALERT: "alerts",
    Per.RUNBOOK: "alerts",
    Per.SOURCE: "sources",
    Per.OUTCOME: "outcomes",
    Per.REGULATION: "regulations",
    Per.INTEGRATION: "integrations",
    Per.FRESH_INTEGRATION: "integrations",
    Per.CRITICAL_INTEGRATION: "integrations",
    Per.TOOL: "tools",
}


@pytest.mark.parametrize(("per", "field"), SETS.items())
def test_an_open_set_is_one_item_with_its_question(per, field):
    unsaid = CHARTER.model_copy(update={field: "?"})
    part = next(part for one in FRAMEWORK for part in one.parts if part.per is per and not part.answered)
    (slot,) = expand(part, unsaid, "2")
    assert slot.question is not None
    assert slot.question.path == field


def test_an_empty_set_asks_nothing():
    none = CHARTER.model_copy(update={"sources": ()})
    part = next(part for one in FRAMEWORK for part in one.parts if part.per is Per.SOURCE)
    assert expand(part, none, "2") == ()


def test_a_record_that_only_an_open_set_would_read_ends_the_search():
    part = next(part for one in FRAMEWORK for part in one.parts if part.per is Per.ALERT)
    held = everything_holds(CHARTER, datetime(2026, 11, 20, 12, tzinfo=UTC))
    record = next(one for one in held if one.kind == part.kind)
    assert Decisive(CHARTER.model_copy(update={"alerts": "?"}))(record)


def test_a_bound_that_the_charter_says_nowhere_is_a_question():
    unsaid = CHARTER.model_copy(update={"sponsor": None})
    found = bound_of(Floor(bound=Committed("sponsor.review")), {}, unsaid)
    assert found == OpenQuestion("sponsor.review")
