# SPDX-License-Identifier: Apache-2.0
"""The two rows of the menu: pages about all agents, and the pages of one; only served pages are listed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["MenuLink", "agent_menu", "shown_as", "top_menu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuLink:
    """A page in the menu; `key` follows `g` on the keyboard."""

    name: str
    text: str
    href: str
    key: str


_TOP = (
    ("fleet", "Fleet", "/", "f"),
    ("review", "Review", "/review", "q"),
    ("incidents", "Incidents", "/incidents", "i"),
    ("audit", "Audit", "/audit", "l"),
    ("settings", "Settings", "/settings", "s"),
)
_AGENT = (
    ("agent", "Agent", "a"),
    ("readiness", "Readiness", "r"),
    ("tasks", "Tasks", "t"),
    ("runs", "Runs", "u"),
    ("evals", "Evals", "e"),
    ("watch", "Watch", "h"),
    ("integrations", "Integrations", "n"),
    ("ownership", "Ownership", "w"),
    ("controls", "Controls", "c"),
    ("rollout", "Rollout", "o"),
    ("value", "Value", "v"),
)
_UNGOVERNED = frozenset({"tasks", "runs"})
"""Pages that need no charter."""

_SHOWN_AS = {
    "trace": "tasks",
    "run": "runs",
    "review_item": "review",
    "reviews": "review",
    "incident": "incidents",
    "signing": "ownership",
    "waivers": "readiness",
    "executive": "value",
    "sprint": "readiness",
    "compliance": "controls",
}
"""Pages that belong to another entry of the menu."""


def shown_as(name: str) -> str:
    """Return the entry that a page belongs to.

    Example:
        >>> shown_as("trace"), shown_as("fleet")
        ('tasks', 'fleet')
    """
    return _SHOWN_AS.get(name, name)


def top_menu(served: Collection[str]) -> tuple[MenuLink, ...]:
    """Return the first row."""
    return tuple(
        MenuLink(name=name, text=text, href=href, key=key) for name, text, href, key in _TOP if href in served
    )


def agent_menu(agent: str | None, served: Collection[str], *, governed: bool) -> tuple[MenuLink, ...]:
    """Return the second row; empty without an agent.

    Args:
        agent: Agent id, or None.
        served: Paths of the routes.
        governed: Whether a charter is in force for it.
    """
    if agent is None:
        return ()
    pages = {path.rpartition("/")[2] for path in served if path.startswith("/agents/{")}
    base = f"/agents/{quote(agent, safe='')}"
    return tuple(
        MenuLink(name=name, text=text, href=f"{base}/{name}", key=key)
        for name, text, key in _AGENT
        if name in pages and (governed or name in _UNGOVERNED)
    )
