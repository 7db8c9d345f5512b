# SPDX-License-Identifier: Apache-2.0
"""The card of a judge that scores production, from the same labels that say how good production is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.statistics.judging import JudgeCard, judge_card
from pilothouse.core.statistics.quality import Stratum
from pilothouse.workflows.gate.judge_cards import IN_PRODUCTION, card_evidence

__all__ = ["production_card"]


def production_card(
    charter: Charter, metric: str, strata: Sequence[Stratum], now: datetime
) -> Evidence | None:
    """Return the card of the judge that is named like the metric it scores, or None.

    Labels are drawn at random within what the judge passed and what it failed, which is what a card asks for.

    Args:
        charter: The charter in force; its judges have names.
        metric: Name of the metric, and of the scores that arrive.
        strata: The verdicts `pass` and `fail` of a window, with the labels in each.
        now: The moment.
    """
    judges = () if is_open(charter.model.judges) else charter.model.judges or ()
    if metric not in {str(one.name) for one in judges}:
        return None  # nothing says which judge speaks
    card = judge_card(strata, identity=f"{IN_PRODUCTION}{metric}")
    if not isinstance(card, JudgeCard):
        return None
    return card_evidence(
        card,
        agent=charter.agent,
        judge=metric,
        command="pilothouse review",
        at=now,
        answers=(),
        charter=charter,
    )
