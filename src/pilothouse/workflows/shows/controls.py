# SPDX-License-Identifier: Apache-2.0
"""Gather the Controls page (controls, approvals, audit log, compiled policies → view model)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import CharterInvalid
from pilothouse.ports.audit import AuditRecord
from pilothouse.ports.controls import ControlStore
from pilothouse.ports.lake import AgentSeen
from pilothouse.reports.control_facts import ControlFacts, DeniedCall, ExamplesRun, ToolUse
from pilothouse.reports.controls import build_controls
from pilothouse.reports.sections import SectionsPage
from pilothouse.runtime.permissions.engine import compile_tool, run_examples
from pilothouse.workflows.controls.controls import versions_that_held
from pilothouse.workflows.controls.policy_use import DECIDED
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.in_force import charter_in_force

__all__ = ["show_controls"]

USED_WITHIN = timedelta(days=30)
"""As INT-8 asks: a permission nobody used for a month is a candidate for removal."""

DECISIONS_READ_MAX = 5_000
"""Newest decisions a page counts; `pilothouse policy check` counts all."""

DENIED_SHOWN = 20


def show_controls(
    room: BoundaryRoom,
    controls: ControlStore,
    agent: str,
    now: datetime,
    *,
    seen: Sequence[AgentSeen],
    person: str = "",
    doing: str = "",
) -> SectionsPage:
    """Return the Controls page.

    Args:
        room: Installation with audit log and approvals.
        controls: What is paused or rolled back.
        agent: Agent with a charter in force.
        now: The moment, aware UTC.
        seen: The agents that telemetry knows.
        person: Person id of who looks at it, or empty.
        doing: What the visitor asked to do and has not confirmed.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    state = controls.read()
    most = min(DECISIONS_READ_MAX, room.searched_max)
    decided = room.log.search(agent=agent, kind=DECIDED, limit=most)
    used, denied = _count(decided, now)
    is_cut = len(decided) == most and decided[-1].at > now - USED_WITHIN
    examples, problem = _examples(charter)
    versions = next((one.versions for one in seen if one.agent == agent), ())
    serving = versions[0] if versions else None
    facts = ControlFacts(
        pauses=tuple(one for one in state.pauses.values() if one.agent == agent),
        rollback=state.rollback_of(agent),
        version=serving,
        earlier=tuple(one for one in versions_that_held(room.installation, agent) if one != serving),
        waiting=tuple(room.approvals.waiting(agent)),
        used=used,
        examples=examples,
        problem=problem,
        denied=denied,
        approvers=tuple(room.approvals.approvers(agent)),
        used_since=decided[-1].at if is_cut else None,
    )
    return build_controls(charter, facts, now, person=person, doing=doing)


def _count(
    decided: Sequence[AuditRecord], now: datetime
) -> tuple[Mapping[str, ToolUse], tuple[DeniedCall, ...]]:
    counts: dict[str, dict[str, int]] = {}
    last: dict[str, datetime] = {}
    denied: list[DeniedCall] = []
    for record in decided:
        if record.at <= now - USED_WITHIN:
            break  # newest first
        document = json.loads(record.text)["document"]
        tool, decision = document["tool"], document["decision"]
        own = counts.setdefault(tool, {})
        own[decision] = own.get(decision, 0) + 1
        if decision == "allow":
            last.setdefault(tool, record.at)
        elif decision == "deny" and len(denied) < DENIED_SHOWN:
            failed = ", ".join(document.get("failed", ())) or "none named"
            denied.append(DeniedCall(at=record.at, tool=tool, run=document["run"], rule=failed))
    used = {
        tool: ToolUse(
            allowed=own.get("allow", 0),
            asked=own.get("ask", 0),
            denied=own.get("deny", 0),
            last_at=last.get(tool),
        )
        for tool, own in counts.items()
    }
    return used, tuple(denied)


def _examples(charter: Charter) -> tuple[Mapping[str, ExamplesRun], str]:
    try:
        return _run_examples(charter), ""
    except CharterInvalid as error:
        return {}, f"The examples could not be run: {error.message}. {error.remedy}"


_KEPT: dict[str, Mapping[str, ExamplesRun]] = {}
"""Examples by the digest of the charter's `tools`: compiling takes some 10 ms a tool and gives the same each time."""

KEPT_MAX = 64


def _run_examples(charter: Charter) -> Mapping[str, ExamplesRun]:
    digest = charter.section_digests["tools"]
    if digest not in _KEPT:
        if len(_KEPT) >= KEPT_MAX:
            _KEPT.clear()
        _KEPT[digest] = _run(charter)
    return _KEPT[digest]


def _run(charter: Charter) -> Mapping[str, ExamplesRun]:
    found = {}
    for name, tool in (known(charter.tools) or {}).items():
        runs = run_examples(compile_tool(name, tool, charter))
        found[name] = ExamplesRun(
            allow=sum(run.passed and run.kind == "allow" for run in runs),
            deny=sum(run.passed and run.kind == "deny" for run in runs),
            failing=tuple(f"{run.kind}: {run.rule}" for run in runs if not run.passed),
        )
    return found
