# SPDX-License-Identifier: Apache-2.0
"""What is to be signed is what the verdict reads: signing all of it makes every signed part hold, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import page_world as world
import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import under_terms
from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.signing import (
    SIGNED_ITEMS,
    SignatureState,
    asked_signatures,
    section_text,
    signature_record,
)
from pilothouse.core.verdict.verdict import Reason, Status

NOW = world.NOW
SOURCE = Source(command="test")


@pytest.fixture(scope="module")
def charter():
    return world.charter()


def edited(**sections):
    tree = read_charter_text(world.charter_text(), file="charter.yaml").value
    for name, change in sections.items():
        change(tree[name])
    return Charter.model_validate(tree)


def record(charter, one, *, signer=None, at=NOW):
    return signature_record(one, charter.agent, signer or one.person, at, SOURCE)


def signed_parts(verdict):
    return [
        item
        for requirement in verdict.requirements
        for item in requirement.items
        if item.kind and kind_named(item.kind).form is Form.SIGNATURE
    ]


def test_nothing_is_signed_at_first_and_everything_that_signs_is_listed(charter):
    asked = asked_signatures(charter, [], NOW)
    assert {one.state for one in asked} == {SignatureState.MISSING}
    assert {one.requirement for one in asked} == set(SIGNED_ITEMS)
    assert len({one.key for one in asked}) == len(asked)


def test_signing_all_of_it_makes_every_signed_part_hold_and_no_measured_one(charter):
    records = [record(charter, one) for one in asked_signatures(charter, [], NOW)]
    verdict = decide(charter, records, NOW)
    assert {item.status for item in signed_parts(verdict)} <= {Status.HOLDS, Status.AT_RISK}
    measured = [
        item
        for requirement in verdict.requirements
        for item in requirement.items
        if item.kind and kind_named(item.kind).form is not Form.SIGNATURE
    ]
    assert Status.HOLDS not in {item.status for item in measured}
    assert {one.state for one in asked_signatures(charter, records, NOW)} == {SignatureState.SIGNED}


def test_a_substitute_may_sign_and_a_stranger_may_not(charter):
    (one, *_) = asked_signatures(charter, [], NOW, "DATA-5")
    assert one.person == "dana"
    for signer, state in (("lee", SignatureState.SIGNED), ("kim", SignatureState.MISSING)):
        found = asked_signatures(charter, [record(charter, one, signer=signer)], NOW, "DATA-5")
        assert found[0].state is state


def test_a_signature_is_about_one_text_and_ends(charter):
    (one,) = (each for each in asked_signatures(charter, [], NOW, "OWN-5") if each.section == "escalation")
    given = record(charter, one)
    other = edited(severities=lambda terms: terms["sev1"].update(resolve="5h"))
    assert [
        each.state for each in asked_signatures(other, [given], NOW, "OWN-5") if each.section == "escalation"
    ] == [SignatureState.CHANGED]
    late = NOW + timedelta(days=180)
    (lapsed,) = (
        each for each in asked_signatures(charter, [given], late, "OWN-5") if each.section == "escalation"
    )
    assert (lapsed.state, lapsed.lapses_at, lapsed.signer) == (SignatureState.LAPSED, late, "vp")
    again = asked_signatures(charter, [given, record(charter, one, at=late)], late, "OWN-5")
    assert {each.section: each.state for each in again}["escalation"] is SignatureState.SIGNED


def test_what_ends_with_the_text_only_has_no_date(charter):
    (one, *_) = asked_signatures(charter, [], NOW, "DATA-5")
    (signed, *_) = asked_signatures(charter, [record(charter, one)], NOW, "DATA-5")
    assert (signed.state, signed.lapses_at) == (SignatureState.SIGNED, None)


@pytest.mark.parametrize(("phase", "asked"), [("pilot", "1"), ("1", "12"), ("2", "123"), ("3", "123")])
def test_what_is_signed_for_each_phase_is_asked_up_to_the_next_one(charter, phase, asked):
    found = asked_signatures(charter, [], NOW, "DATA-5", phase=phase)
    assert "".join(sorted({one.scope.phase for one in found})) == asked
    assert len({one.key for one in found}) == len(found)


def test_the_owners_cadence_is_the_charters(charter):
    (one,) = asked_signatures(charter, [], NOW, "OWN-1")
    (signed,) = asked_signatures(charter, [record(charter, one)], NOW, "OWN-1")
    assert signed.lapses_at == NOW + timedelta(days=90)


def test_the_text_is_the_whole_section(charter):
    text = section_text(charter, "escalation")
    assert text.startswith("escalation:\n  - {")
    assert '\nseverities:\n  sev1: {"pause":true' in text
    assert 'agent: "ap-invoice-triage"' in section_text(charter, "identity")
    assert section_text(charter, None) == ""


def test_a_signature_without_a_section_says_what_it_is_about(charter):
    (one,) = asked_signatures(charter, [], NOW, "OWN-1")
    assert (
        record(charter, replace(one, section=None)).detail == "signed the text of the requirement for OWN-1"
    )


def test_nobody_is_asked_while_the_charter_leaves_the_person_open():
    open_owner = edited(owner=lambda terms: terms.update(person="?"))
    assert "DATA-5" not in {one.requirement for one in asked_signatures(open_owner, [], NOW)}


def cases(digest, at, charter, **more):
    binds = under_terms(Binding(dataset=digest), kind_named("dataset.labelled"), charter)
    return Evidence(
        kind="dataset.labelled", agent=charter.agent, binds=binds, window_from=at, window_to=at, n=300,
        source=Source(command="pilothouse dataset show"), recorded_at=at, **more,
    )  # fmt: skip


def review_of(charter, records, now):
    found = decide(charter, records, now)
    (item,) = (one for one in signed_parts(found) if one.requirement == "EVAL-5")
    return item


def test_who_signs_for_results_signs_for_the_cases_in_force(charter):
    first = cases("1a" * 32, NOW - timedelta(days=1), charter)
    (asked,) = asked_signatures(charter, [first], NOW, "EVAL-5")
    assert f"labelled cases: sha256 {'1a' * 32}" in section_text(charter, asked.section, asked.binds.dataset)
    records = [first, record(charter, asked)]
    assert asked_signatures(charter, records, NOW, "EVAL-5")[0].state is SignatureState.SIGNED
    assert review_of(charter, records, NOW).status is Status.HOLDS

    later = NOW + timedelta(hours=1)
    records.append(cases("2b" * 32, later, charter))
    assert asked_signatures(charter, records, NOW, "EVAL-5")[0].state is SignatureState.SIGNED
    (changed,) = asked_signatures(charter, records, later, "EVAL-5")
    assert changed.state is SignatureState.CHANGED
    assert changed.key != asked.key
    item = review_of(charter, records, later)
    assert (item.status, item.reason) == (Status.NO_EVIDENCE, Reason.STALE)
    assert not {one.state for one in asked_signatures(charter, records, later, "OWN-5")} & {
        SignatureState.CHANGED
    }
