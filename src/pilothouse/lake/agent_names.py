# SPDX-License-Identifier: Apache-2.0
"""Limit how many agents one ingest key may name in a day: a sender that puts ids into names must not create millions.

A line for each name of the day stands in the lake's folder, so that a restart gives nobody a thousand more. It holds digests, and is
not synced: what a power cut takes of it may be named again.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from pilothouse.ports.lake import CANARY_AGENT, OVERFLOW_AGENT

__all__ = ["NAMES_FILE", "NAMES_MAX", "AgentNames"]

NAMES_MAX = 1_000
"""Agents that one key names in a day; an organisation has some dozens."""

NAMES_FILE = "agent_names.txt"

_DAY_NS = 86_400 * 1_000_000_000
_DIGEST_BYTES = 8
"""Two of a thousand names are one by chance once in 10^13 days."""

_LINE = re.compile(r"(-?\d{1,12}) ([0-9a-f]{16}) ([0-9a-f]{16})")


class AgentNames:
    """The names of the present day, by key. Not thread-safe: the thread that writes the tables owns it.

    Attributes:
        is_over: Whether a name was replaced today.

    Args:
        folder: Where the names of a day outlast a restart; None for nowhere.

    Example:
        >>> names = AgentNames()
        >>> [names.shown("key", f"agent-{number}", 0) for number in range(1_001)][-2:]
        ['agent-999', '__overflow__']
        >>> names.shown("key", "agent-7", 0), names.shown("other", "late", 0)
        ('agent-7', 'late')
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = None if folder is None else folder / NAMES_FILE
        self._day = -1
        self._seen: dict[str, set[str]] = {}
        self._shown: set[int] = set()
        """What was shown today, for a look without a digest."""
        self.is_over = False

    def shown(self, source: str, agent: str, received_ns: int) -> str:
        """Return the name under which an agent's telemetry is stored; the name as sent stays in its attributes.

        Args:
            source: The ingest key.
            agent: Name as sent.
            received_ns: When it came, Unix nanoseconds UTC.
        """
        day = received_ns // _DAY_NS
        if day != self._day:
            self._begin(day)
        quick = hash((source, agent))
        if quick in self._shown:
            return agent
        key, mark = _digest(source), _digest(agent)
        seen = self._seen.setdefault(key, set())
        if mark not in seen and agent != CANARY_AGENT:
            if len(seen) >= NAMES_MAX:
                self.is_over = True
                return OVERFLOW_AGENT
            seen.add(mark)
            # The end of a line first: half a line that a kill left must not spoil this one.
            self._note(f"\n{day} {key} {mark}\n")
        self._shown.add(quick)
        return agent

    def _begin(self, day: int) -> None:
        """Begin a day, with the names recorded before a restart."""
        self._day, self._seen, self._shown, self.is_over = day, {}, set(), False
        if self._file is None:
            return
        with suppress(OSError):  # what cannot be read or written counts in this process only
            lines = self._file.read_text("ascii", "replace").splitlines() if self._file.exists() else []
            found = [line.groups() for line in map(_LINE.fullmatch, lines) if line is not None]
            for of_day, key, mark in found:
                if int(of_day) == day:
                    self._seen.setdefault(key, set()).add(mark)
            if found and all(int(of_day) < day for of_day, _, _ in found):
                self._file.write_text("", "ascii")

    def _note(self, line: str) -> None:
        if self._file is not None:
            with suppress(OSError), self._file.open("a", encoding="ascii") as file:
                file.write(line)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
