# SPDX-License-Identifier: Apache-2.0
"""Which scorer judges cases without asserts, in the gate and where attacks are made from such cases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.checks import PASS_AT
from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text

__all__ = ["DEFAULT_SCORER", "check_typed", "metrics_of", "scored_by", "scorer_named", "scorers_of_gate"]

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
    wanted = _metrics_of(cases, metrics)
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


def scored_by(name: str, args: Mapping[str, Any], pass_at: float) -> str:
    """Name how cases without asserts are scored, as the record of an anchor does: how the others are, the dataset says.

    By its name and not by the digest of its source: a release of Pilothouse makes no anchor incomparable.

    Args:
        name: Name of the scorer.
        args: Its arguments.
        pass_at: Least value of a success.

    Example:
        >>> scored_by("exact", {}, 0.5), scored_by("numeric", {"tolerance": 0.5}, 0.9)
        ('exact', 'numeric={"tolerance":0.5}, a success from 0.9')
    """
    said = f"{name}={canonical_json(args)}" if args else name
    return said if pass_at == PASS_AT else f"{said}, a success from {pass_at:g}"


def metrics_of(charter: Charter | None) -> dict[str, str]:
    """Return the metric that a charter names for each task type; none without a charter.

    Args:
        charter: The charter, or None.
    """
    if charter is None:
        return {}
    named = {name: known(terms.metric) for name, terms in charter.task_types.items()}
    return {name: metric for name, metric in named.items() if metric is not None}


def scorers_of_gate(
    asked: str | None,
    pass_at: float,
    metrics: Mapping[str, str],
    cases: Collection[Case],
    registry: ScorerRegistry,
) -> str:
    """Name the scorers of a gate that would be run so, as the record of an anchor does.

    Args:
        asked: Scorer as it was typed, or None.
        pass_at: Least value of a success.
        metrics: What the charter names, by task type.
        cases: Those that would be judged.
        registry: Scorers that are installed.

    Raises:
        UnknownName: The charter names a metric that is no scorer, or there is no such scorer.
        UsageError: The charter names a scorer, and what was typed is another.
    """
    check_typed(asked, metrics, cases, registry)
    name, args = scorer_named(asked, metrics, cases, registry)
    registry.make(name, args)
    return scored_by(name, args, pass_at)


def check_typed(
    asked: str | None, metrics: Mapping[str, str], cases: Iterable[Case], registry: ScorerRegistry
) -> tuple[str, ...]:
    """Refuse a scorer that was typed where the charter names another one, and say where it stands in for a name of the charter's own.

    Args:
        asked: As it was typed, or None.
        metrics: What the charter names, by task type.
        cases: Those that are to be judged.
        registry: Scorers that are installed.

    Returns:
        What a reader of the verdict must know.

    Raises:
        UsageError: The charter names a scorer, and what was typed is another.
    """
    if asked is None:
        return ()
    name, _ = parse_scorer_text(asked)
    known = {one.name for one in registry.listing()}
    others = _metrics_of(cases, metrics) - {name}
    for metric in sorted(others & known):
        raise UsageError(
            f"the charter names {metric!r} as metric, and --scorer says {name!r}.",
            remedy="Leave --scorer out, or change the charter.",
            subject=name,
        )
    return tuple(f"{metric!r}, the charter's metric, is computed as {asked}" for metric in sorted(others))


def _metrics_of(cases: Iterable[Case], metrics: Mapping[str, str]) -> set[str]:
    """Return the charter's metrics of the cases that name no check of their own."""
    needing = {case.task_type for case in cases if not any(not one.must_not for one in case.asserts)}
    return {metrics[name] for name in needing if name in metrics}
