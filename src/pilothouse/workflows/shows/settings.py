# SPDX-License-Identifier: Apache-2.0
"""Gather the Settings page (settings, gateway store, charters, contacts → view model); nothing secret leaves here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.ports.contacts import ContactStore, Notifier
from pilothouse.ports.gateway import GatewayStore
from pilothouse.reports.sections import SectionsPage
from pilothouse.reports.settings_page import KnownPerson, SettingsFacts, build_settings
from pilothouse.settings import Settings
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.retention_rule import retention_rule

__all__ = ["show_settings"]

MASKED = "•••"
"""What stands for a secret that is set."""


@dataclass(slots=True)
class _Seen:
    name: str
    agents: list[str]


def show_settings(
    installation: Installation,
    gateway: GatewayStore,
    contacts: ContactStore,
    notifier: Notifier,
    now: datetime,
    *,
    operated: Collection[str] = (),
    tried: str = "",
) -> SectionsPage:
    """Return the Settings page.

    Args:
        installation: Lake and ledger.
        gateway: Keys and providers.
        contacts: Addresses of people.
        notifier: Masks addresses.
        now: The moment, aware UTC.
        operated: Agents that the visitor operates.
        tried: What came of a test note that was sent just now.
    """
    people: dict[str, _Seen] = {}
    kept = []
    for record in installation.ledger.charters():
        charter = charter_of(record)
        for person, entry in charter.people.items():
            identity = known(entry.identity) or person
            seen = people.setdefault(identity, _Seen(known(entry.name) or person, []))
            seen.agents.append(record.agent)
        kept.append(retention_rule(charter))
    ways: dict[str, list[str]] = {}
    for one in contacts.all():
        ways.setdefault(one.identity, []).append(f"{one.channel}: {notifier.masked(one.url)}")
    facts = SettingsFacts(
        values=_values(installation.settings),
        providers=tuple(gateway.providers()),
        keys=tuple(gateway.list_keys()),
        people=tuple(
            KnownPerson(
                identity=identity,
                name=seen.name,
                agents=tuple(seen.agents),
                ways=tuple(ways.get(identity, ())),
            )
            for identity, seen in people.items()
        ),
        kept=tuple(kept),
        prices=len(installation.ledger.prices()),
    )
    return build_settings(facts, now, operated=operated, tried=tried)


def _values(settings: Settings) -> tuple[tuple[str, str, str], ...]:
    sources = dict(settings.sources)
    shown = {
        "home": str(settings.home),
        "host": settings.host,
        "port": str(settings.port),
        "ledger": MASKED if settings.ledger else "a file in the data folder",
        "allowed_hosts": ", ".join(settings.allowed_hosts),
        "proxy_header": settings.proxy_header,
        "proxy_secret": MASKED if settings.proxy_secret else "",
        "ingest_items_per_s": f"{settings.ingest_items_per_s:,}",
        "ingest_bytes_per_day": f"{settings.ingest_bytes_per_day:,}",
    }
    return tuple((name, value, sources.get(name, "default")) for name, value in shown.items())
