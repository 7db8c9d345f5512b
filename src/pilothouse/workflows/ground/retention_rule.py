# SPDX-License-Identifier: Apache-2.0
"""How long the telemetry of an agent is kept: as its charter says, and as its regulations demand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.ports.upkeep import DEFAULT_RULE, RetentionRule

__all__ = ["REGULATION_DAYS", "retention_rule"]

REGULATION_DAYS: Final[Mapping[str, int]] = {"ai-act": 183, "eu-ai-act": 183, "eu_ai_act": 183}
"""Regulation → days for which logs of what the system did must be kept; the AI Act asks deployers for six months
(Art. 26). It asks for events, not for what was said."""


def retention_rule(charter: Charter) -> RetentionRule:
    """Return how long the telemetry of a chartered agent is kept."""
    least = max((REGULATION_DAYS.get(str(name), 0) for name in known(charter.regulations) or ()), default=0)

    def days(answer: timedelta | None, otherwise: int) -> int:
        return otherwise if answer is None else max(1, -(-answer // timedelta(days=1)))

    kept = charter.retention
    payload = days(known(kept.payload), DEFAULT_RULE.payload_days)
    spans = max(payload, least, days(known(kept.spans), DEFAULT_RULE.spans_days))
    return RetentionRule(
        agent=charter.agent,
        payload_days=payload,
        spans_days=spans,
        tasks_days=max(spans, days(known(kept.tasks), DEFAULT_RULE.tasks_days)),
    )
