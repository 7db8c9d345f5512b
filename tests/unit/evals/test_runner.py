# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from pilothouse.errors import Conflict, LimitExceeded, StorageUnavailable
from pilothouse.evals.arms import Arm, requests_of
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.journal import Journal
from pilothouse.evals.journal_rows import RunRow
from pilothouse.evals.limits import AdaptiveLimit, Budget
from pilothouse.evals.runner import Runner, TrialRequest
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.limits import latency_under
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.evals.scorers.scorer import ScorerKind, ScorerSpec
from pilothouse.evals.scorers.structure import json_schema
from pilothouse.evals.scorers.text import regex
from pilothouse.evals.targets.recorded import RecordedTraces
from pilothouse.evals.targets.target import AgentFailed, TargetSpec, TargetUnreachable
from pilothouse.evals.trial import Reply, ToolCall, TrialStatus
from pilothouse.ports.lake import TraceView
from pilothouse.testing import example_task


class Agent:
    """A target whose behaviour is a function of the case and of how often it was called with it."""

    spec = TargetSpec(address="test", version="v", fingerprint="f", version_is_declared=True)

    def __init__(self, behaviour=lambda case, attempt: Reply(output=case.input * 2)):
        self.behaviour = behaviour
        self.calls = []

    async def run(self, case, context):
        self.calls.append((case.id, context.index, context.key))
        attempt = sum(one[0] == case.id for one in self.calls)
        answer = self.behaviour(case, attempt)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def close(self):
        pass


class Rule:
    """A scorer made of a function."""

    def __init__(self, rule, version="1"):
        self.rule = rule
        self.spec = ScorerSpec(name="rule", kind=ScorerKind.DETERMINISTIC, version=version)

    def score(self, case, result):
        return self.rule(case, result)


def cases(n, **fields):
    return [Case(id=f"c{i}", task_type="t", input=i, expected=2 * i, **fields) for i in range(n)]


def run(path, agent, some, *, scorer=None, index=0, **options):
    registry = ScorerRegistry()
    book = CheckBook(registry, default=scorer or registry.make("exact"))

    async def go():
        with Journal(path) as journal:
            runner = Runner(journal, book, run_id="r", limit=AdaptiveLimit(start=8, most=8), **options)
            requests = [TrialRequest(case=one, index=index, target=agent, config="cfg") for one in some]
            return await runner.run(requests), runner

    return asyncio.run(go())


class Lake:
    """A lake in which every trace claims its own id."""

    def trace(self, trace_id, *, limit=2_000):
        said = SimpleNamespace(operation="invoke_agent", output=trace_id, cut_bytes=0)
        task = example_task(trace_id=trace_id, claim=trace_id)
        return TraceView(task=task, spans=(said,), spans_total=1)


def test_a_case_is_never_given_the_recorded_answer_of_another_trace_with_the_same_input(tmp_path):
    lake = RecordedTraces(Lake())
    older, newer = (
        Case(id=f"c-{one}", task_type="t", input="the same", source=f"production:{one * 32}") for one in "ab"
    )
    arm = Arm(version="v", address=lake.spec.address, config="cfg", target=lake)
    for one in (older, newer, older):
        run(tmp_path / "j.db", lake, [one])
        with Journal(tmp_path / "j.db") as journal:
            (stored,) = journal.trials(arm.keys(one))
        assert (stored.result.reply.trace_id, stored.result.attempts) == (one.trace_id, 1)
    assert [one.key for one in requests_of([older, newer], [arm])] == [*arm.keys(older), *arm.keys(newer)]


def test_the_same_command_again_calls_nobody_and_gives_the_same(tmp_path):
    agent = Agent()
    first, _ = run(tmp_path / "j.db", agent, cases(20))
    again, runner = run(tmp_path / "j.db", agent, cases(20))
    assert len(agent.calls) == 20
    assert {one.case_id: one.success.value for one in first} == {
        one.case_id: one.success.value for one in again
    }
    assert all(one.reused for one in again)
    assert runner.progress.reused == 20


