# SPDX-License-Identifier: Apache-2.0
"""Check an agent's tool policies, and write the evidence of INT-8: they hold, they are used, nothing went past them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.powers import Action, may_act, people_who_may
from pilothouse.core.dates import day
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.recorded import recorded
from pilothouse.errors import Denied
from pilothouse.runtime.permissions.engine import ExampleRun, compile_tool, run_examples
from pilothouse.runtime.permissions.mutants import Survivor, survivors
from pilothouse.workflows.controls.boundary_calls import BoundaryCalls, count_boundary_calls
from pilothouse.workflows.controls.policy_use import (
    DECIDED,
    USED_WITHIN,
    UnusedPermissions,
    unused_permissions,
)
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.in_force import charter_in_force

__all__ = [
    "PolicyCheck",
    "PolicyTest",
    "check_policies",
    "look_at_policies",
    "prove_policies",
    "review_unused",
]

REVIEWED = "policy.unused_reviewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTest:
    """What the examples of a charter prove.

    Attributes:
        runs: Every example, run on the compiled policy.
        survivors: Weakened rules that no example noticed.
        mutants: Weakened rules that were tried.
    """

    runs: tuple[ExampleRun, ...]
    survivors: tuple[Survivor, ...]
    mutants: int

    @property
    def passed(self) -> bool:
        """Whether every example holds and every weakened rule was noticed."""
        return all(run.passed for run in self.runs) and not self.survivors


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCheck:
    """The state of an agent's permissions.

    Attributes:
        agent: Agent id.
        test: What its examples prove.
        unused: Permissions that nobody used.
        unused_reviewed: Whether somebody looked at them since; None where no decision is on record, so nothing is known.
        calls: Tool calls that its traces show.
        past: How many of them no decision is on record for.
        unlinked: How many calls have a decision that names no trace of the agent, so that no decision is known of them.
        runs_past: Runs with calls of either kind.
        evidence: What was written.
    """

    agent: str
    test: PolicyTest
    unused: UnusedPermissions
    unused_reviewed: bool | None
    calls: int
    past: int
    unlinked: int
    runs_past: tuple[str, ...]
    evidence: tuple[Evidence, ...]

    @property
    def is_bypassed(self) -> bool:
        """Whether calls go past a boundary that other calls of the agent ask."""
        return self.past > 0 and self.unused.decisions > 0


def prove_policies(charter: Charter) -> PolicyTest:
    """Run every example of a charter on its compiled policies, and weaken each rule in turn.

    Args:
        charter: A charter without errors.

    Raises:
        CharterInvalid: A policy does not compile.
    """
    runs: list[ExampleRun] = []
    left: list[Survivor] = []
    tried = 0
    for name, tool in (known(charter.tools) or {}).items():
        runs.extend(run_examples(compile_tool(name, tool, charter)))
        survived, count = survivors(name, tool)
        left.extend(survived)
        tried += count
    return PolicyTest(runs=tuple(runs), survivors=tuple(left), mutants=tried)


def check_policies(room: BoundaryRoom, agent: str, now: datetime) -> PolicyCheck:
    """Check the permissions of an agent and write what was found as evidence.

    Raises:
        UnknownName: No charter of this agent is in force.
    """
    found = look_at_policies(room, agent, now)
    room.installation.ledger.add_evidence(found.evidence)
    return found


def look_at_policies(room: BoundaryRoom, agent: str, now: datetime) -> PolicyCheck:
    """Return what `check_policies` would find, and write nothing: who only asks changes no verdict.

    Raises:
        UnknownName: No charter of this agent is in force.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    test = prove_policies(charter)
    decided = room.log.search(agent=agent, kind=DECIDED)
    unused = unused_permissions(room, charter, now)
    reviewed = _is_reviewed(room, agent, unused, now)
    version, seen = count_boundary_calls(room, agent, decided, now)
    evidence = _evidence(
        charter,
        test,
        unused,
        reviewed=reviewed,
        version=version,
        seen=seen,
        now=now,
    )
    return PolicyCheck(
        agent=agent,
        test=test,
        unused=unused,
        unused_reviewed=reviewed,
        calls=seen.calls,
        past=seen.past,
        unlinked=seen.unlinked,
        runs_past=seen.runs,
        evidence=evidence,
    )


