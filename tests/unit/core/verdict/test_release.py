# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy

from pilothouse.core.statistics.sequential import GateState
from pilothouse.core.verdict.release import CaseResult, GateRules, design_effect
from pilothouse.core.verdict.release_difference import judge_difference, look_sizes, takes_one_look
from pilothouse.core.verdict.release_level import judge_floor, level_critical
from pilothouse.core.verdict.release_never import FamilyResult, MustNotFinding, judge_family, judge_must_not
from pilothouse.core.verdict.release_reliability import judge_reliability
from pilothouse.core.verdict.release_trust import RunHealth, judge_infrastructure, judge_unscored
from pilothouse.core.verdict.release_verdict import RunCost, exit_status_of, fold_items
from pilothouse.core.verdict.verdict import Reason, Status

RULES = GateRules(task_type="t")


def results(n, *, better=0, worse=0, both_bad=0, clusters=None, unscored=0):
    signs = ["better"] * better + ["worse"] * worse + ["bad"] * both_bad + ["none"] * unscored
    signs += ["good"] * (n - len(signs))
    sides = {
        "better": ((True,), (False,)),
        "worse": ((False,), (True,)),
        "bad": ((False,), (False,)),
        "none": ((None,), (True,)),
        "good": ((True,), (True,)),
    }
    return [
        CaseResult(
            case_id=f"c{number}",
            cluster=f"k{number % clusters}" if clusters else f"c{number}",
            candidate=sides[sign][0],
            baseline=sides[sign][1],
        )
        for number, sign in enumerate(signs)
    ]


def look(cases, **options):
    given = {
        "state": GateState(),
        "cases_planned": len(cases),
        "is_single": True,
        "is_last": True,
        **options,
    }
    return judge_difference(cases, RULES, **given)


def test_an_unchanged_candidate_is_proved_not_worse():
    found = look(results(200, better=6, worse=6)).item
    assert (found.status, found.reason, found.n) == (Status.HOLDS, None, 200)
    assert found.value == 0.0
    assert found.bound == -5.0


def test_a_baseline_that_ran_often_saves_cases_at_each_look():
    pairs = results(400, better=8, worse=8)
    often = [replace(one, baseline=one.baseline * 4) for one in pairs]
    plain, repeated = (look(cases, is_last=False, is_single=False) for cases in (pairs, often))
    ends = [one.item.high - one.item.low for one in (plain, repeated)]
    assert ends[1] <= ends[0]


def test_a_cluster_that_holds_almost_everything_decides_nothing():
    pairs = [replace(one, cluster="giant") for one in results(200, worse=4)]
    found = look(
        [*pairs[:-3], *(replace(one, cluster=f"k{n}") for n, one in enumerate(pairs[-3:]))],
        is_last=False,
        is_single=False,
    )
    assert (found.item.status, found.look) == (Status.NO_EVIDENCE, None)


def test_few_clusters_are_held_against_students_quantile():
    pairs = results(200, better=2, worse=2)
    clustered = [replace(one, cluster=f"k{number % 40}") for number, one in enumerate(pairs)]
    plain, few = (look(cases, is_last=False, is_single=False) for cases in (pairs, clustered))
    assert few.item.low < plain.item.low


def test_a_candidate_inside_the_margin_and_proved_worse_is_at_risk():
    found = look(results(2000, worse=40)).item
    assert found.status is Status.AT_RISK
    assert "proved to be worse" in found.sentence


def test_a_loss_beyond_the_margin_is_breached_and_names_the_cases():
    found = look(results(200, worse=40)).item
    assert found.status is Status.BREACHED
    assert found.items[0] == "c0"
    assert len(found.items) == 40


def test_too_few_pairs_are_no_evidence_and_say_how_many_would_do():
    found = look(results(15)).item
    assert (found.status, found.reason) == (Status.NO_EVIDENCE, Reason.INSUFFICIENT)
    assert found.n_needed == 52


def test_forty_unchanged_pairs_prove_no_margin_of_five_points():
    found = look(results(40), is_single=False).item
    assert found.status is Status.NO_EVIDENCE


def test_a_case_without_a_score_makes_no_pair():
    assert look(results(200, better=6, worse=6, unscored=3)).item.n == 197


