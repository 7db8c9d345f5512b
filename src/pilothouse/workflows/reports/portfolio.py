# SPDX-License-Identifier: Apache-2.0
"""Gather the portfolio: the newest verdict of every agent, frozen while it is young, and its stability clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import PilothouseError
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.portfolio import Holding, PortfolioPage, build_portfolio
from pilothouse.workflows.controls.stops import controls_of
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.reports.show import young_verdict
from pilothouse.workflows.reports.waiting import waiting_by_agent
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.stability import read_clock

__all__ = ["show_portfolio"]


def show_portfolio(installation: Installation, now: datetime) -> PortfolioPage:
    """Return the portfolio; an agent that cannot be judged stands in it with the reason."""
    stopped = controls_of(installation).stopped_word
    records = installation.ledger.charters()
    waiting = waiting_by_agent(installation, [one.agent for one in records], now)
    holdings = [
        replace(_holding(installation, one, now), stopped=stopped(one.agent), work=waiting(one.agent))
        for one in records
    ]
    return build_portfolio(holdings, now)


def _holding(installation: Installation, record: CharterInForce, now: datetime) -> Holding:
    charter: Charter | None = None
    try:
        charter = charter_of(record)
        verdict: AgentVerdict = (
            young_verdict(installation.ledger, record, now)
            or assess(installation, record.agent, now, freeze=False).verdict
        )
        clock = read_clock(installation.ledger, charter, now)
    except PilothouseError as error:
        return Holding(agent=record.agent, charter=charter, verdict=None, clock=None, problem=error.message)
    return Holding(agent=record.agent, charter=charter, verdict=verdict, clock=clock)
