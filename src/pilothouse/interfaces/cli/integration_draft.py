# SPDX-License-Identifier: Apache-2.0
"""`pilothouse integration draft`: contracts and charter entries from what a system says of its operations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console, say
from pilothouse.interfaces.cli.options import AsJson

if TYPE_CHECKING:
    from pilothouse.connectors.openapi import ApiDescription

__all__ = ["register_draft"]


def register_draft(group: typer.Typer) -> None:
    """Add `integration draft` to the group."""

    @group.command("draft")
    def draft(
        description: Annotated[
            Path, typer.Argument(metavar="FILE", help="OpenAPI 3 description of the system, JSON or YAML.")
        ],
        *,
        name: Annotated[
            str, typer.Option("--as", metavar="NAME", help="Name of the system in the charter.")
        ] = "api",
        operations: Annotated[
            list[str] | None,
            typer.Option(
                "--operation",
                metavar="ID",
                help="Operation that the agent needs, by id or as 'GET /path'; repeatable. Without one they are listed.",
            ),
        ] = None,
        into: Annotated[
            str, typer.Option(metavar="FOLDER", help="Folder for the contracts, beside the charter.")
        ] = "contracts",
        as_json: AsJson = False,
    ) -> None:
        """Draft contracts and charter entries from what a system says of itself, for a person to review.

        Contracts are written; the entries are printed, with an open question wherever a description cannot answer.
        No charter is changed and no tool comes into being.
        """
        from pilothouse.connectors.openapi import read_openapi
        from pilothouse.reports.words import plural
        from pilothouse.workflows.integrations.draft_tools import draft_tools, write_contracts

        api = read_openapi(description)
        if not operations:
            _list_operations(api, name, as_json=as_json)
            return
        drafted = draft_tools(api, name, operations, folder=into)
        written = write_contracts(drafted, Path())
        if as_json:
            print_json(
                {
                    "tools": drafted.tools,
                    "contracts": [str(path) for path in written],
                    "charter": drafted.charter,
                    "questions": drafted.questions,
                }
            )
            return
        say(drafted.charter.removesuffix("\n"))
        hint_console().print(
            f"{plural(len(written), 'contract')} written to {into}/; {plural(drafted.questions, 'question')} open. "
            'Put the entries into the charter, answer each "?", and run `pilothouse check`.',
            markup=False,
        )


def _list_operations(api: ApiDescription, name: str, *, as_json: bool) -> None:
    """Say what a system offers; which of it an agent may do is somebody's decision."""
    from pilothouse.reports.foreign import foreign_line
    from pilothouse.workflows.integrations.draft_tools import tool_of

    if as_json:
        print_json(
            [
                {"id": one.ident, "method": one.method, "path": one.path, "tool": f"{tool_of(one, name)}@1"}
                for one in api.operations
            ]
        )
        return
    console = result_console(wrap=True)
    for one in api.operations:
        console.print(f"{one.method:7}{foreign_line(one.path)}  {foreign_line(one.ident)}", markup=False)
        if one.says:
            console.print(f"       {foreign_line(one.says)}", markup=False)
    hint_console().print(
        "Next: name those that the agent needs, for example `--operation "
        f"{foreign_line(api.operations[0].ident) if api.operations else 'ID'}`.",
        markup=False,
    )
