# SPDX-License-Identifier: Apache-2.0
"""Single-turn metrics of the Ragas library as they are: `ragas:ExactMatch`."""

from __future__ import annotations

import importlib
import json
import math
import os
from importlib.metadata import version
from typing import Any

from pilothouse.core.evidence.foreign_score import ForeignScore
from pilothouse.errors import UnknownName

__all__ = ["RagasMetric"]


class RagasMetric:
    """One metric; the library's NaN for "could not score" is a missing value."""

    def __init__(self, name: str, **args: Any) -> None:
        """Find the class and make one metric.

        Args:
            name: Class in `ragas.metrics`.
            args: Its arguments.

        Raises:
            UnknownName: The package has no such metric.
        """
        # It would report usage over the network; set before the import reads it.
        os.environ.setdefault("RAGAS_DO_NOT_TRACK", "true")
        library = importlib.import_module("ragas.metrics")
        found = getattr(library, name, None)
        if not isinstance(found, type):
            raise UnknownName.among(
                "Ragas metric",
                name,
                [one for one in dir(library) if one[:1].isupper()],
                remedy="Write it as the library does.",
            )
        self._metric: Any = found(**args)
        self._sample: Any = importlib.import_module("ragas.dataset_schema").SingleTurnSample
        self.identity = f"ragas {version('ragas')} {name} {sorted(args.items())}"

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - one word for all adapters
        """Score one answer."""
        sample = self._sample(
            user_input=_text(input),
            response=_text(output),
            reference=None if expected is None else _text(expected),
        )
        value = float(await self._metric.single_turn_ascore(sample))
        if math.isnan(value):
            return ForeignScore(value=None, reason="the library could not score it")
        return ForeignScore(value=value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
