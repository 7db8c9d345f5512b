# SPDX-License-Identifier: Apache-2.0
"""Run and score the missing trials, and record each (cases -> outcomes)."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pilothouse.evals.case import Case
from pilothouse.evals.checks import TRAJECTORY, Check, CheckBook, success_of
from pilothouse.evals.deadlines import Deadlines
from pilothouse.evals.foreign_code import plain_reason
from pilothouse.evals.journal import Journal
from pilothouse.evals.limits import AdaptiveLimit, Budget, StartRate
from pilothouse.evals.score import Score, Unscored, unscored
from pilothouse.evals.scoring import PASSING_TROUBLE, score_once
from pilothouse.evals.stuck_code import CodeStuck, interrupting
from pilothouse.evals.targets.recorded import StoredTrials
from pilothouse.evals.targets.target import AgentFailed, Target, TargetUnreachable
from pilothouse.evals.trial import (
    OUTPUT_BYTES_MAX,
    Reply,
    Result,
    TrialContext,
    TrialStatus,
    asked_of,
    trial_key,
)

__all__ = ["STOOD_IN", "Outcome", "Progress", "Runner", "TrialRequest"]

STOOD_IN: Final = "answered, a stand-in of the pinned model"
"""How the error of a trial ends that another model answered."""

ASKED_TOO_LATE: Final = (
    "the system of record was not asked when this was answered, and today it may stand otherwise"
)

ATTEMPTS_MAX: Final = 3
"""Of a trial that the world, not the agent, let down."""

SCORING_PLACES: Final = 2
"""Scoring tasks for each place of a target: a slow judge must not hold a target's place."""

