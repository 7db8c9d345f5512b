# SPDX-License-Identifier: Apache-2.0
"""Find which agent is meant, or say what to type so that there is one to judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pilothouse.errors import UnknownName, UsageError
from pilothouse.ports.lake import AgentSeen, Lake
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.words import plural
from pilothouse.workflows.ground.installation import Installation

__all__ = ["NAMES_SHOWN_MAX", "SeenAgents", "agent_of_folder", "choose_agent", "listed"]

NAMES_SHOWN_MAX = 10
"""Names listed in a message; a person reads no more of them."""

CHARTER_HERE = Path("charter.yaml")
"""Whoever types a command in an agent's folder means that agent."""

ASKED_SHARE = 0.01
"""Most of the time that a server spends asking: an answer is shown a hundred times as long as it took."""

SEEN_LIFE_MAX_S = 10.0
"""Longest time until an agent that nobody knew stands on the Fleet page."""


class SeenAgents:
    """The agents that telemetry knows, for a server whose pages ask all the time: it counts every task there is.

    Args:
        lake: Telemetry.
        monotonic: The monotonic clock, seconds.
    """

    def __init__(self, lake: Lake, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._monotonic = monotonic
        self._kept: Sequence[AgentSeen] = ()
        self._until = float("-inf")

    def read(self) -> Sequence[AgentSeen]:
        """Return them, by name; a few seconds old where counting takes long."""
        began = self._monotonic()
        if began >= self._until:
            self._kept = self._lake.agents()
            ended = self._monotonic()
            self._until = ended + min((ended - began) / ASKED_SHARE, SEEN_LIFE_MAX_S)
        return self._kept


def choose_agent(installation: Installation, asked: str | None) -> str:
    """Return the id of the agent that a command is about.

    Args:
        installation: Lake and ledger.
        asked: What was typed, or None when the only agent is meant, or the one whose charter stands in the present folder.

    Raises:
        UnknownName: No charter and no telemetry has that name.
        UsageError: There is none, there are several, or the one has no charter; says what to type.
    """
    charters = installation.ledger.charters()
    governed = [record.agent for record in charters]
    if asked in governed:
        return str(asked)
    seen = {found.agent: found.tasks for found in installation.lake.agents()}
    if asked is not None:
        if asked in seen:
            raise UsageError(
                f"agent {asked!r} sent {plural(seen[asked], 'task')}, but no charter says what must hold for it",
                remedy="Draft one from its repository: `pilothouse init PATH-TO-YOUR-AGENT`; "
                "then `pilothouse verdict --charter PATH-TO-YOUR-AGENT/charter.yaml`.",
                subject=asked,
            )
        raise UnknownName.among(
            "agent",
            asked,
            [*governed, *seen],
            remedy="Run `pilothouse traces` to see which agents send tasks.",
        )
    if len(governed) == 1:
        return governed[0]
    if here := agent_of_folder(charters):
        return here
    if governed:
        raise UsageError(
            f"{len(governed)} agents have a charter: {listed(governed)}",
            remedy=f"Name one: `--agent {governed[0]}`, or `{governed[0]}` alone where the command's help shows AGENT; or type it "
            "in the folder of the agent's charter.",
        )
    if seen:
        raise UsageError(
            f"no charter is in force; telemetry came from {listed(list(seen))}",
            remedy="Draft a charter from the agent's repository: `pilothouse init PATH-TO-YOUR-AGENT`; "
            "then `pilothouse verdict --charter PATH-TO-YOUR-AGENT/charter.yaml`.",
        )
    raise UsageError(
        f"there is nothing to judge yet in {str(installation.settings.home)!r}: no charter and no task",
        remedy="See how it looks with `pilothouse demo`, or begin with your own agent: "
        "`pilothouse init PATH-TO-YOUR-AGENT`, then `pilothouse up`.",
    )


def agent_of_folder(charters: Sequence[CharterInForce]) -> str | None:
    """Return the agent whose charter in force stands in the present folder, or None.

    Args:
        charters: Those in force.
    """
    if not CHARTER_HERE.is_file():
        return None
    # Resolved: a server that was started in another folder knows the file by the way from there.
    here = CHARTER_HERE.resolve()
    return next((record.agent for record in charters if Path(record.path).resolve() == here), None)


def listed(names: Sequence[str]) -> str:
    """Return names as a message shows them: the first few, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:NAMES_SHOWN_MAX])
    rest = len(names) - NAMES_SHOWN_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown
