# SPDX-License-Identifier: Apache-2.0
"""`pilothouse explain`: what a statistical method promises, assumes and computes, and who published it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pilothouse.core.statistics import METHODS, Explanation, MethodId, find_method
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, print_table, result_console
from pilothouse.interfaces.cli.options import AsJson
from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:  # noqa: ARG001 - every command group is given them
    """Add `explain` to the command tree."""

    @cli.command("explain")
    def explain(
        method: Annotated[
            str | None, typer.Argument(help="A method as a verdict names it, for example quality_interval.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Say what may be believed of a number: the sentence, its assumptions, the formula, the reference."""
        if method is None:
            _show_all(as_json=as_json)
        else:
            _refuse_requirement(method)
            found = find_method(method)
            _show_one(found, METHODS[found], as_json=as_json)


def _refuse_requirement(name: str) -> None:
    """Say where a requirement is shown to whoever asks for it here."""
    from pilothouse.core.verdict.framework import FRAMEWORK

    if name.upper() in {one.id for one in FRAMEWORK}:
        raise UsageError(
            f"{name.upper()} is a requirement, and no method of a number",
            remedy="Run `pilothouse verdict --full` to see how it stands, or `pilothouse explain` for the methods.",
            subject=name,
        )


def _record(method: MethodId, explanation: Explanation) -> dict[str, object]:
    return {
        "method": method.value,
        "sentence": explanation.sentence,
        "assumptions": list(explanation.assumptions),
        "formula": explanation.formula,
        "reference": explanation.reference,
    }


def _show_one(method: MethodId, explanation: Explanation, *, as_json: bool) -> None:
    if as_json:
        print_json(_record(method, explanation))
        return
    console = result_console()
    console.print(f"[bold]{method.value}[/bold]")
    console.print(f"  {escape(explanation.sentence)}")
    console.print("  holds if")
    for assumption in explanation.assumptions:
        console.print(f"    - {escape(assumption)}")
    console.print(f"  formula    {escape(explanation.formula)}")
    console.print(f"  reference  {escape(explanation.reference)}")


def _show_all(*, as_json: bool) -> None:
    if as_json:
        records = [_record(method, explanation) for method, explanation in METHODS.items()]
        print_json({"methods": records})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("what may be believed")
    for method, explanation in METHODS.items():
        table.add_row(method.value, escape(explanation.sentence))
    print_table(table)
    hint_console().print("[dim]→ pilothouse explain METHOD[/dim]")
