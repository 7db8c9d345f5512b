# SPDX-License-Identifier: Apache-2.0
"""A late group is the group that Typer would have built at once."""

from __future__ import annotations

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from pilothouse.interfaces.cli.lazy_group import late_group


def shelf():
    parts = typer.Typer()

    @parts.command("check")
    def check(path: str, strict: bool = False) -> None:
        """Check a file."""
        typer.echo(f"{path} {strict}")

    @parts.command()
    def sign_in() -> None:
        """Sign in."""

    inner = typer.Typer(help="Keys.")

    @inner.command("add")
    def add(name: str) -> None:
        """Add a key."""
        typer.echo(f"added {name}")

    @inner.command("list")
    def list_all() -> None:
        """List keys."""

    parts.add_typer(inner, name="key")
    return parts


@pytest.fixture
def late():
    parts = shelf()
    cli = typer.Typer(
        cls=late_group([*parts.registered_groups, *parts.registered_commands]), add_completion=False
    )
    cli.callback()(lambda: None)
    return cli


def described(command):
    inner = {name: described(child) for name, child in getattr(command, "commands", {}).items()}
    return command.name, command.help, [(one.name, one.opts, one.required) for one in command.params], inner


def test_every_command_is_what_typer_builds_at_once(late):
    at_once, built = typer.main.get_group(shelf()), typer.main.get_command(late)
    assert list(built.commands) == ["key", "check", "sign-in"], "the order is the one that was asked for"
    assert len(built.commands) == len(at_once.commands)
    for name, command in at_once.commands.items():
        assert described(built.commands[name]) == described(command)


def test_a_command_is_built_once_and_no_sooner_than_it_is_looked_up(late):
    commands = typer.main.get_command(late).commands
    assert not commands._built
    assert commands["check"] is commands["check"]
    assert set(commands._built) == {"check"}


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        (["check", "a.yaml", "--strict"], "a.yaml True", 0),
        (["key", "add", "one"], "added one", 0),
        (["chekc"], "Did you mean 'check'?", 2),
        (["--help"], "Keys.", 0),
    ],
)
def test_the_command_line_runs_helps_and_suggests(late, words, said, status):
    done = CliRunner().invoke(late, words)
    assert (done.exit_code, said in done.output) == (status, True), done.output
