# SPDX-License-Identifier: Apache-2.0
"""Call the owner of an agent about what gateways, the MCP proxy and the boundary have put on record: credentials, limits, changed tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.dates import minute
from pilothouse.ports.approvals import BUDGET_DENIED, TOKEN_REFUSED
from pilothouse.ports.ledger import CharterInForce, Decision, Ledger
from pilothouse.runtime.gateway.near_window import REFUSED_LEVEL
from pilothouse.workflows.gateway.lost_records import LOST_KIND
from pilothouse.workflows.gateway.near_window import NEAR_KIND
from pilothouse.workflows.gateway.passed_limits import PASSED_KIND
from pilothouse.workflows.gateway.provider_signs import FINGERPRINT_KIND, REFUSED_KIND
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.incidents.alerts import Firing, alert_for_every_agent, said_as

__all__ = [
    "BACKEND",
    "BUDGET",
    "CREDENTIAL",
    "PIN",
    "PIN_KIND",
    "RECORD",
    "TOKEN",
    "TOOL_BUDGET",
    "WINDOW",
    "watch_providers",
]

CREDENTIAL, BACKEND, BUDGET, PIN, WINDOW = "credential", "fingerprint", "budget", "mcp_pin", "context_window"
TOOL_BUDGET, TOKEN, RECORD = "tool_budget", "task_token", "run_log"
"""Metrics by which incidents name these."""

PIN_KIND = "mcp.pin_changed"
"""Kind of the record that a tool of an MCP server is not what was reviewed, and disabled."""

FRESH = timedelta(hours=2)
"""Records that are looked at: what is older has been told, or nobody was there to tell it, and its spell is on record again by now."""

READ_MAX = 100
"""Records of one kind that are looked at: each provider of an agent makes two or three in that time."""


def watch_providers(room: ControlRoom, now: datetime) -> int:
    """Call somebody about what gateways have put on record; return how many incidents were opened.

    Raises:
        PilothouseError: The first agent for which it failed, after all others have been looked at.
    """

    def fresh(record: CharterInForce) -> Iterator[Firing]:
        found = list(_firings(room.installation.ledger, record.agent, now))
        told = _told(room, record.agent) if found else []
        for said, firing in found:
            sentence = said_as(firing.sentence)
            if not any(at >= said.at and sentence in text for at, text in told):
                yield firing
                told.append((now, sentence))

    return alert_for_every_agent(room, fresh, now)


def _firings(ledger: Ledger, agent: str, now: datetime) -> Iterator[tuple[Decision, Firing]]:
    for kind, read in _READ.items():
        for decision in reversed(ledger.decisions(agent, kind=kind, limit=READ_MAX)):
            firing = read(agent, json.loads(decision.document)) if now - decision.at < FRESH else None
            if firing is not None:
                yield decision, firing


def _of_refusal(agent: str, said: dict[str, str]) -> Firing:
    since = datetime.fromisoformat(said["since"])
    return Firing(
        agent=agent,
        metric=f"{CREDENTIAL}.{said['provider']}",
        sentence=f"{said['provider']} refuses the calls of {agent} ({said['why']}) since {minute(since)}, and has "
        f"answered none since: look at its credential, `pilothouse provider list`.",
        onset=since,
    )


def _of_fingerprint(agent: str, said: dict[str, str | None]) -> Firing | None:
    if said.get("is_refused"):
        return Firing(
            agent=agent,
            metric=BACKEND,
            sentence=f"{said['model']} at {said['provider']} answers from backend {said['fingerprint']}, which `fingerprints` of its pin "
            "does not name: its answers are withheld. Hold it against the cases, `pilothouse gate`, and add it to the charter.",
            once=True,
        )
    if not said["is_change"]:
        return None
    return Firing(
        agent=agent,
        metric=BACKEND,
        sentence=f"{said['model']} at {said['provider']} answers from another backend, {said['fingerprint']} and not {said['before']}: "
        "its pin is the same, and what it says may not be. Hold it against the cases: `pilothouse gate`.",
        once=True,
    )


def _of_passed(agent: str, said: dict[str, str | None]) -> Firing:
    key, is_run = f"`model.limits.alert.{said['limit']}`", str(said["limit"]).endswith("run")
    if said["spent"] is None:
        sentence = f"{agent} makes model calls whose price nobody has said, so {key} cannot tell when {said['most']} are spent: `pilothouse price`."
    elif is_run:
        sentence = (
            f"A run of {agent}, {str(said['of'])[:8]}, has spent {said['spent']}, and {key} is {said['most']}: it goes on. "
            "Further runs are told once an hour."
        )
    else:
        sentence = f"{agent} has spent {said['spent']} on {said['of']}, and {key} is {said['most']}: its calls go on."
    return Firing(agent=agent, metric=BUDGET, sentence=sentence, once=True)


def _of_near(agent: str, said: dict[str, Any]) -> Firing:
    of, run = f"the {said['window']:,} tokens of {said['model']}", f"run {said['run'][:8]}"
    done = (
        f"A call of {agent} ({run}) did not fit into {of} and was refused: nothing was cut."
        if said["level"] >= REFUSED_LEVEL
        else f"A call of {agent} ({run}) may fill {said['share'] // 10} % of {of}, and {said['level']} % is told: it went on."
    )
    return Firing(
        agent=agent,
        metric=WINDOW,
        sentence=f"{done} Shorten its conversations, `context.edits` of the charter does it visibly; a level is told once in seven days.",
        once=True,
    )


def _of_lost(agent: str, said: dict[str, str]) -> Firing:
    since = minute(datetime.fromisoformat(said["since"]))
    return Firing(
        agent=agent,
        metric=RECORD,
        sentence=f"Model calls of {agent} went on unrecorded since {since} ({said['why']}; first run {said['run'][:8]}): such a run is not "
        "whole, and nothing replays what is missing. Look at the disk, `pilothouse doctor`; it is told once a day.",
        once=True,
    )


def _of_pin(agent: str, said: dict[str, str | None]) -> Firing:
    now = "has it no more" if said["found"] is None else "says of it something else than was reviewed"
    return Firing(
        agent=agent,
        metric=PIN,
        sentence=f"{said['tool']} is disabled: MCP server {said['server']} {now}. Ask whoever runs the server why, and read what it says, "
        f"`pilothouse mcp pin {said['server']}`, before it is pinned again.",
        once=True,
    )


def _of_spent(agent: str, said: dict[str, str]) -> Firing:
    return Firing(
        agent=agent,
        metric=TOOL_BUDGET,
        sentence=f"{agent} goes on calling {said['tool']} after its budget was used up, and is denied. See what it tried: "
        f"`pilothouse audit list {agent} --kind call.decided`; further ones are told once an hour.",
        once=True,
    )


def _of_token(agent: str, _said: dict[str, str]) -> Firing:
    return Firing(
        agent=agent,
        metric=TOKEN,
        sentence=f"Somebody showed {agent} a task token that nobody gave, and may only read: it is forged, or of another server. "
        f"See how often: `pilothouse audit list {agent} --kind task.token_refused`; further ones are told once an hour.",
        once=True,
    )


_READ: Mapping[str, Callable[[str, dict[str, Any]], Firing | None]] = {
    REFUSED_KIND: _of_refusal,
    FINGERPRINT_KIND: _of_fingerprint,
    PASSED_KIND: _of_passed,
    NEAR_KIND: _of_near,
    LOST_KIND: _of_lost,
    PIN_KIND: _of_pin,
    BUDGET_DENIED: _of_spent,
    TOKEN_REFUSED: _of_token,
}
"""What becomes of each kind of record."""


def _told(room: ControlRoom, agent: str) -> list[tuple[datetime, str]]:
    """Return what was said in the incidents of an agent, resolved or not, and when."""
    return [
        (event.at, event.text)
        for incident in room.incidents.incidents(agent=agent)
        for event in room.incidents.events(incident.number)
    ]
