# SPDX-License-Identifier: Apache-2.0
"""Gather the tour: the first sentences of the pages it leads to, computed as those pages compute them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.tour import build_tour
from pilothouse.workflows.assess import Assessment
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.report import show_executive
from pilothouse.workflows.rollout import show_rollout
from pilothouse.workflows.value import show_value

__all__ = ["show_tour"]

_ON_THE_SHELF = ("audit", "controls", "evals", "integrations", "ownership", "watch")


def show_tour(
    installation: Installation, found: Assessment, show: Callable[[str], SectionsPage], now: datetime
) -> SectionsPage:
    """Return the tour of an agent.

    Args:
        installation: Lake and ledger.
        found: Assessment of the agent at the moment.
        show: Makes a page of sections by its name.
        now: The moment, aware UTC.
    """
    agent = found.charter.agent
    says = {"agent": found.verdict.sentence, "readiness": found.verdict.sentence}
    says |= {name: show(name).sentence.plain for name in _ON_THE_SHELF}
    says["rollout"] = show_rollout(installation, found).sentence.plain
    says["value"] = show_value(installation, found).sentence.plain
    says["executive"] = show_executive(installation, found).sentence.plain
    return build_tour(agent, says, now)
