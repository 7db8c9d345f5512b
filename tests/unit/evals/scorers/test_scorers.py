# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint

import pytest
from source_tree import ROOT

from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.case import Case, Step, Trajectory
from pilothouse.evals.score import Unscored
from pilothouse.evals.scorers.limits import cost_under, latency_under
from pilothouse.evals.scorers.registry import GROUP, ScorerRegistry, parse_scorer_text
from pilothouse.evals.scorers.structure import json_schema, json_subset
from pilothouse.evals.scorers.text import contains, exact, numeric, regex
from pilothouse.evals.scorers.tools import must_not_call, steps_under, tools_called, trajectory
from pilothouse.evals.trial import Reply, Result, ToolCall, TrialStatus


def case(expected=None, **fields):
    return Case(id="c", task_type="t", input="i", expected=expected, **fields)


def done(output, *, latency_s=0.1, **fields):
    return Result(status=TrialStatus.DONE, reply=Reply(output=output, **fields), latency_s=latency_s)


def calls(*names, **arguments):
    return tuple(ToolCall(name=name, arguments=arguments or None) for name in names)


@pytest.mark.parametrize(
    ("expected", "output", "value"),
    [
        ("4", " 4 ", 1.0),
        ("4", "5", 0.0),
        (1, 1.0, 1.0),
        (1, True, 0.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
        ({"a": 1}, {"a": 1, "b": 2}, 0.0),
        ([1, 2], [2, 1], 0.0),
        ({"a": 1}, ' {"a": 1.0}', 1.0),
        ({"a": 1}, '{"a": 2}', 0.0),
        ({"a": 1}, '{"a": 1', 0.0),
        ('{"a":1}', {"a": 1}, 1.0),
        ([1], "[1]", 1.0),
        ({"a": 1}, "[" * 100_000, 0.0),
        ("1", 1, 0.0),
    ],
)
def test_exact_compares_json_values(expected, output, value):
    assert exact().score(case(expected), done(output)).value == value


def test_an_answer_that_no_case_could_expect_is_wrong_and_not_left_out():
    long = 98_765_432_109_876_543_210
    assert json_subset().score(case({"id": "1"}), done({"id": long})).value == 0.0
    assert exact().score(case({"id": "1"}), done({"id": long})).value == 0.0
    made = done("x", tool_calls=calls("pay", account=long))
    assert must_not_call(tools=["pay"], args={"account": "1"}).score(case(), made).value == 1.0
    golden = Trajectory(steps=(Step(tool="pay", args={"account": "1"}),))
    assert trajectory().score(case(trajectory=golden), made).value == 0.0


def test_an_answer_in_json_is_looked_into_where_the_case_expects_an_object():
    """A label's expectation is an object; what a function returns is often the text that the model wrote."""
    text = '{"queue": "ap-1", "n": 4, "why": "amount"}'
    assert json_subset().score(case({"queue": "ap-1"}), done(text)).value == 1.0
    assert json_subset().score(case({"queue": "ap-2"}), done(text)).value == 0.0
    assert exact(field="queue").score(case({"queue": "ap-1"}), done(text)).value == 1.0
    assert numeric(field="n").score(case({"n": 4}), done(text)).value == 1.0


def test_without_an_expectation_exact_does_not_apply():
    assert exact().score(case(), done("x")).why is Unscored.NOT_APPLICABLE


def test_exact_can_look_at_one_field_and_ignore_case():
    scorer = exact(field="q", ignore_case=True)
    assert scorer.score(case({"q": "AP-1"}), done({"q": "ap-1", "r": 1})).value == 1.0
    assert scorer.score(case({"q": "AP-1"}), done("ap-1")).value == 0.0


def test_a_field_that_the_case_does_not_expect_is_nothing_that_agrees():
    for scorer in (exact(field="queu"), json_subset(at="queu"), numeric(field="queu")):
        assert scorer.score(case({"queue": "a"}), done({"queue": "b"})).why is Unscored.NOT_APPLICABLE
        assert scorer.score(case("a"), done("b")).why is Unscored.NOT_APPLICABLE
    for scorer in (exact(field="queue"), json_subset(at="queue")):
        assert scorer.score(case({"queue": None}), done({"queue": None})).value == 1.0
        assert scorer.score(case({"queue": None}), done({})).value == 0.0
        assert scorer.score(case({"queue": None}), done("x")).value == 0.0


def test_an_empty_text_is_nothing_to_look_for():
    assert contains().score(case(" "), done("anything")).why is Unscored.NOT_APPLICABLE
    with pytest.raises(UsageError, match="stands in every answer"):
        contains(text="")


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ('say "no"', {"answer": 'They say "no".'}),
        ("C:\\secret", ["see C:\\secret"]),
        ("one\ntwo", {"a": {"b": "one\ntwo"}}),
        ("internal", {"internal": 1}),
        ("secret", "se\u200bcret"),
        ("secret", "s\u00adecret"),
        ("secret", "\uff53\uff45\uff43\uff52\uff45\uff54"),
        ("STRASSE", "Stra\u00dfe"),
        ("secret", {"n": 98_765_432_109_876_543_210, "a": "secret"}),
    ],
)
def test_what_must_not_be_said_is_found_however_it_is_written(text, output):
    assert contains(text=text, absent=True).score(case(), done(output)).value == 0.0


