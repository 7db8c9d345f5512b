# SPDX-License-Identifier: Apache-2.0
"""The port of dockets: a cache of decided items, so that the next verdict decides only what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from pilothouse.core.verdict.docket import Docket

__all__ = ["Arrivals", "Dockets", "KeptDocket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocket:
    """The items of an agent as they were last decided.

    Attributes:
        form: What they were decided under: digest of the charter and of the code that decides.
        at: The moment, aware UTC.
        arrived: Number of the newest record of evidence that was looked at.
        docket: The items.
        folded: What telemetry said of each kind that is folded for every verdict, as a digest.
        charter: The charter as plain data, read without its file.
        sections: Digests of its sections, by name.
    """

    form: str
    at: datetime
    arrived: int
    docket: Docket
    folded: Mapping[str, str]
    charter: Mapping[str, Any]
    sections: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Evidence about an agent that is new since a docket.

    Attributes:
        newest: Number of the newest record; 0 when there is none.
        kinds: Kinds of the records that came in after the number that was asked for.
        is_past: Whether some record was written after the moment that was asked for.
    """

    newest: int
    kinds: frozenset[str]
    is_past: bool


@runtime_checkable
class Dockets(Protocol):
    """Stores one docket for each agent; losing one costs only time."""

    @property
    def decider(self) -> str:
        """Digest of the code that decides; items that other code decided are decided again."""
        ...

    def docket(self, agent: str) -> KeptDocket | None:
        """Return the stored docket of an agent, or None; also None when this program cannot read it."""
        ...

    def keep_docket(self, agent: str, kept: KeptDocket) -> None:
        """Store a docket, replacing the earlier one."""
        ...

    def arrivals(self, agent: str, *, after: int, at: datetime) -> Arrivals:
        """Return the evidence about an agent that arrived after a sequence number, as of a moment."""
        ...
