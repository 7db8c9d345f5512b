# SPDX-License-Identifier: Apache-2.0
"""The port of the kill switch: which agents and tools are paused, rolled back, or part of a drill right now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from pilothouse.core.dates import minute
from pilothouse.ports.planted import FaultKind, PlantedFault

__all__ = ["NO_CONTROLS", "ControlState", "ControlStore", "Controls", "Pause", "Rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An agent, or one tool of it, that must not act.

    Attributes:
        agent: Agent id.
        tool: Tool as the charter names it, or None for the whole agent.
        reason: Why, one sentence, as people and the agent read it.
        actor: Who paused it.
        at: Since when, aware UTC.
    """

    agent: str
    tool: str | None
    reason: str
    actor: str
    at: datetime

    @property
    def sentence(self) -> str:
        """Say what is paused, since when, by whom and why, without a full stop."""
        what = self.agent if self.tool is None else f"{self.tool} of {self.agent}"
        return f"{what} is paused since {minute(self.at)} by {self.actor}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """An agent of which one earlier version alone may serve.

    Attributes:
        agent: Agent id.
        to_version: Digest of the version that may serve; every other one is refused.
        from_version: Digest of the version that served when it was rolled back, or None when unknown.
        reason: Why, one sentence.
        actor: Who rolled it back.
        at: Since when, aware UTC.
    """

    agent: str
    to_version: str
    from_version: str | None
    reason: str
    actor: str
    at: datetime

    def sentence(self, version: str) -> str:
        """Say to which version the agent is rolled back, since when, by whom and why, without a full stop.

        Args:
            version: The version that may serve, as the reader knows it.
        """
        return (
            f"{self.agent} is rolled back to {version} since {minute(self.at)} by {self.actor}: {self.reason}"
        )


def _nothing() -> MappingProxyType[tuple[str, str | None], Pause]:
    return MappingProxyType({})


def _no_rollback() -> MappingProxyType[str, Rollback]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """Everything that is in force at one moment; two look-ups in a dictionary per question.

    Attributes:
        pauses: Pauses in force by agent and tool; None as the tool stands for the whole agent.
        rollbacks: Rollbacks in force by agent.
        planted: Faults that drills have planted; hardly ever one.
    """

    pauses: Mapping[tuple[str, str | None], Pause] = field(default_factory=_nothing)
    rollbacks: Mapping[str, Rollback] = field(default_factory=_no_rollback)
    planted: tuple[PlantedFault, ...] = ()

    def pause_of(self, agent: str, tool: str | None = None) -> Pause | None:
        """Return why an agent, or this tool of it, must not act; None when it may.

        Args:
            agent: Agent id.
            tool: Tool as the charter names it; the pause of the whole agent covers every tool.

        Example:
            >>> NO_CONTROLS.pause_of("ap-invoice-triage") is None
            True
        """
        whole = self.pauses.get((agent, None))
        return whole if whole is not None or tool is None else self.pauses.get((agent, tool))

    def rollback_of(self, agent: str) -> Rollback | None:
        """Return to which version an agent was rolled back, or None."""
        return self.rollbacks.get(agent)

    def stopped_word(self, agent: str) -> str:
        """Return in a word what keeps an agent from serving as it is released, or empty.

        Example:
            >>> NO_CONTROLS.stopped_word("ap-invoice-triage")
            ''
        """
        if (agent, None) in self.pauses:
            return "paused"
        if any(name == agent for name, _tool in self.pauses):
            return "a tool paused"
        return "rolled back" if agent in self.rollbacks else ""

    def refusal_of(self, agent: str, *, version: str | None = None, tool: str | None = None) -> str | None:
        """Return the sentence with which a call is refused, or None when it may go on.

        Args:
            agent: Agent id.
            version: Version digest of the caller, or None when it says none.
            tool: Tool that is called, or None for a model call.

        Example:
            >>> NO_CONTROLS.refusal_of("ap-invoice-triage", version="v7f3a") is None
            True
        """
        pause = self.pause_of(agent, tool)
        if pause is not None:
            return pause.sentence
        rollback = self.rollback_of(agent)
        if rollback is None or version == rollback.to_version:
            return None
        return rollback.sentence(rollback.to_version)


NO_CONTROLS = ControlState()
"""Nothing is paused and nothing is rolled back."""


@runtime_checkable
class Controls(Protocol):
    """The kill switch as gateway and tools see it: an in-memory copy, at most a second old."""

    def state(self) -> ControlState:
        """Return what is in force now; cheap enough for every call."""
        ...


@runtime_checkable
class ControlStore(Protocol):
    """The stored kill switch; every change is one transaction with the decision that records it."""

    def read(self) -> ControlState:
        """Return what is in force, read from the ledger."""
        ...

    def pause(self, pause: Pause) -> Pause:
        """Pause an agent or tool and return the pause in force; an earlier pause stays unchanged."""
        ...

    def resume(
        self,
        agent: str,
        tool: str | None,
        *,
        reason: str,
        actor: str,
        at: datetime,
        since: datetime | None = None,
    ) -> Pause | None:
        """End a pause and return it, or None when nothing was paused.

        Raises:
            Conflict: Another pause is in force than the one since the moment that is named.
        """
        ...

    def roll_back(self, rollback: Rollback) -> None:
        """Roll an agent back, replacing an earlier rollback."""
        ...

    def end_rollback(
        self, agent: str, *, reason: str, actor: str, at: datetime, since: datetime | None = None
    ) -> Rollback | None:
        """Let every version serve again and return the rollback that ended, or None.

        Raises:
            Conflict: Another rollback is in force than the one since the moment that is named.
        """
        ...

    def inject_fault(self, fault: PlantedFault) -> None:
        """Inject a fault into the calls of an agent, replacing an earlier one of its kind.

        Raises:
            LimitExceeded: It would live longer than `FAULT_LIFE_MAX`.
        """
        ...

    def clear_fault(self, agent: str, kind: FaultKind, integration: str, *, actor: str, at: datetime) -> bool:
        """End an injected fault; False when it had ended already."""
        ...
