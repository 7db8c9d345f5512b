# SPDX-License-Identifier: Apache-2.0
"""`pilothouse pause`, `resume` and `rollback`: the kill switch, obeyed by gateway and tools within 2 seconds."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import minute
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["command_line_actor", "register"]

Agent = Annotated[str, typer.Argument(help="Agent id.")]
Reason = Annotated[str, typer.Option(help="Why, one sentence; people and the agent read it.")]
ToolOption = Annotated[
    str | None, typer.Option("--tool", metavar="NAME", help="One tool alone, as the charter names it.")
]


def register(cli: typer.Typer, services: Services) -> None:
    """Add the three commands to the command tree."""

    @cli.command("pause")
    def pause(
        agent: Agent,
        *,
        reason: Reason = "",
        tool: ToolOption = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Stop an agent, or one of its tools: gateway and tools refuse its calls within 2 seconds."""
        from pilothouse.workflows.controls.controls import pause_agent

        with services.open_control_room(load_settings(home=home)) as room:
            done = pause_agent(
                room, agent, tool=tool, reason=reason, actor=command_line_actor(), now=services.clock.now()
            )
        held = done.pause
        what = agent if tool is None else f"{tool} of {agent}"
        since = f"since {minute(held.at)} by {held.actor}: {held.reason}"
        _tell(
            f"{what} is paused{'' if done.changed else ' already'}, {since}\n"
            f"  `pilothouse resume {agent}{f' --tool {tool}' if tool else ''}` lets it act again.",
            {
                "agent": agent,
                "tool": tool,
                "state": "paused",
                "changed": done.changed,
                "since": held.at.isoformat(),
                "by": held.actor,
                "reason": held.reason,
            },
            as_json=as_json,
        )

    @cli.command("resume")
    def resume(
        agent: Agent,
        *,
        reason: Reason = "",
        tool: ToolOption = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Let a paused agent, or one of its tools, act again."""
        from pilothouse.workflows.controls.controls import resume_agent

        with services.open_control_room(load_settings(home=home)) as room:
            done = resume_agent(
                room, agent, tool=tool, reason=reason, actor=command_line_actor(), now=services.clock.now()
            )
            rest = room.controls.read()
        what = agent if tool is None else f"{tool} of {agent}"
        line = (
            f"{what} was not paused."
            if done is None
            else f"{what} may act again; it was paused since {minute(done.pause.at)} by {done.pause.actor}."
        )
        still = rest.refusal_of(agent, version=None)
        if still:
            line += f"\n  Still in force: {still}"
        record = {"agent": agent, "tool": tool, "state": "acting", "changed": done is not None}
        _tell(line, {**record, "still_in_force": still}, as_json=as_json)

    @cli.command("rollback")
    def rollback(
        agent: Agent,
        *,
        to: Annotated[
            str | None,
            typer.Option(
                metavar="VERSION", help="Version digest, or its start. Default: the last one that held."
            ),
        ] = None,
        undo: Annotated[bool, typer.Option("--undo", help="Let every version serve again.")] = False,
        reason: Reason = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Go back to an earlier version: gateway and tools refuse every other one within 2 seconds."""
        from pilothouse.errors import UsageError
        from pilothouse.workflows.controls.controls import end_rollback, roll_back_agent

        if undo and to is not None:
            raise UsageError(
                "--undo and --to contradict each other", remedy=f"Type `pilothouse rollback {agent} --undo`."
            )
        now, actor = services.clock.now(), command_line_actor()
        with services.open_control_room(load_settings(home=home)) as room:
            if undo:
                ended = end_rollback(room, agent, reason=reason, actor=actor, now=now)
                line = (
                    f"{agent} was not rolled back."
                    if ended is None
                    else f"Every version of {agent} may serve again."
                )
                _tell(
                    line,
                    {"agent": agent, "state": "any version", "changed": ended is not None},
                    as_json=as_json,
                )
                return
            done = roll_back_agent(room, agent, to_version=to, reason=reason, actor=actor, now=now)
        _tell(
            f"{agent} is rolled back to {done.to_version}; calls of every other version are refused.\n"
            f"  `pilothouse rollback {agent} --undo` lets every version serve again.",
            {
                "agent": agent,
                "state": "rolled back",
                "to": done.to_version,
                "from": done.from_version,
                "by": done.actor,
                "reason": done.reason,
            },
            as_json=as_json,
        )


def command_line_actor() -> str:
    """Return the actor of a command as records name it when only the account of the operating system is known."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError):
        return "unknown (command line)"


def _tell(line: str, record: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        say(line)
