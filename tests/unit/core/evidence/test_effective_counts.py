# SPDX-License-Identifier: Apache-2.0
"""Turns of one conversation fail together: what rates of tasks prove with them, by simulation with a known correlation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from evidence_made import load_charter

from pilothouse.core.evidence.effective_counts import effective_counts, rate_counts
from pilothouse.core.evidence.evidence import REST, REST_BAD, REST_WORTH, WORTH, Evidence, Source
from pilothouse.core.evidence.fold import Window, fold_window
from pilothouse.core.evidence.run_log import Draw
from pilothouse.core.evidence.task import CostState, Task, TaskResult, TaskState
from pilothouse.core.evidence.task_measures import measure_cost, measure_latency
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.statistics import mean_bounds, quantile_bounds
from pilothouse.core.statistics.clusters import without_runaways
from pilothouse.core.verdict.requirement import Ceiling, Committed, Floor, MeanMax, Quantile, Zero
from pilothouse.core.verdict.rules import Proof, assess

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FLOOR = Floor(bound=Committed("x"), stream=True)
CEILING = Ceiling(bound=Committed("x"), stream=True)


def record(good, n, **counts):
    return Evidence(
        kind="completion", agent="triage", window_from=NOW, window_to=NOW, n=n, good=good, counts=counts,
        source=Source(command="test"), recorded_at=NOW,
    )  # fmt: skip


def weeks(conversations, turns, rate, alike, *, seed, of=600):
    """Yield good turns, and their conversations: of each conversation a share of turns has its common outcome."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(conversations), turns)
    for _ in range(of):
        common = rng.random(conversations) < rate
        own = rng.random(conversations * turns) < rate
        takes = rng.random(conversations * turns) < np.sqrt(alike)
        yield np.where(takes, common[groups], own), groups


def shares(conversations, turns, alike, *, seed):
    """How often a floor and a ceiling just missed are proved all the same, and ones that hold are breached."""
    rate, found = 0.94, np.zeros(4)
    for good, groups in weeks(conversations, turns, rate, alike, seed=seed):
        for at, counts in ((0, {}), (2, effective_counts(list(good), list(groups)))):
            made = record(int(good.sum()), len(good), **counts)
            found[at] += assess(FLOOR, rate + 1e-9, made).proof is Proof.PROVED
            found[at + 1] += assess(FLOOR, rate - 0.005, made).proof is Proof.BREACHED
    return found / 600


@pytest.mark.parametrize(
    ("conversations", "turns", "alike", "plainly"),
    [(200, 1, 0.0, 0.0), (100, 5, 0.3, 0.10), (60, 10, 0.3, 0.14), (40, 20, 0.1, 0.11)],
)
def test_a_floor_that_is_missed_is_proved_at_five_in_a_hundred(conversations, turns, alike, plainly):
    one_by_one, _, proved, breached = shares(conversations, turns, alike, seed=conversations)
    assert one_by_one >= plainly
    assert proved <= 0.075
    assert breached <= 0.05


def test_cases_that_stand_alone_are_worth_what_they_are():
    assert effective_counts([True, False, True], [None, None, "a"]) == {}
    assert effective_counts([True] * 3, ["a", "b", "c"]) == {}


def test_few_conversations_are_worth_so_many_cases():
    assert effective_counts([True] * 40, ["a", "b", "c", "d"] * 10) == {WORTH: 4}
    assert effective_counts([True] * 200, ["giant"] * 100 + list(range(100))) == {WORTH: 3}
    assert effective_counts([True] * 5, ["only"] * 5) == {WORTH: 1}


def test_three_hundred_good_turns_of_few_conversations_prove_no_floor_and_say_why():
    made = record(300, 300, **effective_counts([True] * 300, [n % 12 for n in range(300)]))
    found = assess(FLOOR, 0.95, made)
    assert found.proof is Proof.OPEN
    assert found.why == "turns of one conversation fail together: 300 are worth 12"
    assert found.n_needed == 950  # 38 of 25 turns
    assert assess(FLOOR, 0.95, record(300, 300)).proof is Proof.PROVED
    zero = assess(Zero(n=59), 0.0, made)
    assert (zero.proof, zero.n_needed) == (Proof.OPEN, 1475)


