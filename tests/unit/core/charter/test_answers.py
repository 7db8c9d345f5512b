# SPDX-License-Identifier: Apache-2.0
from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from pilothouse.core.charter.answers import is_open, known, open_paths
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.quantities import parse_duration
from stubs.charter_trees import charter, example_values, with_value


def test_an_open_section_is_open_in_each_required_value():
    draft = Charter.model_validate(with_value(example_values(), ("model",), "?"))
    assert is_open(draft.model.pin.model)
    assert is_open(draft.model.upgrade.retirement_notice)
    assert known(draft.model.pin.model) is None


def test_open_paths_are_listed_in_the_order_of_the_charter():
    values = with_value(example_values(), ("owner", "person"), "?")
    values = with_value(values, ("escalation", 1, "acknowledge"), "?")
    assert open_paths(Charter.model_validate(values)) == ("owner.person", "escalation.1.acknowledge")


def test_a_charter_without_open_questions_has_no_open_path():
    assert open_paths(charter()) == ()


def test_none_is_a_word_of_the_file_and_none_in_the_model():
    example = charter()
    assert example.raci.prompt_changes.informed is None
    assert example.integration("mail").freshness is None


def test_unknown_people_and_task_types_are_empty_only_while_open():
    values = with_value(with_value(example_values(), ("people",), "?"), ("task_types",), "?")
    draft = Charter.model_validate(values)
    assert draft.people == {}
    assert draft.task_types == {}


def test_a_charter_cannot_be_changed():
    with pytest.raises(ValidationError):
        charter().agent = "other"


def test_what_is_no_mapping_is_no_charter():
    with pytest.raises(ValidationError):
        Charter.model_validate("?")


def test_task_types_carry_the_defaults_key_by_key():
    example = charter()
    assert example.task_type("non_po_invoice").quality.min == 0.90
    assert example.task_type("non_po_invoice").quality.max_drop == 5
    assert example.task_type("po_invoice").quality.min == 0.95
    assert example.task_type("refund") is None


def test_the_document_of_a_charter_reads_back_as_the_same_charter():
    example = charter()
    assert Charter.model_validate(tupled(example.model_dump(mode="json", by_alias=True))) == example


def tupled(value):
    if isinstance(value, dict):
        return {key: tupled(part) for key, part in value.items() if part is not None}
    return tuple(tupled(part) for part in value) if isinstance(value, list) else value


def test_phases_name_their_integrations():
    example = charter()
    assert example.integrations_of("1") == ("erp",)
    assert example.integrations_of("3") == ("erp", "mail", "archive")
    assert example.phase("2").share == 0.5


def test_integrations_of_a_phase_are_unknown_while_either_is_open():
    values = example_values()
    for path in (("phases",), ("integrations",), ("phases", "1", "integrations")):
        assert Charter.model_validate(with_value(values, path, "?")).integrations_of("1") is None


def test_a_tool_that_is_not_said_is_none():
    assert charter().tool("erp.route@1").effect == "external"
    assert charter().tool("erp.pay@1") is None


def test_a_charter_can_be_built_from_python_values_too():
    values = with_value(example_values(), ("owner", "since"), date(2026, 6, 1))
    values = with_value(values, ("owner", "reattest"), timedelta(days=90))
    assert Charter.model_validate(values) == charter()


@pytest.mark.parametrize(
    ("text", "days"), [("90d", 90), ("6w", 42), ("7y", 2555), ("24h", 1), ("1440m", 1), ("86400s", 1)]
)
def test_durations_have_one_number_and_one_unit(text, days):
    assert parse_duration(text).total_seconds() == days * 86_400


@pytest.mark.parametrize(
    "text", ["", "90", "d", "0d", "-1d", "1.5d", "90 d", "90D", "1w2d", "1000000s", "999999y"]
)
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError, match=r"duration|hundred years"):
        parse_duration(text)
