# SPDX-License-Identifier: Apache-2.0
"""Put on record whether the deployment that a charter declares of its pinned model is the one that its server lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models import Deployment
from pilothouse.core.evidence.deployment import DEPLOYMENT, ComparedDeployment, compare_deployment
from pilothouse.core.evidence.evidence import UNKNOWN, Evidence, Scope
from pilothouse.core.evidence.recorded import recorded
from pilothouse.errors import ProviderError
from pilothouse.ports.gateway import Provider
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.words import plural
from pilothouse.workflows.ground.every_agent import for_every_agent
from pilothouse.workflows.ground.in_force import charter_of

__all__ = ["DEPLOYMENTS_EVERY_S", "ListingOf", "measure_deployment", "renew_deployments"]

DEPLOYMENTS_EVERY_S = 3_600.0
"""The record lapses after a day; an hour is soon enough for a server that was rolled out anew."""

RENEWED_AFTER = timedelta(hours=6)
"""The same record as before is written again when it is this old."""

COMMAND = "pilothouse provider check"

ListingOf = Callable[[Provider], bytes]
"""Gives the body of a provider's list of models."""


def measure_deployment(
    charter: Charter, providers: Mapping[str, Provider], listing_of: ListingOf, now: datetime
) -> Evidence | None:
    """Return the record of an agent's deployment; None where its charter declares none.

    Args:
        charter: The charter in force.
        providers: Where models are served, by name.
        listing_of: Asks one which models it serves.
        now: The moment, aware UTC.

    Raises:
        ProviderError: The server is not known here, or cannot be asked: then nothing new is known.
    """
    pin = charter.model.pin
    if pin.deployment is None or is_open(pin.model) or is_open(pin.provider):
        return None
    provider = providers.get(pin.provider)
    if provider is None:
        raise ProviderError(
            f"no provider {pin.provider!r} is known here, so nobody can say what it deploys",
            remedy=f"Say where it is: `pilothouse provider add {pin.provider} URL --credential-env VARIABLE`.",
            subject=pin.provider,
        )
    entry = _entry(listing_of(provider), frozenset({pin.model, *pin.served_as}))
    found = compare_deployment(pin.deployment, entry or {})
    return recorded(
        DEPLOYMENT,
        charter,
        now,
        command=COMMAND,
        scope=Scope(part=pin.model),
        n=len(found.same) + len(found.other) + len(found.unsaid),
        passed=found.passed,
        counts={UNKNOWN: len(found.unsaid)},
        detail=foreign_line(
            _detail(pin.provider, pin.model, pin.deployment, found, is_listed=entry is not None)
        ),
    )


def renew_deployments(
    ledger: Ledger, providers: Mapping[str, Provider], listing_of: ListingOf, now: datetime
) -> int:
    """Put on record for every agent what its server says of its deployment, when that changed or will lapse; return new records.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def renew(record: CharterInForce) -> int:
        found = measure_deployment(charter_of(record), providers, listing_of, now)
        if found is None:
            return 0
        stored = ledger.evidence(record.agent, kinds=(DEPLOYMENT,))
        last = max(stored, key=lambda one: one.window_to, default=None)
        is_same = last is not None and (last.passed, last.detail, last.binds) == (
            found.passed,
            found.detail,
            found.binds,
        )
        if last is not None and is_same and now - last.window_to < RENEWED_AFTER:
            return 0
        return ledger.add_evidence([found])

    return for_every_agent(ledger, renew)


def _entry(listing: bytes, names: frozenset[str]) -> Mapping[str, object] | None:
    """Return the entry of a model in a listing, or None where it has none or cannot be read."""
    try:
        said = json.loads(listing)
    except (ValueError, RecursionError):
        return None
    entries = said.get("data") if isinstance(said, dict) else None
    for one in entries if isinstance(entries, list) else ():
        if isinstance(one, dict) and one.get("id") in names:
            return one
    return None


def _detail(
    provider: str, model: str, declared: Deployment, found: ComparedDeployment, *, is_listed: bool
) -> str:
    if not is_listed:
        return f"{provider} does not list {model}, so nothing of its deployment is shown"
    if found.other:
        return f"{provider} lists another deployment of {model}: {'; '.join(found.other)}"
    if found.unsaid:
        return f"{provider} lists {model} and does not say its {' or '.join(found.unsaid)}"
    said = ", ".join(f"{key} {getattr(declared, key)}" for key in found.same)
    return f"{provider} lists {model} with {plural(len(found.same), 'part')} as declared: {said}"