def test_what_is_broken_in_every_conversation_stays_a_breach():
    made = record(0, 300, **effective_counts([False] * 300, [n % 12 for n in range(300)]))
    assert assess(FLOOR, 0.95, made).proof is Proof.BREACHED
    assert assess(CEILING, 0.05, made).proof is Proof.BREACHED
    assert assess(Zero(n=59), 0.0, made).proof is Proof.BREACHED


def runs_away(turns, *, failed=45, of=300, good=False):
    """Return single tasks of which some failed, and one conversation that runs away: outcomes and conversations."""
    outcomes = [place >= failed for place in range(of)] + [good] * turns
    return outcomes, [None] * of + ["runs away"] * turns


@pytest.mark.parametrize(("rule", "bound"), [(FLOOR, 0.95), (CEILING, 0.05)])
@pytest.mark.parametrize("turns", [0, 60, 120])
def test_one_conversation_that_runs_away_hides_no_breach(rule, bound, turns):
    outcomes, conversations = runs_away(turns)
    found = assess(rule, bound, record(sum(outcomes), len(outcomes), **rate_counts(outcomes, conversations)))
    assert found.proof is Proof.BREACHED
    assert (found.high < bound) if rule is FLOOR else (found.low > bound)
    if turns:
        assert found.why.endswith("; without the largest ones 45 of 300 fail")


def test_conversations_left_out_count_as_good_so_that_good_ones_breach_nothing():
    outcomes, conversations = runs_away(1_200, good=True)
    counts = rate_counts(outcomes, conversations)
    assert counts[REST] == 300
    assert assess(FLOOR, 0.95, record(sum(outcomes), len(outcomes), **counts)).proof is Proof.OPEN


def test_what_does_not_say_is_not_surely_bad():
    outcomes, conversations = runs_away(60)
    silent = [None if place < 45 else one for place, one in enumerate(outcomes)]
    counts = rate_counts(silent, conversations)
    assert (counts[REST], counts[REST_BAD], counts[REST_WORTH]) == (300, 0, 300)
    assert assess(FLOOR, 0.95, record(255, 360, unknown=45, **counts)).proof is Proof.OPEN


def test_a_floor_that_holds_is_not_breached_more_often_because_large_conversations_are_left_out():
    """One in a hundred conversations has sixty turns: without them the rest is worth more, and is right as often."""
    rng = np.random.default_rng(7)
    sizes = np.array([60] + [1] * 99)
    groups = list(np.repeat(np.arange(100), sizes))
    wrong = set_apart = 0
    for _ in range(600):
        rate = rng.beta(0.94 * 3 / 7, 0.06 * 3 / 7, 100)  # correlation 0.7
        good = list(rng.random(len(groups)) < np.repeat(rate, sizes))
        counts = rate_counts([bool(one) for one in good], groups)
        set_apart += REST in counts
        made = record(sum(good), len(good), **counts)
        wrong += assess(Floor(bound=Committed("x")), 0.94, made).proof is Proof.BREACHED
    assert set_apart == 600
    assert wrong / 600 <= 0.07


@pytest.mark.parametrize("worth", [-3, 0, 10**9])
def test_a_record_is_worth_one_case_at_least_and_its_cases_at_most(worth):
    found = assess(FLOOR, 0.5, record(30, 40, worth=worth))
    assert found.proof is (Proof.PROVED if worth > 40 else Proof.OPEN)


def test_a_window_says_what_its_tasks_are_worth():
    charter = load_charter()
    window = Window(start=NOW - timedelta(days=7), end=NOW)
    task = Task(
        trace_id="0", agent=charter.agent, task_type="po_invoice", state=TaskState.COMPLETE,
        start_ns=unix_ns(NOW - timedelta(days=1)), end_ns=unix_ns(NOW), result=TaskResult.COMPLETED,
    )  # fmt: skip
    tasks = [replace(task, trace_id=f"{n:032x}", conversation=f"c{n % 8}") for n in range(80)]
    found = fold_window(charter, tasks, [], window, NOW, source=Source(command="test"))
    worth = {one.kind: one.counts.get(WORTH) for one in found if one.kind in {"completion", "escalation"}}
    assert worth == {"completion": 8, "escalation": 8}


