# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController
from pydantic import TypeAdapter
from scipy import special, stats
from sklearn.linear_model import LogisticRegression

from pilothouse.core.statistics import (
    AuditDay,
    AuditState,
    NotEnoughEvidence,
    Threshold,
    ThresholdAudit,
    cheapest_confidence,
    choose_threshold,
    cost_threshold,
    fit_calibrator,
    route,
)
from pilothouse.errors import MalformedRecord

START = date(2026, 1, 1)


def labelled(n=1_000, seed=1):
    rng = np.random.default_rng(seed)
    c = rng.beta(8, 1, n)
    return c, (rng.random(n) < np.minimum(1, 1.2 * (1 - c) + 0.005)).astype(int)


@pytest.mark.parametrize("risk", ["marginal", "selective"])
def test_the_threshold_is_the_last_one_before_the_first_failure(risk):
    c, wrong = labelled(2_000)
    budget = {"marginal": 0.05, "selective": 0.08}[risk]
    chosen = choose_threshold(c, wrong, risk=risk, budget=budget)
    levels = np.unique(np.quantile(c, np.linspace(1, 0, 70)))[::-1]
    tau = None
    for t in levels:
        k, m = int(wrong[c >= t].sum()), int((c >= t).sum())
        trials = len(c) if risk == "marginal" else m
        if trials < np.log(0.10) / np.log(1 - budget):
            continue
        if stats.binom.cdf(k, trials, budget) > 0.10:
            break
        tau = t
    assert chosen.tau == pytest.approx(tau)
    assert chosen.automation.value == pytest.approx((c >= tau).mean())
    assert chosen.wrong_bound.high <= budget + 1e-9
    assert chosen.guarantee.startswith("In 90 of 100 calibrations at most")


@pytest.mark.filterwarnings("ignore:Fixed sequence testing")
def test_mapie_keeps_the_same_promise_with_less_automation():
    c, wrong = labelled(2_000)
    grid = np.quantile(c, np.linspace(0.95, 0, 70))
    ours = choose_threshold(c, wrong, risk="selective", budget=0.08, grid=grid)
    controller = BinaryClassificationController(
        predict_function=lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]), risk="precision", target_level=0.92,
        confidence_level=0.90, list_predict_params=grid, fwer_method="fixed_sequence",
    )  # fmt: skip
    controller.calibrate(c[:, None], 1 - wrong)
    theirs = controller.valid_predict_params
    automation = max(((c >= t).mean() for t in np.atleast_1d(theirs)), default=0.0)
    assert isinstance(ours, Threshold)
    assert ours.automation.value >= automation - 1e-9


def test_seventy_six_labels_are_the_least():
    missing = choose_threshold([0.9] * 75, [0] * 75)
    assert (missing.have, missing.need) == (75, 76)
    assert isinstance(choose_threshold([0.9] * 76, [0] * 76), Threshold)
    assert choose_threshold([0.9] * 76, [0] * 76, task_types=2).need > 76


def test_a_confidence_that_is_wrong_at_the_top_chooses_nothing():
    missing = choose_threshold([0.9] * 200, [1] * 40 + [0] * 160)
    assert missing.need is None
    assert "even at the highest confidence" in missing.reason
    few = choose_threshold(np.linspace(0, 1, 80), [0] * 80, risk="selective", grid=[0.9])
    assert (few.have, few.need) == (8, 76)


def of_conversations(rng, conversations, turns, *, alike):
    """Confidence, wrong answers and conversations; turns of one that is alike share how sure they are and what comes of it."""
    shape = (conversations, 1 if alike else turns)
    c = np.broadcast_to(rng.random(shape), (conversations, turns))
    wrong = np.broadcast_to(rng.random(shape), (conversations, turns)) < 0.25 * (1 - c) ** 1.5
    return c.ravel(), wrong.ravel().astype(int), np.repeat(np.arange(conversations), turns)


