# SPDX-License-Identifier: Apache-2.0
"""`pilothouse backup`: copy an installation while it runs, or check a copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import second
from pilothouse.interfaces.cli.consoles import hint_console, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `backup` to the command tree."""

    @cli.command("backup")
    def backup(
        folder: Annotated[
            Path, typer.Argument(help="New folder for the copy; with --check, the copy to read.")
        ],
        check: Annotated[
            bool, typer.Option("--check", help="Copy nothing: hold a copy against its manifest.")
        ] = False,
        no_ledger: Annotated[
            bool,
            typer.Option(
                "--no-ledger", help="Leave the ledger out: it was dumped from its server just before."
            ),
        ] = False,
        as_json: AsJson = False,
        home: Home = None,
    ) -> None:
        """Copy ledger, lake, runs and keys while the server runs; the copy is a data folder: `pilothouse up --home FOLDER`."""
        from pilothouse.workflows.server.backup import check_backup

        settings = load_settings(home=home)
        manifest = check_backup(folder) if check else services.back_up(settings, folder, no_ledger=no_ledger)
        if as_json:
            typer.echo(manifest.model_dump_json(indent=2, ensure_ascii=True))
            return
        rows = ", ".join(f"{count:,} {name}" for name, count in sorted(manifest.rows.items()))
        what = f"{len(manifest.files):,} files, {manifest.size_bytes / (1 << 20):,.1f} MiB"
        rows = ", ".join(filter(None, (rows, f"{manifest.runs:,} recorded runs" if manifest.runs else "")))
        say(f"{'Whole' if check else 'Copied'}: {what}; {rows or 'no telemetry'}.")
        hints = hint_console()
        before = f"acknowledged before {second(manifest.began_at)}"
        if manifest.ledger.endswith(".pgdump"):
            hints.print(
                f"It holds everything {before}; keep it as you keep keys. The ledger goes into a new database:"
            )
            hints.print(f"  $ pg_restore --no-owner --dbname=ADDRESS {folder / manifest.ledger}")
        elif manifest.ledger:
            hints.print(f"It holds everything {before}; keep it as you keep keys.")
        else:
            hints.print(f"It holds telemetry and runs {before}, and no ledger.")
