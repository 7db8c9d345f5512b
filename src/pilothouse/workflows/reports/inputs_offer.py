# SPDX-License-Identifier: Apache-2.0
"""Offer inputs of kinds that nobody tests as cases to be labelled (analysis, traces -> JSON lines)."""

from __future__ import annotations

from pathlib import Path

from pilothouse.core.evidence.new_inputs import LABELS_MIN
from pilothouse.evals.case import Case
from pilothouse.evals.targets.recorded import json_or_text, root_span
from pilothouse.ports.lake import Lake
from pilothouse.workflows.reports.inputs import InputAnalysis

__all__ = ["offer_cases"]


def offer_cases(lake: Lake, found: InputAnalysis, path: Path) -> int:
    """Write the newest inputs of each untested and each rare kind as cases without an expectation.

    Args:
        lake: Has the traces.
        found: The analysis.
        path: JSON-lines file to write.

    Returns:
        How many; an input that telemetry did not keep whole is left out.
    """
    types = {one.trace_id: one.task_type for one in found.listed}
    kinds = {
        trace: kind.name
        for kind in (*found.untested, *found.rare)
        for trace in found.traces(kind, LABELS_MIN)
    }
    views = lake.traces(list(kinds))
    lines = []
    for trace, kind in kinds.items():
        root = root_span(views[trace]) if trace in views else None
        if root is None or not root.input or root.cut_bytes:
            continue
        case = Case(
            id=f"task-{trace}",
            task_type=types[trace],
            input=json_or_text(root.input),
            stratum=kind[:128],
            source=f"production:{trace}",
        )
        lines.append(case.model_dump_json(exclude_defaults=True))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)
