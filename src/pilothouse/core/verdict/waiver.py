# SPDX-License-Identifier: Apache-2.0
"""A signed permission to proceed without a requirement: what makes it valid, and what it never covers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.framework import NOT_WAIVABLE
from pilothouse.core.verdict.verdict import ItemVerdict, Status, WaiverMark

__all__ = ["WAIVER_MAX", "Waiver", "unwaivable", "waiver_in_force"]

WAIVER_MAX = timedelta(days=30)
"""Longest waiver: a permission that lasts longer is a changed threshold."""

_NEVER = {("MON-2", "critical"), ("MON-12", "critical"), ("INT-8", "bypass")}
"""Parts that no signature lets pass, in requirements whose other parts may be waived."""


class Waiver(BaseModel):
    """What the sponsor signed.

    Attributes:
        requirement: Requirement id.
        signer: Person id.
        reason: Why, in the signer's words.
        signed_at: When, aware UTC.
        until: Its end, at most 30 days later.
        version: Version it is about.
        thresholds_digest: Digest of the charter section `thresholds` as it was signed.
        value: Value of the deciding item when it was signed, or None when it had none.
        status: Status of the requirement when it was signed; None in a waiver from before it was kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requirement: str
    signer: str
    reason: str = Field(min_length=1, max_length=500)
    signed_at: AwareDatetime
    until: AwareDatetime
    version: str | None = None
    thresholds_digest: str
    value: float | None = None
    status: Status | None = None


def _part(item: ItemVerdict) -> str:
    return (item.scope.part or "").partition(" · ")[0]


def unwaivable(requirement: str, items: Sequence[ItemVerdict]) -> ItemVerdict | None:
    """Return the item for which no signature lets a requirement pass, or None.

    Args:
        requirement: Requirement id.
        items: Its items, the deciding one first. A breach that no signature lets pass may stand behind a worse one.

    Returns:
        The deciding item of a requirement that is never waived; else a breach of a part that is never waived.
    """
    unbearable = [item for item in items if (requirement, _part(item)) in _NEVER]
    if requirement in NOT_WAIVABLE or items[0] in unbearable:
        return items[0]
    return next((item for item in unbearable if item.status is Status.BREACHED), None)


def _worse(value: float | None, signed: float | None, higher_is_better: bool | None) -> bool:
    if value is None or signed is None or higher_is_better is None:
        return False
    return value < signed if higher_is_better else value > signed


def waiver_in_force(
    waivers: tuple[Waiver, ...],
    items: Sequence[ItemVerdict],
    requirement: str,
    charter: Charter,
    *,
    now: datetime,
    version: str | None,
    higher_is_better: bool | None,
) -> WaiverMark | None:
    """Return the mark to show beside a requirement that does not hold, or None.

    A waiver is signed by the sponsor, lasts at most `WAIVER_MAX`, is bound to the version and the
    thresholds it was signed for, and ends when the value gets worse than the signed one: a breach is worse than what
    nobody had measured.

    Args:
        waivers: Every waiver ever signed.
        items: The items of the requirement, the deciding one first.
        requirement: Requirement id.
        charter: The charter in force.
        now: The moment.
        version: Version that is judged.
        higher_is_better: Which way the deciding value improves; None when it has no direction.
    """
    deciding = items[0]
    if not waivers or deciding.status in {Status.HOLDS, Status.AT_RISK} or unwaivable(requirement, items):
        return None
    thresholds = charter.section_digests["thresholds"]
    valid = [
        waiver
        for waiver in waivers
        if waiver.requirement == requirement
        and waiver.signer == known(charter.sponsor.person)
        and waiver.signed_at <= now < waiver.until <= waiver.signed_at + WAIVER_MAX
        and waiver.version == version
        and waiver.thresholds_digest == thresholds
        and not _worse(deciding.value, waiver.value, higher_is_better)
        and not (deciding.status is Status.BREACHED and waiver.status is Status.NO_EVIDENCE)
    ]
    last = max(valid, key=lambda waiver: (waiver.until, waiver.reason), default=None)
    return WaiverMark(signer=last.signer, reason=last.reason, until=last.until) if last else None
