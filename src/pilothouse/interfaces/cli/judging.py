# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval label` and `eval judge`: a person labels answers, and the labels measure a model judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pilothouse.core.verdict.numbers import percent_range, percentage
from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.charter.charter import Charter
    from pilothouse.core.statistics.judging import JudgeCard
    from pilothouse.evals.answers import Answer

__all__ = ["add_commands", "places"]

CHARTER_NAME = "charter.yaml"
JOURNAL = Path(".pilothouse/evals.db")
TEXT_CHARS_MAX = 4_000
"""Characters of a question or an answer shown at once; a terminal holds no more."""


def add_commands(group: typer.Typer, services: Services) -> None:
    """Add `label` and `judge` to `pilothouse eval`."""

    @group.command("label")
    def label(
        *,
        by: Annotated[str, typer.Option(help="Your person id; every label names who gave it.")],
        version: Annotated[
            str | None,
            typer.Option(
                help="Version whose stored answers are added, and alone asked about: its digest, or the beginning."
            ),
        ] = None,
        dataset: Annotated[
            Path | None, typer.Option(help="Folder or file. Default: the charter's labelled dataset.")
        ] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter. Default: ./charter.yaml if it is there.")
        ] = None,
        answers: Annotated[
            Path | None, typer.Option(help="File of answers. Default: beside the dataset.")
        ] = None,
        count: Annotated[int, typer.Option(help="Most labels of this session.", min=1)] = 50,
        journal: Annotated[Path, typer.Option(help="Where trials are kept.")] = JOURNAL,
    ) -> None:
        """Say of answers whether they are good; what a judge said of them is not shown. Each label is kept at once."""
        from pilothouse.evals.answers import change_answers, labelling_order, merge_answers, read_answers
        from pilothouse.evals.dataset import load_dataset
        from pilothouse.evals.journal import Journal
        from pilothouse.workflows.gate.judge_cards import stored_answers

        _, folder, file = places(dataset, charter, answers, services)
        known = read_answers(file)
        asked = known
        if version is not None:
            with Journal(journal) as trials:
                fresh = stored_answers(trials, load_dataset(folder), version)
            known = merge_answers(known, fresh)
            ids = {one.id for one in fresh}
            asked = tuple(one for one in known if one.id in ids)
        queue = labelling_order(asked)[:count]
        if not queue:
            raise UsageError(
                f"every answer {f'of version {version!r}' if version else f'in {str(file)!r}'} has a label.",
                remedy="Let a version answer more cases, `pilothouse eval run TARGET` (what `gate` stopped early left out: "
                "`gate ... --complete`), and add its answers: --version with the digest that it prints.",
                subject=str(file),
            )
        console = result_console()
        held = change_answers(file, known)
        given = 0
        for number, one in enumerate(queue, start=1):
            said = _ask(console, one, f"{number} of {len(queue)}")
            if said == "q":
                break
            if said == "s":
                continue
            label = {"good": said == "y", "by": by, "at": services.clock.now()}
            held = change_answers(file, [one.model_copy(update=label)])
            given += 1
        labelled = sum(one.good is not None for one in held)
        hint_console().print(
            f"{given} labels by {escape(by)}; {labelled} of {len(held)} in {escape(str(file))}"
        )

    @group.command("judge")
    def judge(
        *,
        name: Annotated[str, typer.Argument(help="Name of the judge, as the charter has it.")],
        scorer: Annotated[
            str | None,
            typer.Option(
                help="""The judge: judge={"url": ..., "model": ..., "rubric": ...}. Default: the one the cases use."""
            ),
        ] = None,
        dataset: Annotated[
            Path | None, typer.Option(help="Folder or file. Default: the charter's labelled dataset.")
        ] = None,
        charter: Annotated[
            Path | None, typer.Option(help="Charter. Default: ./charter.yaml if it is there.")
        ] = None,
        answers: Annotated[
            Path | None, typer.Option(help="Labelled answers. Default: beside the dataset.")
        ] = None,
        agent: Annotated[str | None, typer.Option(help="Agent to put on record, without a charter.")] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Measure how many bad answers a judge finds and how many good ones it passes: its card.

        Exit status: 0 fit to decide, 1 too weak, 3 not enough labels.
        """
        import asyncio

        from pilothouse.core.statistics.results import NotEnoughEvidence
        from pilothouse.evals.answers import change_answers, read_answers
        from pilothouse.evals.dataset import load_dataset
        from pilothouse.evals.scorers.registry import ScorerRegistry
        from pilothouse.workflows.gate.judge_cards import (
            card_evidence,
            card_of,
            find_judge,
            is_fit,
            judge_answers,
        )
        from pilothouse.workflows.ground.in_force import charter_if_any

        loaded, folder, file = places(dataset, charter, answers, services)
        known = read_answers(file)
        if not known:
            raise UsageError(
                f"{str(file)!r} holds no answers.",
                remedy="Label some: `pilothouse eval label --by PERSON --version DIGEST`.",
                subject=str(file),
            )
        cases = load_dataset(folder).cases if folder.exists() else ()
        one = find_judge(name, scorer, cases, ScorerRegistry())
        judged, missing = asyncio.run(judge_answers(known, one))
        judged = change_answers(file, judged)
        now = services.clock.now()
        clusters = {case.id: case.cluster_id for case in cases}
        card = card_of(judged, one.spec.version, now=now, clusters=clusters)
        console = result_console()
        if isinstance(card, NotEnoughEvidence):
            if as_json:
                print_json({"judge": name, "reason": card.reason, "need": card.need, "unscored": missing})
            else:
                console.print(escape(f"No card for {name}: {card.reason}."))
                console.print(escape(f"  {card.remedy} `pilothouse eval label --by PERSON`"))
                _print_missing(console, missing)
            raise typer.Exit(int(ExitStatus.NOT_ENOUGH_EVIDENCE))
        if as_json:
            print_json(_card_fields(name, card, missing))
        else:
            _print_card(console, name, card)
            _print_missing(console, missing)
        owner = loaded.agent if loaded is not None else agent
        if owner is None:
            hint_console().print("nothing went on record: name the agent with --agent or --charter")
        else:
            with services.open_installation(load_settings(home=home)) as installation:
                record = card_evidence(
                    card,
                    agent=owner,
                    judge=name,
                    command=f"pilothouse eval judge {name}",
                    at=now,
                    answers=judged,
                    charter=charter_if_any(installation.ledger, owner) or loaded,
                )
                installation.ledger.add_evidence((record,))
            hint_console().print(f"on record for {escape(owner)}; see `pilothouse verdict {escape(owner)}`")
        raise typer.Exit(int(ExitStatus.HOLDS if is_fit(card) else ExitStatus.BREACHED))


def places(
    dataset: Path | None, charter: Path | None, answers: Path | None, services: Services
) -> tuple[Charter | None, Path, Path]:
    """Return the charter, the dataset and the file of answers that are meant."""
    from pilothouse.core.charter.answers import known
    from pilothouse.evals.answers import answers_file
    from pilothouse.workflows.ground.check import load_charter

    path = charter or (Path(CHARTER_NAME) if Path(CHARTER_NAME).is_file() else None)
    loaded = load_charter(path, today=services.clock.now().date()) if path else None
    if dataset is None and loaded is not None and path is not None:
        named = known(loaded.datasets.labelled.path)
        dataset = path.parent / named if named else None
    if dataset is None and answers is None:
        raise UsageError("no dataset was given.", remedy="Give --dataset FOLDER-OR-FILE.")
    folder = dataset or Path()
    return loaded, folder, answers or answers_file(folder)


def _ask(console: Console, one: Answer, place: str) -> str:
    """Show one answer and return y, n, s or q; the end of input is q."""
    console.print(f"\n[bold]{place}[/bold]  {escape(one.case_id)} · {escape(one.task_type)}")
    for title, value in (("asked", one.input), ("expected", one.expected), ("answered", one.output)):
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
            console.print(f"[dim]{title:>9}[/dim]  {escape(text[:TEXT_CHARS_MAX])}")
            if len(text) > TEXT_CHARS_MAX:
                console.print(f"           … and {len(text) - TEXT_CHARS_MAX:,} characters more, not shown")
    while True:
        try:
            said = input("good? [y]es [n]o [s]kip [q]uit: ").strip().lower()[:1]
        except EOFError:
            return "q"
        if said and said in "ynsq":
            return said


def _print_card(console: Console, name: str, card: JudgeCard) -> None:
    from pilothouse.workflows.gate.judge_cards import BAD_FOUND_MIN, GOOD_PASSED_MIN, is_fit, worth_words

    verdict = "may decide a margin" if is_fit(card) else "is too weak to decide anything"
    console.print(
        escape(f"{name} {verdict} ({card.n} labels{worth_words(card)}, identity {card.identity[:12]})")
    )
    for words, estimate, bound, asked in (
        ("bad answers it finds", card.sp, card.sp_lower, BAD_FOUND_MIN),
        ("good answers it passes", card.se, card.se_lower, GOOD_PASSED_MIN),
    ):
        console.print(
            escape(
                f"  {words:<24}{percentage(estimate.value):>7} {percent_range(estimate.low, estimate.high)}"
                f"  proved at least {percentage(bound)}, asked {percentage(asked, decimals=0)}"
            )
        )
    console.print(
        escape(
            f"  {'part of a difference':<24}{card.j.value:6.2f} [{card.j.low:.2f}, {card.j.high:.2f}]"
            "  a margin is shrunk to the lower end"
        )
    )
    console.print(
        escape(
            f"  {'agreement beyond chance':<24}{card.kappa.value:6.2f} [{card.kappa.low:.2f}, {card.kappa.high:.2f}]  shown, never a gate"
        )
    )
    if not is_fit(card):
        console.print("  Label more of what it failed, or give it another rubric: then it is another judge.")


def _print_missing(console: Console, missing: dict[str, int]) -> None:
    for reason, count in sorted(missing.items()):
        console.print(escape(f"  {count} answers without a judgement: {reason}"))


def _card_fields(name: str, card: JudgeCard, missing: dict[str, int]) -> dict[str, object]:
    from pilothouse.workflows.gate.judge_cards import is_fit

    ends = {
        key: {"value": one.value, "low": one.low, "high": one.high}
        for key, one in (("se", card.se), ("sp", card.sp), ("j", card.j), ("kappa", card.kappa))
    }
    return {
        "judge": name,
        "identity": card.identity,
        "is_fit": is_fit(card),
        "labels": card.n,
        "se_lower": card.se_lower,
        "sp_lower": card.sp_lower,
        **ends,
        "unscored": missing,
    }
