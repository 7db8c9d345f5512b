# SPDX-License-Identifier: Apache-2.0
"""The span tree of a trace: parents, the root, and the span of the task."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.lake.columns import CoreSpan

__all__ = ["SKEW_NS", "TraceTree"]

AGENT_OPERATIONS = frozenset({"invoke_agent", "invoke_workflow"})

SKEW_NS = 1_000_000_000
"""A child this far outside its parent was timed by another clock."""


class TraceTree:
    """The spans of one trace as a tree.

    Attributes:
        parents: Parent by the id of its child.
        root: The first span without a parent, else the earliest orphan.
        task: The agent span nearest to the root, or None.
        max_depth: Levels.
        orphans: Spans whose parent never came, or that were cut out of a ring.
        skewed: Spans that lie far outside their parent.

    Args:
        kept: Spans, each once, in the order (start, id); at least one.
        flags: What is odd about them is added here.
    """

    def __init__(self, kept: Sequence[CoreSpan], flags: list[str]) -> None:
        by_id = {span.span_id: span for span in kept}
        self.parents: dict[str, CoreSpan] = {}
        self._children: dict[str, list[CoreSpan]] = {}
        roots: list[CoreSpan] = []
        orphans: list[CoreSpan] = []
        self.skewed = 0
        for span in kept:
            parent_id = span.parent_span_id
            if parent_id is None:
                roots.append(span)
                continue
            parent = by_id.get(parent_id)
            if parent is None:
                orphans.append(span)
            elif parent is span:
                flags.append("cycle")
                orphans.append(span)
            else:
                self.parents[span.span_id] = parent
                self._children.setdefault(parent_id, []).append(span)
                self.skewed += _is_skewed(span, parent)
        self.orphans = len(orphans)
        self.max_depth = 0
        self.task: CoreSpan | None = None
        self._walk(roots or orphans[:1])
        self._walk(orphans[not roots :])
        if self._children:
            flags.append("cycle")
            orphans += self._cut_rings(kept)
        self.root = roots[0] if roots else min(orphans, key=lambda span: (span.start_ns, span.span_id))
        flags[:] = sorted(set(flags))

    def _walk(self, level: Sequence[CoreSpan]) -> None:
        """Traverse breadth-first; the first agent span is the task. Children are taken as they are met."""
        depth = 0
        take = self._children.pop
        while level:
            depth += 1
            if self.task is None:
                self.task = next((span for span in level if span.operation in AGENT_OPERATIONS), None)
            level = [child for span in level for child in take(span.span_id, ())]
        self.max_depth = max(self.max_depth, depth)

    def _cut_rings(self, kept: Sequence[CoreSpan]) -> list[CoreSpan]:
        """Break each cycle of parents at its earliest span, and return those spans."""
        cut = []
        while self._children:
            inside = {span.span_id for children in self._children.values() for span in children}
            start = next(span for span in kept if span.span_id in inside)
            self._children[self.parents.pop(start.span_id).span_id].remove(start)
            cut.append(start)
            self._walk([start])
            self._children = {ident: children for ident, children in self._children.items() if children}
        return cut


def _is_skewed(span: CoreSpan, parent: CoreSpan) -> bool:
    if span.start_ns < parent.start_ns - SKEW_NS:
        return True
    return span.end_ns is not None and parent.end_ns is not None and span.end_ns > parent.end_ns + SKEW_NS
