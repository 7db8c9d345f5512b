# SPDX-License-Identifier: Apache-2.0
"""The port of few-shot examples, and of the lineage between answers, cases and examples."""

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
    """A lineage edge: one thing was made from another.

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
    """Stores examples and lineage, and finds and erases a person's data in them."""

    def save_examples(self, agent: str, version: str, examples: Sequence[Example], at: datetime) -> None:
        """Store a library under its version; storing the same version again changes nothing."""
        ...

    def examples(self, agent: str) -> tuple[str, Sequence[Example]]:
        """Return the newest version of an agent's library and its examples; an empty version when there is none."""
        ...

    def link(self, edges: Sequence[Edge]) -> None:
        """Store lineage edges; a known edge changes nothing."""
        ...

    def edges_of(self, name: str) -> Sequence[Edge]:
        """Return every edge that has a name as parent or as child, at most 10,000."""
        ...

    def edges_since(self, agent: str, since: datetime) -> Sequence[Edge]:
        """Return the lineage edges of an agent since a moment, oldest first, at most 10,000."""
        ...

    def erase(self, subject: str, *, actor: str, at: datetime) -> Mapping[str, int]:
        """Overwrite every text that contains a subject, and all texts of a task of that id; return rows by table."""
        ...

    def left_with(self, subject: str) -> Mapping[str, int]:
        """Return how many rows still contain a subject, by table, where an erasure may not or cannot reach."""
        ...

    def traces_with(self, subject: str) -> Sequence[str]:
        """Return the ids of reviewed tasks whose texts contain a subject, at most 10,000."""
        ...
