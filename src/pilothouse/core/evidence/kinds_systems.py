# SPDX-License-Identifier: Apache-2.0
"""Kinds of evidence about what surrounds the agent: integrations, permissions, log, alerts, queues, outcomes."""

from __future__ import annotations

from pilothouse.core.evidence.kind import Form, make_kind

__all__ = ["SYSTEMS"]

_N, _F = Form.COUNT, Form.FACT

SYSTEMS = (
    make_kind(
        "integration.certificate", "The certificate", _F, "C", "Whether it stands alone in production."
    ),
    make_kind("tool.faults", "The fault matrix", _F, "C", "Whether the tool survives each kind of fault."),
    make_kind(
        "integration.sign_in", "Production sign-in", _F, "C", "Whether the live read-only probe passed."
    ),
    make_kind("integration.rate", "The rate limit", _F, "C", "Whether the declared limit covers the peak."),
    make_kind("integration.freshness", "Freshness of data", _F, "C", "Whether its data is young enough."),
    make_kind(
        "policy.compiled",
        "The permissions",
        _F,
        "S:tools",
        "Whether policy and examples agree.",
        terms=("residency.regions", "integrations.*.region"),
    ),
    make_kind(
        "policy.unused", "Unused permissions", _F, "S:tools", "Whether unused permissions were reviewed."
    ),
    make_kind("control", "The control", _F, "S:residency", "Whether a control of a regulation has evidence."),
    make_kind("change.overlap", "The change freeze", _F, "", "Whether agent and integration changed apart."),
    make_kind("audit.verified", "The audit log", _F, "", "Whether the log proves that nothing is missing."),
    make_kind(
        "audit.anchored",
        "The anchor of the audit log",
        _F,
        "",
        "Whether a checkpoint under other rights than the ledger's confirms the log.",
    ),
    make_kind("canary.trace", "The canary trace", _F, "", "Whether a planted trace can be queried in time."),
    make_kind(
        "cost.monitor",
        "The cost monitor",
        _F,
        "S:alerts",
        "Whether the monitor has its history and is armed.",
    ),
    make_kind(
        "alert.delay",
        "Detection delay",
        _F,
        "S:alerts",
        "Whether the alert fires within its time.",
        terms=("task_types.*.metric", "task_types.*.quality.min", "task_types.*.sampling.rate"),
    ),
    make_kind("alert.lead", "Lead of the alerts", _F, "", "Whether alerts came before complaints."),
    make_kind("drift.looked", "The drift tests", _F, "", "Whether the weekly tests ran and were answered."),
    make_kind(
        "replay.incidents",
        "Replay of incidents",
        _F,
        "",
        "Whether the last five incidents were reproduced, or a drill where there was none.",
    ),
    make_kind(
        "replay.reproduced",
        "Replay of a run",
        _F,
        "",
        "Whether a run was reproduced, or that an incident has no run that could be.",
        added_to="replay.incidents",
    ),
    make_kind("review.queue", "The review queue", _F, "", "Whether held answers are decided in time."),
    make_kind(
        "correction", "The way of a correction", _F, "", "Whether a correction went from flag to case."
    ),
    make_kind(
        "gaps.audited",
        "The audit of failures",
        _F,
        "",
        "Whether knowledge gaps have owners and cases.",
        terms=("glossary",),
    ),
    make_kind(
        "source.fresh",
        "The knowledge source",
        _F,
        "",
        "Whether the source is readable and young.",
        terms=("sources.{part}.path", "sources.{part}.max_age"),
    ),
    make_kind(
        "outcome.seal", "The seal of outcomes", _F, "S:outcomes", "Whether outcomes were sealed first."
    ),
    make_kind("outcome.effect", "The outcome", _F, "S:outcomes", "Whether the committed change is proven."),
    make_kind("stability.clock", "Stable days", _N, "", "Days in a row that counted.", noun="days"),
)
