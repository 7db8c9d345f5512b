# SPDX-License-Identifier: Apache-2.0
"""How a dataset is shown in a terminal."""

from __future__ import annotations

from rich.markup import escape

from pilothouse.core.verdict.numbers import percentage
from pilothouse.evals.dataset_checks import FindingKind
from pilothouse.interfaces.cli.consoles import result_console
from pilothouse.workflows.gate.datasets import DatasetSummary

__all__ = ["print_summary"]

FINDINGS_SHOWN_MAX = 10

WORDS = {
    FindingKind.DUPLICATE: "the same input twice",
    FindingKind.SPLIT_LEAK: "nearly the same input in two splits",
    FindingKind.PROMPT_LEAK: "a case stands in what the model is shown",
    FindingKind.NOT_ALL_SEEN: "too many inputs nearly alike: the rest was not looked at, here",
    FindingKind.CANARY: "the canary stands in what the model is shown",
}


def print_summary(summary: DatasetSummary, margin: float) -> None:
    """Print what a dataset holds.

    Args:
        summary: What was found.
        margin: Margin to decide, points.
    """
    console = result_console()
    console.print(escape(f"{summary.name} {summary.version} · {summary.cases} cases · {summary.digest[:12]}"))
    console.print("  splits   " + ", ".join(f"{n} {name}" for name, n in sorted(summary.by_split.items())))
    console.print("  sources  " + ", ".join(f"{n} {name}" for name, n in sorted(summary.by_source.items())))
    share = (
        ""
        if summary.production_share is None
        else f", {percentage(summary.production_share, decimals=0)} of them from production"
    )
    console.print(f"  labelled {summary.labelled}{share}")
    for one in summary.findings[:FINDINGS_SHOWN_MAX]:
        console.print(
            escape(f"  ▲ {WORDS[one.kind]}: {one.first} and {one.second} (similarity {one.similarity:.2f})")
        )
    if len(summary.findings) > FINDINGS_SHOWN_MAX:
        console.print(f"  ▲ and {len(summary.findings) - FINDINGS_SHOWN_MAX} more")
    console.print(f"Can it decide a margin of {margin:g} points? (80 % power, 5 % error)")
    for line in summary.decidable:
        answer = "yes" if line.is_enough else f"no, needs {line.needed} cases"
        console.print(
            escape(
                f"  {line.task_type}: {line.cases} cases worth {line.effective:.0f}; if {percentage(line.flip_rate)} differ between "
                f"runs, it sees {100 * line.smallest:.1f} points: {answer}"
            )
        )
