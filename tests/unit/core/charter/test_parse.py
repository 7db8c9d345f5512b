# SPDX-License-Identifier: Apache-2.0
import pytest

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.files import named_files
from pilothouse.core.charter.findings import FindingKind
from pilothouse.core.charter.located import LocatedTree, Mark
from pilothouse.core.charter.parse import FINDINGS_MAX, check_charter
from pilothouse.core.charter.shape import KEYS_COMPARED_MAX, PROBLEMS_REPAIRED_MAX, known_keys
from stubs.broken_charters import EXAMPLE, edited
from stubs.charter_trees import FACTS, check, example_values, with_value


def rules_of(result):
    return [finding.rule for finding in result.findings]


def check_values(values):
    return check_charter(LocatedTree(file="c.yaml", value=values), FACTS)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "5"])
def test_a_file_that_is_no_mapping_is_one_finding(text):
    result = check(text)
    assert rules_of(result) == ["yaml"]
    assert "no mapping" in result.findings[0].message


def test_an_empty_mapping_misses_every_section_once():
    result = check("{}")
    required = [key for key in known_keys(()) if key != "owner"]
    assert sorted(f.path for f in result.findings if f.rule == "missing-key") == sorted(required)
    assert rules_of(result).count("no-owner") == 1
    assert result.charter is None


def test_findings_come_by_kind_and_then_by_place():
    result = check(
        edited(
            ("cost_of_review: 6", 'cost_of_review: "?"'),
            ("days: 90", "days: 9"),
            ("90d}\nsponsor", "9}\nsponsor"),
        )
    )
    assert rules_of(result) == ["bad-unit", "stability-short", "open-question"]


@pytest.mark.parametrize("version", ["other/v1", "pilothouse/v12", "pilothouse/1", "pilothouse/v9999", "5"])
def test_any_other_api_version_is_too_new(version):
    assert rules_of(check(edited(("pilothouse/v1", version)))) == ["too-new"]


def test_a_missing_api_version_is_a_missing_key():
    assert rules_of(check(edited(("apiVersion: pilothouse/v1\n", "")))) == ["missing-key"]


def test_an_empty_list_that_the_charter_rests_on_is_an_error():
    for old, new in (("approve: [dana]", "approve: []"), ("{regions: [eu],", "{regions: [],")):
        assert "bad-type" in rules_of(check(edited((old, new))))


def test_a_secret_is_never_shown_by_any_other_finding():
    result = check(edited(("reattest: 90d", "reattest: sk-ant-0123456789abcdef0123")))
    assert rules_of(result) == ["bad-unit", "secret-in-charter"]
    assert "0123456789" not in " ".join(finding.text for finding in result.findings)


def test_a_long_value_is_cut_in_the_message():
    result = check(edited(("reattest: 90d", f"reattest: {'x' * 5_000}")))
    assert len(result.findings[0].message) < 300


def test_more_findings_than_anybody_reads_are_counted_and_not_shown():
    wild = "\n".join(f"k{number}: 1" for number in range(FINDINGS_MAX + 100))
    result = check(edited(("currency: USD", f"currency: USD\n{wild}")))
    assert len(result.findings) == FINDINGS_MAX
    assert result.hidden == 100


def test_defaults_that_are_no_mapping_are_an_error():
    assert "bad-type" in rules_of(check_values({**example_values(), "task_defaults": ("a",)}))


def test_open_defaults_leave_the_task_types_to_say_everything():
    result = check_values({**example_values(), "task_defaults": "?"})
    assert "open-question" in rules_of(result)
    assert "no-threshold" in rules_of(result)


def test_a_misspelt_key_keeps_its_value_for_the_rules():
    result = check(edited(("stability: {days: 90", "stability: {dayz: 30")))
    assert rules_of(result) == ["stability-short", "unknown-key"]


def test_what_stands_under_a_misspelt_key_is_told_too_and_where_it_stands():
    result = check(
        edited(("owner:   {person: dana,", "ownr:   {persn: dana,"), ("reattest: 90d", "reattest: 90"))
    )
    assert [(finding.rule, finding.path, finding.place.line) for finding in result.findings] == [
        ("unknown-key", "ownr", 16),
        ("unknown-key", "owner.persn", 16),
        ("bad-unit", "owner.reattest", 16),
    ]


