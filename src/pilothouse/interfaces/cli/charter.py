# SPDX-License-Identifier: Apache-2.0
"""`pilothouse check` and `pilothouse init`: what a charter says, and a first draft of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import print_json
from pilothouse.interfaces.cli.options import AsJson
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.charter.diff import CharterDiff
    from pilothouse.core.charter.findings import CharterCheck

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `check` and `init` to the command tree."""

    @cli.command("check")
    def check(
        path: Annotated[Path, typer.Argument(help="The charter.", metavar="PATH")] = Path("charter.yaml"),
        *,
        as_json: AsJson = False,
        revision: Annotated[
            str | None,
            typer.Option("--diff", metavar="REV", help="Also say what changed since a git revision."),
        ] = None,
        schema: Annotated[
            bool, typer.Option("--schema", help="Print the JSON Schema for editors, and nothing else.")
        ] = False,
        strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when only warnings stand.")] = False,
        every: Annotated[
            bool,
            typer.Option(
                "--all", help="Print every open question; of many those that come first are printed."
            ),
        ] = False,
    ) -> None:
        """Check a charter: exit 0 clean, 2 invalid, 3 open questions."""
        from pilothouse.interfaces.cli import charter_text
        from pilothouse.workflows.ground.check import check_file, compare_with_revision

        if schema:
            from pilothouse.core.charter.schema import charter_schema

            print_json(charter_schema())
            return
        today = services.clock.now().date()
        file = path / "charter.yaml" if path.is_dir() else path
        result = check_file(file, today=today)
        difference: CharterDiff | None = None
        if revision is not None and result.charter is not None:
            difference = compare_with_revision(file, result.charter, revision=revision, today=today)
        if as_json:
            record = charter_text.as_record(result, file=str(file), diff=difference)
            print_json(record)
        else:
            charter_text.print_check(result, file=str(file), every=every)
            if difference is not None:
                charter_text.print_diff(difference, revision=str(revision))
            elif revision is not None:
                typer.echo("What changed is shown once no error stands.", err=True)
        raise typer.Exit(_status(result, strict=strict))

    @cli.command("init")
    def init(
        path: Annotated[Path, typer.Argument(help="Folder of the agent's repository.")],
        out: Annotated[
            Path | None, typer.Option(help="Where the draft is written; PATH/charter.yaml without it.")
        ] = None,
        as_json: AsJson = False,
        force: Annotated[bool, typer.Option("--force", help="Replace a charter that is there.")] = False,
    ) -> None:
        """Read an agent's repository and draft its charter: what was found, where, and what to answer."""
        from pilothouse.interfaces.cli import charter_text
        from pilothouse.interfaces.cli.base_urls import base_urls
        from pilothouse.workflows.verdict.draft import draft_charter, write_draft

        if not path.is_dir():
            raise UsageError(
                f"there is no folder {str(path)!r}",
                remedy="Give the folder of the agent's code: `pilothouse init .`",
                subject=str(path),
            )
        target = out or path / "charter.yaml"
        draft = draft_charter(path, target=target)
        write_draft(draft, target, force=force)
        settings = load_settings()
        urls = base_urls(draft.report.sightings, f"http://{settings.host}:{settings.port}")
        if as_json:
            print_json(charter_text.draft_record(draft, target=str(target), urls=urls))
        else:
            charter_text.print_draft(draft, target=str(target), urls=urls)


def _status(result: CharterCheck, *, strict: bool) -> int:
    kinds = {finding.kind.value for finding in result.findings}
    if "E" in kinds:
        return int(ExitStatus.USAGE)
    if "Q" in kinds:
        return int(ExitStatus.NOT_ENOUGH_EVIDENCE)
    return int(ExitStatus.BREACHED) if strict and "W" in kinds else int(ExitStatus.HOLDS)
