# SPDX-License-Identifier: Apache-2.0
"""Scorers of the Inspect library as they are: `inspect_ai:match`."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import version
from typing import Any

from pilothouse.core.evidence.foreign_score import ForeignScore
from pilothouse.errors import UnknownName

__all__ = ["InspectMetric"]


class InspectMetric:
    """One scorer function over a finished state; C, P, I and N count 1, .5, 0 and 0, as the library maps them."""

    def __init__(self, name: str, **args: Any) -> None:
        """Find the function and make one scorer.

        Args:
            name: Function in `inspect_ai.scorer`.
            args: Its arguments.

        Raises:
            UnknownName: The package has no such scorer.
        """
        library = importlib.import_module("inspect_ai.scorer")
        found = getattr(library, name, None)
        if not callable(found):
            raise UnknownName.among(
                "Inspect scorer", name, library.__all__, remedy="Write it as the library does."
            )
        self._scorer: Any = found(**args)
        self._library: Any = library
        self._models: Any = importlib.import_module("inspect_ai.model")
        self._state: Any = importlib.import_module("inspect_ai.solver").TaskState
        self.identity = f"inspect-ai {version('inspect-ai')} {name} {sorted(args.items())}"

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - the library's word
        """Score one answer."""
        state = self._state(
            model="none/none",
            sample_id=1,
            epoch=1,
            input=_text(input),
            messages=[],
            output=self._models.ModelOutput.from_content("none", _text(output)),
        )
        score = await self._scorer(state, self._library.Target(_text(expected)))
        value = self._library.value_to_float()(score.value)
        is_silent = score.value == self._library.NOANSWER
        reason = "no_answer" if is_silent else str(score.explanation or "")
        return ForeignScore(value=float(value), reason=reason[:500])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
