# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval anchor`: see which version later ones are held against, or name another one and sign for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli import gate_options as options
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.judging import places
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.evidence.evidence import Evidence

__all__ = ["add_commands"]


def add_commands(group: typer.Typer, services: Services) -> None:
    """Add `anchor` to `pilothouse eval`."""

    @group.command("anchor")
    def anchor(
        *,
        version: Annotated[
            str | None,
            typer.Argument(
                help="Version that becomes the anchor: its digest, or the beginning. None shows it."
            ),
        ] = None,
        person: Annotated[
            str | None, typer.Option("--as", metavar="PERSON", help="Person id of the charter who signs.")
        ] = None,
        reason: Annotated[str, typer.Option(help="Why, one sentence.")] = "",
        scorer: options.ScorerText = None,
        pass_at: Annotated[float, typer.Option(help="Least value of a success.", min=0.5, max=1.0)] = 0.5,
        dataset: options.DatasetPath = None,
        charter: options.CharterFile = None,
        agent: options.AgentName = None,
        deadline: options.Deadline = 60.0,
        journal: options.JournalFile = options.JOURNAL,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the anchor, which `gate` holds every version against, or set it.

        It moves up by itself when a version is proved better in every task type. Down, or to a version that can still run, it
        moves only when who answers for results and baselines signs, with a reason. It compares with runs by the same scorers only.
        """
        from pilothouse.evals.dataset import load_dataset
        from pilothouse.evals.journal import Journal
        from pilothouse.workflows.gate.anchor import anchors_of, set_anchor
        from pilothouse.workflows.gate.arms import need_stored

        loaded, folder, _ = places(dataset, charter, None, services)
        owner = agent or (loaded.agent if loaded is not None else None)
        if owner is None:
            raise UsageError(
                "an anchor belongs to an agent, and none is named.",
                remedy="Give --agent NAME or --charter FILE.",
            )
        with services.open_installation(load_settings(home=home)) as installation:
            if version is None:
                _show(owner, anchors_of(installation.ledger, owner), as_json=as_json)
                return
            if person is None:
                raise UsageError(
                    "an anchor is set by a person who signs.", remedy="Give --as PERSON and --reason TEXT."
                )
            with Journal(journal) as trials:
                record = set_anchor(
                    installation.ledger,
                    owner,
                    need_stored(trials, version, deadline_s=deadline),
                    dataset=load_dataset(folder),
                    scorer=scorer,
                    pass_at=pass_at,
                    journal=trials,
                    person=person,
                    reason=reason,
                    actor=f"{command_line_actor()} for {person}",
                    now=services.clock.now(),
                )
        _show(owner, (record,), as_json=as_json)


def _show(agent: str, anchors: Sequence[Evidence], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "version": one.binds.version,
                    "at": one.recorded_at.isoformat(),
                    "why": one.detail,
                    "scored_by": one.method,
                }
                for one in anchors
            ]
        )
        return
    for one in anchors:
        say(f"{day(one.recorded_at)}  {one.detail}" + (f", scored by {one.method}" if one.method else ""))
    if not anchors:
        say(f"{agent} has no anchor yet: the first gate on its cases makes one")
