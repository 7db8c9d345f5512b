# SPDX-License-Identifier: Apache-2.0
"""Faults that a drill plants for an agent's own calls: what fails, for whom, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

__all__ = ["FAULT_LIFE_MAX", "SHADOW", "FaultKind", "PlantedFault", "planted_for"]

SHADOW = "drill"
"""Deployment environment of a shadow: its calls are the agent's own, its tasks count for nothing but its drill."""

FAULT_LIFE_MAX = timedelta(minutes=30)
"""Longest life of a planted fault: it ends by itself, whatever became of the drill that planted it."""


class FaultKind(StrEnum):
    """What fails."""

    MODEL_TIMEOUT = "model_timeout"
    """No model answers within the time that a provider is given."""
    TOOL_OUTAGE = "tool_outage"
    """The breaker of an integration is held open: its tools are not called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedFault:
    """One fault in force.

    Attributes:
        agent: Agent id.
        kind: What fails.
        integration: Integration whose tools fail; empty for a model.
        environment: Deployment environment of the calls that fail; None for all of them, the live ones too.
        hang_s: How long a model says nothing before the attempt is given up, seconds.
        actor: Who planted it.
        at: Since when, aware UTC.
        until: When it ends by itself, aware UTC.
    """

    agent: str
    kind: FaultKind
    integration: str = ""
    environment: str | None = SHADOW
    hang_s: float = 1.0
    actor: str
    at: datetime
    until: datetime


def planted_for(
    faults: Iterable[PlantedFault],
    agent: str,
    kind: FaultKind,
    *,
    environment: str | None,
    now: datetime,
    integration: str = "",
) -> PlantedFault | None:
    """Return the fault that a call meets, or None.

    Args:
        faults: Faults in force.
        agent: Agent that calls.
        kind: What could fail.
        environment: Deployment environment of the call, or None when nobody says.
        now: The moment, aware UTC.
        integration: Integration that is called; empty for a model.

    Example:
        >>> planted_for((), "ap-invoice-triage", FaultKind.MODEL_TIMEOUT, environment=None, now=datetime.min) is None
        True
    """
    for one in faults:
        meant = (one.agent, one.kind, one.integration) == (agent, kind, integration)
        if meant and one.environment in {None, environment} and one.at <= now < one.until:
            return one
    return None
