# SPDX-License-Identifier: Apache-2.0
"""Each kind of evidence ends with an edit of what it was measured under, and with no other: every value of the charter is edited."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from charter_edits import edits_of
from evidence_made import CHARTER, V1, everything_holds, make_record

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import SECTIONS
from pilothouse.core.evidence.binding import InForce, binding_in_force, terms_digest
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.kinds import FOLDED_KINDS, KINDS, SIGNATURE_KINDS, kind_named
from pilothouse.core.verdict.expansion import expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide

TREE = copy.deepcopy(read_charter_file(CHARTER).value)
TREE["task_defaults"]["metric"] = "rubric-v3"  # so that there is a judge who must be trusted
TREE["model"]["pin"]["deployment"] = {"weights": "4f1c2d9", "engine": "vllm 0.11.0"}
BEFORE = Charter.model_validate(TREE)
IN_FORCE = InForce(version=V1, labelled="1a" * 32, adversarial="ad" * 32, examples="e5" * 32)

EDITED_ONCE = pytest.mark.xdist_group("edits of the charter")
"""What asks about every edit runs in one worker: each that does makes a thousand charters."""

NOTHING = frozenset(
    {
        "override", "routing.audit", "uptime", "run.loops", "policy.bypass", "eval.anchor", "few_shot.examples", "few_shot.lift",
        "inputs.analysed", "inputs.new_cluster", "change.overlap", "audit.anchored", "audit.verified", "canary.trace", "alert.lead", "drift.looked",
        "replay.reproduced", "review.queue", "correction", "review.held",
    }
)  # fmt: skip
"""What was counted is the same whatever the charter says; its bounds, ages and times are read when a verdict is made."""

ALL_OF = {name: tuple((key,) for key in keys) for name, keys in SECTIONS.items()}
METRIC = (("task_types", "*", "metric"),)
LABELLED, ATTACKS = (("datasets", "labelled", "path"),), (("datasets", "adversarial", "path"),)
TRAJECTORIES = (("datasets", "trajectories", "path"), ("datasets", "trajectories", "min"))
PERSON = (("people", "*", "identity"),)
CONTEXT = (("context",), ("model", "limits", "window_tokens"))
TOOL = (
    ("tools", "*", "manifest_hash"),
    *(("integrations", "*", name) for name in ("hosts", "auth", "environment", "region")),
)
SYSTEM = (*TOOL, ("tools", "*", "integration"))
REGIONS = (("integrations", "*", "region"), ("model", "pin", "region"), ("model", "fallback"))

UNDER = {
    "quality": METRIC,
    "sampling": METRIC,
    "quality_drop": METRIC,
    "cost.further": (
        ("currency",),
        ("task_types", "*", "cost_per_task", "includes"),
        ("reviewers", "minutes_per_item"),
        ("business_case", "loaded_hour_cost"),
        ("business_case", "pilot_burn_per_month"),
    ),
    "output_schema": (("guardrails",),),
    "truncation": CONTEXT,
    "probes.context": CONTEXT,
    "tool_error.confident": (("tools", "*", "effect"),),
    "tool_error.hard": (("tools", "*", "effect"),),
    "regions_observed": (
        *ALL_OF["residency"],
        *REGIONS,
        ("integrations", "*", "hosts"),
        ("model", "pin", "model"),
    ),
    "deployment": (("model", "pin", "provider"), ("model", "pin", "deployment")),
    "dataset.labelled": LABELLED,
    "dataset.production_share": LABELLED,
    "dataset.distance": LABELLED,
    "dataset.leak": (*LABELLED, ("prompts",), ("few_shot", "path")),
    "inputs.tail": LABELLED,
    "dataset.adversarial": ATTACKS,
    "dataset.glossary": (*ATTACKS, ("glossary",)),
    "adversarial.family": ATTACKS,
    "release.verdict": (
        *LABELLED,
        *ATTACKS,
        *TRAJECTORIES,
        *METRIC,
        ("datasets", "adversarial", "families"),
        ("release", "alpha"),
        ("release", "max_drop"),
        ("task_types", "*", "quality", "min"),
        ("task_types", "*", "quality", "max_drop"),
        ("task_types", "*", "reliable"),
    ),
    "eval.baseline": METRIC,
    "load.difference": METRIC,
    "release.difference": METRIC,
    "release.trajectories": TRAJECTORIES,
    "judge.card": (("model", "judges", "*", "pin"),),
    "routing.threshold": (
        ("guardrails", "confidence"),
        *(("task_types", "*", name) for name in ("cost_of_error", "cost_of_review")),
        *(("task_types", "*", "routing", name) for name in ("mode", "wrong_auto_per_100", "risk")),
    ),
    "integration.certificate": SYSTEM,
    "tool.faults": TOOL,
    "integration.sign_in": SYSTEM,
    "integration.rate": (*SYSTEM, ("integrations", "*", "rate_limit"), ("target_volume", "per_day")),
    "integration.freshness": (*SYSTEM, ("integrations", "*", "freshness")),
    "drill.fallback": (*SYSTEM, ("integrations", "*", "fallback")),
    "policy.compiled": (*ALL_OF["tools"], ("residency", "regions"), ("integrations", "*", "region")),
    "policy.unused": ALL_OF["tools"],
    "control": ALL_OF["residency"],
    "cost.monitor": ALL_OF["alerts"],
    "alert.delay": (
        *ALL_OF["alerts"],
        *METRIC,
        ("task_types", "*", "quality", "min"),
        ("task_types", "*", "sampling", "rate"),
    ),
    "gaps.audited": (("glossary",),),
    "source.fresh": (("sources", "*", "path"), ("sources", "*", "max_age")),
    "outcome.seal": ALL_OF["outcomes"],
    "outcome.effect": ALL_OF["outcomes"],
    "directory": PERSON,
    "drill.owner-powers": PERSON,
    "duty.reached": ALL_OF["raci"],
    "roster": (
        *ALL_OF["operations"],
        ("target_volume", "per_day"),
        ("task_types", "*", "share"),
        ("task_types", "*", "escalation", "max"),
        ("task_types", "*", "routing", "audit_share"),
    ),
    "budget.spent": ALL_OF["budgets"],
    "drill.completion-drop": ALL_OF["alerts"],
    "drill.cost-burst": ALL_OF["alerts"],
    "drill.runbook": ALL_OF["alerts"],
    "drill.page": ALL_OF["escalation"],
    "drill.model-upgrade": ALL_OF["model"],
    "drill.game-day": ALL_OF["operations"],
}
"""What each other kind was measured under; `*` stands for a name. Signatures end with what they sign and who signs."""

SIGNED = {
    part.kind: (*PERSON, *(key for name in part.sections for key in ALL_OF[name]))
    for requirement in FRAMEWORK
    for part in requirement.parts
    if part.kind in SIGNATURE_KINDS
}
MEASURED_UNDER = UNDER | SIGNED


def bindings(charter):
    """Return what a record of each item must be bound to, and of each part of an amount."""
    found = {}
    added = {kind.added_to: kind.name for kind in KINDS.values() if kind.added_to}
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            for kind in map(kind_named, filter(None, (part.kind, added.get(part.kind)))):
                for slot in expand(part, charter, "3"):
                    if slot.question is not None:
                        continue
                    found[kind.name, slot.scope, slot.person] = binding_in_force(
                        kind, charter, slot.scope, IN_FORCE, section=slot.section, person=slot.person
                    )
    return found


@cache
def ended():
    """Return for each edited value the kinds of which an item is bound to something else then."""
    before, found = bindings(BEFORE), {}
    for path, charter in edits_of(TREE):
        if charter is not None:
            after = bindings(charter)
            found[path] = {key[0] for key, binds in before.items() if after.get(key, binds) != binds}
    return found


def lies_under(path, prefix):
    if path[0] == "task_defaults":
        path = ("task_types", "*", *path[1:])
    return len(path) >= len(prefix) and all(
        "*" in (want, step) or want == step for want, step in zip(prefix, path, strict=False)
    )


def test_every_kind_of_evidence_says_what_it_was_measured_under():
    said = [FOLDED_KINDS, NOTHING, frozenset(MEASURED_UNDER)]
    assert frozenset().union(*said) == frozenset(KINDS)
    assert sum(map(len, said)) == len(KINDS)


@EDITED_ONCE
def test_every_value_but_a_few_lists_is_edited():
    assert len(ended()) > 240


@EDITED_ONCE
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_ends_with_an_edit_of_what_it_was_measured_under_and_with_no_other(kind):
    if kind in FOLDED_KINDS:
        return
    under = MEASURED_UNDER.get(kind, ())
    wrong = [
        path
        for path, kinds in ended().items()
        if kind in kinds and not any(lies_under(path, one) for one in under)
    ]
    assert not wrong, "a needless stuck"
    for prefix in under:
        edits = [kinds for path, kinds in ended().items() if lies_under(path, prefix)]
        assert not edits or any(kind in kinds for kinds in edits), (
            f"{prefix} can be edited, and the old record holds"
        )


@pytest.mark.parametrize(
    ("age_max", "status"), [("90d", "holds"), ("30d", "no_evidence"), ("?", "no_evidence")]
)
def test_a_judges_card_counts_as_long_as_the_charter_says(age_max, status):
    tree = copy.deepcopy(TREE)
    tree["model"]["judges"][0]["card_max_age"] = age_max
    charter = Charter.model_validate(tree)
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    held = [
        make_record(BEFORE, requirement, part, slot, now, version=V1, age=timedelta(days=45))
        for requirement in FRAMEWORK
        if requirement.id == "EVAL-11"
        for part in requirement.parts
        for slot in expand(part, BEFORE, "2")
    ]
    found = decide(charter, held, now, phase="2", version=V1)
    assert next(one.status for one in found.requirements if one.requirement == "EVAL-11") == status


def test_a_dataset_that_the_charter_does_not_name_is_not_in_force():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    held = everything_holds(BEFORE, now)
    other = next(one for one in held if one.kind == "dataset.labelled" and one.scope == Scope())
    binds = other.binds.model_copy(update={"dataset": "0e" * 32, "contract": None})
    later = other.model_copy(update={"binds": binds, "window_to": now, "recorded_at": now})

    def status(records):
        found = decide(BEFORE, records, now, phase="2", version=V1)
        return {one.requirement: one.status for one in found.requirements}

    assert status([*held, later]) == status(held)
    assert status([later])["EVAL-1"] == "no_evidence"


def test_what_ended_says_which_terms_changed():
    tree = copy.deepcopy(TREE)
    tree["task_defaults"]["routing"]["risk"] = 0.05
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    found = decide(Charter.model_validate(tree), everything_holds(BEFORE, now), now, phase="2", version=V1)
    item = next(one for one in found.requirements if one.requirement == "EVAL-9").deciding
    assert (item.status, item.reason) == ("no_evidence", "stale")
    assert "`task_types.po_invoice.routing.risk`" in item.sentence
    assert "what was known before does not count" in item.sentence


def test_a_record_from_before_terms_were_kept_names_no_change_of_the_charter():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    held = [
        one.model_copy(update={"binds": one.binds.model_copy(update={"contract": None})})
        for one in everything_holds(BEFORE, now)
    ]
    found = decide(BEFORE, held, now, phase="2", version=V1)
    item = next(one for one in found.requirements if one.requirement == "INT-6").deciding
    assert (item.status, item.reason) == ("no_evidence", "stale")
    assert "something changed" not in item.sentence
    assert "does not say under which `people." in item.sentence
    assert "an older Pilothouse" in item.sentence


def test_terms_that_nobody_has_said_yet_are_terms_too():
    tree = copy.deepcopy(TREE)
    tree["integrations"] = "?"
    kind = kind_named("regions_observed")
    opened = Charter.model_validate(tree)
    assert terms_digest(opened, kind, Scope()) != terms_digest(BEFORE, kind, Scope())
    assert terms_digest(opened, kind, Scope()) == terms_digest(opened.model_copy(), kind, Scope())


def test_a_copy_that_says_something_else_has_digests_of_its_own():
    kind = kind_named("gaps.audited")
    before = terms_digest(BEFORE, kind, Scope())
    other = BEFORE.model_copy(update={"glossary": "docs/others.yaml"})
    assert terms_digest(other, kind, Scope()) != before
    assert other.digest != BEFORE.digest
    assert other.section_digests["datasets"] != BEFORE.section_digests["datasets"]
