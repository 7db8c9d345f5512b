# SPDX-License-Identifier: Apache-2.0
"""Evaluators of the pydantic-evals library as they are: `pydantic_evals:EqualsExpected`."""

from __future__ import annotations

import importlib
from typing import Any, Final

from pilothouse.connectors.foreign_metric import find_metric, identity_of
from pilothouse.core.evidence.foreign_score import ForeignScore
from pilothouse.errors import UsageError

__all__ = ["PydanticEvalsMetric"]

COMPUTED: Final = frozenset({"Contains", "Equals", "EqualsExpected", "IsInstance"})
"""Evaluators of an answer that ask no model."""


class PydanticEvalsMetric:
    """One evaluator; true and false become 1 and 0, a label or several results are no single value.

    Args:
        name: Class in `pydantic_evals.evaluators`.
        args: Its arguments.

    Raises:
        UnknownName: The package has no such evaluator.
        UsageError: It judges the time of a run, which it is not given.
    """

    def __init__(self, name: str, **args: Any) -> None:
        if name == "MaxDuration":
            raise UsageError(
                "pydantic-evals' MaxDuration would pass every run: it is given an answer, and not its time.",
                remedy="""Use our own: --scorer 'latency_under={"seconds": 2}'.""",
            )
        found = find_metric("pydantic_evals.evaluators", name, noun="pydantic-evals evaluator")
        self._evaluator: Any = found(**args)
        self._context: Any = importlib.import_module("pydantic_evals.evaluators").EvaluatorContext
        self.identity = identity_of("pydantic-evals", name, args)
        self.is_judge = name not in COMPUTED

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - one word for all adapters
        """Score one answer."""
        tree = importlib.import_module("pydantic_evals.otel._errors")
        context = self._context(
            name=None,
            inputs=input,
            metadata=None,
            expected_output=expected,
            output=output,
            duration=0.0,
            _span_tree=tree.SpanTreeRecordingError("no spans were recorded"),
            attributes={},
            metrics={},
        )
        result = await self._evaluator.evaluate_async(context)
        reason = str(getattr(result, "reason", "") or "")
        value = getattr(result, "value", result)
        if isinstance(value, bool | int | float):
            return ForeignScore(value=float(value), reason=reason)
        return ForeignScore(value=None, reason=f"no single number: {value!r}"[:500])
