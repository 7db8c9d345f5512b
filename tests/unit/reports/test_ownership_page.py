# SPDX-License-Identifier: Apache-2.0
"""The Ownership page shows whoever a duty names, be it a person, a pool or nobody yet."""

import page_world as world

from pilothouse.core.verdict.readiness import decide
from pilothouse.reports.ownership import OwnershipFacts, build_ownership


def built(charter):
    facts = OwnershipFacts(asked=(), evidence=(), channels={})
    return build_ownership(charter, decide(charter, (), world.NOW, version=None), facts, world.NOW)


def section(page, anchor):
    return next(one for one in page.sections if one.anchor == anchor)


def duty(page, name):
    raci = section(page, "raci")
    found = next(one for one in raci.rows if one.anchor == f"duty-{name}")
    return dict(zip((one.title for one in raci.columns), (cell.text for cell in found.cells), strict=True))


def with_responsible(answer):
    charter = world.charter()
    row = charter.raci.feedback_review.model_copy(update={"responsible": answer})
    return charter.model_copy(update={"raci": charter.raci.model_copy(update={"feedback_review": row})})


def test_a_pool_and_an_open_question_stand_in_the_grid():
    """The grid had a column for each person and none for a pool, so a duty that a pool does seemed to be nobody's."""
    assert duty(built(with_responsible(("ap-reviewers",))), "feedback_review")["Others"] == "R: ap-reviewers"
    assert duty(built(with_responsible("?")), "feedback_review")["Others"] == "R: open question"
    people = tuple(world.charter().people)
    assert "Others" not in duty(built(with_responsible(people[:1])), "feedback_review")
