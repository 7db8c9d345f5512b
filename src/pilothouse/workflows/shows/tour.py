# SPDX-License-Identifier: Apache-2.0
"""Gather the tour: the first sentences of the pages it leads to, computed as those pages compute them."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.tour import build_tour
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.phases.rollout import show_rollout
from pilothouse.workflows.reports.report import show_executive
from pilothouse.workflows.reports.value import show_value
from pilothouse.workflows.shows.agent_pages import show_integrations
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["show_tour"]


def show_tour(installation: Installation, found: Assessment, says: Mapping[str, str]) -> SectionsPage:
    """Return the tour of an agent.

    Args:
        installation: Lake and ledger.
        found: Assessment of the agent at the moment.
        says: First sentences of pages that are gathered elsewhere, by name.
    """
    own = {"agent": found.verdict.sentence, "readiness": found.verdict.sentence}
    own["integrations"] = show_integrations(installation, found).sentence.plain
    own["rollout"] = show_rollout(installation, found).sentence.plain
    own["value"] = show_value(installation, found).sentence.plain
    own["executive"] = show_executive(installation, found).sentence.plain
    return build_tour(found.charter.agent, {**own, **says}, found.verdict.as_of)
