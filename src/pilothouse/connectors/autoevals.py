# SPDX-License-Identifier: Apache-2.0
"""Scorers of the autoevals library as they are: `autoevals:Levenshtein`."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

from pilothouse.core.evidence.foreign_score import ForeignScore
from pilothouse.errors import UnknownName

__all__ = ["AutoevalsMetric"]


class AutoevalsMetric:
    """One scorer class; a skipped case is a missing value, as the library itself has it."""

    def __init__(self, name: str, **args: Any) -> None:
        """Find the class and make one scorer.

        Args:
            name: Class in the package.
            args: Its arguments.

        Raises:
            UnknownName: The package has no such scorer.
        """
        library = importlib.import_module("autoevals")
        found = getattr(library, name, None)
        if not isinstance(found, type):
            raise UnknownName.among(
                "autoevals scorer",
                name,
                [one for one in dir(library) if one[:1].isupper()],
                remedy="Write it as the library does.",
            )
        self._scorer: Any = found(**args)
        self.identity = f"autoevals {version('autoevals')} {name} {sorted(args.items())}"

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - the library's word
        """Score one answer."""
        score = await self._scorer.eval_async(output=output, expected=expected, input=input)
        value = None if score.score is None else float(score.score)
        return ForeignScore(value=value, reason=str(score.metadata or "")[:500])