def tasks_of(costs, seconds, conversations):
    started = unix_ns(NOW - timedelta(days=1))
    return [
        Task(
            trace_id=f"{place:032x}", agent="triage", task_type="po_invoice", state=TaskState.COMPLETE,
            start_ns=started, end_ns=started + 1, duration_ns=int(1e9 * long), result=TaskResult.COMPLETED,
            conversation=name, cost_known_usd=Decimal(str(cost)), cost_state=CostState.KNOWN,
        )
        for place, (cost, long, name) in enumerate(zip(costs, seconds, conversations, strict=True))
    ]  # fmt: skip


def amounts(tasks):
    made = [measure(load_charter(), "po_invoice", tasks, []) for measure in (measure_cost, measure_latency)]
    return [
        Evidence(
            kind=one.kind, agent="triage", window_from=NOW, window_to=NOW, n=one.n, value=one.value, low=one.low,
            high=one.high, counts={key: one.counts[key] for key in {WORTH} & one.counts.keys()},
            source=Source(command="test"), recorded_at=NOW,
        )
        for one in made
    ]  # fmt: skip


@pytest.mark.parametrize(("conversations", "turns"), [(100, 5), (120, 10)])
def test_a_mean_and_a_quantile_that_are_missed_are_proved_at_five_in_a_hundred(conversations, turns):
    """Costs and times of turns hang together with a correlation of 0.7: one by one, a fifth of the weeks proved too much."""
    rng = np.random.default_rng(conversations)
    names = [f"c{number}" for number in np.repeat(np.arange(conversations), turns)]
    wrong = np.zeros(4)
    for _ in range(150):
        shared = np.repeat(rng.normal(size=conversations), turns)
        amount = np.exp(np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=len(names)))
        wrong[0] += mean_bounds(amount).high < np.exp(0.5)
        wrong[1] += quantile_bounds(np.sort(amount), 0.95).high < np.exp(1.6449)
        cost, latency = amounts(tasks_of(amount.round(6), amount, names))
        wrong[2] += cost.high < np.exp(0.5)
        wrong[3] += latency.high < np.exp(1.6449)
    assert min(wrong[:2]) / 150 >= 0.1
    assert max(wrong[2:]) / 150 <= 0.08


def test_turns_of_few_conversations_bound_no_mean_and_no_quantile_and_say_why():
    names = [f"c{n % 40}" for n in range(200)]
    cost, latency = amounts(tasks_of([0.1] * 200, [float(n % 40) for n in range(200)], names))
    for record, rule, needed in ((cost, MeanMax(bound=1.0), 500), (latency, Quantile(bound=90.0), 241)):
        found = assess(rule, 90.0, record)
        assert (record.high, found.proof, found.n_needed) == (None, Proof.OPEN, needed)
        assert found.why.startswith("turns of one conversation are alike: 200 are worth ")
    alone = amounts(tasks_of([0.1] * 200, [1.0] * 200, [None] * 200))
    assert all(assess(MeanMax(bound=1.0), 1.0, one).proof is Proof.PROVED for one in alone)
    assert all(one.counts == {} for one in alone)


def test_as_many_conversations_as_run_away_are_set_apart_up_to_five():
    for many in range(1, 8):
        groups = [f"runs {n}" for n in range(many) for _ in range(200)] + list(range(60))
        assert sum(without_runaways(groups)) == 60 + 200 * (many if many > 5 else 0)
    assert without_runaways([]) == []


def test_of_equal_commands_the_order_is_the_draw_that_no_replay_can_play():
    drawn = Draw(source="process.order", site="", ordinal=0, value="1")
    assert drawn.is_order
    assert not replace(drawn, source="clock.time").is_order
