# SPDX-License-Identifier: Apache-2.0
"""Single-turn metrics of the Ragas library as they are: `ragas:ExactMatch`."""

from __future__ import annotations

import importlib
import math
import os
from typing import Any, Final

from pilothouse.connectors.foreign_metric import as_text, find_metric, identity_of
from pilothouse.core.evidence.foreign_score import ForeignScore

__all__ = ["RagasMetric"]

COMPUTED: Final = frozenset(
    {"BleuScore", "ChrfScore", "ExactMatch", "NonLLMStringSimilarity", "RougeScore", "StringPresence"}
)
"""Metrics of an answer and its reference that ask no model."""


class RagasMetric:
    """One metric; the library's NaN for "could not score" is a missing value.

    Args:
        name: Class in `ragas.metrics`.
        args: Its arguments.

    Raises:
        UnknownName: The package has no such metric.
    """

    def __init__(self, name: str, **args: Any) -> None:
        # It would report usage over the network; set before the import reads it.
        os.environ.setdefault("RAGAS_DO_NOT_TRACK", "true")
        found = find_metric("ragas.metrics", name, noun="Ragas metric")
        self._metric: Any = found(**args)
        self._sample: Any = importlib.import_module("ragas.dataset_schema").SingleTurnSample
        self.identity = identity_of("ragas", name, args)
        self.is_judge = name not in COMPUTED

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - one word for all adapters
        """Score one answer."""
        sample = self._sample(
            user_input=as_text(input),
            response=as_text(output),
            reference=None if expected is None else as_text(expected),
        )
        value = float(await self._metric.single_turn_ascore(sample))
        if math.isnan(value):
            return ForeignScore(value=None, reason="the library could not score it")
        return ForeignScore(value=value)