def test_what_repair_takes_out_leaves_no_further_message():
    result = check(edited(("people: [14000, 18000]", 'people: ["?", 18000]')))
    assert [finding.path for finding in result.findings if finding.rule == "bad-type"] == [
        "business_case.pilot_burn_per_month.people[0]"
    ]


def test_two_misspelt_keys_do_not_claim_the_same_right_one():
    result = check(
        edited(("sponsor: {person: vp, review: 30d}", "sponsor: {persn: vp, perso: vp, review: 30d}"))
    )
    assert rules_of(result) == ["unknown-key", "unknown-key"]


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("people",), ("a",), "bad-type"),
        (("people", "dana"), "D. Ruiz", "bad-type"),
        (("task_types",), (), "bad-type"),
        (("task_types", "po_invoice"), 5, "bad-type"),
        (("raci",), ("x",), "bad-type"),
        (("raci", "benchmarks", "A"), (), "raci-no-accountable"),
        (("raci", "benchmarks", "A"), "none", "raci-no-accountable"),
        (("raci", "benchmarks", "R"), "none", "bad-type"),
        (("raci", "benchmarks", "C"), (), "raci-blank"),
        (("alerts", 0), "watch it", "bad-type"),
        (("alerts", 0, "id"), "?", "bad-type"),
        (("escalation", 0, "level"), "?", "bad-type"),
        (("integrations", "erp"), "?", None),
        (("tools", "erp.route@1"), "?", None),
        (("function",), "?", "bad-type"),
        (("outcomes", 0, "baseline"), "?", None),
        (("stability", "days"), 90.5, "bad-type"),
        (("stability", "days"), -1, "bad-type"),
        (("stability", "days"), True, "bad-type"),
        (("purpose",), {"a": 1}, "bad-type"),
        (("model", "require_evidence"), 1, "bad-type"),
        (
            ("tools", "erp.route@1", "examples", "deny", 0, "given", "args", "queue", "value"),
            {"a": 1},
            "bad-type",
        ),
        (("severities", "sev9"), {"resolve": "4h"}, "bad-type"),
    ],
    ids=str,
)
def test_a_wrong_kind_of_value_is_told_where_it_stands(path, value, rule):
    values = example_values()
    if path == ("severities", "sev9"):
        values = with_value(values, ("severities",), {**values["severities"], "sev9": value})
    else:
        values = with_value(values, path, value)
    result = check_values(values)
    errors = [finding.rule for finding in result.of_kind(FindingKind.ERROR)]
    if rule is None:
        assert errors == []
    else:
        assert rule in errors


@pytest.mark.parametrize(
    ("removed", "rule", "says"),
    [
        (("outcomes", 0, "baseline"), "no-baseline", "no baseline at all"),
        (("tools", "erp.route@1", "examples"), "policy-missing-example", "no allow and deny example"),
        (("tools", "erp.route@1", "examples", "deny"), "policy-missing-example", "no deny example"),
        (
            ("integrations", "erp", "rate_limit", "per_s"),
            "integration-incomplete",
            "erp lacks rate_limit.per_s",
        ),
        (("raci", "benchmarks"), "raci-missing-duty", "duty benchmarks"),
        (("budgets", "pilot", "amount"), "missing-key", "budgets.pilot.amount"),
    ],
    ids=str,
)
def test_a_missing_part_is_told_by_the_rule_that_needs_it(removed, rule, says):
    values = example_values()
    holder = values
    for key in removed[:-1]:
        holder = holder[key]
    rest = {key: part for key, part in holder.items() if key != removed[-1]}
    result = check_values(with_value(values, removed[:-1], rest))
    assert (rule, True) in [(f.rule, says in f.message) for f in result.findings]


