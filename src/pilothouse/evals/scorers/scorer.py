# SPDX-License-Identifier: Apache-2.0
"""The port every scorer implements, and the identity that decides whether stored scores still count."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pilothouse.core.charter.digest import canonical_json
from pilothouse.evals.case import Case
from pilothouse.evals.score import Score
from pilothouse.evals.trial import Reply, Result

__all__ = ["FunctionScorer", "Rule", "Scorer", "ScorerKind", "ScorerSpec", "same_json"]


class ScorerKind(StrEnum):
    """Whether a score is computed or judged."""

    DETERMINISTIC = "deterministic"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSpec:
    """What a scorer is.

    Attributes:
        name: Name in the registry.
        kind: Computed or judged.
        version: Digest of source, arguments and library version; another digest is another scorer.
        asks_now: Whether it asks how things stand at the moment, which of an old answer says nothing.
    """

    name: str
    kind: ScorerKind
    version: str
    asks_now: bool = False


@runtime_checkable
class Scorer(Protocol):
    """Judges one result of one case.

    Example:
        >>> from pilothouse.evals.scorers.text import exact
        >>> isinstance(exact(), Scorer)
        True
    """

    @property
    def spec(self) -> ScorerSpec:
        """Its specification."""
        ...

    def score(self, case: Case, result: Result) -> Score | Awaitable[Score]:
        """Judge a result that is `done`."""
        ...


Rule = Callable[[Case, Reply, Result], Score | Awaitable[Score]]
"""How a deterministic scorer judges: case, what the agent gave, how the run went; awaited where it may take long."""


class FunctionScorer:
    """A deterministic scorer made of one pure function and its arguments.

    Args:
        name: Name in the registry.
        rule: Pure function.
        args: What the rule was made with.
    """

    def __init__(self, name: str, rule: Rule, args: dict[str, Any]) -> None:
        self._rule = rule
        self.spec = ScorerSpec(
            name=name, kind=ScorerKind.DETERMINISTIC, version=_scorer_version(name, rule, args)
        )

    def score(self, case: Case, result: Result) -> Score | Awaitable[Score]:
        """Judge a result.

        Raises:
            ValueError: The result has no reply.
        """
        if result.reply is None:
            raise ValueError("only a result that is done can be scored")
        return self._rule(case, result.reply, result)


def _scorer_version(name: str, code: object, args: dict[str, Any]) -> str:
    """Return the digest of a scorer: the source of the module its code stands in, and its arguments.

    Example:
        >>> _scorer_version("exact", _scorer_version, {}) == _scorer_version("exact", _scorer_version, {"a": 1})
        False
    """
    module = inspect.getmodule(code)
    try:
        source = inspect.getsource(module) if module else repr(code)
    except (OSError, TypeError):
        source = repr(code)
    parts = (name, source, canonical_json(args))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def same_json(one: object, other: object) -> bool:
    """Whether two values are equal as JSON: booleans are no numbers, and 1 is 1.0.

    Args:
        one: Plain data.
        other: Plain data; what has no canonical form, such as a number of twenty digits, equals nothing.

    Example:
        >>> same_json({"a": 1}, {"a": 1.0}), same_json(1, True), same_json(10**20, 10**20)
        (True, False, False)
    """
    try:
        return canonical_json(one) == canonical_json(other)
    except (TypeError, ValueError, RecursionError):
        return False
