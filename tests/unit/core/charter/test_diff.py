# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import HIGHER_IS_TIGHTER, LOWER_IS_TIGHTER, Effect, compare_charters
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.requirement import AtLeast, Census, Committed, Count, Floor
from stubs.charter_trees import charter, example_values, with_value

EXAMPLE = charter()


def difference(*edits):
    return compare_charters(EXAMPLE, charter(*edits))


def only_change(diff):
    assert len(diff.changes) == 1, diff.changes
    return diff.changes[0]


def test_the_same_charter_has_no_difference():
    diff = compare_charters(EXAMPLE, charter())
    assert diff.changes == diff.sections == diff.reopens == diff.approvals == ()
    assert diff.old_digest == diff.new_digest


@pytest.mark.parametrize(
    ("old", "new", "path", "effect"),
    [
        ("{share: 0.15, quality: {min: 0.90}", "{share: 0.15, quality: {min: 0.92}", "task_types.non_po_invoice.quality.min", Effect.TIGHTER),
        ("{share: 0.15, quality: {min: 0.90}", "{share: 0.15, quality: {min: 0.80}", "task_types.non_po_invoice.quality.min", Effect.LOOSER),
        ("unknown_task_type: {max: 0.02", "unknown_task_type: {max: 0.01", "unknown_task_type.max", Effect.TIGHTER),
        ("unknown_task_type: {max: 0.02", "unknown_task_type: {max: 0.05", "unknown_task_type.max", Effect.LOOSER),
        ("malformed: 0.10", "malformed: 0.20", "datasets.adversarial.families.malformed", Effect.LOOSER),
        (", ambiguous: 0.10", "", "datasets.adversarial.families.ambiguous", Effect.LOOSER),
        ("ambiguous: 0.10", "ambiguous: 0.10, long: 0.1", "datasets.adversarial.families.long", Effect.TIGHTER),
        ("detect_within: 14d", "detect_within: 7d", "alerts.lying.detect_within", Effect.TIGHTER),
        ("resolve: 4h", "resolve: 6h", "severities.sev1.resolve", Effect.LOOSER),
        ("per_day: 2000", "per_day: 3000", "tools.erp.route@1.budget.per_day", Effect.WIDER),
        ("per_day: 2000", "per_day: 1000", "tools.erp.route@1.budget.per_day", Effect.NARROWER),
        ("task_types: [po_invoice, credit_note]", "task_types: [po_invoice]", "tools.erp.find_po@2.task_types", Effect.NARROWER),
        ("type: id, origins: [handle]", "type: id, origins: [handle, registry]", "tools.erp.route@1.args.invoice_id.origins", Effect.WIDER),
        ("effect: read", "effect: internal", "tools.erp.find_po@2.effect", Effect.WIDER),
        ("manifest_hash: sha256:8e", "manifest_hash: sha256:8f", "tools.erp.find_po@2.manifest_hash", Effect.CHANGED),
        ("auth: mtls", "auth: oauth2", "integrations.erp.auth", Effect.WIDER),
        ('fallback: "queue"', 'fallback: "park"', "integrations.mail.fallback", Effect.CHANGED),
        ("failure_modes: [vpn down]", "failure_modes: [vpn]", "integrations.archive.failure_modes", Effect.CHANGED),
        ("integrations: all, share: 1.0", "integrations: [erp, mail, archive], share: 1.0", "phases.3.integrations", Effect.NARROWER),
        ("share: 0.50, min", "share: 0.40, min", "phases.2.share", Effect.NARROWER),
        ("users: [ap-dept]", "users: [ap-dept, ap-team-a]", "phases.2.users", Effect.WIDER),
        ("max_pause: 14d", "max_pause: 10d", "stability.max_pause", Effect.TIGHTER),
        ("rollback, sev1, ", "sev1, ", "stability.reset_on", Effect.LOOSER),
        ('title: "Invoice triage, accounts payable"', "title: Triage", "title", Effect.CHANGED),
        ("sources: [{name: supplier handbook, kind", "sources: [{name: supplier handbook, kind", None, None),
        ("owner: lee, max_age: 180d", "owner: lee, max_age: 90d", "sources.supplier handbook.max_age", Effect.TIGHTER),
        ("reattest: 90d", "reattest: 180d", "owner.reattest", Effect.LOOSER),
        ("review: 30d}", "review: 60d}", "sponsor.review", Effect.LOOSER),
        ("drill: 90d}}", "drill: 180d}}", "runbooks.runbooks/quality.md.drill", Effect.LOOSER),
        ("card_max_age: 90d", "card_max_age: 365d", "model.judges.rubric-v3.card_max_age", Effect.LOOSER),
        ('fallback: "queue", fallback_drill: 90d', 'fallback: "queue", fallback_drill: 30d', "integrations.mail.fallback_drill", Effect.TIGHTER),
        ("{uptime: 0.995, ", "{", "phases.1.exit.uptime", Effect.LOOSER),
        ("p95_s: per_type", "p95_s: 1.5", "phases.1.exit.p95_s", Effect.CHANGED),
        ("model: other-judge-2026-03-03", "model: other-judge-2026-09-09", "model.judges.rubric-v3.pin.model", Effect.CHANGED),
        ("latency: {p95_s: 8.0,", "latency: {p95_s: 9.0,", "task_types.po_invoice.latency.p95_s", Effect.LOOSER),
        ("cost_of_review: 6", 'cost_of_review: "?"', "task_types.po_invoice.cost_of_review", Effect.REOPENED),
    ],
)  # fmt: skip
def test_every_change_says_which_way_it_goes(old, new, path, effect):
    diff = difference((old, new))
    if path is None:
        assert diff.changes == ()
    else:
        assert (path, effect) in [(change.path, change.effect) for change in diff.changes]


