# SPDX-License-Identifier: Apache-2.0
"""The port of what labels become: few-shot examples, and the lineage between answers, cases and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["ERASED", "EXAMPLES_MAX", "CurationStore", "Edge", "Example"]

ERASED = "[erased]"
"""What stands in place of a text that was erased: that something was here stays known."""

EXAMPLES_MAX = 10_000
"""Examples of one agent that are kept for one version: fifty task types of two hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One thing was made from another.

    Attributes:
        agent: Agent id.
        parent: For example `item:ITEM_ID` or `trace:TRACE_ID`.
        child: For example `case:CASE_ID`, `few-shot:EXAMPLE_ID` or `export:DIGEST`.
        at: When, aware UTC.
    """

    agent: str
    parent: str
    child: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One few-shot example.

    Attributes:
        example_id: Stable id.
        agent: Agent id.
        task_type: Task type.
        input: What was asked.
        output: What is right.
        item_id: The reviewed item it comes from.
    """

    example_id: str
    agent: str
    task_type: str
    input: str
    output: str
    item_id: str


@runtime_checkable
class CurationStore(Protocol):
    """Where examples and lineage are kept, and where a person's data are found and erased."""

    def save_examples(self, agent: str, version: str, examples: Sequence[Example], at: datetime) -> None:
        """Keep a library under its version; the same version again changes nothing."""
        ...

    def examples(self, agent: str) -> tuple[str, Sequence[Example]]:
        """Return the newest version of an agent's library and its examples; an empty version when there is none."""
        ...

    def link(self, edges: Sequence[Edge]) -> None:
        """Keep what was made from what; an edge that is known changes nothing."""
        ...

    def edges_of(self, name: str) -> Sequence[Edge]:
        """Return every edge that has a name as parent or as child, at most 10,000."""
        ...

    def edges_since(self, agent: str, since: datetime) -> Sequence[Edge]:
        """Return what was made for an agent since a moment, oldest first, at most 10,000."""
        ...

    def erase(self, subject: str, *, actor: str, at: datetime) -> Mapping[str, int]:
        """Overwrite every text that holds a subject, and all texts of a task of that id; return rows by table."""
        ...

    def left_with(self, subject: str) -> Mapping[str, int]:
        """Return how many rows hold a subject still, by table, where an erasure may change nothing or does not reach."""
        ...

    def traces_with(self, subject: str) -> Sequence[str]:
        """Return the ids of reviewed tasks whose texts hold a subject, at most 10,000."""
        ...
