# SPDX-License-Identifier: Apache-2.0
"""Serve the few-shot library: the examples most like an input, from the newest version, out of memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pilothouse.ports.clock import Clock
from pilothouse.ports.curation import CurationStore, Example

__all__ = ["ExampleIndex", "FewShots"]

LOOK_EVERY = timedelta(seconds=10)
"""How soon a new version is served: reading the library for each question would cost more than finding."""

INPUT_CHARS_MAX = 65_536
"""Characters of a question that are looked at."""


class ExampleIndex(Protocol):
    """Finds examples like an input."""

    def find(
        self, text: str, *, task_type: str | None = None, k: int = 5, without: str = ""
    ) -> tuple[Example, ...]:
        """Return the most similar examples, best first."""
        ...


class FewShots:
    """The libraries of all agents, each indexed once for every version.

    Args:
        store: Where libraries are kept.
        index: Makes an index over examples.
        clock: The time.
    """

    def __init__(
        self, store: CurationStore, index: Callable[[Sequence[Example]], ExampleIndex], clock: Clock
    ) -> None:
        self._store = store
        self._index = index
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[datetime, tuple[str, int], ExampleIndex]] = {}

    def find(
        self, agent: str, text: str, *, task_type: str | None, k: int
    ) -> tuple[str, tuple[Example, ...]]:
        """Return the version of the library and the examples most like an input.

        Args:
            agent: Agent id; one without a library gets nothing.
            text: An input.
            task_type: Only of this task type, or None.
            k: How many.
        """
        now = self._clock.now()
        with self._lock:
            kept = self._kept.get(agent)
            # A clock that was set back would keep an example alive that was erased since.
            if kept is None or abs(now - kept[0]) >= LOOK_EVERY:
                version, examples = self._store.examples(agent)
                if not version:
                    return "", ()
                same = version, len(examples)  # what was erased is missing in the same version
                index = kept[2] if kept is not None and kept[1] == same else self._index(examples)
                kept = (now, same, index)
                self._kept[agent] = kept
        return kept[1][0], kept[2].find(text[:INPUT_CHARS_MAX], task_type=task_type, k=k)
