# SPDX-License-Identifier: Apache-2.0
"""How an agent is released, watched and widened: alerts, runbooks, phases, stability."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pilothouse.core.charter.answers import Answer, OrAll, Section, Word
from pilothouse.core.charter.people import SeverityName
from pilothouse.core.charter.quantities import Count, Duration, Id, Later, Number, Rate, Text

__all__ = [
    "NUMBERED_PHASES",
    "PHASES",
    "Alert",
    "Phase",
    "PhaseExit",
    "PhaseName",
    "Release",
    "Runbook",
    "Stability",
    "phase_in_words",
]

PhaseName = Literal["pilot", "1", "2", "3"]
"""In the order in which an agent passes through them."""

PHASES: tuple[PhaseName, ...] = get_args(PhaseName)
"""Every phase, the pilot first."""

NUMBERED_PHASES = PHASES[1:]
"""Phases in service; each is entered through the gate of the same number."""


def phase_in_words(phase: str) -> str:
    """Return a phase as a sentence names it.

    Example:
        >>> phase_in_words("pilot"), phase_in_words("2")
        ('the pilot', 'phase 2')
    """
    return "the pilot" if phase == "pilot" else f"phase {phase}"


Metric = Literal[
    "completion",
    "quality",
    "cost_per_task",
    "escalation",
    "override",
    "discrepancy",
    "served_model",
    "latency",
    "drift",
    "tool_errors",
    "truncation",
    "volume",
]

ResetReason = Literal[
    "breach",
    "rollback",
    "sev1",
    "unplanned_model_change",
    "scope_change",
    "threshold_loosened",
]


class Release(Section):
    """The release gate.

    Attributes:
        alpha: Probability of a wrong pass.
        max_cases: Most cases of one run.
        max_drop: Largest accepted drop, in points.
        verdict_max_age: Longest age of a release verdict.
    """

    alpha: Answer[Rate]
    max_cases: Answer[Count]
    max_drop: Answer[Number]
    verdict_max_age: Answer[Duration]
    because: Text | None = None


class Alert(Section):
    """One alert rule.

    Attributes:
        id: Id of the rule.
        on: What is watched.
        task_types: Task types it watches.
        detector: How it decides.
        severity: Severity of the incident it opens.
        runbook: Path of the runbook.
        detect_within: Time within which it must fire, or None where no delay can be computed.
        false_alarms_per_year: Accepted false alarms, or None for the detector's own guarantee.
    """

    id: Id
    on: Answer[Metric]
    task_types: Answer[OrAll[tuple[Id, ...]]] = "all"
    detector: Answer[Literal["drop", "ceiling", "anomaly", "mismatch"]]
    severity: Answer[SeverityName]
    runbook: Answer[Text]
    detect_within: Answer[Duration] | None = None
    false_alarms_per_year: Answer[Number] | None = None


class Runbook(Section):
    """Who has read a runbook, and how often it is rehearsed.

    Attributes:
        reviewed_by: `all_owners` for every A and R of the duty, or person ids.
        drill: How often it is rehearsed; 90 days for a runbook that is not named.
        because: Why that is longer than the default.
    """

    reviewed_by: Answer[Annotated[tuple[Id, ...] | Literal["all_owners"], Word("all_owners", "all_owners")]]
    drill: Answer[Duration]
    because: Later = None


class PhaseExit(Section):
    """What must hold to leave a phase, beyond the gate.

    Attributes:
        uptime: Phase 1: least share of good minutes (MON-12); 0.995 where it is not said.
        p95_s: Phase 1: largest 95 % quantile in seconds, of every type (MON-12), or `per_type` for each type's own.
        critical_errors: Phase 1: 0; one reproduced critical mistake is a breach of MON-2.
        volume_times: Phase 2: multiple of the pilot's volume at which quality is proven (EVAL-6).
        not_worse_than: Phase 2: what quality is compared with there.
        outcomes: Phase 3: what the outcome metrics must be (DATA-10).
    """

    uptime: Answer[Rate] | None = None
    p95_s: Answer[Annotated[Number | Literal["per_type"], Word("per_type", "per_type")]] | None = None
    critical_errors: Answer[Count] | None = None
    volume_times: Answer[Number] | None = None
    not_worse_than: Answer[Literal["pilot"]] | None = None
    outcomes: Answer[Literal["proven"]] | None = None


class Phase(Section):
    """The scope of one phase.

    Attributes:
        environment: Where it runs; only the pilot says.
        users: Groups who use it.
        integrations: Integrations it may use.
        share: Share of the target volume; the pilot's stands in `target_volume`.
        min: Shortest stay.
        max: Longest stay.
        exit: What must hold to leave it.
        because: Why it is looser than the default.
    """

    environment: Answer[Literal["pilot", "staging", "production"]] | None = None
    users: Answer[tuple[Answer[Id], ...]]
    integrations: Answer[OrAll[tuple[Id, ...]]]
    share: Answer[Rate] | None = None
    min: Answer[Duration] | None = None
    max: Answer[Duration] | None = None
    exit: PhaseExit | None = None
    because: Text | None = None


class Stability(Section):
    """The clock of stable days.

    Attributes:
        days: Stable days, 90 or more.
        min_volume_share: Least share of the target volume for a day to count.
        reset_on: What sets the clock to zero.
        max_pause: Longest pause before a reset.
    """

    days: Answer[Count]
    min_volume_share: Answer[Rate]
    reset_on: Answer[tuple[Answer[ResetReason], ...]]
    max_pause: Answer[Duration]
    because: Text | None = None
