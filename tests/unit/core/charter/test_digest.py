# SPDX-License-Identifier: Apache-2.0
import pytest
import rfc8785

from pilothouse.core.charter.digest import SECTIONS, canonical_json, charter_document, version_digest
from pilothouse.core.charter.models import AgentPin
from stubs.broken_charters import EXAMPLE
from stubs.charter_trees import charter, check

NUMBERS = [0, -0.0, 1, -1, 2**53 - 1, 0.1, 0.95, 1.0, 1e20, 1e21, 1.5e21, -1e21, 1e-5, 1e-6, 1.5e-6, 1e-7, 1.25e-9, 123.456, 1e300, 5e-324, 333333333.33333329, 4.5, 2e-3, 0.000001, 1e22, 1e23]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_written_as_the_reference_writes_them(number):
    assert canonical_json(number).encode() == rfc8785.dumps(number)


def test_text_keys_and_lists_are_written_as_the_reference_writes_them():
    value = {"b": [True, False, None, 'é\n"\\\u2028😀\x01/'], "a": {"ﬁ": 1, "😀": 2, "": 3}, "Z": (1.5, "x")}
    plain = {**value, "Z": [1.5, "x"]}
    assert canonical_json(value).encode() == rfc8785.dumps(plain)


def test_the_example_charter_has_the_canonical_form_of_the_reference():
    document = charter_document(charter())
    assert canonical_json(document).encode() == rfc8785.dumps(document)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 2**53, -(2**53)])
def test_a_number_that_json_cannot_keep_is_refused(number):
    with pytest.raises(ValueError, match=r"JSON"):
        canonical_json(number)


def test_an_object_without_a_json_form_is_refused():
    with pytest.raises(TypeError, match="set has no JSON form"):
        canonical_json({1})


def test_every_key_of_a_charter_belongs_to_exactly_one_section():
    keys = [key for names in SECTIONS.values() for key in names]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(charter_document(charter()))


def test_comments_order_and_spelling_of_a_number_change_no_digest():
    text = EXAMPLE.read_text(encoding="utf-8")
    blocks = text.replace("0.80", "0.8").replace("currency: USD\n", "") + "\n# a comment\ncurrency: USD\n"
    assert check(blocks).charter.digest == charter().digest


def test_a_default_written_out_changes_no_digest():
    assert charter(("reliable: {k: 1, min: 0.0}", "reliable: {k: 1}")).digest == charter().digest


def test_terms_of_the_gateway_that_are_not_said_change_no_digest():
    """Charters of before have the digests that they were signed with."""
    document = charter_document(charter())["model"]
    assert set(document) == {"pin", "fallback", "require_evidence", "judges", "upgrade", "limits"}
    assert set(document["pin"]) == {"provider", "model", "region", "retires_on"}
    said = charter(("retires_on: 2032-06-30}", "retires_on: 2032-06-30, fingerprint: alert, served_as: []}"))
    assert said.digest == charter().digest


def test_a_value_moved_from_the_defaults_to_every_task_type_changes_no_digest():
    moved = charter(
        ("    claim: routed\n", ""),
        ("{share: 0.80}", "{share: 0.80, claim: routed}"),
        ("{share: 0.15,", "{share: 0.15, claim: routed,"),
        ("{share: 0.05,", "{share: 0.05, claim: routed,"),
    )
    assert moved.digest == charter().digest


def test_an_edit_changes_the_digest_of_its_own_section_only():
    old, new = (
        charter().section_digests,
        charter(("min: 0.95, max_drop: 5", "min: 0.96, max_drop: 5")).section_digests,
    )
    assert [name for name in SECTIONS if old[name] != new[name]] == ["thresholds"]


PIN = {"provider": "acme", "model": "acme-large-2026-04-12", "region": "eu", "retires_on": None}


def test_a_version_is_its_model_prompts_contracts_and_code():
    base = {"prompts": {"a.md": "1"}, "contracts": {"t@1": "2"}, "code_revision": "r"}
    digests = {
        version_digest(AgentPin.model_construct(**PIN), **base),
        version_digest(AgentPin.model_construct(**{**PIN, "model": "m-2026-01-01"}), **base),
        version_digest(AgentPin.model_construct(**{**PIN, "region": "us"}), **base),
        version_digest(AgentPin.model_construct(**PIN), **{**base, "prompts": {"a.md": "x"}}),
        version_digest(AgentPin.model_construct(**PIN), **{**base, "contracts": {}}),
        version_digest(AgentPin.model_construct(**PIN), **{**base, "code_revision": "s"}),
    }
    assert len(digests) == 6


def test_a_retirement_date_makes_no_new_version():
    base = {"prompts": {}, "contracts": {}, "code_revision": "r"}
    later = AgentPin.model_construct(**{**PIN, "retires_on": "2027-01-01"})
    assert version_digest(later, **base) == version_digest(AgentPin.model_construct(**PIN), **base)