def test_an_answer_that_is_too_old_or_of_unknown_age_is_asked_for_again(tmp_path):
    """A verdict that had lapsed was made anew of the answers of the lapsed one, and nobody was asked."""
    day = [datetime(2026, 11, n, tzinfo=UTC) for n in range(1, 4)]
    agent = Agent()
    run(tmp_path / "j.db", agent, cases(2))
    for at, since, calls in (
        (day[0], day[0], 4),
        (day[1], day[0], 4),
        (day[2], day[1], 6),
        (day[2], None, 6),
    ):
        run(tmp_path / "j.db", agent, cases(2), at=at, since=since)
        assert len(agent.calls) == calls


def test_a_journal_of_before_knows_how_old_its_answers_are_by_their_runs(tmp_path):
    with Journal(tmp_path / "j.db") as journal:
        journal.put_run(
            RunRow(run_id="r", dataset="d", candidate="v", document="{}", at="2026-11-01T00:00:00+00:00")
        )
    run(tmp_path / "j.db", Agent(), cases(1))
    with closing(sqlite3.connect(tmp_path / "j.db")) as file:
        file.executescript("ALTER TABLE trial DROP COLUMN at; PRAGMA user_version = 1")
    with Journal(tmp_path / "j.db") as journal:
        (key,) = [TrialRequest(case=one, index=0, target=Agent(), config="cfg").key for one in cases(1)]
        assert [one.at for one in journal.trials([key])] == [datetime(2026, 11, 1, tzinfo=UTC)]


def test_another_repeat_is_another_trial(tmp_path):
    agent = Agent()
    run(tmp_path / "j.db", agent, cases(3))
    run(tmp_path / "j.db", agent, cases(3), index=1)
    assert len({key for _, _, key in agent.calls}) == 6


def test_a_corrected_expectation_is_scored_again_without_a_call(tmp_path):
    agent = Agent()
    run(tmp_path / "j.db", agent, cases(5))
    corrected = [one.model_copy(update={"expected": 99}) for one in cases(5)]
    corrected = [Case.model_validate(one.model_dump()) for one in corrected]
    again, _ = run(tmp_path / "j.db", agent, corrected)
    assert len(agent.calls) == 5
    assert [one.success.value for one in again] == [0.0] * 5


def test_another_scorer_scores_stored_answers_without_a_call(tmp_path):
    agent, seen = Agent(), []
    run(tmp_path / "j.db", agent, cases(5))
    scorer = Rule(lambda case, result: (seen.append(case.id), passed())[1], version="2")
    run(tmp_path / "j.db", agent, cases(5), scorer=scorer)
    assert (len(agent.calls), len(seen)) == (5, 5)
    run(tmp_path / "j.db", agent, cases(5), scorer=scorer)
    assert len(seen) == 5


def test_an_answer_that_is_asked_for_again_loses_the_scores_of_the_one_before(tmp_path):
    def crash(case, attempt):
        raise AgentFailed("boom")

    first = {"at": datetime(2026, 11, 1, tzinfo=UTC)}
    later = {one: datetime(2026, 11, 2, tzinfo=UTC) for one in ("at", "since")}
    run(tmp_path / "j.db", Agent(), cases(3), **first)
    run(tmp_path / "j.db", Agent(crash), cases(3), **later)
    again, _ = run(tmp_path / "j.db", Agent(), cases(3))
    assert [one.success.value for one in again] == [0.0] * 3

    away = Rule(lambda case, result: unscored(Unscored.JUDGE_UNREACHABLE))
    run(tmp_path / "k.db", Agent(), cases(3), scorer=Rule(lambda case, result: passed()), **first)
    run(tmp_path / "k.db", Agent(lambda case, attempt: Reply(output=0)), cases(3), scorer=away, **later)
    asked, _ = run(tmp_path / "k.db", Agent(), cases(3), scorer=Rule(lambda case, result: failed("wrong")))
    assert [one.success.value for one in asked] == [0.0] * 3