def review_unused(
    room: BoundaryRoom, agent: str, *, actor: str, reason: str, now: datetime
) -> tuple[tuple[str, str], ...]:
    """Record that a person looked at the unused permissions and keeps them.

    Args:
        room: Installation with its audit log.
        agent: Agent id.
        actor: Who looked, a person id of the charter.
        reason: Why they stay.
        now: The present moment, aware UTC.

    Raises:
        Denied: The charter gives this person no say in what tools may do.
    """
    charter = charter_in_force(room.installation.ledger, agent)
    if not may_act(charter, actor, Action.APPROVE):
        raise Denied(
            f"{actor!r} may not decide that permissions stay",
            remedy=f"One of {', '.join(people_who_may(charter, Action.APPROVE)) or 'the owners'} may: "
            f"`pilothouse policy unused {agent} --keep --as PERSON --reason WHY`.",
            subject=actor,
        )
    unused = unused_permissions(room, charter, now).permissions
    room.installation.ledger.record(
        kind=REVIEWED,
        agent=agent,
        at=now,
        actor=actor,
        document=canonical_json({"permissions": [list(one) for one in unused], "reason": reason}),
    )
    return unused


def _is_reviewed(room: BoundaryRoom, agent: str, unused: UnusedPermissions, now: datetime) -> bool | None:
    """Whether somebody looked at what nobody used; None where there was nothing to use it with."""
    if not unused.permissions:
        return True
    for decision in room.installation.ledger.decisions(agent, kind=REVIEWED, limit=1):
        seen = {tuple(one) for one in json.loads(decision.document)["permissions"]}
        if decision.at > now - USED_WITHIN and set(unused.permissions) <= seen:
            return True
    return False if unused.decisions else None


def _evidence(
    charter: Charter,
    test: PolicyTest,
    unused: UnusedPermissions,
    *,
    reviewed: bool | None,
    version: str | None,
    seen: BoundaryCalls,
    now: datetime,
) -> tuple[Evidence, ...]:
    say = partial(recorded, charter=charter, now=now, command=f"pilothouse policy check {charter.agent}")
    permissions = sum(len(known(tool.task_types) or ()) for tool in (known(charter.tools) or {}).values())
    failing = sum(not run.passed for run in test.runs)
    records = []
    if test.runs:
        records.append(
            say(
                "policy.compiled",
                n=len(test.runs),
                passed=test.passed,
                detail=f"{len(test.runs)} examples run on the compiled policies, {failing} fail; "
                f"{test.mutants} weakened rules tried, {len(test.survivors)} noticed by no example",
            )
        )
    if permissions and reviewed is not None:
        records.append(
            say(
                "policy.unused",
                since=unused.since,
                n=permissions,
                passed=reviewed,
                detail=f"{len(unused.permissions)} of {permissions} permissions unused since "
                f"{day(unused.since)}{', reviewed' if unused.permissions and reviewed else ''}",
            )
        )
    # Who never asked has no boundary to go past: that its calls are not held to anything is missing evidence, and no breach.
    if seen.calls and unused.decisions:
        told = f"{seen.past} of {seen.calls} tool calls without a decision on record"
        if seen.unlinked:
            told += f"; {seen.unlinked} cannot be told, since decisions name runs that no trace has"
        records.append(
            say(
                "policy.bypass",
                version=version,
                since=now - USED_WITHIN,
                n=seen.calls,
                good=seen.calls - seen.past - seen.unlinked,
                counts={"unknown": seen.unlinked} if seen.unlinked else {},
                detail=told,
                items=seen.runs,
            )
        )
    return tuple(records)
