# SPDX-License-Identifier: Apache-2.0
"""The work of an agent: its task types, and the thresholds each of them must hold."""

from __future__ import annotations

from typing import Any, Literal

from pilothouse.core.charter.answers import Answer, OrNone, Section
from pilothouse.core.charter.quantities import Count, Duration, Id, Money, Number, Rate, Text

__all__ = [
    "CompletionFloor",
    "CostCeiling",
    "DiscrepancyCeiling",
    "LatencyCeiling",
    "QualityFloor",
    "RateCeiling",
    "Reliable",
    "Routing",
    "Sampling",
    "TaskType",
    "UnknownTaskType",
    "VerifierUse",
    "merge_defaults",
]


class QualityFloor(Section):
    """How good the answers must be.

    Attributes:
        min: Least rate of good answers, above 0 and below 1.
        max_drop: Largest accepted drop from the baseline, in points.
        baseline: What a drop is measured against.
        because: Why it is looser than the default.
    """

    min: Answer[Number]
    max_drop: Answer[Number] = 5.0
    baseline: Answer[Literal["anchor", "last_release"]] = "anchor"
    because: Text | None = None


class CompletionFloor(Section):
    """How many tasks must be completed, as a rate."""

    min: Answer[Number]
    because: Text | None = None


class RateCeiling(Section):
    """The largest accepted rate of something unwanted."""

    max: Answer[Number]
    because: Text | None = None


class DiscrepancyCeiling(Section):
    """The agent says done, the system of record disagrees.

    Attributes:
        max: Largest accepted rate of contradicted claims.
        unverifiable_max: Largest accepted share of claims that nobody can check.
        because: Why it is looser than the default.
    """

    max: Answer[Number]
    unverifiable_max: Answer[Number]
    because: Text | None = None


class CostCeiling(Section):
    """What a task may cost.

    Attributes:
        max: Largest accepted mean cost of a task, in `currency`.
        includes: Parts that are counted.
    """

    max: Answer[Money]
    includes: Answer[tuple[Answer[Literal["model", "tools", "review", "fixed"]], ...]]
    because: Text | None = None


class LatencyCeiling(Section):
    """How long a task may take.

    Attributes:
        p95_s: Largest accepted 95 % quantile, seconds.
        because: Why it is looser than the default.
    """

    p95_s: Answer[Number] = 2.0
    because: Text | None = None


class Routing(Section):
    """What happens to an answer of low confidence.

    Attributes:
        mode: `hold` gives it to a reviewer; `escalate` to a person of the process; `off` to nobody.
        wrong_auto_per_100: Accepted wrong answers that no person saw, among 100 tasks.
        risk: Probability with which that bound may be missed.
        audit_share: Share of confident answers that a person checks anyway.
        hold_deadline: Longest time an answer may wait.
    """

    mode: Answer[Literal["hold", "escalate", "off"]]
    wrong_auto_per_100: Answer[Number]
    risk: Answer[Rate]
    audit_share: Answer[Rate]
    hold_deadline: Answer[Duration]


class Sampling(Section):
    """How much of the traffic is judged.

    Attributes:
        rate: Share of tasks.
        min_per_window: Least judged tasks in a window.
        window: Length of the window.
    """

    rate: Answer[Rate]
    min_per_window: Answer[Count]
    window: Answer[Duration]
    because: Text | None = None


class VerifierUse(Section):
    """How a claim is checked against the system of record.

    Attributes:
        use: Python function as `module:function`.
        after: Time after the task before it is asked.
        retry_for: Time until an unanswered question counts as unverifiable.
        credential: Name of the read-only credential it signs in with.
    """

    use: Answer[Text]
    after: Answer[Duration]
    retry_for: Answer[Duration]
    credential: Answer[Id]


class Reliable(Section):
    """All of k runs of one case must be good; off at k = 1.

    Attributes:
        k: Runs of a case.
        min: Least rate of cases of which all k runs were good.
    """

    k: Answer[int] = 1
    min: Answer[Rate] = 0.0


class TaskType(Section):
    """One kind of work, with `task_defaults` already merged in.

    Attributes:
        share: Share of the target volume.
        output_schema: Only when it differs from the function's, which is an error.
        metric: Name of the scorer.
        quality: Floor of the rate of good answers.
        completion: Floor of the completion rate.
        escalation: Ceiling of the share given to a person.
        override: Ceiling of the share that a person replaced.
        discrepancy: Ceiling of contradicted claims.
        cost_of_error: Cost of one wrong answer, in `currency`.
        cost_of_review: Cost of one review.
        cost_per_task: Ceiling of the mean cost.
        latency: Ceiling of the 95 % quantile.
        routing: What happens at low confidence.
        sampling: How much is judged.
        claim: What the agent says it did.
        verifier: How that is checked; None with a reason in `unverifiable_because`.
        unverifiable_because: Why no system of record can be asked.
        critical: Mistakes that must never happen; one reproduced case breaches.
        reliable: Repeated runs, off by default.
    """

    share: Answer[Rate]
    output_schema: Text | None = None
    metric: Answer[Id]
    quality: QualityFloor
    completion: CompletionFloor
    escalation: RateCeiling
    override: RateCeiling
    discrepancy: DiscrepancyCeiling
    cost_of_error: Answer[Money]
    cost_of_review: Answer[Money]
    cost_per_task: CostCeiling
    latency: LatencyCeiling = LatencyCeiling()
    routing: Routing
    sampling: Sampling
    claim: Answer[Id]
    verifier: OrNone[VerifierUse] = None
    unverifiable_because: Text | None = None
    critical: Answer[tuple[Answer[Id], ...]]
    reliable: Reliable = Reliable()


class UnknownTaskType(Section):
    """Traffic outside the list.

    Attributes:
        max: Largest accepted share.
        on: What happens to such a task: `refuse`, so the tool boundary refuses what it would change. Nothing keeps the other two,
            so they are errors.
    """

    max: Answer[Number]
    on: Answer[Literal["hold", "escalate", "refuse"]]


def merge_defaults(defaults: object, own: object) -> object:
    """Merge `task_defaults` into one task type, key by key and one level of mappings deep.

    Args:
        defaults: What every task type shares.
        own: What this task type says itself; it wins.

    Returns:
        The merged mapping, keys of the defaults first; `own` itself where either is no mapping.

    Example:
        >>> merge_defaults({"quality": {"min": 0.95, "max_drop": 5}}, {"quality": {"min": 0.9}})
        {'quality': {'min': 0.9, 'max_drop': 5}}
    """
    if not isinstance(defaults, dict) or not isinstance(own, dict):
        return own
    merged: dict[str, Any] = dict(defaults)
    for key, value in own.items():
        merged[key] = merge_defaults(merged[key], value) if key in merged else value
    return merged
