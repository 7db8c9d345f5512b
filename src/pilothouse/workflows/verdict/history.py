# SPDX-License-Identifier: Apache-2.0
"""Keep the history of verdicts while nobody looks: what an agent's verdict says is frozen whenever it changes."""

from __future__ import annotations

from datetime import datetime, timedelta

from pilothouse.core.verdict.readiness import verdict_digest, verdict_document
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import newest_verdict
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict.kept_pages import Judge, unfrozen

__all__ = ["freeze_changes"]

UNCHANGED_MAX = timedelta(days=1)
"""A verdict that says the same is frozen once a day: one is 0.2 MB, and every five minutes would be 60 MB a day."""


def freeze_changes(installation: Installation, now: datetime, judge: Judge = unfrozen) -> int:
    """Judge every agent with a charter, and freeze each verdict that says something else than the last frozen one.

    Args:
        installation: Lake and ledger.
        now: The present moment, aware UTC.
        judge: Gives assessments; a server hands over those that its pages show.

    Returns:
        How many verdicts were frozen; none when run again at once.

    Raises:
        PilothouseError: The first agent that could not be judged, after all others have been.
    """
    return for_every_agent(
        installation.ledger,
        lambda record: _freeze(installation, record, judge(installation, record.agent, now).verdict),
    )


def _freeze(installation: Installation, record: CharterInForce, verdict: AgentVerdict) -> bool:
    now = verdict.as_of
    before = newest_verdict(installation.ledger, record.agent)
    if before is not None and _said(before) == _said(verdict) and now - before.as_of < UNCHANGED_MAX:
        return False
    installation.ledger.save_verdict(
        agent=record.agent,
        at=now,
        status=verdict.status.value,
        document=verdict_document(verdict),
        digest=verdict_digest(verdict),
    )
    return True


def _said(verdict: AgentVerdict) -> tuple[object, ...]:
    """Return what a reader would act upon; ages and counts change all the time."""
    items = (
        (item.requirement, item.scope.label, item.status, item.reason)
        for requirement in verdict.requirements
        for item in requirement.items
    )
    return (verdict.charter_digest, verdict.version, verdict.phase, verdict.word, *sorted(map(str, items)))
