# SPDX-License-Identifier: Apache-2.0
"""The age of a result's data, checked against the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pilothouse.core.charter.contract import FreshnessTerms
from pilothouse.errors import ToolError

__all__ = ["check_freshness", "read_moment"]


AHEAD_MAX_S = 300.0
"""How far the clock of a system may go ahead of ours; a moment beyond it shows no age at all."""


def check_freshness(terms: FreshnessTerms, result: Any, *, tool: str, now: datetime) -> float:
    """Return the age of a result.

    Args:
        terms: Where the moment stands and how old it may be.
        result: The result.
        tool: Tool as the charter names it.
        now: The moment, aware UTC.

    Returns:
        Age in seconds, at least 0; more than the limit only where stale results are labelled.

    Raises:
        ToolError: It tells no moment or one that is still to come, or is older than the contract accepts.
    """
    moment = read_moment(result, terms.at)
    if moment is None:
        raise ToolError(
            f"{tool}: its answer does not say how old its data is",
            remedy="Do not rely on it; the owner of the integration is told.",
            kind="contract_violation",
            subject=tool,
        )
    age_s = (now - moment).total_seconds()
    if age_s < -AHEAD_MAX_S:
        raise ToolError(
            f"{tool}: its answer says that its data is from the future",
            remedy="Do not rely on it; the owner of the integration is told.",
            kind="contract_violation",
            subject=tool,
        )
    age_s = max(0.0, age_s)
    if age_s > terms.max_age_s and terms.on_stale == "error":
        raise ToolError(
            f"{tool}: its data is {age_s / 60:,.0f} min old, at most {terms.max_age_s / 60:,.0f} min are accepted",
            remedy="Do not act on it; try later, or say that the data is out of date.",
            kind="stale",
            subject=tool,
        )
    return age_s


def read_moment(result: Any, at: str) -> datetime | None:
    """Find a moment in a result.

    Args:
        result: Plain JSON data.
        at: Field names with dots between them.

    Returns:
        The moment, aware UTC; None when there is none.

    Example:
        >>> read_moment({"meta": {"as_of": "2026-01-02T03:04:05Z"}}, "meta.as_of").isoformat()
        '2026-01-02T03:04:05+00:00'
    """
    for name in at.split("."):
        if not isinstance(result, dict):
            return None
        result = result.get(name)
    try:
        if isinstance(result, int | float) and not isinstance(result, bool):
            return datetime.fromtimestamp(result, UTC)
        moment = datetime.fromisoformat(result) if isinstance(result, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
