# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import date

import pytest

from pilothouse.connectors.charter_file import look_at_files, read_charter_text
from pilothouse.core.charter.files import named_files
from pilothouse.core.charter.findings import FindingKind
from pilothouse.core.charter.located import LocatedTree, dotted
from pilothouse.core.charter.models_published import Retirement
from pilothouse.core.charter.parse import check_charter
from pilothouse.core.charter.rules.table import RULES
from stubs.broken_charters import BROKEN, EXAMPLE, FOLDER, Broken, edited
from stubs.charter_trees import FACTS, check, example_values, with_value

NEEDS_FACTS = {"outcome-late", "retires-soon-published"}


def test_the_example_charter_has_nothing_to_say():
    result = check(EXAMPLE.read_text(encoding="utf-8"))
    assert result.findings == ()
    assert result.charter.agent == "ap-invoice-triage"


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.id)
def test_one_slip_gives_one_finding_on_its_line_with_a_remedy(broken: Broken):
    text = broken.text
    result = check(text)
    told = [finding.rule for finding in result.findings]
    assert told == [broken.rule], [finding.text for finding in result.findings]
    finding = result.findings[0]
    assert broken.at in text.splitlines()[finding.place.line - 1]
    assert finding.place.column <= len(text.splitlines()[finding.place.line - 1]) + 1
    for part in broken.says:
        assert part in f"{finding.message} {finding.remedy}"
    assert finding.remedy.endswith((".", "?"))
    assert finding.text.startswith(f"charter.yaml:{finding.place.line}:{finding.place.column}: ")
    assert (result.charter is None) == (finding.kind is FindingKind.ERROR)


def test_every_rule_is_broken_by_some_slip_of_the_table():
    assert {broken.rule for broken in BROKEN} | NEEDS_FACTS == set(RULES)


def test_every_finding_comes_in_one_pass():
    text = edited(
        ("reattest: 90d", "reattest: 90"),
        ("currency: USD", "currency: USD\nwizardry: yes"),
        ("acme-large-2026-04-12", "gpt-4o"),
        ("stability: {days: 90", "stability: {days: 30"),
        ("name: cycle_time_days", "name: sessions"),
        ("cost_of_review: 6", 'cost_of_review: "?"'),
        ("term_ends: 2032-12-01", "term_ends: 2027-02-01"),
    )
    result = check(text)
    assert [finding.rule for finding in result.of_kind(FindingKind.ERROR)] == [
        "unknown-key",
        "bad-unit",
        "floating-model",
        "stability-short",
        "vanity-metric",
    ]
    assert [finding.rule for finding in result.of_kind(FindingKind.QUESTION)] == ["open-question"]
    assert [finding.rule for finding in result.of_kind(FindingKind.WARNING)] == ["owner-term-short"]
    assert result.charter is None


def test_outcomes_changed_after_the_first_counted_task_are_an_error():
    sealed = replace(FACTS, first_counted_on=date(2026, 9, 1), sealed_outcomes="0" * 64)
    result = check(EXAMPLE.read_text(encoding="utf-8"), facts=sealed)
    assert [finding.rule for finding in result.findings] == ["outcome-late"]
    assert "2026-09-01" in result.findings[0].message


def test_outcomes_as_they_were_sealed_are_fine():
    charter = check(EXAMPLE.read_text(encoding="utf-8")).charter
    sealed = replace(
        FACTS, first_counted_on=date(2026, 9, 1), sealed_outcomes=charter.section_digests["outcomes"]
    )
    assert check(EXAMPLE.read_text(encoding="utf-8"), facts=sealed).findings == ()


def test_a_credential_known_to_write_is_refused_whatever_its_name():
    facts = replace(FACTS, writing_credentials=frozenset({"erp-read"}))
    assert [finding.rule for finding in check(EXAMPLE.read_text(encoding="utf-8"), facts=facts).findings] == [
        "verifier-writes"
    ]


