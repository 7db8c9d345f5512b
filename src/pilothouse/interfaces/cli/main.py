# SPDX-License-Identifier: Apache-2.0
"""The command tree, with one place where errors become text and exit statuses."""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import typer
import typer.exceptions
from rich.markup import escape
from typer.models import CommandInfo, TyperInfo

import pilothouse
from pilothouse.errors import CharterInvalid, ExitStatus, InfrastructureError, PilothouseError, UsageError
from pilothouse.interfaces.cli import (
    approve,
    audit,
    backup,
    canary,
    charter,
    contact,
    context,
    controls,
    credential,
    curate,
    dataset,
    demo,
    doctor,
    drill,
    evaluate,
    evidence,
    explain,
    feedback,
    fleet,
    gaps,
    gate,
    incident,
    integration,
    key,
    load,
    mcp,
    minutes,
    phase,
    policy,
    price,
    provider,
    repair,
    replay,
    report,
    review,
    run,
    serve,
    show,
    sign_in,
    telemetry,
    value,
    verdict,
    watch,
)
from pilothouse.interfaces.cli.consoles import hint_console, print_json, say, spell_unwritable
from pilothouse.interfaces.cli.files import file_error
from pilothouse.interfaces.cli.help_page import CONTEXT
from pilothouse.interfaces.cli.lazy_group import late_group
from pilothouse.interruption import INTERRUPTED, was_told_to_stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.interfaces.cli.services import Services

__all__ = ["build_cli", "run_cli", "say_unfinished"]

COMMANDS = {
    "Begin": (demo, charter, serve, run),
    "See and decide": (telemetry, fleet, verdict, phase, value, report, show, explain),
    "Measure before it ships": (dataset, evaluate, gate, load, canary, replay, context),
    "Guard what it may do": (provider, key, credential, policy, approve, integration, mcp, controls),
    "People": (evidence, minutes, review, feedback, curate, gaps, sign_in, contact),
    "When something is wrong": (watch, incident, drill),
    "Keep it running": (doctor, repair, backup, price, audit),
}
"""Command modules by panel of the help page, in the order of the way from a pilot to production."""


