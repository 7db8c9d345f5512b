# SPDX-License-Identifier: Apache-2.0
"""The canary over traffic that errs as real traffic does: both arms fail, outcomes wait, and somebody looks every day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from evidence_made import load_charter

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.stand_in import stand_ins_of
from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.core.statistics.canary import CanaryTest
from pilothouse.errors import UsageError
from pilothouse.ports.lake import Assigned
from pilothouse.runtime.experiment import assign
from pilothouse.testing import MemoryLedger
from pilothouse.workflows.gate.canary import DAY_NS, Unit, canary_evidence, differences, read_canary
from pilothouse.workflows.gate.experiment import LENGTH_MAX, experiment_of, keep_experiment

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
BEGAN_NS = int(BEGAN.timestamp()) * 10**9
UNITS = 1_600
DAYS = 8
NEW = "b" * 64


class Traffic:
    """Lake and ledger of an experiment, as they stand at a moment."""

    def __init__(self, *, seed, failing, crashing=0.0, candidates=(NEW,)):
        rng = np.random.default_rng(seed)
        self.tasks, self.marks, self.outcomes_by_trace = [], [], {}
        for number in range(UNITS):
            mark = assign(f"exp-{seed}", f"user-{number}", share=0.5, candidate_version=NEW)
            trace = f"{number + 1:032x}"
            start = BEGAN_NS + number * DAYS * 86_400 * 10**9 // UNITS
            version = "a" * 64 if mark.arm == "baseline" else candidates[number % len(candidates)]
            crashed = mark.arm == "candidate" and rng.random() < crashing
            self.tasks.append(
                Task(
                    trace_id=trace,
                    agent="a",
                    task_type="t",
                    version_digest=version,
                    result=TaskResult.FAILED if crashed else TaskResult.COMPLETED,
                    start_ns=start,
                    end_ns=start,
                )
            )
            self.marks.append(Assigned(trace_id=trace, unit=mark.unit, arm=mark.arm))
            if crashed:
                continue
            fate = rng.random()
            # One outcome in fifty never comes, as many cannot be verified.
            if fate < 0.02:
                continue
            status = (
                OutcomeStatus.UNVERIFIABLE
                if fate < 0.04
                else OutcomeStatus.CONTRADICTED
                if rng.random() < failing[mark.arm]
                else OutcomeStatus.VERIFIED
            )
            self.outcomes_by_trace[trace] = Outcome(
                trace_id=trace, agent="a", task_type="t", version_digest=version, task_start_ns=start, claim=None,
                found="", critical=None, verifier="v", status=status, verified_at=BEGAN,
            )  # fmt: skip

    def look(self, day, *, asked=None, **options):
        end = BEGAN_NS + day * 86_400 * 10**9
        seen = [one for one in self.tasks if one.start_ns < end]
        known = {one.trace_id for one in seen}

        def assigned(experiment, from_ns, to_ns):
            if asked is not None:
                asked.append((from_ns, to_ns))
            return [one for one in self.marks if one.trace_id in known]

        lake = SimpleNamespace(
            window=lambda wanted: seen,
            assigned=assigned,
        )
        kept = [one for trace, one in self.outcomes_by_trace.items() if trace in known]
        ledger = SimpleNamespace(
            outcomes=lambda agent, from_ns, to_ns: kept,
            outcomes_of=lambda ids: {one.trace_id: one for one in kept},
        )
        now = BEGAN + timedelta(days=day)
        installation = SimpleNamespace(lake=lake, ledger=ledger, clock=SimpleNamespace(now=lambda: now))
        return read_canary(installation, "a", "exp", CanaryTest(0.05), since=BEGAN, share=0.5, **options)


def ends(failing, seeds):
    """Look every day until something is concluded; how each experiment ended."""
    found = []
    for seed in seeds:
        traffic = Traffic(seed=seed, failing=failing)
        reports = [traffic.look(day) for day in range(1, DAYS + 1)]
        found.append(next((one for one in reports if int(one.exit_status) != 3), reports[-1]))
    return found


def test_an_experiment_ends_undecided_where_its_length_ends():
    traffic = Traffic(seed=3, failing={"candidate": 0.06, "baseline": 0.06})
    until = BEGAN + timedelta(days=2)
    on_time, late = (traffic.look(day, until=until) for day in (1, 2))
    assert on_time.sentence.startswith("not decided yet")
    assert (int(late.exit_status), late.since) == (3, BEGAN)
    assert late.sentence.startswith("ended undecided, begin another experiment")


def test_no_look_reads_past_the_end_of_an_experiment():
    asked = []
    traffic = Traffic(seed=3, failing={"candidate": 0.0, "baseline": 0.0})
    until = BEGAN + timedelta(days=3)
    traffic.look(DAYS, until=until, asked=asked)
    assert asked == [(BEGAN_NS, BEGAN_NS + 3 * DAY_NS)]


def test_of_two_first_looks_at_once_the_earlier_one_counts():
    ledger = MemoryLedger()
    first, second = (
        experiment_of(ledger, "a", "exp", first=BEGAN + timedelta(days=days), margin=0.1) for days in (0, 1)
    )
    for one in (first, second):
        keep_experiment(ledger, "a", one, at=BEGAN)
    kept = experiment_of(ledger, "a", "exp", first=BEGAN + timedelta(days=9))
    assert (kept.since, kept.until - kept.since, kept.test) == (BEGAN, LENGTH_MAX, first.test)
    keep_experiment(ledger, "a", kept, at=BEGAN)
    assert len(ledger.decisions("a", kind="canary.began")) == 2
    assert experiment_of(ledger, "a", "other", first=BEGAN).test.margin == 0.05
    with pytest.raises(UsageError, match=r"judged by alpha 0\.05 since its first look"):
        experiment_of(ledger, "a", "exp", first=BEGAN, alpha=0.2)


def test_equal_arms_that_both_err_are_not_called_harmful_and_mostly_proved_not_worse():
    reports = ends({"candidate": 0.06, "baseline": 0.06}, range(12))
    statuses = [int(one.exit_status) for one in reports]
    assert 1 not in statuses
    assert statuses.count(0) >= 6
    assert reports[0].pending > 0
    assert set(reports[0].unverifiable) == {"candidate", "baseline"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_candidate_that_errs_three_times_as_often_is_stopped_before_the_end(seed):
    (report,) = ends({"candidate": 0.18, "baseline": 0.06}, [seed])
    assert int(report.exit_status) == 1
    assert report.candidate_units < 0.45 * UNITS
    (record,) = canary_evidence(report, at=BEGAN, charter=None)
    assert (record.kind, record.binds.version, record.passed) == ("release.verdict", NEW, False)


def test_a_candidate_that_crashes_is_not_judged_by_the_tasks_that_it_survived():
    traffic = Traffic(seed=1, failing={"candidate": 0.02, "baseline": 0.02}, crashing=0.25)
    reports = [traffic.look(day) for day in range(1, DAYS + 1)]
    first = next(one for one in reports if int(one.exit_status) != 3)
    assert int(first.exit_status) == 1
    assert reports[-1].pending < 0.05 * UNITS


@pytest.mark.parametrize(
    ("candidates", "said"),
    [((NEW, "c" * 64), "2 versions served the candidate"), (("a" * 64,), "served both arms")],
)
def test_arms_that_do_not_tell_one_version_from_another_conclude_nothing(candidates, said):
    traffic = Traffic(seed=1, failing={"candidate": 0.3, "baseline": 0.06}, candidates=candidates)
    report = traffic.look(DAYS)
    assert int(report.exit_status) == 3
    assert said in report.sentence
    assert canary_evidence(report, at=BEGAN, charter=None) == ()


CHARTER = load_charter()
PIN, SPARE = CHARTER.model.pin.model, next(iter(sorted(stand_ins_of(CHARTER))))


def answered_by(traffic, **models):
    """Let the tasks of each arm name who answered: a model, by the number of the task."""
    arms = {mark.trace_id: mark.arm for mark in traffic.marks}
    traffic.tasks = [
        replace(task, models=(models[arms[task.trace_id]](number),))
        for number, task in enumerate(traffic.tasks)
    ]
    return traffic


def test_nothing_is_concluded_of_an_experiment_whose_first_days_are_kept_no_longer():
    traffic = Traffic(seed=1, failing={"candidate": 0.06, "baseline": 0.06})
    within, beyond = (traffic.look(day) for day in (90, 91))
    assert int(within.exit_status) == 0
    assert int(beyond.exit_status) == 3
    assert beyond.sentence.startswith("spans are kept for 90 days")
    kept = CHARTER.retention.model_copy(update={"spans": timedelta(days=120)})
    longer = CHARTER.model_copy(update={"retention": kept})
    assert int(traffic.look(91, charter=longer).exit_status) == 0


def looked(traffic, **options):
    return traffic.look(DAYS, charter=CHARTER, **options)


def test_what_a_stand_in_did_is_not_what_the_candidate_does():
    """A stand-in that errs stopped a sound candidate, and one that never errs had a bad one proved not worse."""
    traffic = Traffic(seed=1, failing={"candidate": 0.06, "baseline": 0.06})
    for trace in traffic.outcomes_by_trace:
        if int(trace, 16) % 4 == 0:
            wrong = replace(traffic.outcomes_by_trace[trace], status=OutcomeStatus.CONTRADICTED)
            traffic.outcomes_by_trace[trace] = wrong

    def who(number):
        return SPARE if (number + 1) % 4 == 0 else PIN

    report = looked(answered_by(traffic, candidate=who, baseline=who))
    assert report.others == (SPARE,)
    assert sum(report.stood_in.values()) == UNITS // 4
    assert report.candidate_units + report.baseline_units <= 3 * UNITS // 4
    assert report.reading.difference is not None
    assert abs(report.reading.difference.value) < 0.05
    assert int(report.exit_status) == 0


def test_a_candidate_that_leaves_its_hard_tasks_to_a_stand_in_is_not_proved_not_worse():
    traffic = Traffic(seed=1, failing={"candidate": 0.02, "baseline": 0.02})
    report = looked(
        answered_by(
            traffic, candidate=lambda number: SPARE if number % 8 == 0 else PIN, baseline=lambda _: PIN
        )
    )
    assert int(report.exit_status) == 3
    assert "for the candidate more often" in report.sentence


def test_a_candidate_of_another_model_is_judged_by_what_that_model_did():
    traffic = Traffic(seed=1, failing={"candidate": 0.02, "baseline": 0.02})
    answered_by(traffic, candidate=lambda number: PIN if number % 90 == 0 else SPARE, baseline=lambda _: PIN)
    unnamed, named = looked(traffic), looked(traffic, candidate_model=SPARE)
    assert unnamed.candidate_units < 40
    assert named.candidate_units > 600
    assert (named.others, set(named.stood_in)) == ((PIN,), {"candidate"})
    assert looked(traffic, candidate_model=PIN).stood_in == unnamed.stood_in


def paused(rng, *, before, since, loss):
    """Ten days of both arms, sixty units a day, then twenty of the baseline alone, in a world that may be another one."""
    return [
        Unit(
            name=f"{day}-{number}",
            arm="candidate" if day < 10 and number % 2 else "baseline",
            task_type="t",
            good=float(
                rng.random() < (before if day < 10 else since) - (loss if number % 2 and day < 10 else 0.0)
            ),
            last_ns=day * DAY_NS + number,
        )
        for day in range(30)
        for number in range(60)
    ]


@pytest.mark.parametrize(("since", "loss", "never"), [(1.0, 0.0, "harmful"), (0.8, 0.15, "not_worse")])
def test_what_the_baseline_did_while_the_canary_paused_is_not_held_against_it_nor_for_it(since, loss, never):
    """One candidate in ten was proved harmful because the world got better, and one that was worse passed."""
    test, rng, ended = CanaryTest(0.05), np.random.default_rng(1), []
    for _ in range(30):
        units = paused(rng, before=0.95, since=since, loss=loss)
        found = differences(units)
        assert found == differences([one for one in units if one.last_ns < 10 * DAY_NS])
        ended.append(test.update(test.start(), found)[1].decision.value)
    assert ended.count(never) == 0
    assert ended.count("harmful" if loss else "not_worse") >= 15


def test_a_day_that_is_over_keeps_its_pairs_whatever_share_comes_later():
    units = paused(np.random.default_rng(2), before=0.9, since=0.9, loss=0.0)
    first = differences([one for one in units if one.last_ns < 5 * DAY_NS])
    later = [replace(one, arm="candidate") for one in units if one.last_ns >= 29 * DAY_NS]
    assert differences([*units, *later])[: len(first)] == first
    assert len(first) == 150, "no unit is held against twice"