def test_every_number_and_life_that_decides_has_a_direction():
    """Lives of evidence had none: whoever made them longer asked nobody, and the stable days went on."""
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            bounds = [getattr(part.rule, name, None) for name in ("bound", "least")]
            asked = [one for one in bounds if isinstance(one, Committed)]
            paths = [path for one in asked for path in (one.path, one.cap) if path]
            paths += [part.fresh] if isinstance(part.fresh, str) else []
            for path in paths:
                named = re.sub(r"\{\w+\}", "*", path.replace("{review}", "owner"))
                named = re.sub(r"^phases\.[123]\.", "phases.*.", named)
                is_floor = isinstance(part.rule, (Floor, Census, Count, AtLeast)) and path != part.fresh
                is_least = path in {one.path for one in asked if one is bounds[1]}
                table = HIGHER_IS_TIGHTER if is_floor or is_least else LOWER_IS_TIGHTER
                assert named in table, (requirement.id, path)


def test_hiding_more_is_narrower_and_showing_more_is_wider():
    def saying(how):
        values = example_values()
        values["tools"]["erp.find_po@2"]["untrusted"] = how
        return Charter.model_validate(values)

    hide, show = saying("hide"), saying("show")
    pairs = ((EXAMPLE, hide), (hide, EXAMPLE), (hide, show), (show, hide))
    effects = [only_change(compare_charters(old, new)).effect for old, new in pairs]
    assert effects == [Effect.NARROWER, Effect.WIDER, Effect.WIDER, Effect.NARROWER]


def test_an_answer_is_no_loosening():
    before = Charter.model_validate(with_value(example_values(), ("target_volume", "per_day"), "?"))
    change = only_change(compare_charters(before, EXAMPLE))
    assert (change.effect, change.old, change.new) == (Effect.ANSWERED, "?", "1200")


def test_a_whole_section_that_was_open_is_answered():
    before = Charter.model_validate(with_value(example_values(), ("alerts",), "?"))
    assert only_change(compare_charters(before, EXAMPLE)).effect is Effect.ANSWERED


def test_a_new_tool_widens_and_a_tool_taken_out_narrows():
    tools = example_values()["tools"]
    fewer = Charter.model_validate(
        with_value(example_values(), ("tools",), {"erp.route@1": tools["erp.route@1"]})
    )
    gone = only_change(compare_charters(EXAMPLE, fewer))
    assert (gone.path, gone.new, gone.effect) == ("tools.erp.find_po@2", None, Effect.NARROWER)
    came = only_change(compare_charters(fewer, EXAMPLE))
    assert (came.path, came.old, came.effect) == ("tools.erp.find_po@2", None, Effect.WIDER)


