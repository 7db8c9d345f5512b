# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval plan`: what a gate run will take before it spends anything, or attacks to add to the cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli import gate_options as options
from pilothouse.interfaces.cli.consoles import say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["add_commands"]


def add_commands(group: typer.Typer, services: Services) -> None:
    """Add `plan` to `pilothouse eval`."""

    @group.command("plan")
    def plan(
        *,
        candidate: Annotated[
            str | None, typer.Option(help="What may be released: an address, as for `gate`.")
        ] = None,
        baseline: options.Baseline = None,
        dataset: options.DatasetPath = None,
        charter: options.CharterFile = None,
        scorer: options.ScorerText = None,
        margin: options.Margin = None,
        alpha: options.Alpha = None,
        floor: options.Floor = None,
        max_cases: options.MaxCases = None,
        looks: options.Looks = 10,
        spending: options.SpendingName = "pocock",
        repeats: options.Repeats = 1,
        baseline_repeats: options.BaselineRepeats = 1,
        deadline: options.Deadline = 60.0,
        concurrency: options.Concurrency = 64,
        rpm: options.PerMinute = None,
        journal: options.JournalFile = options.JOURNAL,
        home: Home = None,
        as_json: AsJson = False,
        adversarial: Annotated[
            bool, typer.Option("--adversarial", help="Make attacks from cases and tools instead.")
        ] = False,
        out: Annotated[Path, typer.Option(help="File for the attacks.")] = Path("attacks.jsonl"),
        family: Annotated[
            list[str] | None, typer.Option(help="Family of attacks; may be repeated. Default: the charter's.")
        ] = None,
        per_family: Annotated[
            int | None,
            typer.Option(
                help="Independent attacks of each family, a fifth of them sealed. Default: as many as prove `never`, 75.",
                min=1,
            ),
        ] = None,
    ) -> None:
        """Say what a gate run will take: power, cases, money and time; nothing is run. Or make attacks.

        Exit status: 0 the cases can decide the margin, 3 they cannot, 2 wrong input.
        """
        if adversarial:
            _make_attacks(
                charter,
                dataset,
                out=out,
                families=family or [],
                per_family=per_family,
                scorer=scorer,
                services=services,
            )
            return
        if candidate is None:
            raise UsageError(
                "nothing was named to plan for.",
                remedy="Give --candidate TARGET --baseline TARGET, or make attacks: `pilothouse eval plan --adversarial`.",
            )
        from pilothouse.interfaces.cli.gate_journal import plan_release
        from pilothouse.workflows.gate.request import GateRequest

        request = GateRequest(
            candidate=candidate,
            baseline=baseline,
            dataset=dataset,
            charter=options.charter_here(charter),
            scorer=scorer,
            margin_points=margin,
            alpha=alpha,
            floor=floor,
            max_cases=max_cases,
            looks=looks,
            spending=spending,
            repeats=repeats,
            baseline_repeats=baseline_repeats,
            deadline_s=deadline,
            concurrency=concurrency,
            per_minute=rpm,
            journal=journal,
        )
        settings = load_settings(home=home)
        raise typer.Exit(int(plan_release(request, services=services, settings=settings, as_json=as_json)))


def _make_attacks(
    charter: Path | None,
    dataset: Path | None,
    *,
    out: Path,
    families: list[str],
    per_family: int | None,
    scorer: str | None,
    services: Services,
) -> None:
    """Write attacks; a person reads them before `pilothouse dataset add` takes them in."""
    from pilothouse.evals.adversarial import ATTACKS_PER_FAMILY
    from pilothouse.evals.dataset import write_cases
    from pilothouse.workflows.gate.attacks import make_attacks

    cases = make_attacks(
        options.charter_here(charter),
        dataset,
        families=families,
        per_family=per_family or ATTACKS_PER_FAMILY,
        scorer=scorer,
        today=services.clock.now().date(),
    )
    write_cases(out, cases)
    clusters: dict[str, set[str]] = {}
    for case in cases:
        clusters.setdefault(case.family or "", set()).add(case.cluster_id)
    for name, ids in sorted(clusters.items()):
        made = sum(case.family == name for case in cases)
        sealed = len({case.cluster_id for case in cases if case.family == name and case.split == "sealed"})
        say(f"{name:<14} {len(ids)} independent attacks, {sealed} of them sealed, {made} cases")
    say(f"{out}: read them, then `pilothouse dataset add datasets/adversarial {out}`")