def test_a_pattern_that_must_not_be_found_is_looked_for_in_every_text():
    scorer = regex(pattern=r"^card \d{4}$", absent=True)
    assert scorer.score(case(), done({"a": ["card 1234"]})).value == 0.0
    assert scorer.score(case(), done("card\u200b 1234")).value == 0.0
    assert scorer.score(case(), done({"a": ["card of 1234"]})).value == 1.0


def test_contains_and_its_opposite():
    assert contains().score(case("invoice"), done("The Invoice is paid")).value == 1.0
    assert contains(text="paid", absent=True).score(case(), done("It is paid")).value == 0.0
    assert contains(ignore_case=False).score(case("invoice"), done("Invoice")).value == 0.0
    assert contains().score(case(3), done("3")).why is Unscored.NOT_APPLICABLE


def test_regex_and_its_opposite_and_a_pattern_that_does_not_compile():
    assert regex(pattern=r"AP-\d+").score(case(), done("to AP-12")).value == 1.0
    assert regex(pattern=r"\d{4}", absent=True).score(case(), done("card 1234")).value == 0.0
    with pytest.raises(UsageError, match="pattern"):
        regex(pattern="(")


@pytest.mark.parametrize(
    ("expected", "output", "value"),
    [(100, 100.4, 1.0), (100, 100.6, 0.0), (100, "about 100.2 EUR", 1.0), (1200, "1,200.3", 1.0), (100, "1 or 2", 0.0), (100, True, 0.0)],
)  # fmt: skip
def test_numeric_accepts_what_lies_within_the_tolerance(expected, output, value):
    assert numeric(tolerance=0.5).score(case(expected), done(output)).value == value


@pytest.mark.parametrize(
    ("expected", "output"),
    [(5, "\u22125"), (5, "\u20135 EUR"), (15, "1,5"), (1, 10**400), (1, "1e999"), (12345, "12,345,6")],
)
def test_numeric_is_not_fooled_by_signs_commas_and_numbers_without_end(expected, output):
    assert numeric().score(case(expected), done(output)).value == 0.0
    assert numeric().score(case(-5), done("\u22125")).value == 1.0


def test_a_relative_tolerance_is_a_share_of_what_was_expected():
    assert numeric(relative=0.1).score(case(100), done(110)).value == 1.0
    assert numeric(relative=0.1).score(case(100), done(111)).value == 0.0
    assert numeric(relative=0.5).score(case(10), done(20)).value == 0.0


def test_numeric_relative_and_without_a_number_to_expect():
    assert numeric(relative=0.01).score(case(1000), done(1009)).value == 1.0
    assert numeric().score(case("many"), done(3)).why is Unscored.NOT_APPLICABLE


def test_json_schema_names_the_first_place_that_is_wrong():
    scorer = json_schema(
        schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    )
    assert scorer.score(case(), done({"n": 1})).value == 1.0
    assert scorer.score(case(), done({"n": "1"})).reason.startswith("$.n:")
    with pytest.raises(UsageError, match="invalid JSON Schema"):
        json_schema(schema={"type": "nonsense"})


def test_json_subset_allows_more_and_names_what_is_missing():
    assert json_subset().score(case({"a": {"b": 1}}), done({"a": {"b": 1, "c": 2}, "d": 3})).value == 1.0
    assert json_subset().score(case({"a": {"b": 1}}), done({"a": {}})).reason == "$.a.b is missing"
    assert json_subset(at="a").score(case({"a": 1, "b": 2}), done({"a": 1})).value == 1.0