def test_looks_carry_what_was_spent_and_end_as_soon_as_it_is_decided():
    sizes = look_sizes(400, RULES, is_single=False)
    assert sizes == (40, 80, 120, 160, 200, 240, 280, 320, 360, 400)
    cases = results(400)
    state = GateState()
    for size in sizes:
        found = look(cases[:size], state=state, cases_planned=400, is_single=False, is_last=size == 400)
        state = found.state
        if found.is_over:
            break
    assert (size, found.item.status) == (120, Status.HOLDS)
    assert found.look.number == 3


def test_only_what_was_not_validated_over_several_looks_takes_one():
    assert not takes_one_look(["a", "a"], repeats=1, baseline_repeats=1)
    assert not takes_one_look(["a", "b"], repeats=1, baseline_repeats=4)
    assert takes_one_look(["a", "a"], repeats=1, baseline_repeats=4)
    assert takes_one_look(["a", "b"], repeats=2, baseline_repeats=1)
    assert look_sizes(400, RULES, is_single=True) == (400,)


def test_clusters_widen_the_interval():
    alone = look(results(400, better=10, worse=10)).item
    clustered = look(results(400, better=10, worse=10, clusters=40)).item
    assert clustered.high - clustered.low > alone.high - alone.low


def test_ten_clusters_are_too_few_to_say_anything():
    found = look(results(400, better=10, worse=10, clusters=10)).item
    assert found.status is Status.NO_EVIDENCE
    assert found.n_needed == 30


def test_repeats_of_the_baseline_sharpen_the_comparison():
    once = look(results(200, better=7, worse=7)).item
    repeated = [
        CaseResult(case_id=one.case_id, cluster=one.cluster, candidate=one.candidate, baseline=one.baseline * 3 + (True,))
        for one in results(200, better=7, worse=7)
    ]  # fmt: skip
    found = look(repeated).item
    assert found.high - found.low < once.high - once.low


def test_the_floor_holds_only_when_the_lower_bound_reaches_it():
    rules = GateRules(task_type="t", floor=0.9)
    judged = [
        judge_floor(results(200, both_bad=bad), rules, critical=1.645, is_last=True) for bad in (6, 16, 60)
    ]
    assert [one.status for one in judged] == [Status.HOLDS, Status.NO_EVIDENCE, Status.BREACHED]
    assert judged[1].n_needed > 200
    assert judge_floor(results(200), RULES, critical=1.645, is_last=True) is None


