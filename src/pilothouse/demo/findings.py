# SPDX-License-Identifier: Apache-2.0
"""Choose the findings of a verdict that a newcomer should read first."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter

from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status

__all__ = ["worst_findings"]

FINDINGS_N = 3


def worst_findings(verdict: AgentVerdict) -> tuple[ItemVerdict, ...]:
    """Return the worst items of a verdict: the worst of each domain before the second of any.

    Five findings about one defect say less than one about each, so a domain comes again only when all have had
    their turn.

    Args:
        verdict: What holds and what does not.

    Returns:
        Items of different requirements. Breached ones first, those that lost most of their committed margin before
        the others; then items without evidence. Fewer than `FINDINGS_N` when less is wrong.
    """
    worst: dict[str, ItemVerdict] = {}
    domains = {requirement.requirement: requirement.domain for requirement in verdict.requirements}
    for requirement in verdict.requirements:
        # A requirement that is only the worst of others repeats their items.
        own = [item for item in requirement.items if item.requirement == requirement.requirement]
        for item in own:
            known = worst.get(item.requirement)
            if item.status in RANK and (known is None or _key(item) < _key(known)):
                worst[item.requirement] = item
    turns: Counter[tuple[int, str]] = Counter()
    ranked: list[tuple[int, int, ItemVerdict]] = []
    for item in sorted(worst.values(), key=_key):
        place = (RANK[item.status], domains[item.requirement])
        ranked.append((RANK[item.status], turns[place], item))
        turns[place] += 1
    return tuple(item for _, _, item in sorted(ranked, key=itemgetter(0, 1))[:FINDINGS_N])


RANK = {Status.BREACHED: 0, Status.NO_EVIDENCE: 1, Status.AT_RISK: 2}


def _key(item: ItemVerdict) -> tuple[int, float]:
    """Order by status, then by the share of the bound that was missed; a bound of zero is missed wholly."""
    if item.value is None or item.bound is None:
        return RANK[item.status], 0.0
    missed = abs(item.value - item.bound)
    return RANK[item.status], -(missed / item.bound if item.bound else float("inf"))
