# SPDX-License-Identifier: Apache-2.0
"""Pause, resume and roll back an agent; the running server notices within a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.evidence.releases import RELEASE_VERDICT, standing_releases
from pilothouse.errors import CharterInvalid, UnknownName, UsageError
from pilothouse.ports.controls import ControlState, ControlStore, Pause, Rollback
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.renewed import Renewed

__all__ = [
    "REFRESH_EVERY_S",
    "VERSIONS_KEPT_MAX",
    "ControlsCache",
    "PauseChange",
    "end_rollback",
    "pause_agent",
    "resume_agent",
    "roll_back_agent",
    "version_before",
    "versions_that_held",
]

REFRESH_EVERY_S = 0.5
"""One small query while the ledger is as it was; with it a pause typed anywhere is obeyed by gateway and tools well within 2 seconds."""

VERSIONS_KEPT_MAX = 5
"""Versions one may go back to: the last ones that passed the release gate. Older ones met another world."""

_NO_REASON = "no reason was given"


class ControlsCache(Renewed[ControlState]):
    """`ports.Controls` in memory, kept up to date by a thread of its own.

    Args:
        store: Where pauses and rollbacks are kept.
        state: Returns a text that is another one once the ledger has changed; None to read at each look.
        every_s: Pause between two looks, seconds.
        on_note: Told when they cannot be read, and when they can again.
    """

    def __init__(
        self,
        store: ControlStore,
        *,
        state: Callable[[], str] | None = None,
        every_s: float = REFRESH_EVERY_S,
        on_note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._store = store
        super().__init__(self._read, what="pauses", every_s=every_s, state=state, on_note=on_note)

    def state(self) -> ControlState:
        """Return what is in force, at most a refresh old."""
        return self.value

    def _read(self) -> ControlState:
        return self._store.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseChange:
    """What came of pausing or resuming.

    Attributes:
        pause: The pause in force, or the one that ended.
        changed: False when it was so already.
    """

    pause: Pause
    changed: bool


def pause_agent(
    room: ControlRoom, agent: str, *, tool: str | None, reason: str, actor: str, now: datetime
) -> PauseChange:
    """Pause an agent or one of its tools; gateway and tools refuse its calls within 2 seconds.

    Args:
        room: Opened parts.
        agent: Agent id, with a charter or seen in traffic.
        tool: Tool as the charter names it, or None for the whole agent.
        reason: Why, or empty.
        actor: Who asks.
        now: The moment, aware UTC.

    Raises:
        UnknownName: Nobody knows the agent, or its charter has no such tool.
    """
    _known_agent(room.installation, agent)
    if tool is not None:
        _declared_tool(room.installation, agent, tool)
    wanted = Pause(agent=agent, tool=tool, reason=reason or _NO_REASON, actor=actor, at=now)
    found = room.controls.pause(wanted)
    return PauseChange(pause=found, changed=found is wanted)


def resume_agent(
    room: ControlRoom,
    agent: str,
    *,
    tool: str | None,
    reason: str,
    actor: str,
    now: datetime,
    since: datetime | None = None,
) -> PauseChange | None:
    """Let a paused agent or tool act again; None when it was not paused.

    Args:
        room: Opened parts.
        agent: Agent id.
        tool: Tool as the charter names it, or None for the whole agent.
        reason: Why, or empty.
        actor: Who asks.
        now: The moment, aware UTC.
        since: Beginning of the pause that was shown, or None to end whichever is in force.

    Raises:
        UnknownName: Nobody knows the agent.
        Conflict: Another pause is in force than the one that was shown.
    """
    _known_agent(room.installation, agent)
    ended = room.controls.resume(agent, tool, reason=reason or _NO_REASON, actor=actor, at=now, since=since)
    return None if ended is None else PauseChange(pause=ended, changed=True)


def versions_that_held(installation: Installation, agent: str) -> tuple[str, ...]:
    """Return the versions that one may go back to, the latest release verdict first."""
    return _passed(installation, agent)[:VERSIONS_KEPT_MAX]


def version_before(installation: Installation, agent: str, serving: str | None) -> str | None:
    """Return the last version that passed the release gate before one did; None when none did.

    A candidate that passed after it and does not serve yet is no way back. Of a version that never passed, the way back is the
    last one that did and was seen at work, or any that did where none was.

    Args:
        installation: Opened parts.
        agent: Agent id.
        serving: The version that serves, or None when nobody knows.
    """
    passed = _passed(installation, agent)
    if serving in passed:
        return next(iter(passed[passed.index(serving) + 1 :]), None)
    seen = next((one.versions for one in installation.lake.agents() if one.agent == agent), ())
    return next((one for one in passed if one in seen), next(iter(passed), None))


def _passed(installation: Installation, agent: str) -> tuple[str, ...]:
    """Versions whose newest release verdict is good, the latest first."""
    standing = standing_releases(installation.ledger.evidence(agent, kinds=[RELEASE_VERDICT]))
    return tuple(version for version, record in reversed(standing.items()) if record.passed)


def roll_back_agent(
    room: ControlRoom, agent: str, *, to_version: str | None, reason: str, actor: str, now: datetime
) -> Rollback:
    """Let one earlier version alone serve; gateway and tools refuse every other within 2 seconds.

    Args:
        room: Opened parts.
        agent: Agent id.
        to_version: Digest, or its first characters, of a version that was seen or gated; None for the
            last one that passed the release gate before the one that serves now.
        reason: Why, or empty.
        actor: Who asks.
        now: The moment, aware UTC.

    Raises:
        UnknownName: Nobody knows the agent or the version.
        UsageError: No version was named and none passed the release gate before this one.
    """
    installation = room.installation
    _known_agent(installation, agent)
    seen = next((one.versions for one in installation.lake.agents() if one.agent == agent), ())
    held = versions_that_held(installation, agent)
    serving = seen[0] if seen else None
    if to_version is None:
        target = version_before(installation, agent, serving)
        if target is None:
            raise UsageError(
                f"no earlier version of {agent!r} passed the release gate, so none can be chosen for you",
                remedy=f"Name one that was seen: `pilothouse rollback {agent} --to {_example(seen)}`, "
                f"or stop it: `pilothouse pause {agent}`.",
                subject=agent,
            )
    else:
        target = _version_named(agent, to_version, dict.fromkeys((*held, *seen)))
    rollback = Rollback(
        agent=agent,
        to_version=target,
        from_version=serving,
        reason=reason or _NO_REASON,
        actor=actor,
        at=now,
    )
    room.controls.roll_back(rollback)
    return rollback


def end_rollback(
    room: ControlRoom, agent: str, *, reason: str, actor: str, now: datetime, since: datetime | None = None
) -> Rollback | None:
    """Let every version serve again; None when the agent was not rolled back.

    Args:
        room: Opened parts.
        agent: Agent id.
        reason: Why, or empty.
        actor: Who asks.
        now: The moment, aware UTC.
        since: Beginning of the rollback that was shown, or None to end whichever is in force.

    Raises:
        UnknownName: Nobody knows the agent.
        Conflict: Another rollback is in force than the one that was shown.
    """
    _known_agent(room.installation, agent)
    return room.controls.end_rollback(agent, reason=reason or _NO_REASON, actor=actor, at=now, since=since)


def _known_agent(installation: Installation, agent: str) -> None:
    if installation.ledger.charter(agent) is not None:
        return
    seen = {one.agent for one in installation.ledger.charters()}
    seen |= {one.agent for one in installation.lake.agents()}
    if agent not in seen:
        raise UnknownName.among("agent", agent, seen, remedy="`pilothouse traces` lists the agents seen.")


def _declared_tool(installation: Installation, agent: str, tool: str) -> None:
    """Refuse a misspelt tool: whoever reads that it is paused believes that the real one has stopped."""
    stored = installation.ledger.charter(agent)
    try:
        declared = None if stored is None else known(charter_of(stored).tools)
    except CharterInvalid:
        return  # a stop works also while nobody can read what is in force
    if declared is not None and tool not in declared:
        raise UnknownName.among(
            "tool",
            tool,
            declared,
            remedy=f"`pilothouse show controls {agent}` lists its tools; `pilothouse pause {agent}` stops all of them.",
        )


def _version_named(agent: str, text: str, seen: Iterable[str]) -> str:
    found = [version for version in seen if version.startswith(text)]
    if len(found) > 1 and text not in found:
        raise UsageError(
            f"{text!r} stands for {len(found)} versions of {agent!r}",
            remedy=f"Give more of its digest, for example `--to {found[0]}`.",
            subject=agent,
        )
    if not found:
        raise UnknownName.among(
            "version", text, seen, remedy=f"`pilothouse traces --agent {agent}` shows the versions seen."
        )
    return text if text in found else found[0]


def _example(seen: Sequence[str]) -> str:
    return seen[1] if len(seen) > 1 else "VERSION"