def test_a_model_known_to_be_exact_needs_no_date():
    text = edited(("acme-large-2026-04-12", "acme-house-model"))
    assert [finding.rule for finding in check(text).findings] == ["floating-model"]
    assert check(text, facts=replace(FACTS, exact_models=frozenset({"acme-house-model"}))).findings == ()


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-2024-08-06",
        "claude-sonnet-4-20250514",
        "gpt-4-0613",
        "house@4f1c2ab",
        "llama3:70b@sha256:" + "a" * 64,
        "m.x-v2:0",
        "claude-sonnet-4-6",
        "claude-opus-4-10",
        "claude-opus-5",
        "claude-haiku-5-1",
        "eu.anthropic.claude-opus-4-6-v1",
    ],
)
def test_an_id_with_a_date_a_digest_or_a_version_is_exact(model):
    facts = replace(FACTS, retirements={})
    assert check(edited(("model: acme-large-2026-04-12", f'model: "{model}"')), facts=facts).findings == ()


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "claude-3-7-sonnet-latest",
        "claude-haiku-4-5",
        "claude-sonnet-4",
        "claude-sonnet",
        "mistral-large",
        "gemini-2.5-pro-preview",
        "llama3:70b",
    ],
)
def test_a_name_that_may_mean_something_else_tomorrow_floats(model):
    rules = [
        finding.rule
        for finding in check(edited(("model: acme-large-2026-04-12", f'model: "{model}"'))).findings
    ]
    assert rules == ["floating-model"]


def test_a_group_of_the_directory_may_be_responsible_but_not_accountable():
    text = edited(
        ("{A: sam,  R: [kim], C: [dana], I: [vp]}", "{A: night-shift,  R: [night-shift], C: [dana], I: [vp]}")
    )
    facts = replace(FACTS, groups=frozenset({"night-shift"}))
    findings = check(text, facts=facts).findings
    assert [(finding.rule, finding.path) for finding in findings] == [
        ("person-unknown", "raci.incident_response.A")
    ]


def test_nobody_looked_at_files_so_no_rule_speaks_about_them():
    tree = read_charter_text(edited(("runbooks/truth.md", "runbooks/lies.md")), file="c")
    assert check_charter(tree, FACTS).findings == ()


ONE_OPEN = [
    line.strip()
    for line in [
        "owner.person",
        "sponsor.person",
        "sponsor",
        "people",
        "task_types",
        "target_volume.per_day",
        "reviewers.minutes_per_item",
        "escalation",
        "severities",
        "alerts",
        "phases",
        "integrations",
        "tools",
        "outcomes",
        "datasets.labelled",
        "model",
        "model.pin.model",
        "model.fallback",
        "model.judges",
        "residency.regions",
        "raci.incident_response",
        "runbooks",
        "sources",
        "framework.extend",
        "budgets.production",
        "operations.team",
        "prompts",
        "stability.days",
        "task_defaults.quality",
        "task_defaults.verifier",
    ]
]


@pytest.mark.parametrize("path", ONE_OPEN)
def test_any_part_may_be_open_and_asks_exactly_there(path):
    tree = read_charter_text(EXAMPLE.read_text(encoding="utf-8"), file="charter.yaml")
    value = opened(tree.value, path.split("."))
    result = check_charter(replace(tree, value=value), FACTS)
    assert result.of_kind(FindingKind.ERROR) in (
        (),
        tuple(e for e in result.findings if e.rule == "person-unknown"),
    )
    questions = result.of_kind(FindingKind.QUESTION)
    assert [finding.path for finding in questions] == [path]
    assert questions[0].asked


INSIDE = [
    ("escalation", 0, "to", 0),
    ("escalation", 0, "acknowledge"),
    ("escalation", 0, "to"),
    ("escalation", 2, "to"),
    ("severities", "sev1", "resolve"),
    ("severities", "sev2", "start_level"),
    ("model", "judges", 0, "pin", "model"),
    ("tools", "erp.route@1", "args"),
    ("tools", "erp.route@1", "task_types"),
    ("tools", "erp.route@1", "args", "queue", "role"),
    ("tools", "erp.route@1", "args", "queue", "type"),
    ("outcomes", 0, "unit"),
    ("outcomes", 0, "source"),
    ("alerts", 0, "task_types"),
    ("alerts", 0, "on"),
    ("alerts", 0, "runbook"),
    ("residency", "regions", 0),
    ("phases", "2", "integrations"),
    ("raci", "benchmarks", "R", 0),
    ("people", "dana", "unit"),
    ("people", "dana", "role"),
]


@pytest.mark.parametrize("path", INSIDE, ids=str)
def test_an_open_value_inside_a_list_or_entry_is_one_question_and_no_error(path):
    values = example_values()
    if path == ("people", "dana", "role"):
        values = with_value(values, path[:2], {**values["people"]["dana"], "role": "owner"})
    tree = LocatedTree(file="charter.yaml", value=with_value(values, path, "?"))
    result = check_charter(tree, FACTS)
    assert result.of_kind(FindingKind.ERROR) == ()
    assert [finding.path for finding in result.findings] == [dotted(path)]


def test_a_runbook_may_name_its_readers():
    fine = edited(("reviewed_by: all_owners", "reviewed_by: [dana, sam]"))
    assert check(fine).findings == ()
    wrong = check(edited(("reviewed_by: all_owners", "reviewed_by: [dana, sma]")))
    assert [finding.path for finding in wrong.findings] == ["runbooks.runbooks/quality.md.reviewed_by[1]"]