def test_what_the_agent_does_wrong_fails_and_what_the_world_does_wrong_says_nothing(tmp_path):
    def behaviour(case, attempt):
        if case.id == "c0":
            raise AgentFailed("boom")
        if case.id == "c1":
            return asyncio.sleep(9, Reply(output=2))
        if case.id == "c2":
            raise TargetUnreachable("refused", retry_after_s=0.0)
        if case.id == "c3":
            return Reply(output={1, 2})
        if case.id == "c4":
            return Reply(output="x" * 1_100_000)
        return Reply(output=case.input * 2)

    outcomes, _ = run(tmp_path / "j.db", Agent(behaviour), cases(6), deadline_s=0.05)
    by_id = {one.case_id: one for one in outcomes}
    assert by_id["c0"].status is TrialStatus.AGENT_ERROR
    assert by_id["c1"].status is TrialStatus.TIMEOUT
    assert by_id["c2"].status is TrialStatus.INFRA_ERROR
    assert by_id["c2"].success is None
    assert "no JSON" in by_id["c3"].error
    assert "output_too_large" in by_id["c4"].error
    assert [by_id[f"c{n}"].success.value for n in (0, 1, 3, 4)] == [0.0] * 4
    assert by_id["c5"].success.value == 1.0


def test_an_unreachable_world_is_tried_again_with_the_same_key_and_next_time_too(tmp_path):
    def behaviour(case, attempt):
        if attempt < 3:
            raise TargetUnreachable("503", retry_after_s=0.0, is_pressure=True)
        return Reply(output=case.input * 2)

    agent = Agent(behaviour)
    outcomes, _ = run(tmp_path / "j.db", agent, cases(1))
    assert outcomes[0].success.value == 1.0
    assert len({key for _, _, key in agent.calls}) == 1
    assert len(agent.calls) == 3


def test_a_lost_trial_is_not_stored_as_an_answer(tmp_path):
    gone = {"is": True}

    def behaviour(case, attempt):
        if gone["is"]:
            raise TargetUnreachable("refused", retry_after_s=0.0)
        return Reply(output=case.input * 2)

    agent = Agent(behaviour)
    first, _ = run(tmp_path / "j.db", agent, cases(1))
    assert first[0].status is TrialStatus.INFRA_ERROR
    gone["is"] = False
    again, _ = run(tmp_path / "j.db", agent, cases(1))
    assert again[0].success.value == 1.0


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (lambda case, result: 1 / 0, Unscored.SCORER_CRASHED),
        (lambda case, result: json.loads("no json"), Unscored.SCORER_CRASHED),
        (lambda case, result: Score(value=7.0), Unscored.OUT_OF_RANGE),
        (lambda case, result: 0.0, Unscored.OUT_OF_RANGE),
    ],
)
def test_a_scorer_that_breaks_leaves_a_missing_value_and_never_a_zero(tmp_path, rule, why):
    outcomes, _ = run(tmp_path / "j.db", Agent(), cases(1), scorer=Rule(rule))
    assert (outcomes[0].success.value, outcomes[0].success.why) == (None, why)


def test_a_scorer_that_computes_takes_no_time_from_the_agents(tmp_path):
    async def answer(case):
        await asyncio.sleep(0.1 + 0.03 * case.input)
        return Reply(output=case.input * 2)

    held = [True]

    def rule(case, result):
        if held:
            held.pop()
            time.sleep(1.5)
        return passed()

    agent = Agent(lambda case, attempt: answer(case) if case.input else asyncio.sleep(0.1, Reply(output=0)))
    outcomes, _ = run(tmp_path / "j.db", agent, cases(8), scorer=Rule(rule), deadline_s=0.6)
    assert {one.status for one in outcomes} == {TrialStatus.DONE}


def test_an_agent_that_is_too_slow_gets_no_more_than_what_was_taken_from_it(tmp_path):
    held = [True]

    def rule(case, result):
        if held:
            held.pop()
            time.sleep(0.5)
        return passed()

    agent = Agent(lambda case, attempt: asyncio.sleep(9 if case.input else 0.01, Reply(output=0)))
    began = time.monotonic()
    outcomes, _ = run(tmp_path / "j.db", agent, cases(4), scorer=Rule(rule), deadline_s=0.4)
    assert sorted(one.status.value for one in outcomes) == ["done", "timeout", "timeout", "timeout"]
    assert time.monotonic() - began < 3


