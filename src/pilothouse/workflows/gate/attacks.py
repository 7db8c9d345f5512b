# SPDX-License-Identifier: Apache-2.0
"""Make the adversarial dataset of an agent from its charter, its tool contracts and its labelled cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.adversarial import FAMILIES, ToolSurface, generate_attacks
from pilothouse.evals.case import Case, Split
from pilothouse.evals.dataset import load_dataset
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.workflows.gate.default_scorer import scorer_named
from pilothouse.workflows.ground.check import load_charter

__all__ = ["make_attacks"]

READING = "read"
"""Effect of a tool that changes nothing."""


def make_attacks(
    charter_path: Path | None,
    dataset: Path | None,
    *,
    families: Sequence[str],
    per_family: int,
    scorer: str | None,
    today: date,
) -> tuple[Case, ...]:
    """Make attacks; nothing is written.

    Args:
        charter_path: Charter with tools and families, or None.
        dataset: Labelled cases; the charter's when None. Sealed ones are no seeds: a person reads what comes of them.
        families: Families to make; the charter's that can be made when empty.
        per_family: Clusters of each family.
        scorer: Scorer of the cases' expectation, as it was typed; the one that the gate would take when None.
        today: The present day, UTC.

    Returns:
        The cases.

    Raises:
        UsageError: There are no cases to start from, or a contract cannot be read.
        UnknownName: A family that nobody knows how to make, or the charter's metric is no scorer.
    """
    charter = load_charter(charter_path, today=today) if charter_path else None
    folder = charter_path.parent if charter_path else Path()
    if dataset is None and charter is not None and (named := known(charter.datasets.labelled.path)):
        dataset = folder / named
    if dataset is None:
        raise UsageError("no cases to start from.", remedy="Give --dataset FOLDER-OR-FILE.")
    wanted = list(families)
    if not wanted:
        declared = known(charter.datasets.adversarial.families) if charter else None
        wanted = [name for name in declared or FAMILIES if name in FAMILIES]
    for name in wanted:
        if name not in FAMILIES:
            raise UnknownName.among("family", name, FAMILIES, remedy="Leave --family out for all.")
    seeds = [case for case in load_dataset(dataset).cases if case.split is not Split.SEALED]
    terms = charter.task_types if charter else {}
    metrics = {name: metric for name, one in terms.items() if (metric := known(one.metric)) is not None}
    name, args = scorer_named(scorer, metrics, seeds, ScorerRegistry())
    return generate_attacks(
        seeds,
        _surfaces(charter, folder) if charter else (),
        families=wanted,
        per_family=per_family,
        scorer=name,
        scorer_args=args,
    )


def _surfaces(charter: Charter, folder: Path) -> tuple[ToolSurface, ...]:
    """Read what of each tool can be aimed at."""
    tools = known(charter.tools) or {}
    found = []
    for name, tool in tools.items():
        path = known(tool.contract)
        contract = folder / path if path else None
        properties = {}
        if contract is not None and contract.is_file():
            try:
                properties = json.loads(contract.read_text(encoding="utf-8"))["input"].get("properties", {})
            except (ValueError, KeyError, AttributeError) as error:
                raise UsageError(
                    f"cannot read the contract {str(contract)!r}: {error}.",
                    remedy=f"Correct it, then `pilothouse check {folder}`.",
                ) from error
        enums = {
            argument: tuple(str(value) for value in schema["enum"])
            for argument, schema in properties.items()
            if isinstance(schema, dict) and schema.get("enum")
        }
        effect = known(tool.effect)
        found.append(ToolSurface(name=name.partition("@")[0], has_effect=effect != READING, enums=enums))
    return tuple(found)
