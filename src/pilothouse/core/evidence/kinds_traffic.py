# SPDX-License-Identifier: Apache-2.0
"""Kinds of evidence that traffic leaves behind: what tasks, calls and answers were."""

from __future__ import annotations

from pilothouse.core.evidence.kind import Form, make_kind

__all__ = ["TRAFFIC"]

_R, _M, _F = Form.RATE, Form.AMOUNT, Form.FACT

_METRIC = ("task_types.{task_type}.metric",)
"""What says which answers are good."""

TRAFFIC = (
    make_kind(
        "completion",
        "Completion",
        _R,
        "V",
        "Tasks that ended completed, of those not given to a person.",
        noun="tasks",
    ),
    make_kind("escalation", "Escalation", _R, "V", "Tasks given to a person, of all tasks.", noun="tasks"),
    make_kind(
        "override", "Override", _R, "V", "Answers that a person replaced, of all answers.", noun="answers"
    ),
    make_kind(
        "quality",
        "Quality",
        _R,
        "V",
        "Answers that the metric of the charter finds good, of those it scored.",
        noun="scored tasks",
        terms=_METRIC,
    ),
    make_kind(
        "sampling",
        "Scoring",
        _R,
        "V",
        "Tasks that were scored, of those that ended.",
        noun="tasks",
        terms=_METRIC,
    ),
    make_kind(
        "quality_drop",
        "The drop detector",
        _F,
        "V",
        "Whether quality fell from its baseline further than the charter allows.",
        noun="scored tasks",
        terms=_METRIC,
    ),
    make_kind(
        "critical",
        "Critical mistakes",
        _R,
        "V",
        "Tasks in which a mistake that must never happen was found.",
        noun="verified tasks",
    ),
    make_kind(
        "discrepancy",
        "Contradicted claims",
        _R,
        "V",
        "Claims that the system of record contradicts, of those it answers.",
        noun="claims",
    ),
    make_kind(
        "unverifiable", "Unverifiable claims", _R, "V", "Claims that nobody can check, of all.", noun="claims"
    ),
    make_kind(
        "unknown_task_type",
        "Traffic outside the charter",
        _R,
        "S:thresholds",
        "Tasks of a type that the charter does not list.",
        noun="tasks",
    ),
    make_kind(
        "cost_per_task",
        "Cost per task",
        _M,
        "V",
        "Mean cost of one finished task, with the cost of failed ones.",
        unit="usd",
        noun="tasks",
    ),
    make_kind(
        "cost.further",
        "Cost beside model calls",
        _M,
        "",
        "Review and fixed costs of one finished task; they are added to the cost per task.",
        unit="usd",
        noun="tasks",
        added_to="cost_per_task",
        terms=(
            "currency",
            "task_types.{task_type}.cost_per_task.includes",
            "reviewers.minutes_per_item",
            "business_case.loaded_hour_cost",
            "business_case.pilot_burn_per_month",
        ),
    ),
    make_kind(
        "latency", "Latency (p95)", _M, "V", "The 95 % quantile of task times.", unit="seconds", noun="tasks"
    ),
    make_kind(
        "trace_complete",
        "Complete traces",
        _R,
        "",
        "Tasks of which every expected span arrived.",
        noun="tasks",
    ),
    make_kind(
        "served_model",
        "Calls served by another model",
        _R,
        "V S:model",
        "Model calls answered by a model that is neither pinned nor a declared fallback.",
        noun="calls",
    ),
    make_kind(
        "hosts_observed",
        "Undeclared hosts",
        _R,
        "S:integrations",
        "Tasks that touched a host no integration declares.",
        noun="tasks",
    ),
    make_kind(
        "tools_observed",
        "Undeclared tools",
        _R,
        "S:tools",
        "Tasks that called a tool the charter does not declare.",
        noun="tasks",
    ),
    make_kind(
        "versions_gated",
        "Tasks served without a release verdict",
        _R,
        "",
        "Tasks done by a version that never passed the release gate.",
        noun="tasks",
    ),
    make_kind(
        "volume",
        "Volume in production",
        _M,
        "",
        "Tasks completed in production, as a share of the target volume.",
        unit="rate",
        noun="tasks",
    ),
    make_kind(
        "uptime",
        "Uptime",
        _R,
        "",
        "Minutes in which the agent worked, of minutes with demand or a probe.",
        noun="minutes",
    ),
    make_kind(
        "output_schema",
        "Invalid answers delivered",
        _R,
        "V",
        "Delivered answers that break the output schema.",
        noun="answers",
        terms=("guardrails",),
    ),
    make_kind(
        "tool_error.confident",
        "Confident answers after a tool error",
        _R,
        "V",
        "Tasks with a tool error that were answered as if nothing had happened.",
        noun="tasks with a tool error",
        terms=("tools.*.effect",),
    ),
    make_kind(
        "tool_error.hard",
        "Wrong acts after a tool error",
        _R,
        "V",
        "Tasks with a tool error that ended in a wrong act.",
        noun="tasks with a tool error",
        terms=("tools.*.effect",),
    ),
    make_kind(
        "run.loops",
        "Runs in circles",
        _R,
        "V",
        "Tasks whose tool calls went in circles: equal calls, short cycles, one error after another.",
        noun="tasks with tool calls",
    ),
    make_kind(
        "policy.bypass",
        "Calls past the permissions",
        _R,
        "V",
        "Tool calls that reached a system without a permission.",
        noun="calls",
    ),
    make_kind(
        "regions_observed",
        "Calls outside the regions",
        _R,
        "S:residency",
        "Calls to a region that the charter does not allow.",
        noun="calls",
        terms=(
            "integrations.*.hosts",
            "integrations.*.region",
            "model.pin.model",
            "model.pin.region",
            "model.fallback",
        ),
    ),
    make_kind(
        "truncation",
        "Silent truncation",
        _R,
        "V",
        "Inputs shortened without a word.",
        noun="inputs",
        terms=("context", "model.limits.window_tokens"),
    ),
    make_kind(
        "routing.audit",
        "Wrong answers that no person saw",
        _R,
        "V",
        "Tasks with a wrong answer that no person saw, of those that one chance drew for labels.",
        noun="labelled tasks",
    ),
    make_kind(
        "inputs.new_cluster", "New kinds of input", _F, "", "Whether traffic is what the baseline saw."
    ),
)
