# SPDX-License-Identifier: Apache-2.0
"""Put on record what a gateway has noticed of an agent, unless another gateway did at the same moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.ledger import Decision, Ledger

__all__ = ["put_on_record"]


def put_on_record(
    ledger: Ledger,
    kind: str,
    agent: str,
    document: Mapping[str, object],
    now: datetime,
    *,
    listed: Sequence[Decision] | None = None,
) -> None:
    """Put something noticed on record.

    Args:
        ledger: Where it is put.
        kind: Kind of the record.
        agent: Whom it is about.
        document: What was noticed.
        now: The moment, aware UTC.
        listed: Records of this kind that were read before, newest first; None where it rests on none.

    Raises:
        Conflict: Another process wrote one since they were read.
    """
    after = None if listed is None else listed[0].sequence if listed else 0
    ledger.record(
        kind=kind, agent=agent, at=now, actor="gateway", document=canonical_json(document), after=after
    )