def test_a_budget_ends_the_run_before_it_is_overspent(tmp_path):
    agent = Agent(lambda case, attempt: Reply(output=case.input * 2, cost_usd=0.01))
    budget = Budget(limit_usd=0.20)
    some = cases(100)
    run(tmp_path / "j.db", agent, some[:1], budget=budget)
    outcomes, runner = run(tmp_path / "j.db", agent, some[1:], budget=budget)
    assert runner.stopped_because == "the budget is spent"
    assert budget.spent_usd <= 0.20
    assert 5 <= len(outcomes) < 20


def test_a_run_that_goes_on_knows_from_its_stored_trials_what_the_next_ones_cost(tmp_path):
    agent = Agent(lambda case, attempt: Reply(output=case.input * 2, cost_usd=0.01))
    some = cases(100)
    run(tmp_path / "j.db", agent, some[:1])
    budget = Budget(limit_usd=0.05)
    _, runner = run(tmp_path / "j.db", agent, some, budget=budget)
    assert runner.stopped_because == "the budget is spent"
    assert 0 < budget.spent_usd <= 0.05


def test_a_trial_of_unknown_cost_keeps_its_reservation():
    budget = Budget(limit_usd=0.10)
    assert budget.reserve()
    budget.settle(0.02)
    for _ in range(2):
        assert budget.reserve()
        budget.settle(None)
    assert (budget.spent_usd, budget.unpriced) == (0.02, 2)
    assert not budget.reserve()


def test_what_a_judge_says_of_stored_answers_is_paid_from_the_budget(tmp_path):
    run(tmp_path / "j.db", Agent(), cases(20))
    judge = Rule(lambda case, result: Score(value=1.0, cost_usd=0.01), version="judge")
    outcomes, runner = run(tmp_path / "j.db", Agent(), cases(20), scorer=judge, budget=Budget(limit_usd=0.05))
    assert runner.stopped_because == "the budget is spent"
    assert 0 < runner.budget.spent_usd < 0.2
    assert len(outcomes) < 20
    again, free = run(tmp_path / "j.db", Agent(), cases(20), scorer=judge)
    assert (len(again), round(free.budget.spent_usd + runner.budget.spent_usd, 6)) == (20, 0.2)


def test_an_unknown_cost_is_counted_as_unknown(tmp_path):
    budget = Budget(limit_usd=None)
    run(tmp_path / "j.db", Agent(), cases(3), budget=budget)
    assert (budget.spent_usd, budget.unpriced) == (0.0, 3)


def test_a_failed_run_says_nothing_about_what_it_must_not_do(tmp_path):
    def behaviour(case, attempt):
        raise AgentFailed("boom")

    some = cases(1, asserts=[{"scorer": "must_not_call", "args": {"tools": ["pay"]}, "must_not": True}])
    outcomes, _ = run(tmp_path / "j.db", Agent(behaviour), some)
    ((name, score),) = outcomes[0].must_not
    assert name == "must_not_call#1"
    assert (score.value, score.why) == (None, Unscored.TRACE_MISSING)


HALF_A_LETTER = chr(0xD800)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(output=f"a{HALF_A_LETTER}b"),
        Reply(output={HALF_A_LETTER: 1}),
        Reply(output=float("nan")),
        Reply(output="4", claim=object()),
        Reply(output="4", tool_calls=(ToolCall(name="pay", arguments={"to": object()}),)),
        Reply(output="4", tool_calls=(ToolCall(name=HALF_A_LETTER),)),
        Reply(output="4", cost_usd=float("nan")),
        Reply(output="4", cost_usd=float("inf")),
        Reply(output="4", cost_usd=-5.0),
    ],
)
def test_an_answer_that_cannot_be_written_down_is_the_agents_failure_and_ends_nothing(tmp_path, reply):
    agent = Agent(lambda case, attempt: reply if case.input == 0 else Reply(output=2))
    outcomes, _ = run(tmp_path / "j.db", agent, cases(2), scorer=Rule(lambda case, result: passed()))
    by_id = {one.case_id: one for one in outcomes}
    assert by_id["c0"].status is TrialStatus.AGENT_ERROR
    assert [by_id[name].success.value for name in ("c0", "c1")] == [0.0, 1.0]