def test_who_is_asked_follows_the_duty_then_the_owner():
    result = check(
        edited(
            ("claim: routed", 'claim: "?"'),
            ("business_unit: finance-operations", 'business_unit: "?"'),
            ("term_ends: 2032-12-01", 'term_ends: "?"'),
            ("regulations: [gdpr, sox]", 'regulations: "?"'),
        )
    )
    assert {finding.path: finding.asked for finding in result.findings} == {
        "task_defaults.claim": "dana (A of quality_metrics)",
        "business_unit": "dana (owner)",
        "owner.term_ends": "vp (sponsor)",
        "regulations": "dana (owner)",
    }


def test_while_nobody_is_named_the_role_is_asked():
    result = check(
        edited(
            (
                "owner:   {person: dana, since: 2026-06-01, term_ends: 2032-12-01, reattest: 90d}",
                'owner: "?"',
            ),
            ("currency: USD", 'currency: "?"'),
        )
    )
    assert {finding.path: finding.asked for finding in result.findings} == {
        "owner": "vp (sponsor)",
        "currency": "the owner",
    }


def test_places_fall_back_to_what_is_written():
    tree = LocatedTree(file="c.yaml", value={}, marks={("owner",): Mark(line=3, column=1)})
    assert str(tree.place(("owner", "person", "x"))) == "c.yaml:3:1"
    assert str(tree.place(("sponsor",))) == "c.yaml:1:1"


def test_keys_are_known_for_mappings_with_fixed_keys_only():
    assert known_keys(("owner",)) == ("person", "since", "term_ends", "reattest", "because")
    assert known_keys(("raci", "benchmarks")) == ("A", "R", "C", "I")
    assert known_keys(("alerts", 0))[0] == "id"
    assert known_keys(("integrations", "erp", "freshness")) == ("max_age", "probe")
    assert known_keys(("people",)) == ()
    assert known_keys(("alerts",)) == ()
    assert known_keys(("nothing", "at", "all")) == ()


def test_files_are_named_once_with_the_place_that_names_them_first():
    named = named_files(read_charter_text(EXAMPLE.read_text(encoding="utf-8"), file="c").value)
    assert named["schemas/routing.json"] == "function.output_schema"
    assert named["contracts/erp.route.json"] == "tools.erp.route@1.contract"
    assert named["runbooks/quality.md"] == "alerts[0].runbook"
    assert named_files(None) == {}
    assert named_files({"prompts": 5, "alerts": ("x",), "tools": ()}) == {}


@pytest.mark.parametrize("written", ["0042", "+49", "429", "-0", "00", "12345678901234567890"])
def test_a_text_keeps_every_character_that_was_written(written):
    result = check(edited(("name: D. Ruiz", f"name: {written}")))
    assert result.charter is not None
    assert result.charter.people["dana"].name == written


@pytest.mark.parametrize("written", ["030", "+30", "1234567890123456"])
def test_a_number_is_written_as_numbers_are_printed(written):
    result = check(edited(("minutes_per_day: 300", f"minutes_per_day: {written}")))
    assert [finding.rule for finding in result.findings if finding.kind is FindingKind.ERROR] == ["bad-type"]
    assert f"'{written}' is no whole number" in result.findings[0].message


def test_a_file_whose_name_is_a_number_is_looked_for_too():
    assert named_files({"prompts": (42, True, "0042")}) == {"0042": "prompts[2]", "42": "prompts[0]"}


def test_what_was_meant_is_sought_for_the_first_unknown_keys_only():
    values = example_values() | {f"purpos{number}": 1 for number in range(KEYS_COMPARED_MAX + 1)}
    told = {finding.path: finding.remedy for finding in check_values(values).findings}
    assert "Did you mean purpose?" in told["purpos0"]
    assert "Known here: " in told[f"purpos{KEYS_COMPARED_MAX}"]


def test_a_file_with_more_problems_than_anybody_mends_is_not_repaired():
    few, many = ({f"k{number}": 1 for number in range(count)} for count in (9, PROBLEMS_REPAIRED_MAX + 1))
    slip = with_value(example_values(), ("owner", "person"), "nobody")
    assert "person-unknown" in rules_of(check_values(slip | few))
    result = check_values(slip | many)
    assert set(rules_of(result)) == {"unknown-key"}
    assert (len(result.findings), result.hidden) == (FINDINGS_MAX, len(many) - FINDINGS_MAX)
    assert result.charter is None
