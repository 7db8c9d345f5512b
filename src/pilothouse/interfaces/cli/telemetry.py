# SPDX-License-Identifier: Apache-2.0
"""`pilothouse import`, `traces` and `trace`: bring telemetry in from files, and look at what is there."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.text import Text

from pilothouse.core.evidence.task import CostState
from pilothouse.errors import ExitStatus, UnknownName, UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.evidence.task import Task
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports.lake import Lake
    from pilothouse.workflows.traces.ingest import ImportReport

__all__ = ["cost_text", "register"]

TRACE_ID_DIGITS = 32

SPANS_SHOWN_MAX = 2_000
"""Spans of one trace on the terminal."""


def register(cli: typer.Typer, services: Services) -> None:
    """Add `import`, `traces` and `trace` to the command tree."""

    @cli.command("import")
    def import_(  # noqa: PLR0917 - the options of a command
        files: Annotated[
            list[Path], typer.Argument(help="OTLP files: JSON, JSON lines or protobuf; gzip too.")
        ],
        signal: Annotated[
            str, typer.Option(help="What protobuf files carry: traces or logs. JSON says it itself.")
        ] = "traces",
        agent: Annotated[
            str | None, typer.Option(help="Agent of spans whose process names none (`pilothouse.agent`).")
        ] = None,
        task_type: Annotated[
            str | None, typer.Option(help="Task type of spans that name none themselves, nor their process.")
        ] = None,
        as_json: AsJson = False,
        home: Home = None,
    ) -> int:
        """Import traces and logs from OTLP files; broken parts are named, good ones are kept."""
        from pilothouse.ports.intake import Signal
        from pilothouse.workflows.traces.ingest import import_files

        if signal not in ("traces", "logs"):
            raise UnknownName.among(
                "signal", signal, ("traces", "logs"), remedy="Give --signal traces or logs."
            )
        settings = load_settings(home=home)
        given = {"pilothouse.agent": agent, "pilothouse.task.type": task_type}
        named = {key: value for key, value in given.items() if value}
        size = sum(path.stat().st_size for path in files if path.is_file())
        with _Progress(size) as progress, services.open_intake(settings) as intake:
            report = import_files(
                files, intake, signal=Signal(signal), named=named, on_progress=progress.advance
            )
        _show_report(report, as_json=as_json)
        return int(ExitStatus.USAGE if report.faults_total else ExitStatus.HOLDS)

    @cli.command("traces")
    def traces(  # noqa: PLR0917 - the options of a command
        query: Annotated[
            str,
            typer.Argument(
                help='Query line, for example `result:failed tool:erp.* cost:>0.05 since:7d "late"`; `said:` looks '
                "through whole inputs and outputs."
            ),
        ] = "",
        agent: Annotated[
            str | None,
            typer.Option(
                help="Only tasks of this agent. Default: the one whose charter stands in this folder, else all."
            ),
        ] = None,
        task_type: Annotated[str | None, typer.Option("--type", help="Only tasks of this type.")] = None,
        result: Annotated[str | None, typer.Option(help="Only tasks with this result.")] = None,
        text: Annotated[str | None, typer.Option(help="Words in the previews of input and output.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
        as_json: AsJson = False,
        home: Home = None,
    ) -> None:
        """List tasks, newest first, each with what the system of record says about it."""
        from pilothouse.reports.tasks import task_row
        from pilothouse.reports.terminal_tasks import render_tasks
        from pilothouse.workflows.ground.agents import agent_of_folder, listed
        from pilothouse.workflows.ground.query_line import narrow_query, parse_query

        options = {"agent": agent, "task_type": task_type, "result": result, "text": text}
        wanted = narrow_query(parse_query(query, services.clock.now()), options)
        agent = wanted.agent
        with services.open_installation(load_settings(home=home)) as opened:
            if agent is None:
                agent = agent_of_folder(opened.ledger.charters())
                wanted = replace(wanted, agent=agent)
            page = opened.lake.tasks(wanted, limit=limit)
            known = tuple(seen.agent for seen in opened.lake.agents()) if not page.tasks else ()
            outcomes = opened.ledger.outcomes_of([task.trace_id for task in page.tasks])
            is_governed = agent is not None and opened.ledger.charter(agent) is not None
        if is_governed and agent not in known and not page.tasks:
            hint_console().print(
                f"No task of {agent} has arrived. Start it with `pilothouse run -- COMMAND`; where it sends no telemetry of its "
                f"own, give it a key that makes some of its model calls: `pilothouse key add {agent}`."
                + (
                    f" Tasks came from {listed(known)}: `pilothouse traces --agent {known[0]}`."
                    if known
                    else ""
                )
            )
        elif agent is not None and known and agent not in known:
            raise UnknownName.among("agent", agent, known, remedy="Run `pilothouse traces` to see all.")
        if as_json:
            print_json({"tasks": [_task_record(task) for task in page.tasks]})
            return
        if not page.tasks:
            if is_governed and agent not in known:
                return
            if known:
                hint_console().print("No task matches.")
                return
            hint_console().print(
                "No task has arrived yet; it is listed ten seconds after its end. `pilothouse run -- COMMAND` points an agent here; one "
                "without instrumentation sends nothing before it has the few lines for its framework (docs/how-to/README.md). Traces of "
                "before: `pilothouse import FILE`."
            )
            return
        now = services.clock.now()
        rows = [task_row(task, outcomes.get(task.trace_id), now) for task in page.tasks]
        render_tasks(rows, result_console(wrap=True), agents=[task.agent for task in page.tasks])
        if page.next_cursor is not None:
            hint_console().print(f"There are more; --limit {limit * 10} shows them.")

    @cli.command("trace")
    def trace(
        trace_id: Annotated[str, typer.Argument(help="Trace id, or enough of its first digits.")],
        as_json: AsJson = False,
        home: Home = None,
    ) -> None:
        """Show one trace: claim beside outcome, then its spans as a tree."""
        from pilothouse.reports.terminal_tasks import render_trace
        from pilothouse.reports.trace import build_trace

        with services.open_installation(load_settings(home=home)) as opened:
            whole = _whole_id(opened.lake, trace_id.strip().lower())
            view = opened.lake.trace(whole, limit=SPANS_SHOWN_MAX)
            outcome = opened.ledger.outcomes_of([whole]).get(whole)
        if view is None:
            raise UnknownName(
                f"no trace {trace_id!r}", remedy="Run `pilothouse traces` to list them.", subject=trace_id
            )
        if as_json:
            record = {
                "task": _task_record(view.task) if view.task else None,
                "spans_total": view.spans_total,
                "spans": [asdict(span) for span in view.spans],
            }
            print_json(record)
            return
        agent = view.task.agent if view.task else "unknown"
        page = build_trace(agent, whole, view, outcome, services.clock.now())
        render_trace(page, result_console(wrap=True))


def _whole_id(lake: Lake, given: str) -> str:
    """Return the trace id that begins with the given digits."""
    from pilothouse.ports.lake import TaskFilter

    if len(given) == TRACE_ID_DIGITS:
        return given
    found = lake.tasks(TaskFilter(trace_prefix=given), limit=2).tasks
    if not found:
        raise UnknownName(
            f"no task begins with {given!r}", remedy="Run `pilothouse traces` to list them.", subject=given
        )
    if len(found) > 1:
        raise UsageError(
            f"more than one task begins with {given!r}, for example {found[0].trace_id} and {found[1].trace_id}",
            remedy=f"Give more digits: `pilothouse trace {found[0].trace_id[: len(given) + 4]}`.",
            subject=given,
        )
    return found[0].trace_id


class _Progress:
    """A bar on stderr while files are read; nothing when nobody looks."""

    def __init__(self, total_bytes: int) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        console = hint_console()
        self._bar = Progress(
            TextColumn("importing"), BarColumn(), DownloadColumn(), console=console, transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("import", total=total_bytes)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, read_bytes: int) -> None:
        """Move on by so many bytes."""
        self._bar.advance(self._task, read_bytes)


def _task_record(task: Task) -> dict[str, object]:
    """Return a task as JSON shows it: exact costs as text, times as ISO 8601 beside nanoseconds."""
    record = asdict(task)
    for name, value in record.items():
        if isinstance(value, Decimal):
            record[name] = f"{value.normalize():f}"
    record["start"] = _moment(task.start_ns).isoformat()
    record["cost"] = cost_text(task)
    return record


def cost_text(task: Task) -> str:
    """Return a task's cost in words; an unknown one is never shown as a number that looks exact."""
    if task.cost_state is CostState.NONE:
        return "-"
    if task.cost_usd is not None:
        return _dollars(task.cost_usd)
    if task.cost_state is CostState.PARTIAL:
        return f">= {_dollars(task.cost_known_usd)}"
    return "unknown"


def _dollars(amount: Decimal) -> str:
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}"


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, tz=UTC)


def _show_report(report: ImportReport, *, as_json: bool) -> None:
    from pilothouse.reports.words import plural

    if as_json:
        print_json(asdict(report))
    else:
        counts = (
            plural(report.items, "item"),
            plural(report.requests, "request"),
            plural(report.files, "file"),
        )
        say("{} in {} from {} imported.".format(*counts))
    console = hint_console()
    for fault in report.faults:
        console.print(Text(f"{fault.place}: {fault.reason}"))
    if report.faults_total > len(report.faults):
        console.print(f"... and {report.faults_total - len(report.faults)} more.")
    if report.faults_total:
        rest = (
            "Everything else was imported; importing" if report.items else "Nothing was imported. Importing"
        )
        console.print(f"{rest} a mended file again counts no span twice.")
