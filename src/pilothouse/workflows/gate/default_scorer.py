# SPDX-License-Identifier: Apache-2.0
"""Which scorer judges cases without asserts, in the gate and where attacks are made from such cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pilothouse.errors import UnknownName
from pilothouse.evals.case import Case
from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text

__all__ = ["DEFAULT_SCORER", "scorer_named"]

DEFAULT_SCORER: Final = "exact"


def scorer_named(
    asked: str | None, metrics: Mapping[str, str], cases: Iterable[Case], registry: ScorerRegistry
) -> tuple[str, Mapping[str, Any]]:
    """Return name and arguments of the scorer that was asked for, else of the charter's metric, else `exact`.

    Args:
        asked: As it was typed, or None.
        metrics: What the charter names, by task type.
        cases: Those that are to be judged.
        registry: Scorers that are installed.

    Raises:
        UnknownName: The charter names a metric that is no scorer.
    """
    if asked is not None:
        return parse_scorer_text(asked)
    needing = {case.task_type for case in cases if not any(not one.must_not for one in case.asserts)}
    wanted = {metrics[name] for name in needing if name in metrics}
    known = {one.name for one in registry.listing()}
    for name in sorted(wanted):
        if name in known:
            return name, {}
        raise UnknownName.among(
            "scorer",
            name,
            known,
            remedy=f"The charter names {name!r} as metric: say how it is computed, for example --scorer json_subset.",
        )
    return DEFAULT_SCORER, {}
