# SPDX-License-Identifier: Apache-2.0
"""Open journal and installation for a gate run, show its progress, and keep what it found."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from rich.console import Console

from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.errors import ExitStatus
from pilothouse.evals.journal import Journal
from pilothouse.evals.runner import Progress
from pilothouse.interfaces.cli import gate_text
from pilothouse.interfaces.cli.consoles import hint_console, print_json
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import Settings
from pilothouse.workflows.gate.anchor import anchor_after
from pilothouse.workflows.gate.evaluate import Levels, levels_of
from pilothouse.workflows.gate.plan import make_plan
from pilothouse.workflows.gate.release import open_gate
from pilothouse.workflows.gate.release_evidence import release_evidence
from pilothouse.workflows.gate.request import GateRequest
from pilothouse.workflows.gate.run import GateRun
from pilothouse.workflows.gate.sealed_split import SEALED_RELEASE, record_opening, sealed_marks
from pilothouse.workflows.ground.in_force import charter_if_any
from pilothouse.workflows.ground.installation import Installation

__all__ = ["decide_release", "measure_levels", "plan_release"]


def decide_release(request: GateRequest, *, services: Services, settings: Settings) -> ReleaseVerdict:
    """Run the gate; with an agent, by charter or by name, the result goes on record."""
    console = hint_console()
    with _opened(request, services, settings) as (run, installation):
        if request.sealed and installation is not None and run.policy.agent is not None:
            record_opening(
                installation.ledger,
                run.policy.agent,
                dataset=run.dataset.digest,
                sealed=sealed_marks(run.selection.sealed_hashes),
                run_id=run.run_id,
                at=run.now,
            )
        verdict = asyncio.run(_measure(run, console))
        if installation is not None and run.policy.agent is not None:
            agent = run.policy.agent
            if run.is_chartered and (note := anchor_after(run, verdict).note):
                verdict = verdict.model_copy(update={"notes": (*verdict.notes, note)})
            charter = charter_if_any(installation.ledger, agent)
            records = release_evidence(run, verdict, agent=agent, charter=charter)
            installation.ledger.add_evidence(records)
            installation.ledger.record(
                kind=SEALED_RELEASE if request.sealed else "release",
                agent=agent,
                at=verdict.as_of,
                actor="gate",
                document=verdict.model_dump_json(),
            )
            console.print(f"{len(records)} records for {agent}; see `pilothouse verdict {agent}`")
        else:
            note = "nothing went on record: name the agent with --agent or --charter"
            verdict = verdict.model_copy(update={"notes": (*verdict.notes, note)})
    return verdict


def plan_release(
    request: GateRequest, *, services: Services, settings: Settings, as_json: bool
) -> ExitStatus:
    """Say what a gate run will take; nothing is run.

    Args:
        request: What would be asked.
        services: Openers of the composition root.
        settings: Values in force.
        as_json: Whether the plan is printed as JSON.

    Returns:
        What the command exits with: not enough evidence when the cases cannot decide the margin.
    """
    with _opened(request, services, settings) as (run, _):
        plan = make_plan(run)
    if as_json:
        print_json(asdict(plan) | {"is_sufficient": plan.is_sufficient})
    else:
        gate_text.print_plan(plan)
    return ExitStatus.HOLDS if plan.is_sufficient else ExitStatus.NOT_ENOUGH_EVIDENCE


@contextmanager
def _opened(
    request: GateRequest, services: Services, settings: Settings
) -> Iterator[tuple[GateRun, Installation | None]]:
    """Open journal, installation where one is needed, and the run; nothing is run."""
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(request.journal))
        needed = (
            request.charter is not None or request.agent is not None or "recorded:lake" in request.candidate
        )
        installation = stack.enter_context(services.open_installation(settings)) if needed else None
        run = open_gate(
            request,
            journal=journal,
            now=services.clock.now(),
            ledger=installation.ledger if installation else None,
            lake=installation.lake if installation else None,
        )
        yield run, installation


def measure_levels(request: GateRequest, *, services: Services, settings: Settings) -> Levels:
    """Run every case once more or take it from the journal; no verdict, nothing on record."""
    console = hint_console()
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(request.journal))
        installation = (
            stack.enter_context(services.open_installation(settings))
            if request.candidate == "recorded:lake"
            else None
        )
        lake = installation.lake if installation else None
        run = open_gate(request, journal=journal, now=services.clock.now(), lake=lake)
        verdict = asyncio.run(_measure(run, console))
    return levels_of(run, verdict)


async def _measure(run: GateRun, console: Console) -> ReleaseVerdict:
    """Measure with a progress line; the first Ctrl-C ends after the trials in flight, the second at once."""
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        run.stop()
        loop.remove_signal_handler(signal.SIGINT)
        console.print("\nstopping after the trials in flight; Ctrl-C again stops at once")

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        return await run.measure(on_progress=_progress_line(console))
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if sys.stderr.isatty():
            console.print()


def _progress_line(console: Console) -> Callable[[Progress], None]:
    is_terminal = sys.stderr.isatty()

    def show(progress: Progress) -> None:
        line = gate_text.progress_text(progress)
        if is_terminal:
            console.file.write(f"\r\x1b[K{line}")
            console.file.flush()

    return show
