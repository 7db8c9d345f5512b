# SPDX-License-Identifier: Apache-2.0
"""Domain INT of the framework: every outside system is known, proven alone, and safe to fail."""

from __future__ import annotations

from datetime import timedelta

from pilothouse.core.verdict.requirement import Ceiling, Derived, Fact, Part, Per, Requirement, Zero

__all__ = ["INTEGRATION"]

_TASKS_SEEN_MIN = 200
"""Tasks without an undeclared system that make an inventory believable: 0 of 200 still allows 1.5 %."""

_HARD_CLASS_MIN = 59
"""No case in 59 proves under 5 % at 95 % confidence."""

INTEGRATION = (
    Requirement(
        id="INT-1",
        statement="The inventory of systems is complete",
        asks="no undeclared host or tool in 200 or more tasks, and every field of each integration is filled in",
        gates=("1",),
        who=("A:integration_maintenance",),
        remedy="pilothouse run -- CMD",
        parts=(
            Part(
                name="hosts",
                kind="hosts_observed",
                rule=Zero(n=_TASKS_SEEN_MIN),
                fresh=timedelta(days=14),
                answered=("integrations",),
                cure="pilothouse check",
            ),
            Part(
                name="tools",
                kind="tools_observed",
                rule=Zero(n=_TASKS_SEEN_MIN),
                fresh=timedelta(days=14),
                answered=("tools",),
                cure="pilothouse check",
            ),
        ),
    ),
    Requirement(
        id="INT-2",
        statement="Each integration stands alone against production",
        asks="a certificate for each integration of the phase, made against its contracts in force; until one seven days later "
        "confirms it, a warning",
        gates=("1",),
        who=("integration",),
        remedy="pilothouse integration verify {integration}",
        parts=(
            Part(
                kind="integration.certificate",
                rule=Fact(),
                per=Per.INTEGRATION,
                fresh=timedelta(days=30),
            ),
        ),
    ),
    Requirement(
        id="INT-3",
        statement="Each tool retries, times out and reports errors",
        asks="every row of the fault matrix passed for each tool of the phase",
        gates=("1",),
        who=("integration",),
        remedy="pilothouse integration verify {integration}",
        parts=(Part(kind="tool.faults", rule=Fact(), per=Per.TOOL, fresh=timedelta(days=30)),),
    ),
    Requirement(
        id="INT-4",
        statement="Sign-in to production works",
        asks="a live read-only probe, an environment that is no sandbox, a forbidden call refused",
        gates=("1",),
        who=("integration",),
        remedy="pilothouse integration verify {integration} --only credential",
        parts=(
            Part(
                kind="integration.sign_in",
                rule=Fact(),
                per=Per.INTEGRATION,
                fresh=timedelta(hours=24),
            ),
        ),
    ),
    Requirement(
        id="INT-5",
        statement="Limits and freshness are handled",
        asks="the declared limit covers 1.2 times the planned peak, and data is younger than its declared age",
        gates=("1",),
        who=("integration",),
        remedy="pilothouse integration verify {integration} --only rate,freshness",
        parts=(
            Part(
                name="rate limit",
                kind="integration.rate",
                rule=Fact(),
                per=Per.INTEGRATION,
                fresh=timedelta(days=30),
            ),
            Part(
                name="freshness",
                kind="integration.freshness",
                rule=Fact(),
                per=Per.FRESH_INTEGRATION,
                fresh=timedelta(hours=24),
            ),
        ),
    ),
    Requirement(
        id="INT-6",
        statement="Nobody copies data by hand",
        asks="no integration of kind manual in the phase, and a signature that nobody copies data between systems",
        gates=("1",),
        who=("A:downstream_process",),
        remedy="pilothouse evidence attest INT-6",
        parts=(
            Part(
                kind="attested.int-6",
                rule=Fact(),
                per=Per.SIGNER,
                sections=("integrations",),
                signers=("A:downstream_process",),
                fresh=timedelta(days=90),
            ),
        ),
    ),
    Requirement(
        id="INT-7",
        statement="A tool error becomes neither a silent wrong answer nor an endless loop",
        asks="at most 1 % of tasks with a tool error answered as if nothing had happened; no wrong act in 59 or more; at "
        "most 1 % of tasks with tools in circles",
        gates=("1",),
        who=("A:incident_response",),
        remedy="pilothouse traces --agent {agent}",
        parts=(
            Part(
                name="answers",
                kind="tool_error.confident",
                rule=Ceiling(bound=0.01, stream=True),
                fresh=timedelta(days=28),
            ),
            Part(
                name="acts",
                kind="tool_error.hard",
                rule=Zero(n=_HARD_CLASS_MIN),
                fresh=timedelta(days=28),
            ),
            Part(
                name="loops",
                kind="run.loops",
                rule=Ceiling(bound=0.01, stream=True),
                fresh=timedelta(days=28),
            ),
        ),
    ),
    Requirement(
        id="INT-8",
        statement="Permissions limit what the agent can do",
        asks="policies agree with their examples, unused permissions were reviewed, no call went past them",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse policy check",
        parts=(
            Part(name="policy", kind="policy.compiled", rule=Fact(), fresh=timedelta(days=30)),
            Part(name="unused", kind="policy.unused", rule=Fact(), fresh=timedelta(days=30)),
            Part(name="bypass", kind="policy.bypass", rule=Zero(n=1), fresh=timedelta(days=30)),
        ),
    ),
    Requirement(
        id="INT-9",
        statement="Data stays where it may be",
        asks="no call outside the declared regions, and fresh evidence for each control of each regulation",
        gates=("1",),
        who=("owner",),
        remedy="pilothouse report residency",
        parts=(
            Part(
                name="regions",
                kind="regions_observed",
                rule=Zero(n=1),
                fresh=timedelta(days=1),
                answered=("residency",),
            ),
            Part(
                name="controls",
                kind="control",
                rule=Derived(),
                per=Per.REGULATION,
                fresh=timedelta(days=90),
            ),
        ),
    ),
    Requirement(
        id="INT-10",
        statement="Agent and integration never change together",
        asks="no change of the agent within the freeze after a change of an integration",
        gates=("R",),
        who=("A:model_upgrades",),
        remedy="pilothouse integration freeze",
        parts=(Part(kind="change.overlap", rule=Fact(), fresh=timedelta(days=14)),),
    ),
    Requirement(
        id="INT-11",
        statement="The fallback works",
        asks="a drill for each critical integration, with the outcome that the charter declares",
        gates=("2",),
        who=("integration",),
        remedy="pilothouse drill fallback {integration}",
        parts=(
            Part(
                kind="drill.fallback",
                rule=Fact(),
                per=Per.CRITICAL_INTEGRATION,
                fresh="integrations.{integration}.fallback_drill",
            ),
        ),
    ),
)
"""Five items and six further rules."""