PROGRESS_EVERY_S: Final = 0.2
BACKLOG_PAUSE_S: Final = 0.002
RETRY_PAUSES_S: Final = (0.2, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """One requested run of one case.

    Attributes:
        case: The case.
        index: Repeat, from 0.
        target: What answers it.
        config: Config digest of that target.
        kept_as: Trial key, where the one of the address of the target is not meant.
        stand_ins: Models whose answer is none of this target: an infrastructure failure, asked again.
    """

    case: Case
    index: int
    target: Target
    config: str
    kept_as: str = ""
    stand_ins: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Trial key."""
        return self.kept_as or trial_key(
            self.config, asked_of(self.case, self.target.spec.address), self.index
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one trial; the answer itself stays in the journal.

    Attributes:
        case_id: The case.
        input_hash: Its input: two datasets of one run may use an id for two cases.
        index: Repeat.
        config: Config digest of its target.
        status: How the run ended.
        success: Every check passed (1), one failed (0), or unscored; None after an infrastructure error.
        must_not: Scores of the zero-tolerance checks, by name.
        trajectory: Score of the golden sequence, or None when the case has none.
        latency_s: Seconds from call to answer, or None where nobody called.
        cost_usd: Cost of run and scores, or None when a part is not known.
        reused: Whether the stored result was used and nobody was called.
        error: What went wrong, short, or empty.
    """

    case_id: str
    input_hash: str
    index: int
    config: str
    status: TrialStatus
    success: Score | None
    must_not: tuple[tuple[str, Score], ...]
    latency_s: float | None
    cost_usd: float | None
    reused: bool
    error: str = ""
    trajectory: Score | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is.

    Attributes:
        done: Trials that ended, reused ones included.
        planned: Trials asked for so far.
        reused: Trials taken from the journal.
        infra_errors: Trials the world let down.
        spent_usd: Money spent, where it is known.
        unpriced: Trials whose cost is not known.
        at_once: Calls allowed at once now.
        left_s: Seconds left at the present pace, or None before the first trial ended.
    """

    done: int
    planned: int
    reused: int
    infra_errors: int
    spent_usd: float
    unpriced: int
    at_once: int
    left_s: float | None


@dataclass(slots=True, kw_only=True)
class _Tally:
    planned: int = 0
    done: int = 0
    reused: int = 0
    infra_errors: int = 0
    began_at: float = 0.0
    shown_at: float = 0.0


class Runner:
    """Runs and scores trials and records them; one instance for each run.

    Args:
        journal: Where trials and scores are kept.
        book: Which scorers judge a case.
        run_id: Id of the run.
        deadline_s: Seconds an agent has for one case.
        limit: How many trials run at once.
        rate: How fast they start.
        budget: What they may cost.
        at: When the run began, aware UTC: so old is what it asks for.
        since: Stored results from before it are asked for again, as are those of unknown age; None takes all.
        on_progress: Told at most five times a second.
    """

    def __init__(
        self,
        journal: Journal,
        book: CheckBook,
        *,
        run_id: str,
        deadline_s: float = 60.0,
        limit: AdaptiveLimit | None = None,
        rate: StartRate | None = None,
        budget: Budget | None = None,
        at: datetime | None = None,
        since: datetime | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._journal = journal
        self._book = book
        self._run_id = run_id
        self._deadline_s = deadline_s
        self._deadlines = Deadlines()
        self._limit = limit or AdaptiveLimit()
        self._rate = rate or StartRate(None)
        self._at = at
        self._since = since
        self._on_progress = on_progress
        self._fresh_keys: set[str] = set()
        self._tally = _Tally(began_at=time.monotonic())
        self.budget = budget or Budget(limit_usd=None)
        self.stopped_because: str | None = None

    @property
    def progress(self) -> Progress:
        """Where the run is."""
        now, tally = time.monotonic(), self._tally
        ran = tally.done - tally.reused
        left = tally.planned - tally.done
        pace_s = (now - tally.began_at) / ran if ran else None
        return Progress(
            done=tally.done,
            planned=tally.planned,
            reused=tally.reused,
            infra_errors=tally.infra_errors,
            spent_usd=self.budget.spent_usd,
            unpriced=self.budget.unpriced,
            at_once=self._limit.limit,
            left_s=pace_s * left if pace_s is not None else None,
        )

    def stop(self, because: str) -> None:
        """Start no further trial; trials in flight finish and are recorded."""
        self.stopped_because = self.stopped_because or because

    async def run(self, requests: Sequence[TrialRequest]) -> list[Outcome]:
        """Return the outcome of every trial; stored ones need no call.

        Args:
            requests: Trials in the order they should start.

        Returns:
            Outcomes of the trials that ended, in no order; fewer than asked when the run was stopped.

        Raises:
            StorageFull: The journal's disk stayed full.
            StorageUnavailable: The journal could not be written.
            ProviderError: More workers of the target died than can be chance.
        """
        keys = [one.key for one in requests]
        others = {one.key: one.stand_ins for one in requests if one.stand_ins}
        stored = {
            one.key: one.result
            for one in self._journal.trials(keys)
            if (self._since is None or one.is_since(self._since))
            and (one.result.reply is None or one.result.reply.model not in others.get(one.key, ()))
        }
        scored = {(one.key, one.case_hash, one.version): one.score for one in self._journal.scores(stored)}
        self._learn_costs(keys, requests, stored, scored)
        outcomes: list[Outcome] = []
        waiting = iter(zip(keys, requests, strict=True))
        self._tally.planned += len(requests)

        async def work() -> None:
            for key, request in waiting:
                if self.stopped_because is not None:
                    return
                known = stored.get(key)
                # A stored answer costs nothing again, and what is still to be said of it does.
                is_costly = self._costs(key, request, known, scored)
                if is_costly and not self.budget.reserve():
                    self.stop("the budget is spent")
                    return
                result = known or await self._call(key, request)
                outcomes.append(await self._judge(key, request, known, result, scored, is_costly=is_costly))
                self._show_progress()

        places = SCORING_PLACES * min(len(requests), self._limit.most)
        try:
            with interrupting(asyncio.get_running_loop()):
                async with asyncio.TaskGroup() as group:
                    for _ in range(max(1, places)):
                        group.create_task(work())
        except BaseExceptionGroup as found:
            raise found.exceptions[0] from None
        finally:
            await self._journal.settled()
        self._show_progress(at_once=True)
        return outcomes

    async def _call(self, key: str, request: TrialRequest) -> Result:
        """Call the target; infrastructure failures are retried with the same idempotency key."""
        self._fresh_keys.add(key)
        self._journal.forget_scores(key)  # of an answer that is too old, or that another model gave
        result = Result(status=TrialStatus.INFRA_ERROR, reply=None, latency_s=None)
        attempts = ATTEMPTS_MAX if request.target.spec.makes_calls else 1
        for attempt in range(1, attempts + 1):
            self._journal.check()
            await self._rate.wait()
            await self._limit.acquire()
            while self._journal.is_behind:  # the writer is a thread without an event of this loop
                self._journal.check()
                await asyncio.sleep(BACKLOG_PAUSE_S)
            result, wait_s = await self._attempt(key, request, attempt)
            if result.status is not TrialStatus.INFRA_ERROR or attempt == attempts:
                break
            await asyncio.sleep(wait_s if wait_s is not None else RETRY_PAUSES_S[attempt - 1])
        self._journal.put_result(key, result, run_id=self._run_id, at=self._at)
        return result

    async def _attempt(self, key: str, request: TrialRequest, attempt: int) -> tuple[Result, float | None]:
        """Run one attempt and release the slot, whatever happens."""
        case = request.case
        context = TrialContext(
            run_id=self._run_id,
            key=key,
            index=request.index,
            deadline_s=self._deadline_s,
            seed=int(key[:8], 16),
        )
        self._journal.put_started(
            key, config=request.config, case_id=case.id, input_hash=case.input_hash, index=request.index
        )
        began = time.monotonic()
        is_pressure, wait_s = False, None
        status, reply, problem = TrialStatus.DONE, None, ""
        try:
            async with self._deadlines.within(self._deadline_s):
                reply = await request.target.run(case, context)
            _check_reply(reply, request.stand_ins)
        except TimeoutError:
            status, reply, problem = TrialStatus.TIMEOUT, None, f"no answer within {self._deadline_s:g} s"
        except (AgentFailed, CodeStuck) as error:
            status, reply, problem = TrialStatus.AGENT_ERROR, None, plain_reason(error)
        except TargetUnreachable as error:
            status, reply, problem = TrialStatus.INFRA_ERROR, None, plain_reason(error)
            is_pressure, wait_s = error.is_pressure, error.retry_after_s
        finally:
            took_s = time.monotonic() - began
            self._limit.release(took_s, is_pressure=is_pressure)
        result = Result(
            status=status,
            reply=reply,
            latency_s=took_s if request.target.spec.makes_calls else None,
            error=problem,
            attempts=attempt,
        )
        return result, wait_s

    def _learn_costs(
        self,
        keys: Sequence[str],
        requests: Sequence[TrialRequest],
        stored: Mapping[str, Result],
        scored: Mapping[tuple[str, str, str], Score],
    ) -> None:
        """Measure the budget's estimate on stored trials: a run that goes on starts many at once before its first one ends."""
        for key, request in zip(keys, requests, strict=True):
            if key not in stored:
                continue
            reply, hashed = stored[key].reply, request.case.case_hash
            cost = reply.cost_usd if reply is not None else None
            for check in self._book.of(request.case):
                known = scored.get((key, hashed, check.scorer.spec.version))
                cost = _sum(cost, known.cost_usd if known is not None else 0.0)
            self.budget.learn(cost)

    def _costs(
        self,
        key: str,
        request: TrialRequest,
        known: Result | None,
        scored: Mapping[tuple[str, str, str], Score],
    ) -> bool:
        """Whether a trial still has to be run, or its answer scored."""
        hashed = request.case.case_hash
        checks = self._book.of(request.case)
        return known is None or any((key, hashed, one.scorer.spec.version) not in scored for one in checks)

    async def _judge(
        self,
        key: str,
        request: TrialRequest,
        known: Result | None,
        result: Result,
        scored: Mapping[tuple[str, str, str], Score],
        *,
        is_costly: bool,
    ) -> Outcome:
        """Compute missing scores, and fold all scores into one outcome."""
        case = request.case
        checks = self._book.of(case)
        scores: list[Score] = []
        fresh_cost: float | None = 0.0
        for check in checks:
            score = scored.get((key, case.case_hash, check.scorer.spec.version))
            if score is None and _is_asked_too_late(check, request, result):
                score = unscored(Unscored.OUTCOME_UNKNOWN, ASKED_TOO_LATE)
            elif score is None:
                score = await score_once(check, case, result)
                if result.status is TrialStatus.DONE and score.why not in PASSING_TROUBLE:
                    self._journal.put_score(
                        key,
                        case_hash=case.case_hash,
                        name=check.name,
                        version=check.scorer.spec.version,
                        score=score,
                    )
                fresh_cost = _sum(fresh_cost, score.cost_usd)
            scores.append(score)
        run_cost = result.reply.cost_usd if result.reply else None
        is_reused = known is not None and key not in self._fresh_keys
        if is_costly:
            self.budget.settle(_sum(run_cost, fresh_cost) if known is None else fresh_cost)
        self._tally.done += 1
        self._tally.reused += is_reused
        self._tally.infra_errors += result.status is TrialStatus.INFRA_ERROR
        pairs = list(zip(checks, scores, strict=True))
        return Outcome(
            case_id=case.id,
            input_hash=case.input_hash,
            index=request.index,
            config=request.config,
            status=result.status,
            success=(
                None
                if result.status is TrialStatus.INFRA_ERROR
                else success_of([s for c, s in pairs if not c.must_not], pass_at=self._book.pass_at)
            ),
            must_not=tuple((check.name, score) for check, score in pairs if check.must_not),
            trajectory=next((score for check, score in pairs if check.name == TRAJECTORY), None),
            latency_s=result.latency_s,
            cost_usd=_sum(run_cost, fresh_cost),
            reused=is_reused,
            error=result.error,
        )

    def _show_progress(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._on_progress and (at_once or now - self._tally.shown_at >= PROGRESS_EVERY_S):
            self._tally.shown_at = now
            self._on_progress(self.progress)


def _is_asked_too_late(check: Check, request: TrialRequest, result: Result) -> bool:
    """Whether the moment is past of which a scorer would have to say how things stood."""
    is_answer = result.status is TrialStatus.DONE and isinstance(request.target, StoredTrials)
    return is_answer and check.scorer.spec.asks_now


def _check_reply(reply: Reply, stand_ins: frozenset[str]) -> None:
    """Refuse a reply that could not be stored, that reports a negative cost, or that another model gave."""
    if reply.model in stand_ins:
        raise TargetUnreachable(f"{reply.model} {STOOD_IN}")
    calls = [[one.name, one.arguments] for one in reply.tool_calls or ()]
    size = _json_bytes("output", reply.output)
    if size > OUTPUT_BYTES_MAX:
        raise AgentFailed(f"output_too_large: {size} bytes, at most {OUTPUT_BYTES_MAX}")
    _json_bytes("what stands beside the output", [calls, reply.claim, reply.trace_id, reply.model])
    if reply.cost_usd is not None and not (math.isfinite(reply.cost_usd) and reply.cost_usd >= 0):
        raise AgentFailed(f"cost_usd is {reply.cost_usd}, which is no amount of money")


def _json_bytes(what: str, value: object) -> int:
    try:
        return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise AgentFailed(f"{what} is no JSON: {error}") from error


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