def test_a_runbook_that_only_the_review_table_names_must_exist_too():
    result = check(edited(("runbooks: {runbooks/quality.md:", "runbooks: {runbooks/other.md:")))
    assert [finding.message for finding in result.findings] == [
        "file runbooks/other.md does not exist or is empty"
    ]


def test_a_phase_that_is_not_there_is_missing():
    values = example_values()
    phases = {name: phase for name, phase in values["phases"].items() if name != "2"}
    tree = LocatedTree(file="c", value=with_value(values, ("phases",), phases))
    findings = check_charter(tree, FACTS).findings
    assert [finding.message for finding in findings] == ["phase 2 lacks its own entry"]


def test_a_blank_accountable_is_nobody():
    for blank in ('""', "none"):
        result = check(
            edited(("benchmarks:              {A: sam,", f"benchmarks:              {{A: {blank},"))
        )
        assert [finding.rule for finding in result.findings] == ["raci-no-accountable"]


def test_a_letter_of_a_duty_that_is_left_out_is_blank():
    result = check(
        edited(("benchmarks:              {A: sam,  R: [kim],", "benchmarks:              {A: sam,"))
    )
    assert [(finding.rule, finding.path) for finding in result.findings] == [
        ("raci-blank", "raci.benchmarks.R")
    ]


def test_an_unreadable_switch_is_shown_as_written():
    result = check(edited(("stability: {days: 90", "stability: {days: false")))
    assert result.findings[0].message == "stability.days: false is no whole number"


def test_a_list_where_one_name_belongs_is_answered_with_the_name():
    result = check(edited(("pool: ap-reviewers", "pool: [dana, sam]")))
    assert result.findings[0].message == "reviewers.pool: a list of 2 is no single text"
    assert result.findings[0].remedy == "Write for example dana."


def opened(value, keys):
    if not keys:
        return "?"
    return {**value, keys[0]: opened(value[keys[0]], keys[1:])}


def test_a_published_last_day_warns_about_pin_and_judge_and_gives_its_page():
    soon = Retirement(on=date(2026, 12, 24), source="https://acme.example/models", read_on=date(2026, 11, 1))
    calendar = {"acme-large-2026-04-12": soon, "other-judge-2026-03-03": soon}
    result = check(EXAMPLE.read_text(encoding="utf-8"), facts=replace(FACTS, retirements=calendar))
    assert result.charter is not None
    assert [(found.rule, found.message) for found in result.findings] == [
        (
            "retires-soon-published",
            f"{path}: {model} retires in 34 days, says https://acme.example/models (read on 2026-11-01)",
        )
        for path, model in (
            ("model.pin.model", "acme-large-2026-04-12"),
            ("model.judges[0].pin.model", "other-judge-2026-03-03"),
        )
    ]


def test_the_earlier_of_the_charters_and_the_published_day_counts():
    later = Retirement(on=date(2027, 6, 1), source="https://acme.example", read_on=date(2026, 11, 1))
    text = edited(("retires_on: 2032-06-30", "retires_on: 2026-12-31"))
    result = check(text, facts=replace(FACTS, retirements={"acme-large-2026-04-12": later}))
    assert [found.rule for found in result.findings] == ["retires-soon"]


CONTRACT = "contracts/erp.find_po.json"


def about_contracts(facts_of):
    """Check the example charter beside a contract file of which something else is known."""
    files = look_at_files(FOLDER, named_files(example_values()))
    facts = replace(FACTS, files={**files, CONTRACT: replace(files[CONTRACT], **facts_of)})
    found = check(EXAMPLE.read_text(encoding="utf-8"), facts=facts).findings
    return [(one.rule, one.message) for one in found if one.rule.startswith("contract-")]


def test_a_contract_file_that_is_none_is_said_before_an_agent_is_refused():
    ((rule, said),) = about_contracts({"contract": "input: Field required"})
    assert rule == "contract-unfit"
    assert "erp.find_po@2: input: Field required; no call of the agent is made" in said
    assert about_contracts({"contract": None}) == []
    assert about_contracts({"digest": None}) == []


def test_a_contract_that_is_not_pinned_yet_is_not_held_to_its_tool():
    text = edited(("erp.find_po@2:", "erp.find_po@3:"))
    pinned = text[text.index("manifest_hash: sha256:8e19e8a2") :].split("\n", 1)[0]
    assert [one.rule for one in check(text.replace(pinned, 'manifest_hash: "?"', 1)).findings] == [
        "open-question"
    ]
