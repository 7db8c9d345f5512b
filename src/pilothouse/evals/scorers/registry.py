# SPDX-License-Identifier: Apache-2.0
"""Scorers by name: entry points of the group `pilothouse.scorers`, loaded when they are used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from pilothouse.core.evidence.foreign_score import ForeignMetric
from pilothouse.errors import ExtensionError, UnknownName, UsageError
from pilothouse.evals.scorers.foreign import ForeignScorer
from pilothouse.evals.scorers.scorer import Scorer

__all__ = ["GROUP", "METRICS_GROUP", "ScorerListing", "ScorerRegistry", "parse_scorer_text"]

GROUP: Final = "pilothouse.scorers"
"""Entry-point group: name -> factory that takes keyword arguments and returns a scorer."""


METRICS_GROUP: Final = "pilothouse.metrics"
"""Entry-point group of adapters to other libraries: name -> (metric name, arguments) -> `ForeignMetric`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerListing:
    """One scorer that could be used.

    Attributes:
        name: Name to write in a case or on the command line.
        package: Distribution that brings it, with its version.
    """

    name: str
    package: str


class ScorerRegistry:
    """Finds and makes scorers; the same name and arguments give the same scorer object.

    Args:
        extra: Further factories by name, for programs that bring their own.

    Raises:
        ExtensionError: Two distributions declare the same name.
    """

    def __init__(self, extra: Mapping[str, Callable[..., Scorer]] | None = None) -> None:
        self._factories: dict[str, Callable[..., Scorer]] = dict(extra or {})
        self._points = _by_name(entry_points(group=GROUP))
        self._adapters = _by_name(entry_points(group=METRICS_GROUP))
        self._made: dict[tuple[str, str], Scorer] = {}

    def listing(self) -> tuple[ScorerListing, ...]:
        """Return every scorer by name."""
        own = [ScorerListing(name=name, package="this program") for name in self._factories]
        found = [ScorerListing(name=name, package=_package(point)) for name, point in self._points.items()]
        others = [
            ScorerListing(name=f"{name}:NAME", package=_package(point))
            for name, point in self._adapters.items()
        ]
        return tuple(sorted((*own, *found, *others), key=lambda one: one.name))

    def make(self, name: str, args: Mapping[str, Any] | None = None) -> Scorer:
        """Return a scorer.

        A name with a colon, such as `deepeval:ExactMatchMetric`, is that scorer of that library, unchanged.

        Args:
            name: Name in the registry.
            args: Keyword arguments of its factory.

        Raises:
            UnknownName: Nothing is registered under it.
            UsageError: The arguments do not fit.
            ExtensionError: Its package fails to load, or makes no scorer.
        """
        key = (name, json.dumps(args or {}, sort_keys=True, default=str))
        if key not in self._made:
            self._made[key] = self._make(name, dict(args or {}))
        return self._made[key]

    def _make(self, name: str, args: dict[str, Any]) -> Scorer:
        adapter, colon, inner = name.partition(":")
        try:
            if colon and adapter in self._adapters:
                metric = _load(self._adapters[adapter], adapter)
                return ForeignScorer(name, _opened(metric, adapter, inner, args))
            scorer = self._factory(name)(**args)
        except TypeError as error:
            raise UsageError(
                f"scorer {name!r} does not take these arguments: {error}.",
                remedy="List scorers: `pilothouse eval scorers`.",
                subject=name,
            ) from error
        if not isinstance(scorer, Scorer):
            raise ExtensionError(
                f"{name!r} makes a {type(scorer).__name__}, which is no scorer.",
                remedy="Its factory must return an object with `spec` and `score`.",
                subject=name,
            )
        return scorer

    def _factory(self, name: str) -> Callable[..., Scorer]:
        if name in self._factories:
            return self._factories[name]
        if name not in self._points:
            raise UnknownName.among(
                "scorer",
                name,
                [*self._factories, *self._points],
                remedy="List scorers: `pilothouse eval scorers`.",
            )
        factory: Callable[..., Scorer] = _load(self._points[name], name)
        self._factories[name] = factory
        return factory


def parse_scorer_text(text: str) -> tuple[str, dict[str, Any]]:
    """Read `name` or `name={"json": "arguments"}` from a command line.

    Raises:
        UsageError: The arguments are no JSON object.

    Example:
        >>> parse_scorer_text('numeric={"tolerance": 0.5}')
        ('numeric', {'tolerance': 0.5})
    """
    name, has_args, raw = text.partition("=")
    if not has_args:
        return name, {}
    try:
        args = json.loads(raw)
    except ValueError as error:
        raise UsageError(
            f"arguments of scorer {name!r} are no JSON: {error}.",
            remedy="""Write for example --scorer 'numeric={"tolerance": 0.5}'.""",
        ) from error
    if not isinstance(args, dict):
        raise UsageError(
            f"arguments of scorer {name!r} are no JSON object.",
            remedy="""Write for example --scorer 'numeric={"tolerance": 0.5}'.""",
        )
    return name, args


def _load(point: EntryPoint, name: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = point.load()
    except (Exception, SystemExit) as error:
        raise _does_not_load(name, _package(point), error) from error
    return found


def _opened(factory: Callable[..., Any], adapter: str, inner: str, args: Mapping[str, Any]) -> ForeignMetric:
    try:
        metric: ForeignMetric = factory(inner, **args)
    except ImportError as error:
        raise _does_not_load(adapter, adapter, error) from error
    return metric


def _does_not_load(name: str, package: str, error: BaseException) -> ExtensionError:
    return ExtensionError(
        f"scorer {name!r} of {package} does not load: {type(error).__name__}: {error}.",
        remedy=f"Install what it needs: pip install {name.replace('_', '-')}",
        subject=name,
    )


def _by_name(points: Iterable[EntryPoint]) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in points:
        if point.name in found and found[point.name].value != point.value:
            raise ExtensionError(
                f"{_package(found[point.name])} and {_package(point)} both bring a scorer {point.name!r}.",
                remedy="Uninstall one of them.",
                subject=point.name,
            )
        found[point.name] = point
    return found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