def test_a_cap_taken_away_widens_and_a_cap_added_narrows():
    capped = charter(
        ("supplier: {role: neutral, type: text, max: 80}", "supplier: {role: neutral, type: text}")
    )
    assert only_change(compare_charters(EXAMPLE, capped)).effect is Effect.WIDER
    assert only_change(compare_charters(capped, EXAMPLE)).effect is Effect.NARROWER


def test_an_entry_with_another_key_inside_the_boundary_counts_as_wider():
    values = example_values()
    route = values["tools"]["erp.route@1"]
    results = Charter.model_validate(
        with_value(values, ("tools", "erp.route@1"), {**route, "results": {"id": {"origin": "handle"}}})
    )
    assert only_change(compare_charters(EXAMPLE, results)).effect is Effect.WIDER


def test_lists_without_a_key_are_compared_as_a_whole():
    fallback = charter(
        ("fallback: [{provider: acme, model: acme-medium-2026-02-01, region: eu}]", "fallback: []")
    )
    change = only_change(compare_charters(EXAMPLE, fallback))
    assert (change.path, change.effect) == ("model.fallback", Effect.NARROWER)


def test_two_entries_of_one_name_are_compared_as_a_whole():
    values = example_values()
    twice = Charter.model_validate(with_value(values, ("sources",), values["sources"] * 2))
    assert only_change(compare_charters(EXAMPLE, twice)).path == "sources"


def test_a_file_whose_content_changed_is_a_change():
    files = {"prompts/system.md": "prompts[0]", "runbooks/quality.md": "alerts[0].runbook"}
    diff = compare_charters(EXAMPLE, charter(), changed_files=files)
    assert [change.path for change in diff.changes] == ["prompts[0] (prompts/system.md)", "alerts[0].runbook (runbooks/quality.md)"]  # fmt: skip


def test_widening_needs_two_persons_and_loosening_the_sponsor():
    diff = difference(
        ("per_day: 2000", "per_day: 3000"), ("unknown_task_type: {max: 0.02", "unknown_task_type: {max: 0.05")
    )
    assert [(approval.paths, approval.who) for approval in diff.approvals] == [
        (
            ("tools.erp.route@1.budget.per_day",),
            "two persons with role owner or approver, neither the author alone (dana)",
        ),
        (("unknown_task_type.max",), "vp (sponsor)"),
    ]


def test_an_amended_outcome_needs_owner_and_sponsor():
    assert [a.who for a in difference(("change: -0.30", "change: -0.20")).approvals] == [
        "dana (owner) and vp (sponsor)"
    ]


def test_narrowing_and_tightening_take_effect_at_once():
    assert difference(("per_day: 2000", "per_day: 100"), ("max_pause: 14d", "max_pause: 7d")).approvals == ()


def test_only_changed_sections_lose_their_signatures():
    assert difference(("per_day: 2000", "per_day: 3000"), ("resolve: 4h", "resolve: 5h")).sections == (
        "escalation",
        "tools",
    )


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (
            "[routed_to_foreign_entity, paid_twice]",
            "[paid_twice, routed_to_foreign_entity]",
            "task_types.*.critical",
        ),
        ("reset_on: [breach, rollback,", "reset_on: [rollback, breach,", "stability.reset_on"),
        ("data: [mail, attachments]", "data: [attachments, mail, mail]", "integrations.mail.data"),
    ],
)
def test_a_set_in_another_order_is_neither_looser_nor_wider(old, new, path):
    diff = difference((old, new))
    begin, _, end = path.partition("*")
    assert {change.effect for change in diff.changes} == {Effect.CHANGED}
    assert all(change.path.startswith(begin) and change.path.endswith(end) for change in diff.changes)
    assert diff.approvals == ()


def test_stand_ins_in_another_order_are_wider():
    one = "{provider: acme, model: acme-medium-2026-02-01, region: eu}"
    other = "{provider: acme, model: acme-small-2026-02-01, region: eu}"
    before = charter((f"fallback: [{one}]", f"fallback: [{one}, {other}]"))
    after = charter((f"fallback: [{one}]", f"fallback: [{other}, {one}]"))
    assert only_change(compare_charters(before, after)).effect is Effect.WIDER