def test_what_an_agent_says_when_it_fails_can_be_stored_and_printed(tmp_path):
    def behaviour(case, attempt):
        raise AgentFailed(f"no queue {HALF_A_LETTER}")

    ((outcome,), _) = run(tmp_path / "j.db", Agent(behaviour), cases(1))
    assert (outcome.error, outcome.success.reason) == ("no queue ?", "no queue ?")


def test_a_deeply_nested_answer_is_kept_and_wrong(tmp_path):
    nested = []
    for _ in range(600):
        nested = [nested]
    ((outcome,), _) = run(tmp_path / "j.db", Agent(lambda case, attempt: Reply(output=nested)), cases(1))
    assert (outcome.status, outcome.success.value) == (TrialStatus.DONE, 0.0)


@pytest.mark.parametrize("error", [SystemExit(0), asyncio.CancelledError()])
def test_a_scorer_that_wants_to_end_the_run_leaves_a_missing_value(tmp_path, error):
    def leave(case, result):
        raise error

    outcomes, _ = run(tmp_path / "j.db", Agent(), cases(3), scorer=Rule(leave))
    assert [one.success.why for one in outcomes] == [Unscored.SCORER_CRASHED] * 3


ENDLESS = "^(a+)+$"


@pytest.mark.parametrize(
    "scorer",
    [
        regex(pattern=ENDLESS),
        regex(pattern=ENDLESS, absent=True),
        json_schema(schema={"type": "string", "pattern": ENDLESS}),
    ],
)
def test_a_pattern_that_tries_every_way_ends_the_run_by_its_name(tmp_path, scorer):
    agent = Agent(lambda case, attempt: Reply(output="a" * 60 + "!"))
    with pytest.raises(LimitExceeded, match=r"scorer '(?:regex|json_schema)', case .*\(a\+\)\+.* within 2 s"):
        run(tmp_path / "j.db", agent, cases(2), scorer=scorer)


def test_what_may_take_for_ever_and_does_not_is_scored_as_ever(tmp_path):
    agent = Agent(lambda case, attempt: Reply(output="aaa" if case.input else "b"))
    outcomes, _ = run(tmp_path / "j.db", agent, cases(150), scorer=regex(pattern=ENDLESS))
    assert sorted(one.success.value for one in outcomes) == [0.0] + [1.0] * 149


def test_a_row_that_cannot_be_written_ends_the_run_and_is_not_waited_for(tmp_path):
    with Journal(tmp_path / "evals.db") as journal:
        journal.end_run(HALF_A_LETTER, "{}")
        with pytest.raises(StorageUnavailable, match="cannot be written"):
            asyncio.run(asyncio.wait_for(journal.settled(), 10))


def test_a_second_process_is_told_who_holds_the_journal(tmp_path):
    with Journal(tmp_path / "j.db"), pytest.raises(Conflict, match="pid"):
        Journal(tmp_path / "j.db")


def test_a_large_answer_lies_beside_the_journal_and_comes_back_whole(tmp_path):
    agent = Agent(lambda case, attempt: Reply(output="y" * 200_000))
    run(tmp_path / "j.db", agent, cases(1))
    assert len(list((tmp_path / "blobs").iterdir())) == 1
    again, _ = run(
        tmp_path / "j.db", agent, cases(1), scorer=Rule(lambda c, r: passed(str(len(r.reply.output))), "9")
    )
    assert again[0].reused
    assert again[0].success.value == 1.0


def test_totals_are_the_rows_and_the_database_refuses_a_value_without_a_reason(tmp_path):
    run(tmp_path / "j.db", Agent(), cases(30))
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        assert database.execute("SELECT count(*) FROM trial WHERE status = 'done'").fetchone() == (30,)
        reply = json.loads(database.execute("SELECT reply FROM trial LIMIT 1").fetchone()[0])
        assert "output" in reply
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("INSERT INTO score VALUES ('t', 'c', 'v', 'n', NULL, NULL, '', 0)")


