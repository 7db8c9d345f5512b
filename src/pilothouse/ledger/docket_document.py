# SPDX-License-Identifier: Apache-2.0
"""Serialize a docket and parse it: 190 items in a millisecond, because items are not validated again."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from pilothouse.core.evidence.binding import InForce
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.docket import Docket
from pilothouse.core.verdict.ruling import Ruling
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status
from pilothouse.ports.dockets import KeptDocket

__all__ = ["docket_text", "parse_docket"]


class _Item(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of `ItemVerdict`; a test holds the two together."""

    requirement: str
    scope: dict[str, str]
    status: str
    rule: str
    sentence: str
    reason: str | None = None
    kind: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    unit: str = ""
    n: int = 0
    n_needed: int | None = None
    window_from: datetime | None = None
    window_to: datetime | None = None
    age_days: float | None = None
    lapses_at: datetime | None = None
    basis: str | None = None
    signer: str | None = None
    source: str = ""
    evidence: str | None = None
    method: str = ""
    items: tuple[str, ...] = ()
    remedy: str = ""
    who: tuple[str, ...] = ()


class _Ruling(msgspec.Struct, forbid_unknown_fields=True):
    item: _Item
    share_lost: float
    higher_is_better: bool | None
    lapsed: str
    again: str
    is_early: bool


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    in_force: dict[str, str | None]
    level: float
    rulings: list[_Ruling]
    keys: tuple[str, ...]
    places: dict[str, dict[str, tuple[int, ...]]]
    knows_anything: bool
    folded: dict[str, str]
    charter: dict[str, Any]
    sections: dict[str, str]


_read = msgspec.json.Decoder(_Document).decode
_write = msgspec.json.Encoder().encode

_STATUSES = {one.value: one for one in Status}
_REASONS: dict[str | None, Reason | None] = {None: None, **{one.value: one for one in Reason}}
_SPECIAL = {"scope", "status", "reason"}
_PLAIN = tuple(name for name in ItemVerdict.model_fields if name not in _SPECIAL)
_BLANK = ItemVerdict.model_construct(
    _fields_set=set(ItemVerdict.model_fields),
    requirement="",
    scope=Scope(),
    status=Status.NO_EVIDENCE,
    rule="",
    sentence="",
)
"""What every item is made from: filling in a copy costs a third of making one field by field."""

SCOPES_KEPT = 4_096
"""Scopes that are kept: the same few hundred stand in all dockets of an agent."""


def docket_text(kept: KeptDocket) -> str:
    """Return a stored docket as JSON text."""
    docket = kept.docket
    document = _Document(
        in_force={
            name: getattr(docket.in_force, name)
            for name in ("version", "labelled", "adversarial", "examples")
        },
        level=docket.level,
        rulings=[
            _Ruling(
                _item(one.item), one.share_lost, one.higher_is_better, one.lapsed, one.again, one.is_early
            )
            for one in docket.rulings
        ],
        keys=docket.keys,
        places={phase: dict(own) for phase, own in docket.places.items()},
        knows_anything=docket.knows_anything,
        folded=dict(kept.folded),
        charter=dict(kept.charter),
        sections=dict(kept.sections),
    )
    return _write(document).decode()


def _item(item: ItemVerdict) -> _Item:
    return _Item(
        scope={name: value for name, value in item.scope if value is not None},
        status=item.status.value,
        reason=None if item.reason is None else item.reason.value,
        **{name: getattr(item, name) for name in _PLAIN},
    )


def parse_docket(text: str, *, form: str, at: datetime, arrived: int) -> KeptDocket | None:
    """Return the docket in a JSON text, or None when another version of the program wrote it.

    Args:
        text: What `docket_text` wrote.
        form: What it was decided under.
        at: When.
        arrived: Number of the newest record that was looked at.
    """
    try:
        read = _read(text)
        docket = Docket(
            in_force=InForce(**read.in_force),
            level=read.level,
            rulings=tuple(map(_ruling, read.rulings)),
            keys=read.keys,
            places=read.places,  # type: ignore[arg-type]  # phases as they were written
            knows_anything=read.knows_anything,
        )
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
    return KeptDocket(
        form=form,
        at=at,
        arrived=arrived,
        docket=docket,
        folded=read.folded,
        charter=read.charter,
        sections=read.sections,
    )


def _ruling(read: _Ruling) -> Ruling:
    item = msgspec.structs.asdict(read.item)
    item["scope"] = _scope(tuple(read.item.scope.items()))
    item["status"], item["reason"] = _STATUSES[read.item.status], _REASONS[read.item.reason]
    made = _BLANK.altered(item)
    return Ruling(
        item=made,
        share_lost=read.share_lost,
        higher_is_better=read.higher_is_better,
        lapsed=read.lapsed,
        again=read.again,
        is_early=read.is_early,
    )


@lru_cache(maxsize=SCOPES_KEPT)
def _scope(parts: tuple[tuple[str, str], ...]) -> Scope:
    return Scope(**dict(parts))
