# SPDX-License-Identifier: Apache-2.0
"""Gather the pages about one domain of an agent, and the tour through all of them (assessment, ledger → view models)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pilothouse.ports.contacts import ContactStore
from pilothouse.ports.gateway import Spent
from pilothouse.ports.watch import WatchStore
from pilothouse.reports.evals import build_evals
from pilothouse.reports.integrations import build_integrations
from pilothouse.reports.model_spending import spending_section
from pilothouse.reports.ownership import OwnershipFacts, build_ownership
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.tour import build_tour
from pilothouse.reports.watch import build_watch
from pilothouse.reports.watch_work import coverage_section, failures_section
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.releases import read_releases
from pilothouse.workflows.integrations.integrations import rollout_order, take_inventory
from pilothouse.workflows.people.directory import people_gone
from pilothouse.workflows.people.signing import signatures
from pilothouse.workflows.phases.rollout import show_rollout
from pilothouse.workflows.reports.report import show_executive
from pilothouse.workflows.reports.value import show_value
from pilothouse.workflows.verdict.assess import Assessment
from pilothouse.workflows.watch.errors import ERRORS
from pilothouse.workflows.watch.missed import missed_sentence
from pilothouse.workflows.watch.ownership_watch import look_at_ownership
from pilothouse.workflows.watch.row import DROPS
from pilothouse.workflows.watch.status import watch_status

__all__ = ["show_evals", "show_integrations", "show_ownership", "show_tour", "show_watch"]

DECISIONS_READ = 50
"""Newest decisions of the gate that are read."""


def show_ownership(
    installation: Installation,
    contacts: ContactStore,
    found: Assessment,
    now: datetime,
    *,
    person: str = "",
) -> SectionsPage:
    """Return the Ownership page.

    Args:
        installation: Lake and ledger.
        contacts: Addresses of people.
        found: Assessment of the agent at the moment.
        now: The moment, aware UTC.
        person: Person id of who looks at it, or empty.
    """
    agent = found.charter.agent
    channels: dict[str, list[str]] = {}
    for one in contacts.all():
        channels.setdefault(one.identity, []).append(one.channel)
    record = installation.ledger.charter(agent)
    facts = OwnershipFacts(
        asked=signatures(installation.ledger, agent, now),
        evidence=tuple(installation.ledger.evidence(agent, kinds=["review.held"])),
        channels=channels,
        gone=frozenset(people_gone(installation.ledger, agent)),
        noticed=[
            (one.sentence, one.layer == "verdict")
            for one in ([] if record is None else look_at_ownership(installation.ledger, record, now))
        ],
    )
    return build_ownership(found.charter, found.verdict, facts, now, person=person)


def show_integrations(installation: Installation, found: Assessment) -> SectionsPage:
    """Return the Integrations page, as of the moment of its assessment."""
    agent, now = found.charter.agent, found.verdict.as_of
    inventory, order = take_inventory(installation, agent, now), rollout_order(installation, agent, now)
    return build_integrations(found.charter, found.verdict, inventory, order, now)


def show_evals(installation: Installation, found: Assessment, now: datetime) -> SectionsPage:
    """Return the Evals page."""
    agent = found.charter.agent
    decisions = installation.ledger.decisions(agent, kind="release", limit=DECISIONS_READ)
    releases = list(read_releases(decisions))
    return build_evals(
        found.charter, found.verdict, releases, tuple(installation.ledger.evidence(agent)), now
    )


def show_watch(store: WatchStore, found: Assessment, spent: Spent | None, now: datetime) -> SectionsPage:
    """Return the Watch page.

    Args:
        store: What the detectors remember and said.
        found: Assessment of the agent at the moment.
        spent: What its model calls have cost today, or None where none has passed the gateway.
        now: The moment, aware UTC.
    """
    status = watch_status(store, found.charter, now.date(), verdict=found.verdict)
    return build_watch(
        found.charter,
        found.verdict,
        status.detectors,
        now,
        falls=DROPS,
        cost=status.cost,
        further=(
            failures_section(
                found.charter.agent,
                status.failures,
                is_counted=any(one.metric == ERRORS and one.n for one in status.detectors),
            ),
            coverage_section(status.coverage),
            spending_section(found.charter, spent),
        ),
        missed=missed_sentence(status.missed),
    )


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
