# SPDX-License-Identifier: Apache-2.0
"""`pilothouse mcp`: a proxy before MCP servers, what they say about their tools, and servers of our own."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import UnknownName, UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
from pilothouse.interfaces.cli.services import McpRequest, Services
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.runtime.tools.mcp_servers import UpstreamAddress

__all__ = ["register"]

Servers = Annotated[
    Path, typer.Option("--servers", help='File with {"mcpServers": {NAME: {"command", "args"} or {"url"}}}.')
]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `mcp proxy`, `mcp verdicts`, `mcp examples` and `mcp pin` to the command tree."""
    group = typer.Typer(
        help="MCP: a proxy before servers, pins of their tools; verdicts and reviewed examples as tools.",
        no_args_is_help=True,
    )

    @group.command("proxy")
    def proxy(
        *,
        servers: Servers = Path("mcp-servers.json"),
        agent: AgentOption = None,
        task_type: Annotated[
            str, typer.Option(help="Task type of every call; without one only reads are possible.")
        ] = "unknown",
        home: Home = None,
    ) -> None:
        """Serve the pinned tools on standard input and output; each call passes contract, permission and limits."""
        from pilothouse.workflows.ground.agents import choose_agent

        settings = load_settings(home=home)
        addresses = _addresses(servers)
        with services.open_installation(settings) as installation:
            chosen = choose_agent(installation, agent)
        hints = hint_console()
        services.run_mcp_proxy(
            McpRequest(
                settings=settings,
                agent=chosen,
                servers=addresses,
                task_type=task_type,
                on_note=lambda text: hints.print(text, markup=False),
            )
        )

    @group.command("verdicts")
    def verdicts(*, home: Home = None) -> None:
        """Serve verdicts, evidence, tasks and runs on standard input and output, to be read by a coding assistant."""
        _need_sdk()
        services.serve_verdicts(load_settings(home=home))

    @group.command("examples")
    def examples(
        *,
        agent: AgentOption = None,
        home: Home = None,
    ) -> None:
        """Serve the reviewed few-shot examples on standard input and output: one tool, `find_examples`."""
        from pilothouse.workflows.ground.agents import choose_agent

        _need_sdk()
        settings = load_settings(home=home)
        with services.open_installation(settings) as installation:
            chosen = choose_agent(installation, agent)
        services.serve_examples(settings, chosen)

    @group.command("pin")
    def pin(
        server: Annotated[str, typer.Argument(help="Server as the file names it.")],
        *,
        servers: Servers = Path("mcp-servers.json"),
        as_json: AsJson = False,
    ) -> None:
        """Show what a server says about its tools, each with the digest to pin after you have read it."""
        addresses = _addresses(servers)
        if server not in addresses:
            raise UnknownName.among("server", server, addresses, remedy=f"Add it to {servers}.")
        found = services.list_mcp_tools(addresses[server])
        if as_json:
            rows = [{"tool": name, "manifest_hash": digest, "says": said} for name, digest, said in found]
            print_json(rows)
            return
        console = result_console(wrap=True)
        for name, digest, said in found:
            console.print(f"{name}  {digest}", markup=False)
            # Foreign text: escapes of a terminal must not come through.
            console.print(f"  {json.dumps(said, ensure_ascii=True)}", markup=False)
            if "outputSchema" not in said:
                console.print(f"  {TEXT_ALONE}", markup=False)
        hint_console().print(
            'Next: write a contract with "upstream": {"server", "tool", "manifest_hash"}, your own description, and pin '
            "the file in the charter.",
            markup=False,
        )

    cli.add_typer(group, name="mcp")


TEXT_ALONE = 'It names no output schema, so it may answer with text alone: `output` of the contract then describes {"content": [...]}.'


def _need_sdk() -> None:
    if find_spec("mcp") is None:
        raise UsageError(
            "the MCP SDK is not installed", remedy="Run `pip install 'pilothouse[mcp]'`.", subject="mcp"
        )


def _addresses(file: Path) -> dict[str, UpstreamAddress]:
    _need_sdk()
    from pilothouse.runtime.tools.mcp_servers import read_servers

    return read_servers(file)
