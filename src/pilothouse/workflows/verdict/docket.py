# SPDX-License-Identifier: Apache-2.0
"""The items of an agent at a moment: those of the last verdict, with what has changed since decided anew.

Everything that this gives could be computed from the charter and all records; what is kept only saves doing it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.admission import admit_evidence
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.decisive import Decisive
from pilothouse.core.verdict.docket import Docket, judge_again, judge_all
from pilothouse.ports.dockets import Arrivals, Dockets, KeptDocket
from pilothouse.ports.ledger import CharterInForce
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation

__all__ = ["Sitting", "decided_items", "open_sitting"]

KINDS_BEHIND_MAX = 8
"""Kinds of which records came in since the docket was written: so many are decided again at each look before all items are
written anew, which costs as much as deciding some twenty of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """One agent at one moment, before its telemetry is looked at.

    Attributes:
        record: The charter as it was accepted.
        charter: The charter.
        at: The moment, aware UTC.
        kept: What was decided before under this charter, or None.
        arrivals: What came in since.
    """

    record: CharterInForce
    charter: Charter
    at: datetime
    kept: KeptDocket | None
    arrivals: Arrivals | None


def open_sitting(installation: Installation, record: CharterInForce, at: datetime) -> Sitting:
    """Read a charter, from what was kept if it is the same.

    Raises:
        CharterInvalid: This program cannot read it.
    """
    dockets = installation.dockets
    kept = None if dockets is None else dockets.docket(record.agent)
    if kept is not None and dockets is not None and kept.form != _form(record, dockets):
        kept = None
    charter = None if kept is None else _read_back(record, kept)
    arrivals = None
    if dockets is not None:
        arrivals = dockets.arrivals(record.agent, after=0 if kept is None else kept.arrived, at=at)
    if kept is not None and (at < kept.at or charter is None):
        kept = None
    return Sitting(record=record, charter=charter or charter_of(record), at=at, kept=kept, arrivals=arrivals)


def _form(record: CharterInForce, dockets: Dockets) -> str:
    return hashlib.sha256(f"{record.digest} {record.files} {dockets.decider}".encode()).hexdigest()


def _read_back(record: CharterInForce, kept: KeptDocket) -> Charter | None:
    try:
        files = None if record.files is None else dict(record.files)
        return Charter.read_back(kept.charter, digest=record.digest, sections=kept.sections, files=files)
    except ValidationError:
        return None  # whoever reads the file says what is wrong


def decided_items(
    installation: Installation,
    sitting: Sitting,
    folded: Sequence[Evidence],
    *,
    version: str | None,
    level: float,
) -> tuple[Docket, tuple[str, ...]]:
    """Return every item of an agent, and why records could not count.

    Args:
        installation: Lake and ledger.
        sitting: Agent and moment.
        folded: What telemetry says at that moment.
        version: Version that is judged.
        level: Confidence at which a rate counts as proved.
    """
    said = _said(folded)
    kept = sitting.kept
    if kept is not None and (kept.docket.in_force.version, kept.docket.level) == (version, level):
        docket = _brought_up_to_date(installation, sitting, kept, folded, said)
        if docket is not None:
            return docket, ()
    stored = _standing(installation, sitting, version, level, kinds=None)
    admitted = admit_evidence([*folded, *stored], sitting.record.agent, sitting.at)
    docket = judge_all(sitting.charter, admitted.records, version=version, level=level)
    if not admitted.refused:  # a record that lies ahead today counts tomorrow
        _keep(installation, sitting, docket, said)
    return docket, admitted.refused


def _brought_up_to_date(
    installation: Installation,
    sitting: Sitting,
    kept: KeptDocket,
    folded: Sequence[Evidence],
    said: dict[str, str],
) -> Docket | None:
    """Return the kept items with those decided anew about which something came in; None when all have to be."""
    arrivals = sitting.arrivals
    if arrivals is None or arrivals.is_past:
        return None
    kinds = arrivals.kinds | {kind for kind, _ in said.items() ^ kept.folded.items()}
    if not kinds:
        return kept.docket
    docket, level = kept.docket, kept.docket.level
    stored = _standing(installation, sitting, docket.in_force.version, level, kinds=kinds)
    told = [one for one in folded if one.kind in kinds]
    admitted = admit_evidence([*told, *stored], sitting.record.agent, sitting.at)
    if admitted.refused:
        return None
    found = judge_again(docket, sitting.charter, admitted.records, kinds)
    if found is not None and len(arrivals.kinds) > KINDS_BEHIND_MAX:
        _keep(installation, sitting, found, said)
    return found


def _standing(
    installation: Installation,
    sitting: Sitting,
    version: str | None,
    level: float,
    *,
    kinds: frozenset[str] | None,
) -> Sequence[Evidence]:
    return installation.ledger.standing_evidence(
        sitting.record.agent,
        at=sitting.at,
        version=version,
        decides=Decisive(sitting.charter, level),
        kinds=kinds,
    )


def _said(folded: Iterable[Evidence]) -> dict[str, str]:
    """Return what telemetry says, kind by kind, as digests."""
    by_kind: dict[str, list[str]] = {}
    for record in folded:
        by_kind.setdefault(record.kind, []).append(evidence_digest(record))
    return {
        kind: hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
        for kind, digests in by_kind.items()
    }


def _keep(installation: Installation, sitting: Sitting, docket: Docket, said: dict[str, str]) -> None:
    """Keep the items for the next verdict, unless they are of a moment that records followed."""
    if installation.dockets is None or sitting.arrivals is None or sitting.arrivals.is_past:
        return
    record, kept = sitting.record, sitting.kept
    installation.dockets.keep_docket(
        record.agent,
        KeptDocket(
            form=_form(record, installation.dockets),
            at=sitting.at,
            arrived=sitting.arrivals.newest,
            docket=docket,
            folded=said,
            charter=read_charter_text(record.text, file=record.path).value if kept is None else kept.charter,
            sections=sitting.charter.section_digests,
        ),
    )
