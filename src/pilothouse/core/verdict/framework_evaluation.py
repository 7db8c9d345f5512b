# SPDX-License-Identifier: Apache-2.0
"""Domain EVAL of the framework: quality is proven before a release and guarded after it."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.requirement import (
    Ceiling,
    Census,
    Committed,
    Count,
    Fact,
    Floor,
    Paired,
    Part,
    Per,
    Requirement,
    Zero,
)

__all__ = ["EVALUATION"]

_QUARTER = timedelta(days=90)
_WEEK = timedelta(days=7)

_VOLUME_TIMES_MIN = 10.0
"""Times the pilot's volume at which quality is proven; the exit of phase 2 may say another."""

_MODEL_CALLS_MIN = 1_000
"""No foreign model in 1,000 calls proves under 0.3 % at 95 % confidence."""

_ANSWERS_MIN = 59
"""No invalid answer in 59 proves under 5 % at 95 % confidence."""

EVALUATION = (
    Requirement(
        id="EVAL-1",
        statement="Labelled cases look like production",
        asks="enough labelled cases in all and for each task type, enough of them from production, like the traffic, no leak",
        gates=("1",),
        who=("A:benchmarks",),
        remedy="pilothouse dataset add {labelled} FILE",
        parts=(
            Part(
                name="cases",
                kind="dataset.labelled",
                rule=Count(bound=Committed("datasets.labelled.min")),
                fresh=_QUARTER,
                again="pilothouse dataset show {labelled} --record {agent}",
            ),
            Part(
                name="cases",
                kind="dataset.labelled",
                rule=Count(bound=Committed("datasets.labelled.per_type_min")),
                per=Per.TASK_TYPE,
                fresh=_QUARTER,
                again="pilothouse dataset show {labelled} --record {agent}",
            ),
            Part(
                name="from production",
                kind="dataset.production_share",
                rule=Census(bound=Committed("datasets.labelled.production_share_min"), harm=False),
                fresh=_QUARTER,
                remedy="pilothouse dataset show {labelled} --record {agent}",
            ),
            Part(
                name="likeness",
                kind="dataset.distance",
                rule=Fact(),
                fresh=_QUARTER,
                remedy="pilothouse dataset show {labelled} --record {agent}",
            ),
            Part(
                name="leak",
                kind="dataset.leak",
                rule=Fact(),
                fresh=_QUARTER,
                remedy="pilothouse dataset show {labelled} --record {agent}",
            ),
        ),
    ),
    Requirement(
        id="EVAL-2",
        statement="Adversarial cases fail no more often than accepted",
        asks="enough adversarial cases for every domain term, and each family under its accepted rate",
        gates=("1",),
        who=("A:benchmarks",),
        remedy="pilothouse dataset add {adversarial} FILE",
        parts=(
            Part(
                name="cases",
                kind="dataset.adversarial",
                rule=Count(bound=Committed("datasets.adversarial.min")),
                fresh=_QUARTER,
                again="pilothouse dataset show {adversarial} --record {agent}",
            ),
            Part(
                name="domain terms",
                kind="dataset.glossary",
                rule=Fact(),
                fresh=_QUARTER,
                remedy="pilothouse dataset show {adversarial} --record {agent}",
                cure="pilothouse dataset add {adversarial} FILE",
                answered=("glossary",),
            ),
            Part(
                name="failures",
                kind="adversarial.family",
                rule=Ceiling(bound=Committed("datasets.adversarial.families.{family}")),
                per=Per.FAMILY,
                fresh="release.verdict_max_age",
                remedy="pilothouse gate --candidate TARGET --adversarial {adversarial}",
            ),
        ),
    ),
    Requirement(
        id="EVAL-3",
        statement="Every version in service passed the release gate",
        asks="a release verdict for the version in force, and no task served by a version without one",
        gates=("1",),
        who=("A:prompt_changes",),
        remedy="pilothouse gate --candidate TARGET",
        parts=(
            Part(
                name="gate",
                kind="release.verdict",
                rule=Fact(),
                fresh=_QUARTER,
            ),
            Part(
                name="traffic",
                kind="versions_gated",
                rule=Zero(n=1),
                fresh=timedelta(days=14),
                cure="pilothouse rollback {agent}",
            ),
        ),
    ),
    Requirement(
        id="EVAL-4",
        statement="Thresholds are signed for each task type",
        asks="signatures of the sponsor and of who is accountable for quality, over the thresholds in force",
        gates=("1",),
        who=("sponsor", "A:quality_metrics"),
        remedy="pilothouse evidence attest EVAL-4",
        parts=(
            Part(
                kind="attested.eval-4",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("thresholds",),
                signers=("sponsor", "A:quality_metrics"),
                fresh=timedelta(days=180),
            ),
        ),
    ),
    Requirement(
        id="EVAL-5",
        statement="Results are reviewed and baselined",
        asks="a baseline run of this version above each floor, an anchor of these cases, and the signature of its reviewer",
        gates=("1",),
        who=("A:benchmarks",),
        remedy="pilothouse gate --candidate TARGET",
        parts=(
            Part(
                name="level",
                kind="eval.baseline",
                rule=Floor(bound=Committed("task_types.{task_type}.quality.min")),
                per=Per.TASK_TYPE,
                fresh=_QUARTER,
            ),
            Part(name="anchor", kind="eval.anchor", rule=Fact(), fresh=_QUARTER),
            Part(
                name="review",
                kind="attested.eval-5",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("datasets",),
                signers=("A:benchmarks",),
                fresh=_QUARTER,
                remedy="pilothouse evidence attest EVAL-5",
            ),
        ),
    ),
    Requirement(
        id="EVAL-6",
        statement="Quality at ten times the volume equals the pilot's",
        asks="a load run at ten times the volume, or as many as leaving phase 2 asks; for each task type not worse than the "
        "pilot by more than the allowed drop",
        gates=("2",),
        who=("A:benchmarks",),
        remedy="pilothouse load TARGET --times 10",
        parts=(
            Part(
                kind="load.difference",
                rule=Paired(
                    bound=Committed("task_types.{task_type}.quality.max_drop"),
                    least=Committed("phases.2.exit.volume_times", otherwise=_VOLUME_TIMES_MIN),
                ),
                per=Per.TASK_TYPE,
                fresh=_QUARTER,
            ),
        ),
    ),
    Requirement(
        id="EVAL-7",
        statement="The pinned model answers, and it is not retired",
        asks="no call served by another model in 1,000 or more, the deployment as declared where one is, and the pin's retirement more than 60 days away",
        gates=("1",),
        who=("A:model_upgrades",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                kind="served_model",
                rule=Zero(n=_MODEL_CALLS_MIN),
                fresh=timedelta(days=1),
                answered=("model.pin.model", "model.fallback"),
            ),
            Part(
                name="deployment",
                kind="deployment",
                rule=Fact(),
                per=Per.DEPLOYMENT,
                fresh=timedelta(days=1),
                remedy="pilothouse provider check --agent {agent}",
                answered=("model.pin.model", "model.pin.provider"),
            ),
        ),
    ),
    Requirement(
        id="EVAL-8",
        statement="The output schema is guarded",
        asks="no invalid answer delivered in 59 or more",
        gates=("1",),
        who=("A:integration_maintenance",),
        remedy="pilothouse run -- CMD",
        parts=(Part(kind="output_schema", rule=Zero(n=_ANSWERS_MIN), fresh=_WEEK),),
    ),
    Requirement(
        id="EVAL-9",
        statement="Answers of low confidence are held",
        asks="a valid threshold for each task type, few wrong answers among audited automatic ones, a queue that keeps up",
        gates=("1",),
        who=("A:feedback_review",),
        remedy="pilothouse review",
        parts=(
            Part(
                name="threshold",
                kind="routing.threshold",
                rule=Fact(),
                per=Per.ROUTED_TYPE,
                fresh=_WEEK,
            ),
            Part(
                name="audit",
                kind="routing.audit",
                rule=Ceiling(
                    bound=Committed("task_types.{task_type}.routing.wrong_auto_per_100", scale=0.01),
                    stream=True,
                ),
                per=Per.ROUTED_TYPE,
                fresh=_WEEK,
            ),
            Part(name="queue", kind="review.queue", rule=Fact(), fresh=_WEEK),
        ),
    ),
    Requirement(
        id="EVAL-10",
        statement="Releases do not erode quality",
        asks="not worse than the anchor for each task type, and golden trajectories kept",
        gates=("R",),
        who=("A:benchmarks",),
        remedy="pilothouse gate --candidate TARGET",
        parts=(
            Part(
                name="anchor",
                kind="release.difference",
                rule=Paired(bound=Committed("release.max_drop")),
                per=Per.TASK_TYPE,
                fresh="release.verdict_max_age",
            ),
            Part(
                name="trajectories",
                kind="release.trajectories",
                rule=Fact(),
                fresh="release.verdict_max_age",
            ),
        ),
    ),
    Requirement(
        id="EVAL-11",
        statement="Each judge may be trusted",
        asks="a card for each judge: it finds 80 % of bad answers and passes 70 % of good ones, proved at 95 %",
        gates=("1",),
        who=("A:benchmarks",),
        remedy="pilothouse eval judge {judge}",
        parts=(
            Part(kind="judge.card", rule=Fact(), per=Per.JUDGE, fresh="model.judges.{judge}.card_max_age"),
        ),
    ),
)
"""Five items and six further rules."""
