# SPDX-License-Identifier: Apache-2.0
"""The port of telemetry upkeep: retention, erasure of a person, repricing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["DEFAULT_RULE", "LakeUpkeep", "Removed", "RetentionRule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """How long the telemetry of one agent is kept, in whole days.

    Attributes:
        agent: Agent name; empty for every agent that no other rule names.
        payload_days: What was said to and by it.
        spans_days: Its spans without that.
        tasks_days: One row for each task.
    """

    agent: str
    payload_days: int
    spans_days: int
    tasks_days: int


DEFAULT_RULE: Final = RetentionRule(agent="", payload_days=30, spans_days=90, tasks_days=730)
"""Where nobody says otherwise. Phases ask for 90 stable days, and decisions must be explained for two years; what was said is nobody's to
keep for longer than it takes to look into a complaint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What one run of retention removed.

    Attributes:
        agent: Agent name; empty for those without a rule.
        what: `payload`, `spans` or `tasks`.
        before_day: First day that was kept, days since 1970-01-01.
        rows: Rows that were removed, or emptied of their payload.
    """

    agent: str
    what: str
    before_day: int
    rows: int


class LakeUpkeep(Protocol):
    """Maintenance that the process which writes a lake carries out."""

    def retain(self, rules: Sequence[RetentionRule]) -> Sequence[Removed]:
        """Delete telemetry past its retention; idempotent."""
        ...

    def claims(self, traces: Sequence[str]) -> Mapping[str, str | None]:
        """Return the present claims of some tasks, by trace; traces that are not stored are absent."""
        ...

    def erase(self, traces: Sequence[str]) -> int:
        """Erase content from the rows of some traces; return how many rows were changed."""
        ...

    def reprice(self, *, since_ns: int) -> int:
        """Fold tasks again whose cost has become known; return how many were corrected."""
        ...
