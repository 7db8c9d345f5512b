# SPDX-License-Identifier: Apache-2.0
"""Scorers of the autoevals library as they are: `autoevals:Levenshtein`."""

from __future__ import annotations

from typing import Any, Final

from pilothouse.connectors.foreign_metric import find_metric, identity_of
from pilothouse.core.evidence.foreign_score import ForeignScore

__all__ = ["AutoevalsMetric"]

COMPUTED: Final = frozenset(
    {"ExactMatch", "JSONDiff", "Levenshtein", "ListContains", "NumericDiff", "ValidJSON"}
)
"""Scorers that ask no model."""


class AutoevalsMetric:
    """One scorer class; a skipped case is a missing value, as the library itself has it.

    Args:
        name: Class in the package.
        args: Its arguments.

    Raises:
        UnknownName: The package has no such scorer.
    """

    def __init__(self, name: str, **args: Any) -> None:
        found = find_metric("autoevals", name, noun="autoevals scorer")
        self._scorer: Any = found(**args)
        self.identity = identity_of("autoevals", name, args)
        self.is_judge = name not in COMPUTED

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - the library's word
        """Score one answer."""
        score = await self._scorer.eval_async(output=output, expected=expected, input=input)
        value = None if score.score is None else float(score.score)
        return ForeignScore(value=value, reason=str(score.metadata or "")[:500])
