# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PLC0415, A002 - each library is imported by its own test, and `input` is their word
"""Scorers of other libraries give through us what they give by themselves; a library that is not installed is not run.

`make bench-scorers` installs all five beside each other, and runs this file in their environment.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing

import pytest
from agent_repository import write_lines

from pilothouse.core.evidence.foreign_score import ForeignMetric
from pilothouse.errors import UnknownName
from pilothouse.evals.case import Case
from pilothouse.evals.score import Unscored
from pilothouse.evals.scorers.foreign import ForeignScorer
from pilothouse.evals.scorers.scorer import ScorerKind
from pilothouse.evals.trial import Reply, Result, TrialStatus

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PAIRS = [("kitten", "sitting"), ("ap-1", "ap-1"), ("AP-1 is right", "ap-1"), ("", "ap-1"), ("7", "7.5")]
QUESTION = "Which queue?"


def adapter(library, cls, name, **args):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "YES"
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(importlib.import_module(f"pilothouse.connectors.{library}"), cls)(name, **args)


def through_us(metric, output, expected):
    case = Case(id="c", task_type="t", input=QUESTION, expected=expected)
    result = Result(status=TrialStatus.DONE, reply=Reply(output=output), latency_s=0.1)
    return asyncio.run(ForeignScorer("x", metric).score(case, result))


def autoevals_native(output, expected):
    import autoevals

    return autoevals.Levenshtein().eval(output=output, expected=expected, input=QUESTION).score


def deepeval_native(output, expected):
    from deepeval.metrics import ExactMatchMetric
    from deepeval.test_case import LLMTestCase

    case = LLMTestCase(input=QUESTION, actual_output=output, expected_output=expected)
    return ExactMatchMetric().measure(case, _show_indicator=False)


def inspect_native(output, expected):
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Target, match, value_to_float
    from inspect_ai.solver import TaskState

    state = TaskState(
        model="none/none", sample_id=1, epoch=1, input=QUESTION, messages=[],
        output=ModelOutput.from_content("none", output),
    )  # fmt: skip
    return value_to_float()(asyncio.run(match()(state, Target(expected))).value)


def pydantic_native(output, expected):
    from pydantic_evals import Case as TheirCase
    from pydantic_evals import Dataset
    from pydantic_evals.evaluators import EqualsExpected

    dataset = Dataset(
        name="d",
        cases=[TheirCase(name="c", inputs=QUESTION, expected_output=expected)],
        evaluators=[EqualsExpected()],
    )
    report = dataset.evaluate_sync(lambda question: output, progress=False)
    return float(next(iter(report.cases[0].assertions.values())).value)


def ragas_native(output, expected):
    from ragas.dataset_schema import SingleTurnSample
    from ragas.metrics import ExactMatch

    sample = SingleTurnSample(user_input=QUESTION, response=output, reference=expected)
    return asyncio.run(ExactMatch().single_turn_ascore(sample))


LIBRARIES = [
    ("autoevals", "AutoevalsMetric", "Levenshtein", autoevals_native),
    ("deepeval", "DeepevalMetric", "ExactMatchMetric", deepeval_native),
    ("inspect_ai", "InspectMetric", "match", inspect_native),
    ("pydantic_evals", "PydanticEvalsMetric", "EqualsExpected", pydantic_native),
    ("ragas", "RagasMetric", "ExactMatch", ragas_native),
]


@pytest.mark.parametrize(("library", "cls", "name", "native"), LIBRARIES, ids=[one[0] for one in LIBRARIES])
def test_the_value_is_the_librarys_own(library, cls, name, native):
    metric = adapter(library, cls, name)
    assert isinstance(metric, ForeignMetric)
    assert ForeignScorer("x", metric).spec.kind is ScorerKind.DETERMINISTIC
    values = []
    for output, expected in PAIRS:
        if library == "deepeval" and not output:
            continue  # the library refuses an empty answer
        own = native(output, expected)
        found = through_us(metric, output, expected)
        assert found.value == pytest.approx(own, abs=1e-9)
        values.append(found.value)
    assert len(set(values)) > 1, "a scorer that always says the same proves nothing"


@pytest.mark.timeout(900)
def test_five_libraries_score_in_one_run_what_they_score_alone(tmp_path):
    missing = [one[0] for one in LIBRARIES if importlib.util.find_spec(one[0]) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    pairs = [pair for pair in PAIRS if pair[0]]
    names = {library: f"{library}:{name}" for library, _, name, _ in LIBRARIES}
    rows = [
        {
            "id": f"c{at}", "task_type": "t", "input": {"question": QUESTION, "answer": output}, "expected": expected,
            "asserts": [{"scorer": name} for name in names.values()],
        }
        for at, (output, expected) in enumerate(pairs)
    ]  # fmt: skip
    write_lines(tmp_path / "cases.jsonl", rows)
    (tmp_path / "app.py").write_text("def run(asked):\n    return asked['answer']\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pilothouse", "eval", "run", "python:app:run", "--dataset", "cases.jsonl", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False,
        # Whatever would leave this machine fails: the libraries' own reports of use are switched off by us.
        env={**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / ".pilothouse" / "evals.db")) as journal, journal:
        rows = journal.execute("SELECT case_id, name, value FROM trial JOIN score ON trial.key = score.trial")
        scored = {(case_id, name): value for case_id, name, value in rows}
    assert len(scored) == len(pairs) * len(LIBRARIES)
    for place, (library, _, _, native) in enumerate(LIBRARIES, start=1):
        values = [scored[f"c{at}", f"{names[library]}#{place}"] for at in range(len(pairs))]
        assert values == pytest.approx([native(*pair) for pair in pairs], abs=1e-9), library
        assert len(set(values)) > 1, "a scorer that always says the same proves nothing"


@pytest.mark.parametrize(
    ("library", "cls"), [one[:2] for one in LIBRARIES], ids=[one[0] for one in LIBRARIES]
)
def test_a_misspelt_scorer_is_refused(library, cls):
    with pytest.raises(UnknownName, match="Exakt"):
        adapter(library, cls, "Exakt")


def test_a_skipped_case_is_a_missing_value_and_json_is_given_as_text():
    class Silent:
        identity = "silent 1"
        is_judge = False

        async def measure(self, *, input, output, expected):
            from pilothouse.core.evidence.foreign_score import ForeignScore

            return ForeignScore(value=None if output == {"a": 1} else 7.0, reason=json.dumps(output))

    assert through_us(Silent(), {"a": 1}, None).why is Unscored.NOT_APPLICABLE
    assert through_us(Silent(), {"a": 1}, "expected").why is Unscored.PARSE_FAILED
    assert through_us(Silent(), "x", None).why is Unscored.OUT_OF_RANGE
    Silent.is_judge = True
    assert through_us(Silent(), {"a": 1}, None).why is Unscored.PARSE_FAILED, (
        "a judge without words is no case less"
    )
