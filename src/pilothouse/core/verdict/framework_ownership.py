# SPDX-License-Identifier: Apache-2.0
"""Domain OWN of the framework: named people answer for the agent, and have shown that they can."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.requirement import Fact, Part, Per, Requirement

__all__ = ["OWNERSHIP"]

_QUARTER = timedelta(days=90)
_HALF_YEAR = timedelta(days=180)

OWNERSHIP = (
    Requirement(
        id="OWN-1",
        statement="A named person is accountable",
        asks="the owner signed in and accepted, is in the directory, has six months of term left, and used the powers in a drill",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse evidence attest OWN-1",
        parts=(
            Part(
                name="accepted",
                kind="attested.own-1",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("owner",),
                signers=("owner",),
                fresh="owner.reattest",
            ),
            Part(
                name="active",
                kind="directory",
                rule=Fact(),
                fresh=_QUARTER,
                answered=("owner.person", "owner.term_ends"),
                remedy="pilothouse people check --directory FILE",
                signers=("owner",),
            ),
            Part(
                name="powers",
                kind="drill.owner-powers",
                rule=Fact(),
                fresh=_HALF_YEAR,
                answered=("owner.person",),
                remedy="pilothouse drill owner-powers",
                signers=("owner",),
            ),
        ),
    ),
    Requirement(
        id="OWN-2",
        statement="Every duty has its people",
        asks="for each of nine duties, the signatures of who is accountable and who is responsible, and each person reached by a test page",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse evidence attest OWN-2",
        parts=(
            Part(
                name="accepted",
                kind="attested.own-2",
                rule=Fact(),
                per=Per.DUTY,
                sections=("raci",),
                fresh=_QUARTER,
            ),
            Part(
                name="reached",
                kind="duty.reached",
                rule=Fact(),
                per=Per.DUTY,
                fresh=_QUARTER,
                remedy="pilothouse drill page",
            ),
        ),
    ),
    Requirement(
        id="OWN-3",
        statement="The escalation path answers",
        asks="a page through all levels, acknowledged within each level's time",
        gates=("1",),
        who=("A:incident_response",),
        remedy="pilothouse drill page",
        parts=(Part(kind="drill.page", rule=Fact(), fresh=_QUARTER, answered=("escalation",)),),
    ),
    Requirement(
        id="OWN-4",
        statement="The way of a model update is agreed and rehearsed",
        asks="signed by the owner and by who is accountable, and one rehearsal from gate over approval to rollback",
        gates=("1",),
        who=("A:model_upgrades",),
        remedy="pilothouse drill model-upgrade",
        parts=(
            Part(
                name="agreed",
                kind="attested.own-4",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("model",),
                signers=("owner", "A:model_upgrades"),
                fresh=_HALF_YEAR,
                remedy="pilothouse evidence attest OWN-4",
            ),
            Part(name="rehearsed", kind="drill.model-upgrade", rule=Fact(), fresh=_HALF_YEAR),
        ),
    ),
    Requirement(
        id="OWN-5",
        statement="The sponsor agrees to thresholds and escalation",
        asks="the sponsor's signature over both sections in force",
        gates=("1",),
        who=("sponsor",),
        remedy="pilothouse evidence attest OWN-5",
        parts=(
            Part(
                kind="attested.own-5",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("thresholds", "escalation"),
                signers=("sponsor",),
                fresh=_HALF_YEAR,
            ),
        ),
    ),
    Requirement(
        id="OWN-6",
        statement="The sponsor is present",
        asks="a signed review as often as agreed; half as long again is a warning, and twice as long ends it",
        gates=("2",),
        who=("sponsor",),
        remedy="pilothouse evidence attest OWN-6",
        parts=(
            Part(
                kind="attested.own-6",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("owner",),
                signers=("sponsor",),
                fresh="sponsor.review",
                grace=1.0,
                early=True,
            ),
        ),
    ),
    Requirement(
        id="OWN-7",
        statement="Operations exist and suffice",
        asks="a team that answers its drill, and half of all incidents and drills, in time, and reviews at their accepted limits within 80 % of the reviewers' minutes",
        gates=("1",),
        who=("A:incident_response",),
        remedy="pilothouse drill page",
        parts=(Part(kind="roster", rule=Fact(), fresh=_QUARTER, answered=("operations",)),),
    ),
    Requirement(
        id="OWN-8",
        statement="The handoff is proven",
        asks="the receiving team alone finds, names and rolls back three planted faults",
        gates=("2",),
        who=("team",),
        remedy="pilothouse drill game-day",
        parts=(Part(kind="drill.game-day", rule=Fact(), fresh=timedelta(days=365)),),
    ),
    Requirement(
        id="OWN-9",
        statement="Reviews take place",
        asks="each kind of review held within its cadence and a quarter of it, with minutes",
        gates=("2",),
        who=("owner",),
        remedy="pilothouse minutes",
        parts=(
            Part(
                kind="review.held",
                rule=Fact(),
                per=Per.REVIEW,
                fresh="reviews.{review}",
                grace=0.25,
                remedy="pilothouse minutes {review}",
            ),
        ),
    ),
    Requirement(
        id="OWN-10",
        statement="Pilot and production budgets are apart and approved",
        asks="the sponsor's signature over the budgets, and spending inside them",
        gates=("1",),
        who=("sponsor",),
        remedy="pilothouse evidence attest OWN-10",
        parts=(
            Part(
                name="approved",
                kind="attested.own-10",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("budgets",),
                signers=("sponsor",),
                fresh=_QUARTER,
            ),
            Part(
                name="spent",
                kind="budget.spent",
                rule=Fact(),
                fresh=_QUARTER,
                remedy="pilothouse report executive",
            ),
        ),
    ),
    Requirement(
        id="OWN-11",
        statement="The business owns it",
        asks="the sponsor's signature that the unit and the plan of change are right",
        gates=("1",),
        who=("sponsor",),
        remedy="pilothouse evidence attest OWN-11",
        parts=(
            Part(
                kind="attested.own-11",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("identity",),
                signers=("sponsor",),
                fresh=_HALF_YEAR,
            ),
        ),
    ),
)
"""Five items and six further rules."""
