# SPDX-License-Identifier: Apache-2.0
"""Items that are decided again give, with all others as they were, the verdict that decides everything."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import CHARTER, V1, edited_charter, everything_holds, load_charter

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.admission import admit_evidence
from pilothouse.core.evidence.evidence import UNKNOWN, Basis
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.decisive import Decisive
from pilothouse.core.verdict.docket import judge_again, judge_all
from pilothouse.core.verdict.readiness import conclude, decide, verdict_document

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MADE = load_charter()
HELD = everything_holds(MADE, NOW)
ALL_HOLDS = verdict_document(decide(MADE, HELD, NOW, phase="2", version=V1))


def counted(records):
    return admit_evidence(records, MADE.agent, NOW).records


def first(kind):
    return next(one for one in HELD if one.kind == kind)


def one_of(form):
    return next(one for one in HELD if kind_named(one.kind).form is form)


def changed(record):
    """The same record an hour later, with the opposite result."""
    other = {"passed": False} if record.passed is not None else {"good": 0} if record.good is not None else {}
    return record.model_copy(update={"window_to": record.window_to + timedelta(minutes=1), **other})


@pytest.mark.parametrize(
    "kind", ["integration.certificate", "completion", "runbook.signed", "charter.signed"]
)
def test_one_kind_decided_again_is_everything_decided(kind):
    record = next((one for one in HELD if one.kind == kind), None) or one_of(Form.SIGNATURE)
    before = judge_all(MADE, counted(HELD), version=V1)
    for records in ([*HELD, changed(record)], [one for one in HELD if one.kind != record.kind]):
        of_kind = [one for one in counted(records) if one.kind == record.kind]
        after = judge_again(before, MADE, of_kind, {record.kind})
        carried = conclude(after, MADE, NOW, phase="2").verdict
        assert verdict_document(carried) == verdict_document(
            decide(MADE, records, NOW, phase="2", version=V1)
        )


def test_another_dataset_in_force_asks_for_every_item():
    before = judge_all(MADE, counted(HELD), version=V1)
    labelled = first("dataset.labelled")
    other = changed(labelled).model_copy(
        update={"binds": labelled.binds.model_copy(update={"dataset": "dd" * 32})}
    )
    of_kind = [one for one in counted([*HELD, other]) if one.kind == labelled.kind]
    assert judge_again(before, MADE, of_kind, {labelled.kind}) is None
    assert judge_again(before, MADE, counted([labelled]), {labelled.kind}) is not None


def test_a_record_decides_when_nothing_older_can_matter():
    decides = Decisive(MADE)
    certificate, rate = first("integration.certificate"), first("completion")
    assert decides(certificate)
    assert decides(certificate.model_copy(update={"passed": False}))
    assert not decides(certificate.model_copy(update={"basis": Basis.IMPORTED}))
    assert decides(certificate.model_copy(update={"basis": Basis.IMPORTED, "passed": False}))
    assert not decides(rate.model_copy(update={"n": 1, "good": 1}))
    unknown = {"passed": None, "counts": {UNKNOWN: 1}}
    assert not decides(certificate.model_copy(update=unknown))
    assert decides(first("control").model_copy(update=unknown)), "nothing older about a control matters"
    assert decides(rate.model_copy(update={"scope": rate.scope.model_copy(update={"task_type": "unheard"})}))


@pytest.mark.parametrize("kind", sorted({one.kind for one in HELD}))
def test_what_lies_behind_a_record_that_decides_changes_no_verdict(kind):
    newest = [one for one in HELD if one.kind == kind]
    decides = Decisive(MADE)
    older = [
        changed(one).model_copy(
            update={
                "window_to": one.window_to - timedelta(minutes=5),
                "window_from": one.window_from - timedelta(days=1),
            }
        )
        for one in newest
        if decides(one)
    ]
    with_older = decide(MADE, [*HELD, *older], NOW, phase="2", version=V1)
    assert verdict_document(with_older) == ALL_HOLDS


def test_where_the_bound_is_an_open_question_no_record_is_asked():
    text = edited_charter(("completion: {min: 0.95}", 'completion: {min: "?"}'))
    open_bound = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)
    few = first("completion").model_copy(update={"n": 1, "good": 1})
    assert not Decisive(MADE)(few)
    assert Decisive(open_bound)(few)


def test_a_charter_that_was_read_before_is_the_same_charter_with_its_digests():
    tree = read_charter_text(CHARTER.read_text(encoding="utf-8"), file="charter.yaml").value
    plain = json.loads(json.dumps(tree, default=str))
    back = Charter.read_back(plain, digest="given", sections={"owner": "too"})
    assert back.model_dump(mode="json") == MADE.model_dump(mode="json")
    assert (back.digest, back.section_digests) == ("given", {"owner": "too"})


def test_a_fact_that_passed_and_warns_is_at_risk_with_its_warning():
    warned = first("inputs.new_cluster")
    warned = warned.model_copy(update={"counts": {"warnings": 1}, "detail": "3 % of a week are new."})
    verdict = decide(
        MADE, [*(one for one in HELD if one.kind != warned.kind), warned], NOW, phase="2", version=V1
    )
    found = next(one for one in verdict.requirements if one.requirement == "DATA-6")
    assert found.status == "at_risk"
    assert "Warning: 3 % of a week are new." in found.deciding.sentence
