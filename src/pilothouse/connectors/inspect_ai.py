# SPDX-License-Identifier: Apache-2.0
"""Scorers of the Inspect library as they are: `inspect_ai:match`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from pilothouse.connectors.foreign_metric import as_text, find_metric, identity_of
from pilothouse.core.evidence.foreign_score import ForeignScore

__all__ = ["InspectMetric"]

COMPUTED: Final = frozenset({"answer", "choice", "exact", "f1", "includes", "match", "math", "pattern"})
"""Scorers that ask no model."""


class InspectMetric:
    """One scorer function over a finished state; C, P, I and N count 1, .5, 0 and 0, as the library maps them.

    Args:
        name: Function in `inspect_ai.scorer`.
        args: Its arguments.

    Raises:
        UnknownName: The package has no such scorer.
    """

    def __init__(self, name: str, **args: Any) -> None:
        found = find_metric("inspect_ai.scorer", name, noun="Inspect scorer", kind=Callable)
        self._scorer: Any = found(**args)
        self._library: Any = importlib.import_module("inspect_ai.scorer")
        self._models: Any = importlib.import_module("inspect_ai.model")
        self._state: Any = importlib.import_module("inspect_ai.solver").TaskState
        self.identity = identity_of("inspect-ai", name, args)
        self.is_judge = name not in COMPUTED

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - the library's word
        """Score one answer."""
        state = self._state(
            model="none/none",
            sample_id=1,
            epoch=1,
            input=as_text(input),
            messages=[],
            output=self._models.ModelOutput.from_content("none", as_text(output)),
        )
        score = await self._scorer(state, self._library.Target(as_text(expected)))
        value = self._library.value_to_float()(score.value)
        is_silent = score.value == self._library.NOANSWER
        reason = "no_answer" if is_silent else str(score.explanation or "")
        return ForeignScore(value=float(value), reason=reason[:500])
