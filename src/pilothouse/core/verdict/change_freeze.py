# SPDX-License-Identifier: Apache-2.0
"""The change freeze: agent and integration never change together (moments of changes → overlaps).

After a change of one side the other stands still for a week, so that whatever then gets worse has one suspect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import OPEN
from pilothouse.core.charter.diff import Change

__all__ = [
    "FREEZE",
    "ChangeStep",
    "ChangedPaths",
    "Freeze",
    "Overlap",
    "find_overlaps",
    "freeze_after",
    "sides_of",
]

FREEZE = timedelta(days=7)
"""How long the other side stands still after a change."""

AGENT_PATHS = (
    "model.pin.provider",
    "model.pin.model",
    "model.pin.region",
    "model.pin.deployment",
    "prompts",
    "few_shot.path",
    "context",
)
"""Prefixes of charter paths that change how the agent behaves."""

INTEGRATION_KEYS = frozenset(
    {
        "contract",
        "manifest_hash",
        "hosts",
        "auth",
        "environment",
        "region",
        "kind",
        "rate_limit",
        "integration",
    }
)
"""Keys of a tool or an integration that change the system behind it; others are rules or descriptions."""

_INNER = frozenset({"per_s", "max_age", "probe"})
"""Keys inside a key of an integration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStep:
    """A change at one moment.

    Attributes:
        at: When it came into force, aware UTC.
        agent: What changed of the agent, in words; empty when nothing did.
        integrations: What changed of integrations and tool contracts; empty when nothing did.
        undoes: Whether it brings back an agent that was in force before; a way back is never frozen.
    """

    at: datetime
    agent: tuple[str, ...] = ()
    integrations: tuple[str, ...] = ()
    undoes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two changes that are too close together.

    Attributes:
        first: The earlier change.
        second: The later one; the same when one step changed both sides.
    """

    first: ChangeStep
    second: ChangeStep


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPaths:
    """Paths of a change of the charter, by the side that they change.

    Attributes:
        agent: Paths that change how the agent behaves.
        integrations: Paths that change the systems behind its tools.
    """

    agent: tuple[str, ...]
    integrations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Until when each side is frozen, aware UTC; None where the other side never changed.

    Attributes:
        agent_until: For the agent.
        integrations_until: For integrations and tool contracts.
    """

    agent_until: datetime | None
    integrations_until: datetime | None


def sides_of(changes: Iterable[Change]) -> ChangedPaths:
    """Sort the paths of a change of the charter by the side that they change.

    Args:
        changes: Differences of two charters.

    Example:
        >>> from pilothouse.core.charter.diff import Effect
        >>> sides_of([Change(path="tools.crm.find@1.contract", old="a", new="b", effect=Effect.CHANGED)])
        ChangedPaths(agent=(), integrations=('tools.crm.find@1.contract',))
    """
    agent, integrations = [], []
    for change in changes:
        if change.old == OPEN:
            continue  # its first answer says what stood there already; taking an answer back is a change
        top, _, rest = change.path.partition(".")
        if change.path.startswith(AGENT_PATHS):
            agent.append(change.path)
        elif top == "tools":
            integrations += [change.path] * _is_of_contract(rest)
        elif top == "integrations":
            is_whole = not rest or None in (change.old, change.new)
            integrations += [change.path] * (is_whole or _field(rest) in INTEGRATION_KEYS)
    return ChangedPaths(agent=tuple(agent), integrations=tuple(integrations))


def find_overlaps(steps: Sequence[ChangeStep], *, since: datetime) -> tuple[Overlap, ...]:
    """Return every pair of changes of two sides with less than the freeze between them.

    Args:
        steps: Changes, oldest first, from a freeze before `since`.
        since: Overlaps whose later change is older do not count any more.

    Example:
        >>> from datetime import UTC
        >>> day = datetime(2026, 11, 20, tzinfo=UTC)
        >>> both = ChangeStep(at=day, agent=("model.pin.model",), integrations=("tools.crm.find@1.contract",))
        >>> len(find_overlaps([both], since=day))
        1
    """
    found = []
    for place, later in enumerate(steps):
        if later.at < since:
            continue
        if later.agent and later.integrations and not later.undoes:
            found.append(Overlap(first=later, second=later))
        for earlier in steps[:place]:
            close = later.at - earlier.at < FREEZE
            crossed = (earlier.integrations and later.agent and not later.undoes) or (
                earlier.agent and later.integrations
            )
            if close and crossed:
                found.append(Overlap(first=earlier, second=later))
    return tuple(found)


def freeze_after(steps: Sequence[ChangeStep]) -> Freeze:
    """Return until when each side is frozen after changes of the other.

    Args:
        steps: Changes, oldest first.
    """
    integrations = [step.at for step in steps if step.integrations]
    agent = [step.at for step in steps if step.agent]
    return Freeze(
        agent_until=integrations[-1] + FREEZE if integrations else None,
        integrations_until=agent[-1] + FREEZE if agent else None,
    )


def _is_of_contract(rest: str) -> bool:
    """Whether a path under `tools` is about the system: the tool itself, which came or went, or such a key of it.

    Names of tools and of their arguments are words as well: `auth.login@1`, `args.region`.
    """
    _, _, behind = rest.partition("@")
    _, _, keys = behind.partition(".")
    return not keys or keys.replace("[", ".").partition(".")[0] in INTEGRATION_KEYS


def _field(rest: str) -> str:
    """Return which key of an integration a path under `integrations` is about; its name may hold dots and be such a word."""
    *_, before, last = rest.split(".")
    return before if last in _INNER else last