def build_cli(services: Services) -> typer.Typer:
    """Return the command tree, each command wired to `services`.

    Args:
        services: Openers and starters from the composition root.
    """
    parts: list[CommandInfo | TyperInfo] = []
    for panel, modules in COMMANDS.items():
        shelf = typer.Typer()
        for module in modules:
            module.register(shelf, services)
        registered: list[CommandInfo | TyperInfo] = [*shelf.registered_commands, *shelf.registered_groups]
        for part in registered:
            part.rich_help_panel = panel
        parts += registered
    cli = typer.Typer(
        name="pilothouse",
        cls=late_group(parts),
        help="Take one narrow AI agent from pilot to production, on evidence.",
        no_args_is_help=True,
        add_completion=False,
        context_settings=CONTEXT,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )

    @cli.callback(invoke_without_command=True)
    def root(
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if version:
            say(pilothouse.__version__)
            raise typer.Exit

    return cli


def run_cli(cli: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error we raise becomes one message, a remedy and an exit status.

    Args:
        cli: The command tree.
        arguments: What was typed after the program's name; None for the process's own.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in _ours(typed)
    spell_unwritable()
    try:
        _refuse_half_characters(typed)
        code = _do(cli, typed)
    except PilothouseError as error:
        _fail(error, as_json=as_json)
    except typer.Abort:
        code = INTERRUPTED
    except typer.exceptions.TyperException as error:
        if not error.format_message():  # nothing was typed, and the help that was printed is the answer
            sys.exit(int(ExitStatus.USAGE))
        _fail(_wrong_usage(error), as_json=as_json)
    except BrokenPipeError:
        _give_up_stdout()
        sys.exit(int(ExitStatus.INFRASTRUCTURE))  # what nobody read to its end was told to nobody
    except Exception as error:  # noqa: BLE001 - a bug of ours, or a file that is not as it was thought to be
        if KeyboardInterrupt.__name__ in str(
            error
        ):  # a library that calls us back makes a failed call of Ctrl-C
            hint_console().print("Stopped.")
            sys.exit(INTERRUPTED)
        if isinstance(error, OSError) and (about_file := file_error(error)) is not None:
            _fail(about_file, as_json=as_json)
        _show_bug(as_json=as_json)
        sys.exit(int(ExitStatus.INFRASTRUCTURE))
    if code == INTERRUPTED:
        hint_console().print("Stopped.")
    sys.exit(code if isinstance(code, int) else 0)


def say_unfinished(typed: Sequence[str]) -> NoReturn:
    """Say that a command's process ended before the command did, and exit with the status of that.

    Args:
        typed: What was typed after the program's name.
    """
    error = InfrastructureError(
        f"the process of `pilothouse {typed[0]}` was ended before it said how it came out",
        remedy="Code that it runs ended it (`os._exit`, a crash), or the system did: run an agent as exec:COMMAND, and look "
        "at what a scorer or verifier does.",
        subject=typed[0],
    )
    _fail(error, as_json="--json" in _ours(typed))


def _do(cli: typer.Typer, typed: list[str]) -> object:
    """Run what was typed; what fails because it was stopped was stopped."""
    try:
        return cli(typed, standalone_mode=False, prog_name="pilothouse")
    except Exception as error:
        # A library that calls us back makes a failed call of Ctrl-C, and a process of ours that was stopped, too, breaks off.
        if was_told_to_stop() or KeyboardInterrupt.__name__ in str(error):
            return INTERRUPTED
        raise
    except (
        SystemExit
    ) as ended:  # so Typer ends, with 1, when whoever read has gone; 1 would read as "breached"
        raise BrokenPipeError from ended


def _ours(typed: Sequence[str]) -> Sequence[str]:
    """Return what was typed for us: what stands behind `--` is another program's."""
    return typed[: typed.index("--")] if "--" in typed else typed


def _refuse_half_characters(typed: Sequence[str]) -> None:
    """Refuse bytes that are no text: nothing can show or keep them."""
    for word in _ours(typed):
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise UsageError(
                f"{shown[:80]!r} is no UTF-8 text",
                remedy="Type it again; a file of such a name needs another one.",
            ) from None


def _wrong_usage(error: typer.exceptions.TyperException) -> PilothouseError:
    """Return what was typed wrongly as an error of ours."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "pilothouse"
    said = error.format_message().rstrip(".")
    return UsageError(f"{said[:1].lower()}{said[1:]}", remedy=f"Run `{path} --help` to see how.")


def _fail(error: PilothouseError, *, as_json: bool) -> NoReturn:
    """Show an error and exit with its status."""
    if os.environ.get("PILOTHOUSE_DEBUG"):
        traceback.print_exc()
    try:
        _show_error(error, as_json=as_json)
    except (
        OSError
    ):  # a full disk, or nobody reads: the status alone can still be told, and must not be that of a verdict
        _give_up_stdout()
        sys.exit(int(ExitStatus.INFRASTRUCTURE))
    sys.exit(int(error.exit_status))


def _give_up_stdout() -> None:
    """Let what is still to be written go nowhere, so that ending does not fail over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_error(error: PilothouseError, *, as_json: bool) -> None:
    """Print one of our errors: text on stderr, or its record as JSON on stdout."""
    if as_json:
        record: dict[str, object] = dict(error.as_record())
        if isinstance(error, CharterInvalid):
            record["findings"] = list(error.findings)
        print_json({"error": record})
        return
    console = hint_console()
    where = f"{error.place}: " if error.place else ""
    console.print(f"[bold]error:[/bold] {escape(where + error.message)}")
    if isinstance(error, CharterInvalid):
        for finding in error.findings:
            console.print(f"  {escape(finding)}")
    console.print(f"  {escape(error.remedy)}")


def _show_bug(*, as_json: bool) -> None:
    """Print an id for an error nobody foresaw; PILOTHOUSE_DEBUG=1 prints its trace."""
    said = f"this is a bug in Pilothouse (id {secrets.token_hex(4)}); nothing was changed silently"
    remedy = "Run it again with PILOTHOUSE_DEBUG=1 and report the trace."
    if as_json:
        record = {
            "code": "bug",
            "message": said,
            "remedy": remedy,
            "subject": None,
            "place": None,
            "docs": None,
        }
        print_json({"error": record})
    else:
        console = hint_console()
        console.print(f"[bold]error:[/bold] {said}.")
        console.print(f"  {remedy}")
    if os.environ.get("PILOTHOUSE_DEBUG"):
        traceback.print_exc()
