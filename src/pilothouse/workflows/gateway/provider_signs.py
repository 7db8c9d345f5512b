# SPDX-License-Identifier: Apache-2.0
"""Put on record what providers show: a credential that is refused, a backend that changed under a pin.

A running server reads the record and calls people (`workflows.watch.provider_watch`), also where the gateway is a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pilothouse.ports.ledger import Ledger
from pilothouse.reports.foreign import foreign_line
from pilothouse.workflows.gateway.notes import put_on_record

if TYPE_CHECKING:
    from pilothouse.runtime.gateway.signs import Refusing, SeenBackend

__all__ = [
    "FINGERPRINT_KIND",
    "REFUSED_KIND",
    "SIGNS_EVERY_S",
    "SignBook",
]

SIGNS_EVERY_S = 30.0
"""How soon a refused credential is on record, and how soon it calls somebody after that."""

REFUSED_KIND, FINGERPRINT_KIND = "provider.refused", "model.fingerprint"
"""Kinds of records."""

LASTS_EVERY = timedelta(hours=1)
"""What goes on is put on record this often."""

LEARNT_WITHIN = timedelta(days=1)
"""Providers serve a model from several backends at once: those of the first day are how it is, later ones are a change."""

NEW_MAX, NEW_WITHIN = 20, timedelta(days=30)
"""A provider that says a new fingerprint with each answer says nothing by it: more are not put on record. Real backends change a few
times a month."""

READ_MAX = 1_000
TEXT_CHARACTERS_MAX = 200


class SignBook:
    """Puts on record what a gateway has seen."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._told: dict[tuple[str, str, int], datetime] = {}

    def note_refusing(self, refusing: Sequence[Refusing], now: datetime) -> int:
        """Put on record who refuses, at once and then once an hour while it lasts; return how many records were written."""
        places = {(one.agent, one.provider, one.since_ns): one for one in refusing}
        self._told = {place: at for place, at in self._told.items() if place in places}
        due = [
            place
            for place in places
            if place not in self._told or not timedelta() <= now - self._told[place] < LASTS_EVERY
        ]
        for place in due:
            one = places[place]
            since = datetime.fromtimestamp(one.since_ns // 10**9, UTC)
            document = {
                "provider": _line(one.provider),
                "model": _line(one.model),
                "why": one.why,
                "since": since.isoformat(),
                "calls": one.calls,
            }
            put_on_record(self._ledger, REFUSED_KIND, one.agent, document, now)
            self._told[place] = now
        return len(due)

    def note_backend(self, seen: SeenBackend, now: datetime) -> bool:
        """Put a fingerprint on record that is not there yet; return whether it was written.

        Raises:
            Conflict: Another process wrote one at this moment.
        """
        listed = self._ledger.decisions(seen.agent, kind=FINGERPRINT_KIND, limit=READ_MAX)
        provider, model, fingerprint = _line(seen.provider), _line(seen.model), _line(seen.fingerprint)
        known = [
            (one.at, said) for one in listed if _is_of(said := json.loads(one.document), provider, model)
        ]
        new = sum(at > now - NEW_WITHIN for at, _ in known)
        told = [said for _, said in known if said["fingerprint"] == fingerprint]
        if any(said.get("is_refused", False) or not seen.is_refused for said in told) or new >= NEW_MAX:
            return False
        document = {
            "provider": provider,
            "model": model,
            "fingerprint": fingerprint,
            "before": known[0][1]["fingerprint"] if known else None,
            "is_change": bool(known) and known[-1][0] <= now - LEARNT_WITHIN,
            "is_refused": seen.is_refused,
        }
        put_on_record(self._ledger, FINGERPRINT_KIND, seen.agent, document, now, listed=listed)
        return True


def _is_of(said: dict[str, Any], provider: str, model: str) -> bool:
    return (said["provider"], said["model"]) == (provider, model)


def _line(text: str) -> str:
    """Return a name that a provider or a charter gave as one line that a ledger can store: half a surrogate pair is none."""
    return foreign_line(text.encode("utf-8", "replace").decode(), chars_max=TEXT_CHARACTERS_MAX)
