# SPDX-License-Identifier: Apache-2.0
"""`pilothouse replay --since 7d`: what all runs of a time would have been with one thing changed."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.core.dates import day
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.live_key import live_key
from pilothouse.reports.words import plural

if TYPE_CHECKING:
    from pilothouse.core.charter.charter import Charter
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.settings import Settings
    from pilothouse.workflows.curation.replay_window import WindowReport
    from pilothouse.workflows.replay.run import ReplayRequest

__all__ = ["replay_since"]


def replay_since(
    services: Services,
    settings: Settings,
    since: str,
    request: ReplayRequest,
    *,
    agent: str | None,
    to: Path | None,
    as_json: bool,
) -> None:
    """Replay the runs of an agent since a time, print the shares, and write pairs for the gate.

    Args:
        services: Opens run log and labels.
        settings: Values in force.
        since: How far back, such as `7d`.
        request: What is asked of each run.
        agent: Agent.
        to: Folder for pairs, or None.
        as_json: Whether to print JSON.

    Raises:
        UsageError: Agent or change are missing, or the time is none.
    """
    from pilothouse.core.charter.quantities import parse_duration
    from pilothouse.core.evidence.stand_in import stand_ins_of
    from pilothouse.interfaces.cli.consoles import hint_console
    from pilothouse.workflows.curation.replay_window import (
        RUNS_MAX,
        Versions,
        replay_window,
        versions_of_change,
        write_pairs,
    )
    from pilothouse.workflows.review.trusted_labels import trusted_labels

    if agent is None or request.substitution.is_empty:
        raise UsageError(
            "a replay of a time needs one agent and one change",
            remedy="Name both: `pilothouse replay --since 7d --agent AGENT --model MODEL --upstream http://127.0.0.1:4318/gw`",
        )
    try:
        span = parse_duration(since)
    except ValueError as error:
        raise UsageError(f"{since!r} is no time: {error}", remedy="Write it like `--since 7d`") from error
    now = services.clock.now()
    with services.open_run_log(settings) as log:
        summaries = log.runs(agent=agent, since_ns=unix_ns(now - span), limit=RUNS_MAX + 1)
    labels = {}
    with services.open_curation(settings) as desk:
        charter = desk.directory.charters().get(agent)
        if charter is not None:
            labels = {one.record.item.trace_id: one for one in trusted_labels(desk.queue, charter, now)}
    versions = Versions()
    with services.open_installation(settings) as installation:
        in_force = installation.ledger.charter(agent)
    if charter is not None and in_force is not None:
        versions = versions_of_change(Path(in_force.path), charter, request.substitution)
    console = hint_console()
    models = () if request.substitution.model is None else (request.substitution.model,)
    with live_key(services, settings, agent, request.live, models) as key:
        once = replace(request, repeats=1, live_key=key, looks_up=False)
        report = replay_window(
            summaries,
            lambda run: services.replay(settings, run, once)[0],
            labels,
            agent=agent,
            since=now - span,
            until=now,
            version=versions.baseline,
            stand_ins=frozenset() if charter is None else stand_ins_of(charter),
            on_progress=lambda done, of: (
                console.print(f"{done} of {of} runs") if done and done % 100 == 0 else None
            ),
        )
    if as_json:
        print_json({**_fields(report), "pairs": len(report.pairs)})
    else:
        say(_text(report))
    if to is not None:
        command = write_pairs(report, to, versions, judged=len(labels))
        console.print(f"{len(report.pairs)} judged runs are pairs in {to}. Decide: {command}", soft_wrap=True)
        for line in _what_it_decides(report, charter):
            console.print(f"  {line}", soft_wrap=True)


def _what_it_decides(report: WindowReport, charter: Charter | None) -> list[str]:
    """Say how many pairs the gate counts, what it needs besides, and what a pass over them is good for."""
    from pilothouse.core.charter.answers import known
    from pilothouse.evals.case import Split
    from pilothouse.evals.scorers.registry import ScorerRegistry

    counted = sum(pair.case.split is Split.GATE for pair in report.pairs)
    lines = [f"The gate counts {counted} of them, labels of the others are kept for examples."]
    if charter is None:
        return lines
    scorers = {one.name for one in ScorerRegistry().listing()}
    types = {pair.case.task_type for pair in report.pairs} & set(charter.task_types)
    metrics = {known(charter.task_types[name].metric) for name in types}
    lines += [
        f"The charter names {name!r} as metric: add the --scorer that your other gates have; `exact` calls another wording wrong."
        for name in sorted(metrics - scorers - {None}, key=str)
    ]
    if known(charter.datasets.labelled.path):
        lines.append(
            "Harm that is proved over them goes on record. A pass does not: a version is released over the cases that the charter "
            f"names, which get these labels too with `pilothouse curate cases --into {known(charter.datasets.labelled.path)}`."
        )
    return lines


def _fields(report: WindowReport) -> dict[str, object]:
    return {name: value for name, value in asdict(replace(report, pairs=())).items() if name != "pairs"}


def _text(report: WindowReport) -> str:
    lines = (
        f"{plural(report.runs, 'run')} of {report.agent} since {day(report.since)}, {report.change}, replayed by {report.grain}",
        f"  {report.shares} ({report.served} served, {report.live} live, {report.blocked} blocked)",
        f"  {report.same} end as they did, {report.changed} otherwise, {report.unjudgeable} cannot be judged",
        f"  {report.skipped} more cannot be replayed; people have judged {len(report.pairs)} of those replayed",
    )
    trouble = (f"  {report.failed} live calls failed, first: {report.trouble}",) if report.failed else ()
    others = (f"  {count} more were judged and are no pairs: {why}" for why, count in report.no_pairs.items())
    return "\n".join((*lines, *others, *trouble))
