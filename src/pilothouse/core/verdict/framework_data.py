# SPDX-License-Identifier: Apache-2.0
"""Domain DATA of the framework: one narrow function, known inputs, committed outcomes, a stable clock."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Committed,
    Count,
    Fact,
    Part,
    Per,
    Requirement,
)

__all__ = ["DATA"]

_WEEK = timedelta(days=7)
_MONTH = timedelta(days=30)
_QUARTER = timedelta(days=90)

_LIFT_CASES_MIN = 60
"""Cases behind a lift; fewer cannot tell a gain of five points from luck."""

DATA = (
    Requirement(
        id="DATA-1",
        statement="One narrow function",
        asks="one output schema, and little traffic outside the listed task types",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                kind="unknown_task_type",
                rule=Ceiling(bound=Committed("unknown_task_type.max"), stream=True),
                fresh=timedelta(days=14),
            ),
        ),
    ),
    Requirement(
        id="DATA-2",
        statement="Few-shot examples are built and validated",
        asks="enough trusted examples without a leak, and a proven lift on 60 or more cases",
        gates=("1",),
        who=("A:benchmarks",),
        remedy="pilothouse curate few-shot",
        parts=(
            Part(
                name="examples",
                kind="few_shot.examples",
                rule=Count(bound=Committed("few_shot.min")),
                fresh=_QUARTER,
            ),
            Part(
                name="lift",
                kind="few_shot.lift",
                rule=AtLeast(bound=Committed("few_shot.lift_min"), n=_LIFT_CASES_MIN),
                fresh=_QUARTER,
                remedy="pilothouse curate lift TARGET",
            ),
        ),
    ),
    Requirement(
        id="DATA-3",
        statement="Inputs are analysed and the tail is found",
        asks="rare clusters named over enough inputs, and cases for each cluster of 1 % of traffic or more",
        gates=("1",),
        who=("A:benchmarks",),
        remedy="pilothouse dataset tail",
        parts=(
            Part(name="clusters", kind="inputs.analysed", rule=Fact(), fresh=_QUARTER),
            Part(name="cases", kind="inputs.tail", rule=Fact(), fresh=_QUARTER),
        ),
    ),
    Requirement(
        id="DATA-4",
        statement="Wrong outputs find their way back",
        asks="a correction that went the whole way from flag to case, and a queue within its time",
        gates=("1",),
        who=("A:feedback_review",),
        remedy="pilothouse drill correction",
        parts=(Part(kind="correction", rule=Fact(), fresh=_MONTH),),
    ),
    Requirement(
        id="DATA-5",
        statement="A 90-day target with exit criteria",
        asks="the owner's signature over stability and phases as they are in force, given for each phase",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse evidence attest DATA-5",
        parts=(
            Part(
                kind="attested.data-5",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("stability", "phases"),
                signers=("owner",),
                fresh=None,
                each_phase=True,
            ),
        ),
    ),
    Requirement(
        id="DATA-6",
        statement="The traffic is the charter's",
        asks="no large unlabelled cluster of inputs that the baseline never saw",
        gates=("2",),
        who=("A:quality_metrics",),
        remedy="pilothouse dataset tail",
        parts=(Part(kind="inputs.new_cluster", rule=Fact(), fresh=_WEEK),),
    ),
    Requirement(
        id="DATA-7",
        statement="Knowledge gaps are audited",
        asks="an audit of failures in which each frequent gap has an owner and cases",
        gates=("2",),
        who=("A:feedback_review",),
        remedy="pilothouse gaps audit",
        parts=(Part(kind="gaps.audited", rule=Fact(), fresh=_QUARTER),),
    ),
    Requirement(
        id="DATA-8",
        statement="Knowledge sources are fresh",
        asks="each source of the charter readable and younger than its age",
        gates=("2",),
        who=("owner",),
        remedy="pilothouse doctor",
        parts=(Part(kind="source.fresh", rule=Fact(), per=Per.SOURCE, fresh=_MONTH),),
    ),
    Requirement(
        id="DATA-9",
        statement="Outcomes were committed first",
        asks="outcome metrics with a baseline, sealed before the first counted task",
        gates=("1",),
        who=("A:outcome_reporting",),
        remedy="pilothouse value seal --as PERSON",
        parts=(Part(kind="outcome.seal", rule=Fact(), fresh=None, answered=("outcomes",)),),
    ),
    Requirement(
        id="DATA-10",
        statement="The value is proven",
        asks="the committed change of each outcome metric, proved against its control",
        gates=("X",),
        who=("A:outcome_reporting",),
        remedy="pilothouse value measure {outcome} FILE",
        parts=(Part(kind="outcome.effect", rule=Fact(), per=Per.OUTCOME, fresh=_QUARTER),),
    ),
    Requirement(
        id="DATA-11",
        statement="Ninety stable days",
        asks="the stability clock at its target",
        gates=("X",),
        who=("owner",),
        remedy="pilothouse phase status {agent}",
        parts=(Part(kind="stability.clock", rule=Count(bound=Committed("stability.days")), fresh=_WEEK),),
    ),
)
"""Five items and six further rules."""
