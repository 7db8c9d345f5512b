# SPDX-License-Identifier: Apache-2.0
"""How the adapters of other scoring libraries find a metric, with stand-ins for libraries that are not installed."""

import sys
from types import ModuleType

import pytest

from pilothouse.connectors import (
    autoevals,
    deepeval,
    foreign_metric,
    inspect_ai,
    pydantic_evals,
    ragas,
)
from pilothouse.errors import UnknownName, UsageError


class Metric:
    def __init__(self, **args):
        self.args = args


def mark(**args):
    return args


ADAPTERS = {
    deepeval.DeepevalMetric: ("deepeval 1.2 Metric", "deepeval.metrics deepeval.test_case"),
    ragas.RagasMetric: ("ragas 1.2 Metric", "ragas.metrics ragas.dataset_schema"),
    autoevals.AutoevalsMetric: ("autoevals 1.2 Metric", "autoevals"),
    pydantic_evals.PydanticEvalsMetric: ("pydantic-evals 1.2 Metric", "pydantic_evals.evaluators"),
    inspect_ai.InspectMetric: ("inspect-ai 1.2 mark", "inspect_ai.scorer inspect_ai.model inspect_ai.solver"),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_finds_its_metric_and_says_which_it_is(adapter, monkeypatch):
    identity, modules = ADAPTERS[adapter]
    for name in modules.split():
        module = ModuleType(name)
        module.__dict__.update(
            Metric=Metric,
            mark=mark,
            LLMTestCase=Metric,
            SingleTurnSample=Metric,
            EvaluatorContext=Metric,
            TaskState=Metric,
        )
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setitem(sys.modules, name.partition(".")[0], module)
    monkeypatch.setattr(foreign_metric, "version", lambda package: "1.2")
    monkeypatch.setenv("DEEPEVAL_TELEMETRY_OPT_OUT", "YES")
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "true")
    found = adapter(identity.split()[2], k=2)
    assert found.identity == f"{identity} [('k', 2)]"
    assert found.is_judge, "of a metric that nobody looked into, a model may be the judge"
    with pytest.raises(UnknownName, match="Metrik"):
        adapter("Metrik")


@pytest.mark.parametrize("name", ["JSONDecodr", "dumps"])
def test_what_is_no_metric_of_the_library_is_refused(name):
    """The second is a function, where classes are asked for."""
    with pytest.raises(UnknownName, match=name):
        foreign_metric.find_metric("json", name, noun="metric")


def test_a_metric_that_is_not_told_the_time_does_not_judge_it():
    with pytest.raises(UsageError, match="latency_under"):
        pydantic_evals.PydanticEvalsMetric("MaxDuration", seconds=1)
