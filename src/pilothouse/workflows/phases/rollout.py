# SPDX-License-Identifier: Apache-2.0
"""Gather what the Rollout page shows: the verdict, the phase in force, open approvals and the clock."""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.dates import minute
from pilothouse.core.verdict.phases import approvers_of, fold_phase
from pilothouse.ports.ledger import Ledger
from pilothouse.reports.rollout import RolloutPage, build_rollout
from pilothouse.reports.rollout_additions import AdditionStanding
from pilothouse.reports.rollout_next import Standing
from pilothouse.workflows.ground.act_log import StandingAct, shown_acts
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import additions_of, looks_taken, open_request, phase_events
from pilothouse.workflows.verdict.assess import Assessment
from pilothouse.workflows.verdict.stability import read_clock

__all__ = ["show_rollout"]


def show_rollout(installation: Installation, found: Assessment) -> RolloutPage:
    """Return the Rollout page of an assessment; nothing is stored and no look is spent."""
    ledger, agent, now = installation.ledger, found.charter.agent, found.verdict.as_of
    events = phase_events(ledger, agent)
    state = fold_phase(events)
    waiting = open_request(ledger, agent, now)
    needed = approvers_of(found.charter, waiting.target) if waiting else ()
    approved = waiting.approved_by if waiting else ()
    standing = Standing(
        state=state,
        events=events,
        looks=looks_taken(ledger, agent, state),
        approved_by=approved,
        waiting_for=tuple(person for person in needed if person not in approved),
        clock=read_clock(ledger, found.charter, now),
        acts=tuple((one.act, _lifted(one)) for one in shown_acts(ledger, agent)),
        request=str(waiting.sequence) if waiting else "",
    )
    return build_rollout(
        found.charter,
        found.verdict,
        standing,
        now,
        ahead=found.ahead,
        additions=_additions(ledger, found, now),
    )


def _additions(ledger: Ledger, found: Assessment, now: datetime) -> tuple[AdditionStanding, ...]:
    agent = found.charter.agent
    verdicts = {one.label: one for one in found.verdict.additions}
    rows = []
    for one in additions_of(ledger, agent):
        waiting = open_request(ledger, agent, now, one)
        needed = approvers_of(found.charter, waiting.target) if waiting else ()
        rows.append(
            AdditionStanding(
                addition=one,
                verdict=verdicts.get(one.label) if one.joined_at is None else None,
                looks=looks_taken(ledger, agent, one.state, one),
                waiting_for=tuple(
                    person for person in needed if waiting and person not in waiting.approved_by
                ),
                request=str(waiting.sequence) if waiting else "",
            )
        )
    return tuple(rows)


def _lifted(one: StandingAct) -> str:
    return f"Lifted by {one.lifted_by} on {minute(one.lifted_at)}." if one.lifted_by and one.lifted_at else ""
