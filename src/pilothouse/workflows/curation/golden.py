# SPDX-License-Identifier: Apache-2.0
"""Keep the tool calls of a good run as golden: later versions must take them too (trace -> case)."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from pilothouse.errors import MalformedRecord, UnknownName, UsageError
from pilothouse.evals.case import Case, CaseLabel, Step, Trajectory
from pilothouse.evals.dataset import Dataset, write_cases
from pilothouse.evals.targets.recorded import json_or_text, reply_of, root_span
from pilothouse.ports.lake import Lake
from pilothouse.workflows.gate.datasets import add_cases

__all__ = ["golden_case", "keep_golden"]

STEPS_MAX: Final = 200
"""A longer run is no narrow task, and nobody approved each of its steps."""


def golden_case(lake: Lake, trace_id: str, *, by: str, at: datetime, ignore: Collection[str] = ()) -> Case:
    """Make a case of a run that a person approved: its input, its answer, its tool calls in order.

    Args:
        lake: Telemetry.
        trace_id: Trace of the run.
        by: Person id.
        at: When, aware UTC.
        ignore: Argument names that differ from run to run (ids, moments) and are not compared.

    Raises:
        UnknownName: There is no such trace.
        UsageError: The run cannot be golden: no input, unknown or no tool calls, too many.
    """
    view = lake.trace(trace_id)
    if view is None or view.task is None:
        raise UnknownName(
            f"there is no trace {trace_id!r}.", remedy="Find it: `pilothouse traces`.", subject=trace_id
        )
    root, reply = root_span(view), reply_of(view)
    why = None
    if root is None or not root.input or root.cut_bytes:
        why = "its input was not recorded whole"
    elif reply.tool_calls is None:
        why = "not all of its spans can be read"
    elif not reply.tool_calls:
        why = "it called no tool"
    elif len(reply.tool_calls) > STEPS_MAX:
        why = f"it made {len(reply.tool_calls)} tool calls, at most {STEPS_MAX} are kept"
    if root is None or reply.tool_calls is None or why is not None:
        raise UsageError(
            f"trace {trace_id} cannot be golden: {why}.",
            remedy="Choose another run: `pilothouse traces`.",
            subject=trace_id,
        )
    steps = tuple(
        Step(tool=call.name, args=call.arguments, ignore=tuple(sorted(ignore))) for call in reply.tool_calls
    )
    try:
        return Case(
            id=f"golden-{trace_id}",
            task_type=view.task.task_type,
            input=json_or_text(root.input),
            expected=reply.output or None,
            trajectory=Trajectory(steps=steps),
            source=f"production:{trace_id}",
            label=CaseLabel(by=by, at=at, value=reply.output),
        )
    except ValidationError as error:
        raise MalformedRecord(
            f"trace {trace_id} makes no case: {error.errors()[0]['msg']}.", remedy="Choose another run."
        ) from error


def keep_golden(folder: Path, case: Case) -> Dataset:
    """Add a golden case to its dataset; the dataset is made when it is not there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as own:  # two people may keep a run at the same moment
        fresh = Path(own) / "golden.jsonl"
        write_cases(fresh, [case])
        return add_cases(folder, [fresh], population="runs whose steps a person approved")