def test_a_journal_of_a_newer_program_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        database.execute("PRAGMA user_version = 99")
    for _ in range(2):  # and the one that was refused does not hold the file
        with pytest.raises(StorageUnavailable, match="newer program"):
            Journal(tmp_path / "j.db")


def test_the_limit_doubles_until_trouble_then_halves_and_creeps():
    limit = AdaptiveLimit(start=4, most=64)

    def window(latency_s):
        for _ in range(limit.limit):
            limit._in_flight += 1
        for _ in range(limit._in_flight):
            limit.release(latency_s)

    window(0.1)
    assert limit.limit == 8
    window(0.1)
    assert limit.limit == 16
    limit._in_flight += 1
    limit.release(0.1, is_pressure=True)
    assert limit.limit == 8
    window(0.1)
    assert limit.limit == 9
    window(0.5)
    assert limit.limit == 4


def test_of_a_recorded_answer_nobody_knows_how_long_it_took(tmp_path):
    """A gate with `latency_under` released recorded outputs: looking one up takes no time."""

    class Recorded(Agent):
        spec = TargetSpec(
            address="r", version="v", fingerprint="f", version_is_declared=True, makes_calls=False
        )

    for _ in range(2):
        (outcome,), _runner = run(tmp_path / "j.db", Recorded(), cases(1), scorer=latency_under(seconds=60))
        assert (outcome.latency_s, outcome.success.why) == (None, Unscored.TIME_UNKNOWN)


def test_what_a_stand_in_answered_is_no_trial_is_asked_again_and_never_taken_from_the_journal(tmp_path):
    def stood_in_once(case, attempt):
        return Reply(output=case.input * 2, model="b-1" if attempt <= case.input else "m-1")

    registry = ScorerRegistry()
    book = CheckBook(registry, default=registry.make("exact"))
    agent = Agent(stood_in_once)

    def outcomes(stand_ins):
        arm = Arm(version="v", address="test", config="cfg", target=agent, stand_ins=frozenset(stand_ins))

        async def go():
            with Journal(tmp_path / "j.db") as journal:
                return await Runner(journal, book, run_id="r").run(list(requests_of(cases(5), [arm])))

        return {one.case_id: one for one in asyncio.run(go())}

    assert all(one.success.value == 1.0 for one in outcomes(()).values()), (
        "stored before anybody asked who answered"
    )
    found = outcomes({"b-1"})
    assert [found[f"c{n}"].status for n in range(5)] == [TrialStatus.DONE] * 4 + [TrialStatus.INFRA_ERROR]
    assert [found[f"c{n}"].reused for n in range(5)] == [True, False, False, False, False]
    assert found["c4"].success is None
    assert found["c4"].error == "b-1 answered, a stand-in of the pinned model"


def test_what_is_asked_again_is_not_given_the_score_of_the_answer_before(tmp_path):
    """The scorer was down when the pinned model answered, and the score of the stand-in's answer stood in its place."""
    (case,) = cases(1)
    answers = iter([Reply(output="good", model="b-1"), Reply(output="bad", model="m-1")])
    agent, is_down = Agent(lambda *_: next(answers)), False

    def rule(_case, result):
        if is_down:
            raise OSError("no connection")
        return passed() if result.reply.output == "good" else failed("bad")

    def scored(stand_ins):
        arm = Arm(version="v", address="test", config="cfg", target=agent, stand_ins=frozenset(stand_ins))

        async def go():
            with Journal(tmp_path / "j.db") as journal:
                book = CheckBook(ScorerRegistry(), default=Rule(rule))
                return await Runner(journal, book, run_id="r").run(list(requests_of([case], [arm])))

        return asyncio.run(go())[0].success

    assert scored(()).value == 1.0
    is_down = True
    assert scored({"b-1"}).why is Unscored.SCORER_CRASHED
    is_down = False
    assert scored({"b-1"}).value == 0.0
