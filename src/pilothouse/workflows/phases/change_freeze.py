# SPDX-License-Identifier: Apache-2.0
"""Hold the changes of an agent and of its integrations against the freeze (charters + versions in traffic → evidence)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import compare_charters
from pilothouse.core.dates import day
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.change_freeze import (
    FREEZE,
    ChangeStep,
    Overlap,
    find_overlaps,
    freeze_after,
    sides_of,
)
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_in_force, charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict.accept import ACCEPTED

__all__ = ["FREEZE_LOOK_EVERY_S", "FreezeState", "look_at_changes", "measure_freeze"]

LOOK_BACK = timedelta(days=14)
"""As INT-10 asks; changes of a freeze before are needed to judge its first day."""

CHARTERS_MAX = 200
"""Changes of a charter that are looked through; a narrow agent has a few a month."""

FREEZE_LOOK_EVERY_S = 3_600.0

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeState:
    """What changed, and what stands still.

    Attributes:
        agent: Agent id.
        steps: Changes, oldest first.
        overlaps: Those that stand too close.
        agent_until: Until when the agent must not change, or None.
        integrations_until: Until when integrations must not, or None.
        evidence: The same as a record.
    """

    agent: str
    steps: tuple[ChangeStep, ...]
    overlaps: tuple[Overlap, ...]
    agent_until: datetime | None
    integrations_until: datetime | None
    evidence: Evidence


def look_at_changes(installation: Installation, now: datetime) -> int:
    """Measure every agent with a charter; what is as it was is written once a day. Return how many were new.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def look(record: CharterInForce) -> int:
        fresh = measure_freeze(installation, record.agent, now).evidence
        today = installation.ledger.evidence(record.agent, since=now - timedelta(days=1), kinds=[fresh.kind])
        said = [(one.passed, one.detail) for one in today]
        if (fresh.passed, fresh.detail) in said[-1:]:
            return 0
        return installation.ledger.add_evidence([fresh])

    return for_every_agent(installation.ledger, look)


def measure_freeze(installation: Installation, agent: str, now: datetime) -> FreezeState:
    """Return the changes of an agent and its integrations, and whether they kept their distance.

    Raises:
        UsageError: No charter is in force.
    """
    charter = charter_in_force(installation.ledger, agent)
    since = now - LOOK_BACK
    steps = _with_versions(_charter_steps(installation, agent), _versions(installation, agent, now))
    recent = tuple(step for step in steps if step.at >= since - FREEZE)
    overlaps = find_overlaps(recent, since=since)
    freeze = freeze_after(recent)
    evidence = recorded(
        "change.overlap",
        charter,
        now,
        command=f"pilothouse integration freeze --agent {agent}",
        since=since,
        n=max(1, len(recent)),
        passed=not overlaps,
        detail=_detail(recent, overlaps),
    )
    return FreezeState(
        agent=agent,
        steps=recent,
        overlaps=overlaps,
        agent_until=_if_ahead(freeze.agent_until, now),
        integrations_until=_if_ahead(freeze.integrations_until, now),
        evidence=evidence,
    )


def _if_ahead(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None


def _charter_steps(installation: Installation, agent: str) -> list[ChangeStep]:
    """Every charter after the first, as what it changed."""
    accepted = installation.ledger.decisions(agent, kind=ACCEPTED, limit=CHARTERS_MAX)
    steps: list[ChangeStep] = []
    before: Charter | None = None
    seen: list[str] = []
    for decision in reversed(accepted):  # in the order of the ledger: a clock may go back
        record = installation.ledger.charter(agent, number=json.loads(decision.document)["number"])
        if record is None:
            continue
        charter = charter_of(record)
        if before is not None:
            changed = sides_of(compare_charters(before, charter).changes)
            if changed.agent or changed.integrations:
                steps.append(
                    ChangeStep(
                        at=decision.at,
                        agent=changed.agent,
                        integrations=changed.integrations,
                        undoes=_behaviour(charter) in seen,
                    )
                )
        seen.append(_behaviour(charter))
        before = charter
    return steps


def _behaviour(charter: Charter) -> str:
    """What of a charter makes the agent behave as it does, as one text."""
    return f"{charter.model.pin.model_dump_json()} {charter.prompts}"


def _versions(installation: Installation, agent: str, now: datetime) -> list[tuple[datetime, str]]:
    """When each version was first seen at work in the window, oldest first."""
    begin, end = unix_ns(now - LOOK_BACK - FREEZE), unix_ns(now)
    first: dict[str, int] = {}
    for start in range(
        begin, end, DAY_NS
    ):  # day by day: three weeks of a busy agent are more than one answer holds
        wanted = TaskFilter(agent=agent, from_ns=start, to_ns=min(start + DAY_NS, end))
        for task in installation.lake.window(wanted):
            if task.version_digest is not None:
                first[task.version_digest] = min(task.start_ns, first.get(task.version_digest, task.start_ns))
    found = sorted((at_ns, version) for version, at_ns in first.items())
    return [(datetime.fromtimestamp(at_ns / 1e9, UTC), version) for at_ns, version in found]


def _with_versions(steps: Sequence[ChangeStep], versions: Sequence[tuple[datetime, str]]) -> list[ChangeStep]:
    """Add the versions that no change of the charter explains: their code or a prompt's text changed.

    The version that the window began with is no change; it has every change before it, so that none of them explains a later one.
    """
    found, waiting = list(steps), list(steps)
    for place, (at, version) in enumerate(versions):
        explained = [step for step in waiting if step.at <= at]
        if explained:
            waiting = [step for step in waiting if step.at > at]
        elif place:
            found.append(ChangeStep(at=at, agent=(f"version {version[:12]} of its code or prompts",)))
    return sorted(found, key=lambda step: step.at)


def _detail(steps: Sequence[ChangeStep], overlaps: Sequence[Overlap]) -> str:
    days = LOOK_BACK.days
    if not overlaps:
        return f"{len(steps)} changes looked at, none of the agent within {FREEZE.days} days of an integration's, for {days} days"
    first = overlaps[0]
    if first.first is first.second:
        both = f"{first.first.agent[0]} and {first.first.integrations[0]}"
        return f"{len(overlaps)} overlaps; {both} changed together on {day(first.first.at)}"
    return (
        f"{len(overlaps)} overlaps; {_words(first.first)} on {day(first.first.at)}, "
        f"then {_words(first.second)} on {day(first.second.at)}"
    )


def _words(step: ChangeStep) -> str:
    return (*step.integrations, *step.agent)[0]
