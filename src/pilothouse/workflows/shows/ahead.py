# SPDX-License-Identifier: Apache-2.0
"""Make the pages that read all tasks of weeks before anybody opens them (tick of a server → kept pages)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from pilothouse.reports.view_models import Page
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.reports.report import show_executive
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.reports.sprint import show_sprint
from pilothouse.workflows.reports.value import show_value
from pilothouse.workflows.shows.agent_pages import show_integrations
from pilothouse.workflows.shows.desk import PageDesk
from pilothouse.workflows.verdict.kept_pages import Make

__all__ = ["AHEAD_EVERY_S", "AHEAD_LIFE", "PagesAhead"]

AHEAD_EVERY_S = 60.0
"""Least pause between two rounds."""

AHEAD_SHARE = 0.05
"""Most of one processor that rounds take: one of seven seconds is followed by more than two minutes of rest."""

AHEAD_LIFE = timedelta(minutes=10)
"""Age at which a page that was not renewed is made by whoever opens it: rounds are failing, and nothing old stays."""

_OF_AGENT: Mapping[str, Make[Page]] = {
    "integrations": show_integrations,
    "value": show_value,
    "executive": show_executive,
    "sprint": show_sprint,
}


class PagesAhead:
    """Renews assessments and pages of every agent with a charter.

    Args:
        installation: Lake and ledger.
        shows: Keeps the pages; its `life` is `AHEAD_LIFE`.
        desk: Makes those of sections.
    """

    def __init__(self, installation: Installation, shows: Shows, desk: PageDesk) -> None:
        self._installation = installation
        self._shows = shows
        self._desk = desk
        self._rests_until = 0.0

    def run(self, now: datetime) -> None:
        """Renew what is shown of every agent.

        Args:
            now: The present moment; pages take their own, down to the minute.

        Raises:
            PilothouseError: The first agent that could not be judged, after all others have been.
        """
        del now
        if time.monotonic() < self._rests_until:
            return
        makes: Mapping[str, Make[Page]] = {**_OF_AGENT, "tour": self._desk.tour}
        began = time.thread_time()
        try:
            for_every_agent(self._installation.ledger, lambda record: self._shows.renew(record.agent, makes))
        finally:
            self._rests_until = time.monotonic() + (time.thread_time() - began) / AHEAD_SHARE
