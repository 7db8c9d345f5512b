# SPDX-License-Identifier: Apache-2.0
"""Metrics of DeepEval of which less is better are turned round, whichever version of the library is there."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import pytest

from pilothouse.connectors import deepeval, foreign_metric


def metric_class(*, score, less_is_better, threshold=0.5, strict=False):
    class Metric:
        def __init__(self):
            self.threshold = (0 if less_is_better else 1) if strict else threshold
            self.strict_mode, self.reason, self.score, self.success = strict, "why", None, None

        async def a_measure(self, case, *, _show_indicator):
            self.score = score
            self.success = None
            if score is not None:
                self.success = score <= self.threshold if less_is_better else score >= self.threshold

    return Metric


@pytest.fixture
def measured(monkeypatch):
    def measure(**fields):
        metrics, cases = ModuleType("deepeval.metrics"), ModuleType("deepeval.test_case")
        metrics.Some, metrics.__all__ = metric_class(**fields), ["Some"]
        cases.LLMTestCase = SimpleNamespace
        for name, module in (
            ("deepeval", ModuleType("deepeval")),
            (metrics.__name__, metrics),
            (cases.__name__, cases),
        ):
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(foreign_metric, "version", lambda _name: "0")
        found = deepeval.DeepevalMetric("Some")
        return asyncio.run(found.measure(input="q", output="a", expected=None)).value

    return measure


@pytest.mark.parametrize(
    ("score", "less_is_better", "value"),
    [(0.0, True, 1.0), (1.0, True, 0.0), (0.9, True, 0.1), (0.2, False, 0.2), (1.0, False, 1.0), (0.5, True, 0.5), (None, True, None)],
)  # fmt: skip
def test_goodness_goes_up_whatever_the_metric_counts(measured, score, less_is_better, value):
    found = measured(score=score, less_is_better=less_is_better)
    assert found == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(("score", "less_is_better", "value"), [(0, True, 1.0), (1, True, 0.0), (1, False, 1.0), (0, False, 0.0)])  # fmt: skip
def test_a_strict_metric_wants_all_or_nothing(measured, score, less_is_better, value):
    assert measured(score=score, less_is_better=less_is_better, strict=True) == value


def test_a_threshold_of_nothing_makes_no_answer_right(measured):
    assert measured(score=0.0, less_is_better=False, threshold=0) == 0.0