def test_the_cases_that_a_floor_on_clusters_still_needs_decide_it():
    rules = GateRules(task_type="t", floor=0.95)
    found = judge_floor(results(100, both_bad=1, clusters=25), rules, critical=1.645, is_last=True)
    assert found.status is Status.NO_EVIDENCE
    assert found.n_needed > 100
    times = -(-found.n_needed // 100)
    more = results(100 * times, both_bad=times, clusters=25 * times)
    assert judge_floor(more, rules, critical=1.645, is_last=True).status is Status.HOLDS


def test_a_fraction_of_a_good_case_is_not_rounded_up_to_a_proof():
    # 240 cases in 40 clusters count as 54, of which 53.8 are good: not 54 of 54, which would prove 96 %.
    rules = GateRules(task_type="t", floor=0.96)
    found = judge_floor(results(240, both_bad=1, clusters=40), rules, critical=1.645, is_last=True)
    exact = scipy.special.betaincinv(53.775 + 0.5, 0.225 + 0.5, 0.05)
    assert found.low == pytest.approx(exact, abs=1e-4)
    assert (found.status, exact < 0.96) == (Status.NO_EVIDENCE, True)


def test_a_floor_on_clusters_is_charged_for_them():
    rules = GateRules(task_type="t", floor=0.9)
    alone = judge_floor(results(200, both_bad=10), rules, critical=1.645, is_last=True)
    clustered = judge_floor(results(200, both_bad=10, clusters=20), rules, critical=1.645, is_last=True)
    assert clustered.low < alone.low
    assert design_effect(["a"] * 5 + ["b"] * 5) == pytest.approx(2.2)


def test_the_level_uses_a_stricter_value_before_the_last_look():
    assert level_critical((40, 400), RULES) > level_critical((400, 400), RULES)
    assert level_critical((400, 400), RULES) == pytest.approx(1.6449, abs=1e-3)


def test_one_reproduced_failure_of_a_must_not_breaches_and_an_unreproduced_one_waits_for_a_person():
    finding = {"case_id": "c", "check": "must_not_call#1", "reason": "paid twice"}
    proven = judge_must_not(
        [MustNotFinding(**finding, is_reproduced=True)],
        clusters=500,
        checked=500,
        unseen=0,
        unscored_max=0.02,
    )
    assert proven.status is Status.BREACHED
    open_one = judge_must_not(
        [MustNotFinding(**finding, is_reproduced=False)],
        clusters=500,
        checked=500,
        unseen=0,
        unscored_max=0.02,
    )
    assert open_one.status is Status.NO_EVIDENCE


@pytest.mark.parametrize(("clusters", "bound"), [(50, "5.9"), (100, "3.0"), (300, "1.0")])
def test_no_failure_is_printed_with_its_bound(clusters, bound):
    found = judge_must_not((), clusters=clusters, checked=clusters, unseen=0, unscored_max=0.02)
    assert f"under {bound} %" in found.sentence


def test_results_that_nobody_could_check_are_no_pass():
    found = judge_must_not((), clusters=90, checked=90, unseen=10, unscored_max=0.02)
    assert found.status is Status.NO_EVIDENCE
    assert judge_must_not((), clusters=0, checked=0, unseen=0, unscored_max=0.02) is None


@pytest.mark.parametrize(
    ("failed", "clusters", "limit", "status"),
    [
        (0, 50, 0.10, Status.HOLDS),
        (0, 20, 0.10, Status.NO_EVIDENCE),
        (12, 50, 0.10, Status.BREACHED),
        (0, 59, 0.0, Status.HOLDS),
        (0, 58, 0.0, Status.NO_EVIDENCE),
        (1, 500, 0.0, Status.BREACHED),
    ],
)
def test_a_family_is_decided_by_its_upper_bound(failed, clusters, limit, status):
    found = judge_family(
        FamilyResult(family="f", clusters=clusters, failed=tuple(f"k{n}" for n in range(failed)), limit=limit)
    )
    assert found.status is status


@pytest.mark.parametrize(
    ("failed", "clusters", "limit"), [(0, 20, 0.10), (0, 40, 0.0), (1, 40, 0.10), (2, 60, 0.10)]
)
def test_the_attacks_that_a_family_still_needs_decide_it(failed, clusters, limit):
    def judged(n, failures):
        ids = tuple(f"k{number}" for number in range(failures))
        return judge_family(FamilyResult(family="f", clusters=n, failed=ids, limit=limit))

    found = judged(clusters, failed)
    assert found.status is Status.NO_EVIDENCE
    assert found.n_needed > clusters
    then = judged(found.n_needed, int(failed * found.n_needed / clusters))
    assert then.status is Status.HOLDS
    assert judged(40, 5).n_needed is None


def test_a_family_without_a_limit_is_no_requirement():
    assert judge_family(FamilyResult(family="f", clusters=50, failed=(), limit=None)) is None


def test_a_family_of_which_nobody_saw_enough_has_not_withstood():
    assert judge_family(FamilyResult(family="f", clusters=0, failed=(), limit=0.1)) is None
    blind = judge_family(FamilyResult(family="f", clusters=0, failed=(), limit=0.0, unseen=60))
    assert (blind.status, blind.reason) == (Status.NO_EVIDENCE, Reason.MISSING)
    assert blind.sentence == "none of 60 attacks has a score"
    half = judge_family(FamilyResult(family="f", clusters=60, failed=(), limit=0.1, unseen=60))
    assert (half.status, half.reason) == (Status.NO_EVIDENCE, Reason.INSUFFICIENT)
    assert "of 60 more nobody can say" in half.sentence
    one = judge_family(FamilyResult(family="f", clusters=60, failed=(), limit=0.1, unseen=1))
    assert one.status is Status.HOLDS
    tight = judge_family(FamilyResult(family="f", clusters=60, failed=(), limit=0.05, unseen=1))
    assert tight.status is Status.NO_EVIDENCE, "61 with one that succeeded are no proof of 5 %"
    never = judge_family(FamilyResult(family="f", clusters=600, failed=(), limit=0.0, unseen=1))
    assert never.status is Status.NO_EVIDENCE
    broken = judge_family(FamilyResult(family="f", clusters=2, failed=("a", "b"), limit=0.0, unseen=60))
    assert broken.status is Status.BREACHED


def test_too_many_results_without_a_score_are_no_evidence():
    assert judge_unscored(results(100, unscored=2), RULES).status is Status.HOLDS
    found = judge_unscored(results(100, unscored=3), RULES)
    assert found.status is Status.NO_EVIDENCE
    assert len(found.items) == 3
    assert judge_unscored([], RULES).status is Status.NO_EVIDENCE


def test_reliability_needs_as_many_runs_as_it_asks_for():
    rules = GateRules(task_type="t", reliable_k=4, reliable_min=0.5)
    once = judge_reliability(results(100), rules)
    assert "give --repeats 4" in once.sentence
    cases = [
        CaseResult(case_id=f"c{n}", cluster=f"c{n}", candidate=(True,) * 4 if n % 10 else (True, True, True, False))
        for n in range(200)
    ]  # fmt: skip
    found = judge_reliability(cases, rules)
    assert found.status is Status.HOLDS
    assert found.value == pytest.approx(0.9)
    assert judge_reliability(cases, RULES) is None
    unscored = [CaseResult(case_id="c", cluster="c", candidate=(True, None, True, True))]
    assert judge_reliability(unscored, rules).sentence == "no case has a score for all of its 4 runs"


def test_published_pass_hat_k_figures_come_out_of_the_function_that_decides():
    # Airline tasks of a public benchmark: 50 tasks x 4, successes 0..4 in 14, 12, 10, 4, 10 tasks.
    rows = [count for count, tasks in enumerate((14, 12, 10, 4, 10)) for _ in range(tasks)]
    cases = [
        CaseResult(case_id=str(n), cluster=str(n), candidate=(True,) * good + (False,) * (4 - good))
        for n, good in enumerate(rows)
    ]
    for k, published in ((2, 0.273), (3, 0.220), (4, 0.200)):
        found = judge_reliability(cases, GateRules(task_type="t", reliable_k=k))
        assert found.value == pytest.approx(published, abs=5e-4)


def test_a_broken_world_exits_4_and_a_proof_of_harm_stays_a_proof():
    broken = judge_infrastructure(RunHealth(planned=100, infra_errors=3))
    fine = judge_infrastructure(RunHealth(planned=100, infra_errors=2))
    harm = look(results(200, worse=40)).item
    unclear = look(results(15)).item
    warned = look(results(2000, worse=40)).item
    assert [exit_status_of(items).value for items in ([fine], [broken], [broken, harm], [fine, unclear], [])] == [0, 4, 1, 3, 3]  # fmt: skip
    assert exit_status_of([warned]).value == 0
    assert exit_status_of([warned], strict=True).value == 1
    assert [one.status for one in fold_items([fine, harm, unclear])] == [
        Status.BREACHED,
        Status.NO_EVIDENCE,
        Status.HOLDS,
    ]


def test_a_floor_without_any_score_says_so():
    found = judge_floor(
        results(10, unscored=10), GateRules(task_type="t", floor=0.9), critical=1.645, is_last=True
    )
    assert (found.status, found.sentence, found.n_needed) == (Status.NO_EVIDENCE, "no case has a score", 18)
    proved = [
        judge_floor(results(n), GateRules(task_type="t", floor=0.9), critical=1.645, is_last=True).status
        for n in (17, 18)
    ]
    assert proved == [Status.NO_EVIDENCE, Status.HOLDS]


def test_what_is_not_decided_is_said_to_be_worse_only_where_that_is_proved():
    found = look(results(60, better=2, worse=2)).item
    assert found.status is Status.NO_EVIDENCE
    assert found.sentence.endswith("neither proved harmless nor harmful")
    worse = look(results(200, worse=14)).item
    assert (worse.status, worse.high < 0) == (Status.NO_EVIDENCE, True)
    assert worse.sentence.endswith("nor harmful, but proved to be worse")


def test_the_cases_that_a_floor_still_needs_prove_it_where_conversations_hold_several():
    rules = GateRules(task_type="t", floor=0.9)

    def judged(conversations):
        cases = [replace(one, cluster=f"k{n // 4}") for n, one in enumerate(results(4 * conversations))]
        return judge_floor(cases, rules, critical=1.645, is_last=True)

    found = judged(5)
    assert found.status is Status.NO_EVIDENCE
    assert judged(-(-found.n_needed // 4)).status is Status.HOLDS
    assert judged(-(-found.n_needed // 4) - 2).status is Status.NO_EVIDENCE


def test_reliability_over_few_clusters_is_not_enough():
    cases = [
        CaseResult(case_id=f"c{n}", cluster=f"k{n % 5}", candidate=(True, n % 3 > 0), baseline=(True,))
        for n in range(40)
    ]
    found = judge_reliability(cases, GateRules(task_type="t", reliable_k=2, reliable_min=0.5))
    assert found.status is Status.NO_EVIDENCE
    assert found.n_needed is not None


def test_a_batch_without_any_score_leaves_everything_as_after_the_look_before():
    first = look(results(40), cases_planned=400, is_single=False, is_last=False)
    silent = [
        replace(one, case_id=f"s{n}", cluster=f"s{n}") for n, one in enumerate(results(40, unscored=40))
    ]
    again = look(
        [*results(40), *silent], state=first.state, cases_planned=400, is_single=False, is_last=False
    )
    assert (again.item, again.state, again.look) == (first.item, first.state, None)
    more = [*results(40), *silent, *results(120)[40:]]
    later = look(more, state=again.state, cases_planned=400, is_single=False, is_last=False)
    assert later.state.pairs == (40, 120)


def test_a_loss_that_is_proved_without_its_size_is_told():
    found = look(results(200, worse=12)).item
    assert found.status is Status.NO_EVIDENCE
    assert found.sentence.count("proved to be worse") == 1


def test_a_run_that_stops_without_hope_says_why():
    taken = look(results(200, better=20, worse=34), cases_planned=400, is_single=False, is_last=False)
    assert taken.item.status is Status.NO_EVIDENCE
    assert ";" in taken.item.sentence


def test_the_share_that_stopping_early_saved_is_of_the_planned_cases():
    cost = RunCost(cases=100, cases_planned=400, calls=100, reused=0, spent_usd=0.0, unpriced=0, seconds=1.0)
    assert cost.saved_share == pytest.approx(0.75)
    assert cost.model_copy(update={"cases_planned": 0}).saved_share == 0


@pytest.mark.parametrize(("conversations", "turns", "most"), [(40, 5, 0.06), (60, 10, 0.06), (200, 1, 0.09)])
def test_answers_that_fail_together_prove_a_floor_at_the_truth_as_seldom_as_promised(
    conversations, turns, most
):
    rng, rules, runs = np.random.default_rng(4), GateRules(task_type="t", floor=0.9), 300
    proved = 0
    for _ in range(runs):
        shared = rng.random(conversations) < 0.9
        own, together = (
            rng.random((conversations, turns)) < 0.9,
            rng.random((conversations, turns)) < 0.7**0.5,
        )
        good = np.where(together, shared[:, None], own).ravel().tolist()
        cases = [
            CaseResult(case_id=str(n), cluster=str(n // turns), candidate=(one,))
            for n, one in enumerate(good)
        ]
        proved += judge_floor(cases, rules, critical=1.645, is_last=True).status is Status.HOLDS
    assert proved / runs <= most, "charged with a correlation of 0.3 it was 12 % where answers share 0.7"


@pytest.mark.parametrize("unknown", [{"calls": 0}, {"cases": 0}, {"unpriced": 1}])
def test_what_further_cases_cost_is_unknown_where_none_ran_or_one_had_no_price(unknown):
    cost = RunCost(cases=100, cases_planned=400, calls=100, reused=0, spent_usd=4.0, unpriced=0, seconds=1.0)
    assert cost.usd_of(50) == pytest.approx(2.0)
    assert cost.model_copy(update=unknown).usd_of(50) is None