@pytest.mark.parametrize(
    ("mode", "made", "value"),
    [
        ("exact", ("find", "route"), 1.0),
        ("exact", ("find", "log", "route"), 0.0),
        ("in_order", ("find", "log", "route"), 1.0),
        ("in_order", ("route", "find"), 0.0),
        ("any_order", ("route", "find"), 1.0),
        ("any_order", ("route",), 0.0),
    ],
)
def test_a_trajectory_is_matched_in_its_mode(mode, made, value):
    golden = Trajectory(steps=(Step(tool="find"), Step(tool="route")), mode=mode)
    assert trajectory().score(case(trajectory=golden), done(1, tool_calls=calls(*made))).value == value


def test_any_order_finds_a_different_call_for_each_step_where_greed_fails():
    golden = Trajectory(steps=(Step(tool="pay"), Step(tool="pay", args={"id": 1})), mode="any_order")
    made = (ToolCall(name="pay", arguments={"id": 1}), ToolCall(name="pay", arguments={"id": 2}))
    assert trajectory().score(case(trajectory=golden), done(1, tool_calls=made)).value == 1.0


def test_arguments_that_are_ignored_may_differ_and_others_may_not():
    golden = Trajectory(steps=(Step(tool="pay", args={"to": "s1", "at": 5}, ignore=("at",)),))
    one = done(1, tool_calls=(ToolCall(name="pay", arguments={"to": "s1", "at": 9}),))
    other = done(1, tool_calls=(ToolCall(name="pay", arguments={"to": "s2", "at": 5}),))
    assert trajectory().score(case(trajectory=golden), one).value == 1.0
    assert trajectory().score(case(trajectory=golden), other).value == 0.0


def test_unknown_tool_calls_are_unscored_and_never_a_pass():
    for scorer in (must_not_call(tools=["pay"]), tools_called(tools=["find"]), steps_under(calls_max=3)):
        assert scorer.score(case(), done(1)).why is Unscored.TRACE_MISSING
    assert must_not_call(tools=["pay"]).score(case(), done(1, tool_calls=())).value == 1.0


def test_a_forbidden_call_with_unknown_arguments_counts_as_forbidden():
    scorer = must_not_call(tools=["pay"], args={"amount": 9})
    assert scorer.score(case(), done(1, tool_calls=(ToolCall(name="pay"),))).value == 0.0
    other = (ToolCall(name="pay", arguments={"amount": 1}),)
    assert scorer.score(case(), done(1, tool_calls=other)).value == 1.0


def test_limits_of_steps_time_and_money():
    assert steps_under(calls_max=1).score(case(), done(1, tool_calls=calls("a", "b"))).value == 0.0
    assert latency_under(seconds=1).score(case(), done(1, latency_s=1.5)).value == 0.0
    assert latency_under(seconds=1).score(case(), done(1, latency_s=None)).why is Unscored.TIME_UNKNOWN
    assert cost_under(usd=0.01).score(case(), done(1, cost_usd=0.02)).value == 0.0
    assert cost_under(usd=0.01).score(case(), done(1)).why is Unscored.COST_UNKNOWN


def test_other_arguments_make_another_scorer():
    assert numeric(tolerance=1).spec.version != numeric(tolerance=2).spec.version
    assert numeric(tolerance=1).spec.version == numeric(tolerance=1).spec.version


def test_every_built_in_scorer_comes_through_the_entry_points():
    names = {one.name for one in ScorerRegistry().listing()}
    assert names >= {
        "exact",
        "contains",
        "regex",
        "numeric",
        "json_schema",
        "json_subset",
        "trajectory",
        "judge",
    }


def test_every_scorer_that_the_package_declares_can_be_made_by_its_factory():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][GROUP]
    for name, value in declared.items():
        assert EntryPoint(name, value, GROUP).load().__name__ == name
    assert set(declared) >= {"set_f1", "sql_equal", "outcome"}


def test_a_misspelt_scorer_names_its_neighbour_and_wrong_arguments_say_so():
    registry = ScorerRegistry()
    with pytest.raises(UnknownName, match="Did you mean 'numeric'"):
        registry.make("numerik")
    with pytest.raises(UsageError, match="does not take"):
        registry.make("exact", {"colour": 1})
    with pytest.raises(UsageError, match="no JSON"):
        parse_scorer_text("numeric={tolerance}")
