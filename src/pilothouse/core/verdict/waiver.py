# SPDX-License-Identifier: Apache-2.0
"""Waivers: what makes a signed permission valid, and what it never covers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.framework import NOT_WAIVABLE
from pilothouse.core.verdict.ruling import Judged
from pilothouse.core.verdict.verdict import ItemVerdict, PartWaiverMark, Status, WaiverMark

__all__ = [
    "WAIVER_MAX",
    "WaivedItem",
    "Waiver",
    "end_of_waiver",
    "unwaivable",
    "valid_waivers",
    "waived_items",
    "waiver_in_force",
    "waiver_of_parts",
]

WAIVER_MAX = timedelta(days=30)
"""Longest waiver: a permission that lasts longer is a changed threshold."""

_NEVER = {("MON-2", "critical"), ("MON-12", "critical"), ("INT-8", "bypass")}
"""Parts that no signature lets pass, in requirements whose other parts may be waived."""


_OPEN = frozenset({Status.BREACHED, Status.NO_EVIDENCE})
_RANK = {status: rank for rank, status in enumerate(Status)}


class WaivedItem(BaseModel):
    """One item of a requirement that did not hold when its waiver was signed.

    Attributes:
        requirement: Requirement id of the item, another one where a requirement is made of others.
        scope: The part of the agent.
        kind: Kind of evidence that decides it; the rule where the charter alone does.
        status: `breached` or `no_evidence`.
        value: Value of a breach; None where nothing was proved, so that no value can be held against it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requirement: str
    scope: Scope
    kind: str
    status: Status
    value: float | None = None

    def covers(self, judged: Judged) -> bool:
        """Whether an item that does not hold is this one, and no worse than it was.

        Args:
            judged: The item as it is now.
        """
        now = judged.item
        if (now.requirement, now.scope, now.kind or now.rule) != (self.requirement, self.scope, self.kind):
            return False
        if now.status is not self.status:
            return _RANK[now.status] > _RANK[self.status]
        return not _worse(now.value, self.value, judged.higher_is_better)


class Waiver(BaseModel):
    """A waiver as the sponsor signed it.

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
        items: What did not hold when it was signed; None in a waiver from before it was kept, which covers what decides.
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
    items: tuple[WaivedItem, ...] | None = None

    def uncovered(self, judged: Sequence[Judged]) -> tuple[int, ...]:
        """Return the positions of failing items that the waiver does not cover."""
        return tuple(
            place
            for place, each in enumerate(judged)
            if each.item.status in _OPEN and not any(one.covers(each) for one in self.items or ())
        )

    def covers(self, judged: Sequence[Judged]) -> bool:
        """Whether every failing item was seen by the sponsor and is no worse than it was then.

        Args:
            judged: The items of the requirement, the deciding one first.
        """
        if self.items is not None:
            return not self.uncovered(judged)
        deciding = judged[0]
        if deciding.item.status is Status.BREACHED and self.status is Status.NO_EVIDENCE:
            return False
        return not _worse(deciding.item.value, self.value, deciding.higher_is_better)


def waived_items(items: Sequence[ItemVerdict]) -> tuple[WaivedItem, ...]:
    """Return the items that a waiver signed now covers: all that do not hold."""
    return tuple(
        WaivedItem(
            requirement=item.requirement,
            scope=item.scope,
            kind=item.kind or item.rule,
            status=item.status,
            value=item.value if item.status is Status.BREACHED else None,
        )
        for item in items
        if item.status in _OPEN
    )


def _part(item: ItemVerdict) -> str:
    return (item.scope.part or "").partition(" · ")[0]


def end_of_waiver(last: date, signed_at: datetime) -> datetime:
    """Return the end of a waiver that names its last day: all of that day, UTC, as every day of the product is.

    A waiver that names the last day it may is no longer than a waiver may be.

    Args:
        last: The day that is named.
        signed_at: When it is signed, aware UTC.

    Example:
        >>> end_of_waiver(date(2026, 12, 28), datetime(2026, 12, 1, 9, tzinfo=UTC)).isoformat()
        '2026-12-28T23:59:59.999999+00:00'
        >>> end_of_waiver(date(2026, 12, 31), datetime(2026, 12, 1, 9, tzinfo=UTC)).isoformat()
        '2026-12-31T09:00:00+00:00'
    """
    end = datetime.combine(last, time.max, tzinfo=UTC)
    longest = signed_at + WAIVER_MAX
    return longest if last == longest.astimezone(UTC).date() else end


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


def waiver_in_force(valid: Sequence[Waiver], judged: Sequence[Judged]) -> WaiverMark | None:
    """Return the waiver that covers every failing item of a requirement, or None.

    It covers what the sponsor saw: another item that does not hold, a breach of what nobody had measured, or a value worse
    than the signed one needs another signature.

    Args:
        valid: Waivers of the requirement that are valid now.
        judged: Its items, the deciding one first.
    """
    covering = [waiver for waiver in valid if waiver.covers(judged)]
    last = max(covering, key=_longest, default=None)
    return WaiverMark(signer=last.signer, reason=last.reason, until=last.until) if last else None


def waiver_of_parts(valid: Sequence[Waiver], judged: Sequence[Judged]) -> PartWaiverMark | None:
    """Return the waiver that covers every breach of a requirement while something else of it is not known, or None.

    Missing knowledge is no breach of what was waived, so it does not end the waiver of that; and no coverage, so it is not
    waived with it: the requirement waits for evidence.

    Args:
        valid: Waivers of the requirement that are valid now.
        judged: Its items.
    """
    found: list[tuple[Waiver, tuple[int, ...]]] = []
    for waiver in valid:
        beside = waiver.uncovered(judged)
        left = {judged[place].item.status for place in beside}
        if len(beside) < sum(each.item.status in _OPEN for each in judged) and left == {Status.NO_EVIDENCE}:
            found.append((waiver, beside))
    last = max(found, key=lambda one: (-len(one[1]), *_longest(one[0])), default=None)
    if last is None:
        return None
    waiver, beside = last
    return PartWaiverMark(signer=waiver.signer, reason=waiver.reason, until=waiver.until, uncovered=beside)


def _longest(waiver: Waiver) -> tuple[datetime, str]:
    return (waiver.until, waiver.reason)


def valid_waivers(
    waivers: tuple[Waiver, ...],
    judged: Sequence[Judged],
    requirement: str,
    charter: Charter,
    *,
    now: datetime,
    version: str | None,
) -> list[Waiver]:
    """Return the waivers of a requirement that are valid now, whatever they cover.

    A waiver is signed by the sponsor, lasts at most `WAIVER_MAX`, and is bound to the version and the thresholds it was
    signed for. Of what no signature lets pass there is none.

    Args:
        waivers: Every waiver ever signed.
        judged: The items of the requirement, the deciding one first.
        requirement: Requirement id.
        charter: The charter in force.
        now: The moment.
        version: Version that is judged.
    """
    if not waivers or judged[0].item.status not in _OPEN:
        return []
    if unwaivable(requirement, [found.item for found in judged]):
        return []
    thresholds = charter.section_digests["thresholds"]
    return [
        waiver
        for waiver in waivers
        if waiver.requirement == requirement
        and waiver.signer == known(charter.sponsor.person)
        and waiver.signed_at <= now < waiver.until <= waiver.signed_at + WAIVER_MAX
        and waiver.version == version
        and waiver.thresholds_digest == thresholds
    ]
