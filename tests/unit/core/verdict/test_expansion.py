# SPDX-License-Identifier: Apache-2.0
"""Sets of a charter: an open one is one item that waits for its answer, an empty one is no item."""

from __future__ import annotations

import pytest
from evidence_made import load_charter

from pilothouse.core.verdict.expansion import expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import Per

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
