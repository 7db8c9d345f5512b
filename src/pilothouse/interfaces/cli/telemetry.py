# SPDX-License-Identifier: Apache-2.0
"""`pilothouse import`, `traces` and `trace`: bring telemetry in from files, and look at what is there."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pilothouse.core.evidence.task import CostState
from pilothouse.errors import ExitStatus, UnknownName
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.evidence.task import Task
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports import SpanRecord, TraceView
    from pilothouse.workflows.ingest import ImportReport

__all__ = ["cost_text", "register", "task_record"]

SPANS_SHOWN_MAX = 2_000
"""Spans of one trace on the terminal."""

HomeOption = Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `import`, `traces` and `trace` to the command tree."""

    @cli.command("import")
    def import_(
        files: Annotated[
            list[Path], typer.Argument(help="OTLP files: JSON, JSON lines or protobuf; gzip too.")
        ],
        signal: Annotated[
            str, typer.Option(help="What protobuf files carry: traces or logs. JSON says it itself.")
        ] = "traces",
        as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
        home: HomeOption = None,
    ) -> int:
        """Import traces and logs from OTLP files; broken parts are named, good ones are kept."""
        from pilothouse.ports import Signal
        from pilothouse.workflows.ingest import import_files

        if signal not in ("traces", "logs"):
            raise UnknownName.among(
                "signal", signal, ("traces", "logs"), remedy="Give --signal traces or logs."
            )
        settings = load_settings(home=home)
        size = sum(path.stat().st_size for path in files if path.is_file())
        with _Progress(size) as progress, services.open_intake(settings) as intake:
            report = import_files(files, intake, signal=Signal(signal), on_progress=progress.advance)
        _show_report(report, as_json=as_json)
        return int(ExitStatus.USAGE if report.faults_total else ExitStatus.HOLDS)

    @cli.command("traces")
    def traces(  # noqa: PLR0917 - the options of a command
        agent: Annotated[str | None, typer.Option(help="Only tasks of this agent.")] = None,
        task_type: Annotated[str | None, typer.Option("--type", help="Only tasks of this type.")] = None,
        result: Annotated[str | None, typer.Option(help="Only tasks with this result.")] = None,
        text: Annotated[str | None, typer.Option(help="Words in the previews of input and output.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
        as_json: Annotated[bool, typer.Option("--json", help="Print the tasks as JSON.")] = False,
        home: HomeOption = None,
    ) -> None:
        """List tasks, newest first."""
        from pilothouse.ports import TaskFilter

        wanted = TaskFilter(agent=agent, task_type=task_type, result=result, text=text)
        with services.open_installation(load_settings(home=home)) as opened:
            page = opened.lake.tasks(wanted, limit=limit)
            known = tuple(seen.agent for seen in opened.lake.agents()) if not page.tasks else ()
        if agent is not None and known and agent not in known:
            raise UnknownName.among("agent", agent, known, remedy="Run `pilothouse traces` to see all.")
        if as_json:
            typer.echo(json.dumps({"tasks": [task_record(task) for task in page.tasks]}, ensure_ascii=False))
            return
        if not page.tasks:
            Console(stderr=True).print(
                "No tasks. Send telemetry to `pilothouse up`, or `pilothouse import FILE`.", highlight=False
            )
            return
        Console(highlight=False).print(_task_table(page.tasks))
        if page.next_cursor is not None:
            Console(stderr=True, highlight=False).print(f"There are more; --limit {limit * 10} shows them.")

    @cli.command("trace")
    def trace(
        trace_id: Annotated[str, typer.Argument(help="Trace id: 32 hexadecimal digits.")],
        as_json: Annotated[
            bool, typer.Option("--json", help="Print everything of the trace as JSON.")
        ] = False,
        home: HomeOption = None,
    ) -> None:
        """Show one trace: its task and its spans as a tree."""
        with services.open_installation(load_settings(home=home)) as opened:
            view = opened.lake.trace(trace_id.strip().lower(), limit=SPANS_SHOWN_MAX)
        if view is None:
            raise UnknownName(
                f"no trace {trace_id!r}", remedy="Run `pilothouse traces` to list them.", subject=trace_id
            )
        if as_json:
            record = {
                "task": task_record(view.task) if view.task else None,
                "spans_total": view.spans_total,
                "spans": [asdict(span) for span in view.spans],
            }
            typer.echo(json.dumps(record, ensure_ascii=False))
            return
        _show_trace(view)


class _Progress:
    """A bar on stderr while files are read; nothing when nobody looks."""

    def __init__(self, total_bytes: int) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        console = Console(stderr=True)
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


def task_record(task: Task) -> dict[str, object]:
    """Return a task as JSON shows it: exact costs as text, times as ISO 8601 beside nanoseconds.

    Args:
        task: The task.
    """
    record = asdict(task)
    for name, value in record.items():
        if isinstance(value, Decimal):
            record[name] = f"{value.normalize():f}"
    record["start"] = _moment(task.start_ns).isoformat()
    record["cost"] = cost_text(task)
    return record


def cost_text(task: Task) -> str:
    """Return a task's cost in words; an unknown one is never shown as a number that looks exact.

    Args:
        task: The task.
    """
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


def _duration(nanoseconds: int | None) -> str:
    if nanoseconds is None:
        return "?"
    seconds = nanoseconds / 1e9
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _task_table(tasks: tuple[Task, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("trace", "start (UTC)", "agent", "type", "result"):
        table.add_column(name, no_wrap=True, overflow="ellipsis" if name != "trace" else "fold")
    for name in ("took", "calls", "tools", "tokens", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("input", overflow="ellipsis", no_wrap=True)
    for task in tasks:
        result = task.result.value if task.state.value == "complete" else f"{task.result.value} (incomplete)"
        table.add_row(
            task.trace_id,
            f"{_moment(task.start_ns):%Y-%m-%d %H:%M:%S}",
            Text(task.agent),
            Text(task.task_type),
            result,
            _duration(task.duration_ns),
            f"{task.model_calls}",
            f"{task.tool_calls}",
            f"{task.tokens.total:,}" if task.tokens.total or not task.calls_without_usage else "unknown",
            cost_text(task),
            Text(" ".join(task.input_preview.split())),
        )
    return table


def _show_report(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False))
    else:
        typer.echo(f"{report.items} items in {report.requests} requests from {report.files} files imported.")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for fault in report.faults:
        console.print(Text(f"{fault.place}: {fault.reason}"))
    if report.faults_total > len(report.faults):
        console.print(f"... and {report.faults_total - len(report.faults)} more.")
    if report.faults_total:
        console.print("Everything else was imported; importing a mended file again counts no span twice.")


def _show_trace(view: TraceView) -> None:
    console = Console(highlight=False)
    if view.task is not None:
        console.print(_task_table((view.task,)))
        for name, text in (("input", view.task.input_preview), ("output", view.task.output_preview)):
            if text:
                console.print(Text(f"{name:<7}{text}"))
        if view.task.claim:
            console.print(Text(f"claim  {view.task.claim}"))
        if view.task.flags:
            console.print(f"flags  {', '.join(view.task.flags)}")
    else:
        Console(stderr=True).print("The task is not folded yet; its spans may still be arriving.")
    console.print(_span_tree(view.spans))
    if view.spans_total > len(view.spans):
        console.print(f"{len(view.spans)} of {view.spans_total} spans shown; --json has the same.")


def _span_tree(spans: tuple[SpanRecord, ...]) -> Tree:
    """Draw spans below their parents; a span whose parent is missing or follows later stands at the top."""
    tree = Tree("spans", hide_root=True)
    nodes: dict[str, Tree] = {}
    for span in spans:
        line = Text(span.name)
        detail = [_duration(span.duration_ns)] if span.record == "span" else ["log"]
        model = span.response_model or span.request_model
        if model:
            detail.append(model)
        if span.tokens_total is not None:
            detail.append(f"{span.tokens_total:,} tokens")
        if span.cost_usd_text is not None:
            detail.append(f"${span.cost_usd_text}")
        line.append(f"  {' · '.join(detail)}", style="dim")
        if span.status == "error":
            line.append(f"  error {span.error_type or ''} {span.status_message}".rstrip(), style="bold red")
        above = span.span_id if span.record == "log" else span.parent_span_id
        node = nodes.get(above or "", tree).add(line)
        if span.record == "span":
            nodes[span.span_id] = node
    return tree
