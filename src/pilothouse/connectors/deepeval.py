# SPDX-License-Identifier: Apache-2.0
"""Metrics of the DeepEval library as they are: `deepeval:ExactMatchMetric`."""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

from pilothouse.connectors.foreign_metric import as_text, find_metric, identity_of
from pilothouse.core.evidence.foreign_score import ForeignScore

__all__ = ["DeepevalMetric"]

COMPUTED: Final = frozenset({"ExactMatchMetric", "PatternMatchMetric"})
"""Metrics that ask no model; the library itself lists these two as such."""


class DeepevalMetric:
    """One metric class; a fresh object for each case, since they keep what they last saw.

    Args:
        name: Class in `deepeval.metrics`.
        args: Its arguments.

    Raises:
        UnknownName: The package has no such metric.
    """

    def __init__(self, name: str, **args: Any) -> None:
        # It would report usage over the network; set before the import reads it.
        os.environ.setdefault("DEEPEVAL_TELEMETRY_OPT_OUT", "YES")
        found = find_metric("deepeval.metrics", name, noun="DeepEval metric")
        self._class: Any = found
        self._args = args
        self._case: Any = importlib.import_module("deepeval.test_case").LLMTestCase
        self.identity = identity_of("deepeval", name, args)
        self.is_judge = name not in COMPUTED

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - the library's word
        """Score one answer; anything but text is given as JSON, since the library takes text only."""
        metric = self._class(**self._args)
        case = self._case(
            input=as_text(input),
            actual_output=as_text(output),
            expected_output=None if expected is None else as_text(expected),
        )
        await metric.a_measure(case, _show_indicator=False)
        value = None if metric.score is None else _goodness(metric, float(metric.score))
        return ForeignScore(value=value, reason=str(getattr(metric, "reason", "") or "")[:500])


def _goodness(metric: Any, score: float) -> float:
    """Return how good an answer is: of some metrics, and not in every version of the library, less is better.

    The metric itself shows it: it calls a score below its threshold a success, or one above it none.
    """
    success, threshold = getattr(metric, "success", None), getattr(metric, "threshold", None)
    if not isinstance(success, bool) or not isinstance(threshold, int | float):
        return score
    if score == threshold:  # both ways alike, but for a strict metric, which wants all or nothing
        is_less_better = bool(getattr(metric, "strict_mode", False)) and threshold == 0
    else:
        is_less_better = success is not (score > threshold)
    return 1.0 - score if is_less_better else score
