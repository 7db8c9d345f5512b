# SPDX-License-Identifier: Apache-2.0
"""Scores of other evaluators become imported evidence of the metric they name, and of nothing else."""

from datetime import UTC, datetime, timedelta

import evidence_made
import pytest

from pilothouse.core.charter.answers import known
from pilothouse.core.evidence.evidence import Basis
from pilothouse.core.evidence.fold import Window
from pilothouse.core.evidence.score import Score, fold_scores
from pilothouse.core.evidence.task import Task, TaskResult, TaskState
from pilothouse.core.verdict.readiness import decide

NOW = datetime(2026, 11, 6, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
WINDOW = Window(start=NOW - timedelta(days=7), end=NOW)
CHARTER = evidence_made.load_charter()
TYPE = next(iter(CHARTER.task_types))
METRIC = CHARTER.task_types[TYPE].metric


def score(trace_id, *, name=METRIC, value=None, label="", source="otlp", at_ns=0, span_id=""):
    return Score(
        trace_id=trace_id, span_id=span_id, name=name, value=value, label=label, explanation="",
        source=source, at_ns=at_ns,
    )  # fmt: skip


def task(trace_id, *, task_type=TYPE, version="v1", start_ns=NOW_NS - 10**12):
    return Task(
        trace_id=trace_id, agent=CHARTER.agent, task_type=task_type, version_digest=version,
        state=TaskState.COMPLETE, result=TaskResult.COMPLETED, start_ns=start_ns, end_ns=start_ns + 1,
    )  # fmt: skip


def folded(tasks, scores):
    return fold_scores(CHARTER, tasks, scores, {TYPE: WINDOW}, NOW)


@pytest.mark.parametrize(
    ("value", "label", "is_good"),
    [
        (0.2, "Pass", True),
        (1.0, " fail ", False),
        (1, "", True),
        (0, "meh", False),
        (0.5, "", None),
        (None, "meh", None),
    ],
)
def test_only_plain_words_and_plain_numbers_say_good_or_bad(value, label, is_good):
    assert score("t", value=value, label=label).is_good is is_good


def test_the_newest_plain_score_of_a_task_counts_and_the_record_is_marked_as_imported():
    tasks = [task("a"), task("b"), task("c"), task("d", start_ns=NOW_NS - 10**18), task("e", task_type="x")]
    scores = [
        score("a", label="pass", at_ns=2),
        score("a", label="fail", at_ns=1),
        score("b", value=0.0),
        score("b", name="another metric", label="pass"),
        score("c", value=0.7),
        score("d", label="pass"),
        score("e", label="pass"),
    ]
    (record,) = folded(tasks, scores)
    assert (record.kind, record.basis, record.n, record.good) == ("quality", Basis.IMPORTED, 2, 1)
    assert (record.scope.task_type, record.binds.version, record.items) == (TYPE, "v1", ("b",))
    assert "otlp" in record.source.command


def test_scores_that_show_harm_breach_the_floor_of_the_charter():
    tasks = [task(f"{number:032x}") for number in range(200)]
    (record,) = folded(tasks, [score(one.trace_id, value=0.0) for one in tasks])
    found = decide(CHARTER, [record], record.recorded_at, version="v1")
    items = next(one for one in found.requirements if one.requirement == "MON-2").items
    assert {one.status for one in items if one.kind == "quality" and one.scope.task_type == TYPE} == {
        "breached"
    }


def test_sources_that_disagree_make_a_task_bad_and_versions_are_kept_apart():
    tasks = [task("a"), task("b", version="v2"), task("c", version=None)]
    scores = [
        score("a", label="pass", source="otlp:1"),
        score("a", label="fail", source="otlp:2"),
        score("b", label="yes"),
        score("c", label="yes"),
    ]
    records = folded(tasks, scores)
    assert [(record.binds.version, record.n, record.good) for record in records] == [
        (None, 1, 1),
        ("v1", 1, 0),
        ("v2", 1, 1),
    ]
    assert "otlp:1, otlp:2" in records[1].detail


def test_a_good_answer_of_another_span_does_not_undo_a_bad_one():
    scores = [
        score("a", label="fail", span_id="1", at_ns=1),
        score("a", label="pass", span_id="2", at_ns=2),
        score("b", label="fail", span_id="1", at_ns=1),
        score("b", label="pass", span_id="1", at_ns=2),
    ]
    (record,) = folded([task("a"), task("b")], scores)
    assert (record.n, record.good, record.items) == (2, 1, ("a",))


def test_what_a_judge_of_the_charter_says_is_no_quality_without_labels():
    """A judge of Se 0.95 and Sp 0.90 passes 92 % where 96 % are good: as a record that breached a floor of 95 %."""
    judge = known(CHARTER.model.judges)[0]
    terms = CHARTER.task_types[TYPE].model_copy(update={"metric": judge.name})
    judged = CHARTER.model_copy(update={"task_types": {**CHARTER.task_types, TYPE: terms}})
    said = [score("a", name=judge.name, label="fail"), score("b", name=judge.name, label="fail")]
    assert fold_scores(judged, [task("a"), task("b")], said, {TYPE: WINDOW}, NOW) == ()
    undeclared = judged.model_copy(update={"model": judged.model.model_copy(update={"judges": ()})})
    assert len(fold_scores(undeclared, [task("a"), task("b")], said, {TYPE: WINDOW}, NOW)) == 1


def test_without_scores_there_is_no_record():
    assert folded([task("a")], []) == ()


def test_numbers_of_a_source_on_another_scale_say_nothing_and_its_words_still_do():
    tasks = [task(name) for name in "abcd"]
    stars = [
        score("a", value=1.0, source="stars"),
        score("b", value=4.0, source="stars"),
        score("c", value=1.0, label="fail", source="stars"),
        score("d", value=1.0, source="shares"),
    ]
    (record,) = folded(tasks, stars)
    assert (record.n, record.good, record.items) == (2, 1, ("c",))
    assert folded(tasks, [stars[3], score("a", value=float("nan"), source="shares")]) == ()
    assert folded(tasks, [stars[3], score("a", value=-1.0, source="shares")]) == ()
