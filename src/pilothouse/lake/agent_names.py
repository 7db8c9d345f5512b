# SPDX-License-Identifier: Apache-2.0
"""How many agents one ingest key may name in a day: a sender that puts ids into names must not make a list of millions."""

from __future__ import annotations

from pilothouse.ports.lake import CANARY_AGENT, OVERFLOW_AGENT

__all__ = ["NAMES_MAX", "AgentNames"]

NAMES_MAX = 1_000
"""Agents that one key names in a day; an organisation has some dozens."""

_DAY_NS = 86_400 * 1_000_000_000


class AgentNames:
    """Names by key, of the present day. Not thread-safe: the thread that writes the tables owns it.

    Names are kept as numbers of 32 bytes. A new start begins its day anew.

    Attributes:
        is_over: Whether a name was replaced today.

    Example:
        >>> names = AgentNames()
        >>> [names.shown("key", f"agent-{number}", 0) for number in range(1_001)][-2:]
        ['agent-999', '__overflow__']
        >>> names.shown("key", "agent-7", 0), names.shown("other", "late", 0)
        ('agent-7', 'late')
    """

    def __init__(self) -> None:
        self._day = -1
        self._seen: dict[str, set[int]] = {}
        self.is_over = False

    def shown(self, source: str, agent: str, received_ns: int) -> str:
        """Return the name under which what an agent sent is stored; what it sent itself stays in its attributes.

        Args:
            source: The ingest key.
            agent: Name as sent.
            received_ns: When it came, Unix nanoseconds UTC.
        """
        day = received_ns // _DAY_NS
        if day != self._day:
            self._day, self._seen, self.is_over = day, {}, False
        seen, mark = self._seen.setdefault(source, set()), hash(agent)
        if mark in seen or agent == CANARY_AGENT:
            return agent
        if len(seen) >= NAMES_MAX:
            self.is_over = True
            return OVERFLOW_AGENT
        seen.add(mark)
        return agent
