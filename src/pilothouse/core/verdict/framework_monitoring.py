# SPDX-License-Identifier: Apache-2.0
"""Domain MON of the framework: what the agent does in service is seen, true, and watched."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.requirement import (
    Ceiling,
    Census,
    Committed,
    Fact,
    Floor,
    MeanMax,
    Part,
    Per,
    Quantile,
    Requirement,
    Zero,
)

__all__ = ["MONITORING"]

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_MONTH = timedelta(days=30)
_QUARTER = timedelta(days=90)

_UPTIME_MIN = 0.995
"""Share of good minutes: 3 h 22 min of four weeks may be bad. The exit of phase 1 may say another."""

_CRITICAL_MIN = 59
"""No critical mistake in 59 verified tasks proves under 5 %: enough to begin phase 1 and no more."""

_CRITICAL_EXIT_MIN = 300
"""No critical mistake in 300 proves under 1 %: what leaving phase 1 asks for."""

_INPUTS_MIN = 1_000
"""No silent truncation in 1,000 inputs proves under 0.3 %."""

MONITORING = (
    Requirement(
        id="MON-1",
        statement="Completion is logged and alerted per task type",
        asks="the completion rate at least its floor, proved at 95 %, and a drill in which the alert fired",
        gates=("1",),
        who=("A:quality_metrics",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                name="rate",
                kind="completion",
                rule=Floor(bound=Committed("task_types.{task_type}.completion.min"), stream=True),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
            Part(
                name="drill",
                kind="drill.completion-drop",
                rule=Fact(),
                fresh=_QUARTER,
                remedy="pilothouse drill completion-drop",
            ),
        ),
    ),
    Requirement(
        id="MON-2",
        statement="Quality is scored all the time",
        asks="quality at least its floor, enough tasks scored, no drop from the baseline, no critical mistake in 59 or more",
        gates=("1",),
        who=("A:quality_metrics",),
        remedy="pilothouse review",
        parts=(
            Part(
                name="critical",
                kind="critical",
                rule=Zero(n=_CRITICAL_MIN),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
                remedy="pilothouse traces --agent {agent}",
            ),
            Part(
                name="rate",
                kind="quality",
                rule=Floor(bound=Committed("task_types.{task_type}.quality.min"), stream=True),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
                cure="pilothouse traces --agent {agent}",
            ),
            Part(
                name="scored",
                kind="sampling",
                rule=Census(
                    bound=Committed("task_types.{task_type}.sampling.rate"),
                    harm=False,
                    least=Committed("task_types.{task_type}.sampling.min_per_window"),
                ),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
            Part(
                name="drop",
                kind="quality_drop",
                rule=Fact(),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
                cure="pilothouse rollback {agent}",
            ),
        ),
    ),
    Requirement(
        id="MON-3",
        statement="Cost per task is known and watched",
        asks="the mean cost of a task at most its ceiling over 100 or more tasks, an armed monitor, and a drill",
        gates=("1",),
        who=("A:outcome_reporting",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                name="mean",
                kind="cost_per_task",
                rule=MeanMax(bound=Committed("task_types.{task_type}.cost_per_task.max")),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
            Part(
                name="monitor",
                kind="cost.monitor",
                rule=Fact(),
                fresh=_WEEK,
                remedy="pilothouse watch tick",
            ),
            Part(
                name="drill",
                kind="drill.cost-burst",
                rule=Fact(),
                fresh=_QUARTER,
                remedy="pilothouse drill cost-burst",
            ),
        ),
    ),
    Requirement(
        id="MON-4",
        statement="Escalation is tracked apart from completion",
        asks="escalated tasks and replaced answers each at most their ceiling, proved at 95 %",
        gates=("1",),
        who=("A:quality_metrics",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                name="escalated",
                kind="escalation",
                rule=Ceiling(bound=Committed("task_types.{task_type}.escalation.max"), stream=True),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
            Part(
                name="replaced",
                kind="override",
                rule=Ceiling(bound=Committed("task_types.{task_type}.override.max"), stream=True),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
                remedy="pilothouse feedback key",
                cure="pilothouse review",
            ),
        ),
    ),
    Requirement(
        id="MON-5",
        statement="Runbooks are written, read and rehearsed",
        asks="each runbook read and signed by everybody who is accountable or responsible, and a drill that followed it",
        gates=("1",),
        who=("A:incident_response",),
        remedy="pilothouse evidence attest MON-5",
        parts=(
            Part(
                name="read",
                kind="attested.mon-5",
                rule=Fact(),
                per=Per.READER,
                fresh=timedelta(days=180),
                sections=("alerts",),
            ),
            Part(
                name="drill",
                kind="drill.runbook",
                rule=Fact(),
                per=Per.RUNBOOK,
                fresh="runbooks.{runbook}.drill",
                otherwise=_QUARTER,
                remedy="pilothouse drill runbook {runbook}",
            ),
        ),
    ),
    Requirement(
        id="MON-6",
        statement="Every step is seen",
        asks="98 % of tasks complete, proved at 95 %, and a canary trace that can be queried within 10 seconds",
        gates=("1",),
        who=("A:incident_response",),
        remedy="pilothouse doctor",
        parts=(
            Part(
                name="complete",
                kind="trace_complete",
                rule=Floor(bound=0.98, stream=True),
                fresh=_DAY,
            ),
            Part(name="canary", kind="canary.trace", rule=Fact(), fresh=_DAY),
        ),
    ),
    Requirement(
        id="MON-7",
        statement="The agent tells the truth",
        asks="contradicted claims and claims that nobody can check each at most their ceiling, proved at 95 %",
        gates=("1",),
        who=("A:quality_metrics",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                name="contradicted",
                kind="discrepancy",
                rule=Ceiling(bound=Committed("task_types.{task_type}.discrepancy.max"), stream=True),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
            Part(
                name="unverifiable",
                kind="unverifiable",
                rule=Ceiling(
                    bound=Committed("task_types.{task_type}.discrepancy.unverifiable_max"), stream=True
                ),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
        ),
    ),
    Requirement(
        id="MON-8",
        statement="Alerts come first",
        asks="each alert fires within its time, and in nine of ten incidents before the first complaint, or in a drill while there is none",
        gates=("1",),
        who=("A:incident_response",),
        remedy="pilothouse drill quality-drop",
        parts=(
            Part(
                name="delay",
                kind="alert.delay",
                rule=Fact(),
                per=Per.ALERT,
                fresh=_QUARTER,
                remedy="pilothouse watch tick",
                cure="pilothouse watch status {agent}",
            ),
            Part(
                name="lead",
                kind="alert.lead",
                rule=Fact(),
                fresh=_QUARTER,
                cure="pilothouse incident list",
            ),
        ),
    ),
    Requirement(
        id="MON-9",
        statement="Drift is looked at",
        asks="the weekly tests ran, and an alarm led to labels",
        gates=("2",),
        who=("A:quality_metrics",),
        remedy="pilothouse watch tick",
        parts=(Part(kind="drift.looked", rule=Fact(), fresh=_WEEK, ease="pilothouse review"),),
    ),
    Requirement(
        id="MON-10",
        statement="The audit log proves itself",
        asks="the log verifies without a gap; an anchor under other rights confirms it from phase 2 on, and its lack is a warning before",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse audit verify",
        parts=(
            Part(
                name="whole",
                kind="audit.verified",
                rule=Fact(),
                fresh=_DAY,
                ease="pilothouse audit anchor FOLDER --outside",
            ),
            Part(
                name="anchored",
                kind="audit.anchored",
                rule=Fact(),
                fresh=_DAY,
                remedy="pilothouse audit anchor FOLDER --outside",
                since="2",
            ),
        ),
    ),
    Requirement(
        id="MON-11",
        statement="No input is shortened in silence",
        asks="no silent truncation in 1,000 or more inputs, and 98 % of planted sentences survive, of those that forbid something all",
        gates=("1",),
        who=("A:integration_maintenance",),
        remedy="pilothouse context probe {agent}",
        parts=(
            Part(name="inputs", kind="truncation", rule=Zero(n=_INPUTS_MIN), fresh=_MONTH),
            Part(name="probes", kind="probes.context", rule=Fact(), fresh=_MONTH),
        ),
    ),
    Requirement(
        id="MON-12",
        statement="The agent is reliable",
        asks="uptime and the 95 % quantile of latency as leaving phase 1 asks, no critical mistake in 300 or more",
        gates=("2",),
        who=("A:incident_response",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                name="uptime",
                kind="uptime",
                rule=Census(bound=Committed("phases.1.exit.uptime", otherwise=_UPTIME_MIN)),
                fresh=_WEEK,
                remedy="pilothouse watch tick",
                cure="pilothouse watch status {agent}",
            ),
            Part(
                name="latency",
                kind="latency",
                rule=Quantile(
                    bound=Committed("task_types.{task_type}.latency.p95_s", cap="phases.1.exit.p95_s")
                ),
                per=Per.TASK_TYPE,
                fresh=_WEEK,
            ),
            Part(name="critical", kind="critical", rule=Zero(n=_CRITICAL_EXIT_MIN), fresh=_WEEK),
        ),
    ),
    Requirement(
        id="MON-13",
        statement="An incident can be replayed",
        asks="the last five incidents of 90 days reproduced by strict replay, or a drill where there is none or its run is gone",
        gates=("2",),
        who=("A:incident_response",),
        remedy="pilothouse replay",
        parts=(Part(kind="replay.incidents", rule=Fact(), fresh=_QUARTER),),
    ),
)
"""Five items and eight further rules."""
