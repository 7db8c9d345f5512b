# SPDX-License-Identifier: Apache-2.0
"""Which records may be believed, and how the others are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, V2, load_charter

from pilothouse.core.charter.systems import Freshness, RateLimit
from pilothouse.core.evidence.admission import admit_evidence, refusal
from pilothouse.core.evidence.binding import (
    InForce,
    binding_in_force,
    contract_digest,
    first_mismatch,
)
from pilothouse.core.evidence.evidence import Basis, Binding, Evidence, Scope, Source
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import KINDS, kind_named
from pilothouse.errors import MalformedRecord

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()


def record(**fields):
    values = {
        "kind": "completion",
        "agent": "ap-invoice-triage",
        "window_from": NOW - timedelta(days=7),
        "window_to": NOW,
        "n": 10,
        "good": 9,
        "source": Source(command="pilothouse verdict"),
        "recorded_at": NOW,
    }
    return Evidence(**{**values, **fields})


def refused(**fields):
    return refusal(record(**fields), "ap-invoice-triage", NOW)


def test_a_good_record_is_believed():
    assert refused() is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "completions"}, "Did you mean 'completion'?"),
        ({"kind": "zzz"}, "no kind of evidence 'zzz'"),
        ({"agent": "other"}, "about agent 'other'"),
        ({"window_to": NOW + timedelta(minutes=6)}, "in the future"),
        ({"recorded_at": NOW + timedelta(minutes=6)}, "in the future"),
        ({"good": None}, "`good`"),
        ({"kind": "latency", "good": None}, "`value`"),
        ({"kind": "canary.trace", "good": None}, "`passed`"),
        ({"kind": "attested.own-1", "good": None}, "attested"),
    ],
)
def test_a_bad_record_is_refused_with_its_reason(fields, why):
    assert why in refused(**fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"n": 5, "good": 9}, "larger than n"),
        ({"window_to": NOW - timedelta(days=8)}, "before window_from"),
        ({"value": 0.5}, "is not good/n"),
        ({"basis": Basis.ATTESTED}, "names its signer"),
        ({"low": 0.9, "high": 0.1}, "low lies above high"),
        ({"value": float("nan"), "good": None}, "finite"),
    ],
)
def test_a_record_that_contradicts_itself_cannot_be_made(fields, why):
    with pytest.raises(ValueError, match=why):
        record(**fields)


def test_a_value_that_is_good_over_n_is_accepted():
    assert record(value=0.9, low=0.5, high=1.0).value == 0.9


def test_equal_content_counts_once_and_newest_comes_first():
    old = record(window_to=NOW - timedelta(days=1), recorded_at=NOW - timedelta(days=1))
    again = record(recorded_at=NOW - timedelta(hours=1))
    admitted = admit_evidence([old, record(), again], "ap-invoice-triage", NOW)
    assert admitted.records == (again, old)
    assert len(admitted.records) == 2
    assert admit_evidence([again, record(), old], "ap-invoice-triage", NOW) == admitted


def test_many_reasons_of_refusal_are_cut_and_counted():
    strangers = [record(agent=f"other-{number:02}") for number in range(25)]
    admitted = admit_evidence(strangers, "ap-invoice-triage", NOW)
    assert len(admitted.refused) == 21
    assert admitted.refused[-1].startswith("5 further reasons")


def test_a_certificate_is_bound_to_the_contracts_of_its_tools():
    erp, mail = Scope(integration="erp"), Scope(integration="mail")
    digests = {
        contract_digest(CHARTER, scope) for scope in (erp, mail, Scope(tool="erp.route@1"), Scope(tool="x@1"))
    }
    assert len(digests) == 4
    moved = CHARTER.model_copy(
        update={
            "integrations": {
                **CHARTER.integrations,
                "erp": CHARTER.integrations["erp"].model_copy(update={"hosts": ("elsewhere.example:443",)}),
            }
        }
    )
    for scope in (erp, Scope(tool="erp.route@1")):
        assert contract_digest(moved, scope) != contract_digest(CHARTER, scope), (
            "another host is another system"
        )
    assert contract_digest(moved, mail) == contract_digest(CHARTER, mail)
    assert contract_digest(CHARTER, Scope()) is None


def with_integration(name, **changed):
    system = CHARTER.integrations[name].model_copy(update=changed)
    return CHARTER.model_copy(update={"integrations": {**CHARTER.integrations, name: system}})


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("integration.rate", {"rate_limit": RateLimit(per_s=4)}),
        ("integration.freshness", {"freshness": Freshness(max_age=timedelta(minutes=1), probe="p")}),
        ("drill.fallback", {"fallback": "answer from the copy of yesterday"}),
    ],
)
def test_what_was_shown_for_one_promise_is_not_shown_for_another(kind, changed):
    """A limit that passed at 1,000 a second still passed for 30 days after the charter said 4."""
    erp = Scope(integration="erp")
    promised = with_integration("erp", **changed)
    assert contract_digest(promised, erp, kind) != contract_digest(CHARTER, erp, kind)
    assert contract_digest(promised, erp, "integration.certificate") == contract_digest(CHARTER, erp)
    shown = record(
        kind=kind, scope=erp, n=1, good=None, passed=True,
        binds=binding_in_force(kind_named(kind), CHARTER, erp, InForce()),
    )  # fmt: skip
    expected = binding_in_force(kind_named(kind), promised, erp, InForce())
    assert first_mismatch(expected, shown, kind_named(kind)).what == "contract"


def test_a_limit_that_covered_the_peak_of_a_smaller_plan_covers_no_larger_one():
    erp = Scope(integration="erp")
    plan = CHARTER.target_volume.model_copy(update={"per_day": 120_000})
    larger = CHARTER.model_copy(update={"target_volume": plan})
    assert contract_digest(larger, erp, "integration.rate") != contract_digest(
        CHARTER, erp, "integration.rate"
    )
    assert contract_digest(larger, erp) == contract_digest(CHARTER, erp)


def test_the_card_of_a_judge_is_of_the_model_that_the_charter_pins():
    (judge,) = CHARTER.model.judges
    scope, kind = Scope(part=judge.name), "judge.card"
    pin = judge.pin.model_copy(update={"model": "other-judge-2026-09-09"})
    models = CHARTER.model.model_copy(update={"judges": (judge.model_copy(update={"pin": pin}),)})
    other = CHARTER.model_copy(update={"model": models})
    assert contract_digest(other, scope, kind) != contract_digest(CHARTER, scope, kind)
    aged = judge.model_copy(update={"card_max_age": timedelta(days=30)})
    models = CHARTER.model.model_copy(update={"judges": (aged,)})
    same = CHARTER.model_copy(update={"model": models})
    assert contract_digest(same, scope, kind) == contract_digest(CHARTER, scope, kind)
    assert contract_digest(CHARTER, Scope(part="nobody"), kind) is None


@pytest.mark.parametrize(
    ("kind", "scope", "options", "what"),
    [
        ("completion", Scope(), {}, "version"),
        ("hosts_observed", Scope(), {}, "section"),
        ("tool.faults", Scope(tool="erp.route@1"), {}, "contract"),
        ("eval.anchor", Scope(), {}, "dataset"),
        ("few_shot.lift", Scope(), {}, "library"),
        ("directory", Scope(), {"person": "dana"}, "person"),
    ],
)
def test_a_record_for_something_else_is_told_by_what_differs(kind, scope, options, what):
    in_force = InForce(version=V1, labelled="1a", adversarial="ad", examples="e5")
    expected = binding_in_force(kind_named(kind), CHARTER, scope, in_force, **options)
    bare = Binding(version=V1 if what == "library" else None)
    found = first_mismatch(expected, record(kind=kind, good=None, binds=bare), kind_named(kind))
    assert found.what == what
    same = record(kind=kind, good=None, binds=expected)
    assert first_mismatch(expected, same, kind_named(kind)) is None


def test_a_dataset_that_nothing_shows_cannot_disagree():
    kind = kind_named("eval.anchor")
    expected = binding_in_force(kind, CHARTER, Scope(), InForce())
    assert first_mismatch(expected, record(kind="eval.anchor", good=None), kind) is None


def test_both_datasets_have_digests_of_their_own():
    in_force = InForce(version=V2, labelled="1a", adversarial="ad")
    bound = binding_in_force(kind_named("adversarial.family"), CHARTER, Scope(), in_force)
    assert (bound.dataset, bound.version) == ("ad", V2)


def test_signatures_are_the_only_attested_kinds():
    assert {name for name, kind in KINDS.items() if kind.form is Form.SIGNATURE} == {
        name for name in KINDS if name.startswith("attested.")
    }


def test_an_unknown_kind_is_one_clear_error():
    with pytest.raises(MalformedRecord, match="Did you mean 'latency'"):
        kind_named("latncy")


def test_age_is_never_negative():
    assert record().age_days(NOW - timedelta(days=3)) == 0
    assert record().age_days(NOW + timedelta(days=3)) == 3
