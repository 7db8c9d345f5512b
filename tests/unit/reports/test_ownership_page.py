# SPDX-License-Identifier: Apache-2.0
"""The Ownership page shows whoever a duty names, be it a person, a pool or nobody yet."""

import page_world as world

from pilothouse.core.evidence.evidence import Source
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.signing import asked_signatures, signature_record
from pilothouse.reports.ownership import OwnershipFacts, build_ownership


def built(charter, asked=()):
    facts = OwnershipFacts(asked=asked, evidence=(), channels={})
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


def test_a_duty_is_accepted_by_everybody_who_has_it_and_the_page_names_who_is_left():
    charter = world.charter()
    given = [
        signature_record(one, charter.agent, one.person, world.NOW, Source(command="test"))
        for one in asked_signatures(charter, (), world.NOW, "OWN-2")
        if one.scope.duty != "model_upgrades" or one.person != "sam"
    ]
    page = built(charter, asked_signatures(charter, given, world.NOW))
    raci = {one.anchor: one.cells[0] for one in section(page, "raci").rows}
    left = raci["duty-model_upgrades"]
    assert (left.mark.word, left.small) == ("Not accepted", f"by {charter.name_of('sam')}")
    assert raci["duty-quality_metrics"].mark.word == "Accepted"


def test_a_pool_and_an_open_question_stand_in_the_grid():
    """The grid had a column for each person and none for a pool, so a duty that a pool does seemed to be nobody's."""
    assert duty(built(with_responsible(("ap-reviewers",))), "feedback_review")["Others"] == "R: ap-reviewers"
    assert duty(built(with_responsible("?")), "feedback_review")["Others"] == "R: open question"
    people = tuple(world.charter().people)
    assert "Others" not in duty(built(with_responsible(people[:1])), "feedback_review")