@pytest.mark.parametrize(("alike", "one_by_one_least"), [(True, 0.2), (False, 0.0)])
def test_turns_of_one_conversation_that_go_wrong_together_do_not_break_the_promise(alike, one_by_one_least):
    """Wrong automatic answers are 0.1 (1 - tau)^2.5 of all; 200 runs of which 20 may break the budget."""
    rng, broken = np.random.default_rng(92), {"one by one": 0, "by worth": 0}
    for _ in range(200):
        c, wrong, names = of_conversations(rng, 200, 3, alike=alike)
        for how, groups in (("one by one", None), ("by worth", names)):
            chosen = choose_threshold(c, wrong, conversations=groups)
            broken[how] += isinstance(chosen, Threshold) and 0.1 * (1 - chosen.tau) ** 2.5 > 0.03
    assert broken["by worth"] <= 28, "more than 28 of 200 happens at 10 % in one of forty runs"
    assert broken["one by one"] >= one_by_one_least * 200


@pytest.mark.parametrize(("risk", "budget"), [("marginal", 0.05), ("selective", 0.08)])
def test_conversations_of_one_turn_change_nothing_and_long_ones_are_worth_fewer_labels(risk, budget):
    c, wrong = labelled(2_000)
    chosen, alone, long, longer = (
        choose_threshold(c, wrong, risk=risk, budget=budget, conversations=[n // turns for n in range(2_000)])
        for turns in (1, 1, 5, 20)
    )
    assert chosen == alone == choose_threshold(c, wrong, risk=risk, budget=budget)
    assert chosen.tau <= long.tau
    assert not isinstance(longer, Threshold) or chosen.tau < longer.tau
    assert long.wrong_bound.value <= chosen.wrong_bound.value < long.wrong_bound.high <= budget
    few = choose_threshold(c[:400], [0] * 400, risk=risk, conversations=[n // 20 for n in range(400)])
    assert few.need > few.have
    assert "turns of conversations and worth" in few.reason


def test_a_grid_may_be_given_and_never_empty():
    c, wrong = labelled()
    assert choose_threshold(c, wrong, grid=[0.99, 0.98]).tau == 0.98
    with pytest.raises(MalformedRecord):
        choose_threshold(c, wrong, grid=[])
    with pytest.raises(MalformedRecord, match="one length"):
        choose_threshold(c, wrong[1:])


def test_cost_says_when_review_pays():
    assert cost_threshold(100.0, 5.0).tau == pytest.approx(0.95)
    never = cost_threshold(5.0, 5.0)
    assert (never.tau, never.review_pays) == (0.0, False)
    assert "review never pays" in never.sentence


def stated_too_surely(n, seed):
    """Chances of being right, and what is stated instead: logits stretched and moved."""
    rng = np.random.default_rng(seed)
    p = rng.beta(4, 1, n)
    return special.expit(2.5 * special.logit(p) + 0.5), p, (rng.random(n) < p).astype(int)


@pytest.mark.parametrize(("n", "near"), [(150, 0.06), (3_000, 0.02)])
def test_the_cheapest_confidence_costs_hardly_more_than_the_best_one_that_knows_the_chances(n, near):
    stated, p, _ = stated_too_surely(100_000, 1)
    price = lambda tau: np.where(stated >= tau, (1 - p) * 100, 10.0).mean()  # noqa: E731
    best = min(price(tau) for tau in np.quantile(stated, np.linspace(0, 1, 300)))
    for seed in range(5):
        some, _, right = stated_too_surely(n, 10 + seed)
        found = cheapest_confidence(some, right, cost_wrong=100.0, cost_review=10.0)
        assert price(found.tau) <= best * (1 + near) < 10.0
        assert f"from a stated {found.tau:.3f} on" in found.sentence


def test_what_cannot_be_cheaper_is_never_let_go_and_what_must_be_is():
    stated, _, right = stated_too_surely(400, 3)
    never = cheapest_confidence(stated, right, cost_wrong=1e6, cost_review=1.0)
    assert (never.tau, "of no stated confidence" in never.sentence) == (2.0, True)
    always = cheapest_confidence(stated, right, cost_wrong=100.0, cost_review=99.99)
    assert always.tau == stated.min()
    free = cheapest_confidence(stated, right, cost_wrong=5.0, cost_review=5.0)
    assert (free.tau, free.review_pays) == (0.0, False)
    few = cheapest_confidence(stated[:49], right[:49], cost_wrong=100.0, cost_review=5.0)
    assert isinstance(few, NotEnoughEvidence)
    assert few.need == 50


def test_routing_takes_the_stricter_threshold_and_never_lowers_it_for_capacity():
    c, wrong = labelled()
    chosen = choose_threshold(c, wrong)
    strict = route(chosen, cost_threshold(100.0, 0.5), c, tasks_per_day=1_000, reviews_per_day=100)
    assert strict.tau == 0.995
    assert strict.automation_that_fits == pytest.approx(0.9)
    assert "not lowered" in strict.notes[0]
    relaxed = route(chosen, cost_threshold(5.0, 5.0), c, tasks_per_day=1_000, reviews_per_day=1_000)
    assert relaxed.tau == chosen.tau
    assert relaxed.automation_that_fits == relaxed.automation.value
    assert "review never pays" in relaxed.notes[0]
    assert route(chosen, None, c, tasks_per_day=10).notes == ()
    assert isinstance(route(chosen, None, [], tasks_per_day=10), NotEnoughEvidence)


# --- audit


def audit_day(i, wrong=0, audited=20):
    return AuditDay(
        day=START + timedelta(days=i), tasks=10_000, automatic=5_000, audited=audited, wrong=wrong
    )


def test_a_broken_budget_raises_an_alarm_and_the_next_day_starts_afresh():
    audit, adapter = ThresholdAudit(0.03, 0.004), TypeAdapter(AuditState)
    state, alarms = audit.start(), []
    for i in range(4):
        state, reading = audit.update(adapter.validate_json(adapter.dump_json(state)), audit_day(i, wrong=5))
        alarms.append(reading.alarm)
    assert alarms.count(True) >= 1
    first = alarms.index(True)
    assert alarms[first + 1] is False
    assert audit.update(state, audit_day(3, wrong=5)) == (state, reading)


def test_a_kept_budget_shows_its_rate_with_an_exact_interval():
    audit = ThresholdAudit(0.03, 0.004, arl_days=100)
    state = audit.start()
    for i in range(5):
        state, reading = audit.update(state, audit_day(i, wrong=1))
    assert not reading.alarm
    assert reading.notes == ()
    assert "100 days" in reading.guarantee
    assert reading.wrong_rate.value == pytest.approx(5 / 50_000 / 0.004)
    assert reading.wrong_rate.low * 0.004 == pytest.approx(stats.beta.ppf(0.025, 5, 49_996))
    none = audit.update(audit.start(), audit_day(0))[1]
    assert none.wrong_rate.low == 0 < none.wrong_rate.high
    every = ThresholdAudit(0.03, 1.0)
    full = every.update(every.start(), AuditDay(day=START, tasks=5, automatic=5, audited=5, wrong=5))[1]
    assert full.wrong_rate.high == 1.0
    assert (
        every.update(every.start(), AuditDay(day=START, tasks=0, automatic=0, audited=0, wrong=0))[
            1
        ].wrong_rate
        is None
    )
    assert (
        every.guarantee if hasattr(every, "guarantee") else full.guarantee.startswith("If the budget is kept")
    )


def test_days_of_long_conversations_say_as_much_as_they_are_worth():
    """Eight conversations of five turns, each wrong as a whole as often as the budget lets it: one alarm came in three weeks."""
    rng, alarms = np.random.default_rng(4), {None: 0, 8: 0}
    for _ in range(40):
        days = 5 * (rng.random((60, 8)) < 0.03).sum(axis=1)
        for worth in alarms:
            audit = ThresholdAudit(0.03, 1.0)
            state, is_alarmed = audit.start(), False
            for number, wrong in enumerate(days.tolist()):
                day = AuditDay(
                    day=START + timedelta(days=number),
                    tasks=40,
                    automatic=40,
                    audited=40,
                    wrong=wrong,
                    worth=worth,
                )
                state, reading = audit.update(state, day)
                is_alarmed |= reading.alarm
            alarms[worth] += is_alarmed
    assert alarms[None] >= 30
    assert alarms[8] <= 10


def test_an_audit_that_cannot_be_is_refused():
    with pytest.raises(MalformedRecord):
        ThresholdAudit(0.03, 0.0)
    with pytest.raises(MalformedRecord):
        AuditDay(day=START, tasks=5, automatic=5, audited=5, wrong=0, worth=6)
    with pytest.raises(MalformedRecord):
        AuditDay(day=START, tasks=5, automatic=6, audited=0, wrong=0)


# --- calibration


def sample(n, seed=3):
    rng = np.random.default_rng(seed)
    p = np.clip(rng.beta(4, 1, n), 1e-6, 1 - 1e-6)
    return 2.5 * special.logit(p) + 0.5, (rng.random(n) < p).astype(int)


def test_temperature_minimises_the_log_loss():
    z, y = sample(200)
    c = fit_calibrator(z, y)
    assert c.kind == "temperature"

    def loss(s):
        return float(np.mean(np.logaddexp(0, s * z) - y * s * z))

    s = c.weights[0]
    assert loss(s) <= min(loss(0.99 * s), loss(1.01 * s))
    assert c.log_loss == pytest.approx(loss(s))
    assert c.brier == pytest.approx(np.mean((c.predict(z) - y) ** 2))


def test_platt_agrees_with_ridge_logistic_regression():
    z, y = sample(1_000)
    c = fit_calibrator(z, y)
    assert c.kind == "platt"
    reference = LogisticRegression(C=1 / (1e-3 * 1_000), tol=1e-10, max_iter=1_000).fit(z[:, None], y)
    assert c.weights[0] == pytest.approx(reference.coef_[0, 0], abs=1e-4)
    assert c.intercept == pytest.approx(reference.intercept_[0], abs=1e-4)


def test_several_signals_are_combined_and_a_constant_one_is_ignored():
    z, y = sample(400)
    signals = np.column_stack([z, np.random.default_rng(1).normal(size=400), np.ones(400)])
    c = fit_calibrator(signals, y)
    assert c.kind == "ridge_logistic"
    assert c.log_loss <= fit_calibrator(z, y).log_loss + 1e-3
    assert c.predict(signals).shape == (400,)
    with pytest.raises(MalformedRecord, match="3 columns"):
        c.predict(z)


def test_too_few_labels_and_too_many_signals_are_refused():
    assert fit_calibrator([1.0] * 49, [1] * 49).need == 50
    assert fit_calibrator(np.ones((60, 4)), [1] * 60).need == 80
    with pytest.raises(MalformedRecord, match="1 to 32"):
        fit_calibrator(np.ones((2_000, 33)), [1] * 2_000)


def test_labels_of_one_kind_give_a_finite_fit_with_a_note():
    for n in (100, 400):
        z, _ = sample(n)
        c = fit_calibrator(z, [1] * n)
        assert np.isfinite(c.predict(z)).all()
        assert "alike" in c.notes[1]


def test_signals_far_out_are_fitted_with_smaller_steps():
    rng = np.random.default_rng(0)
    z = rng.normal(size=400) * 60
    y = (z + rng.normal(size=400) > 0).astype(int)
    assert np.isfinite(fit_calibrator(z, y).weights[0])


def test_days_without_a_task_are_no_evidence_against_a_threshold():
    audit = ThresholdAudit(0.03, 1.0)
    state = audit.start()
    for number in range(400):
        quiet = AuditDay(
            day=date(2026, 1, 1) + timedelta(days=number), tasks=0, automatic=0, audited=0, wrong=0
        )
        state, reading = audit.update(state, quiet)
        assert not reading.alarm
        assert reading.wrong_rate is None
    assert reading.e_value < 1e-9
    busy = AuditDay(day=date(2027, 6, 1), tasks=20, automatic=20, audited=20, wrong=12)
    state, reading = audit.update(state, busy)
    assert reading.alarm
    state, reading = audit.update(
        state, AuditDay(day=date(2027, 6, 2), tasks=0, automatic=0, audited=0, wrong=0)
    )
    assert not reading.alarm
