# SPDX-License-Identifier: Apache-2.0
"""Ask the system of record about every task that says it is done: claims → outcomes.

An idempotent tick over state: which tasks are due follows from the lake, the ledger and the time, so a
killed run, a second process or a repeated call costs at most a question asked twice.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pilothouse.connectors.verifier_loader import LoadedVerifier, load_verifier
from pilothouse.core.evidence.claim import is_erased, says_done
from pilothouse.core.evidence.outcome import UNANSWERED, Outcome, OutcomeStatus
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import ExtensionError, MalformedRecord, PilothouseError
from pilothouse.ports.lake import Lake, TaskCursor, TaskFilter
from pilothouse.ports.ledger import CharterInForce, Ledger
from pilothouse.workflows.ground.asking import Answer, Asker
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.verifiers import VerifierCase, unlisted_critical, verifier_case

__all__ = ["VerifyLimits", "VerifyProblem", "VerifyReport", "verify_due"]

HORIZON = timedelta(days=90)
"""Tasks older than this are not asked about: no window of a verdict reaches further back."""

FIRST_PAGE_TASKS = 100
"""Tasks of the first page: when all of them are settled, as they are in most ticks, no more is read."""

PAGE_TASKS = 5_000
"""Tasks of each further page; the lake gives at most 10,000."""

SAVE_EVERY = 50
"""Answers kept in memory before they are written; a kill costs at most these questions."""

ERROR_ATTEMPTS_MIN = 3
"""A verifier that fails is asked at least so often, so that an imported log from last month does not
become unverifiable because the system of record was away for a minute."""

RETRY_FIRST = timedelta(seconds=30)
RETRY_MAX = timedelta(hours=1)
"""Pause before a pending task is asked about again; it doubles from the first to the largest."""

UNANSWERED_AGAIN = timedelta(days=1)
"""Pause before a claim whose time is over is asked about again, because the system of record could never be asked: an ERP that was
away for a weekend leaves no claims behind that nobody ever looks at."""

PROBLEMS_MAX = 20
"""Different problems kept of one tick; the text of an exception may differ for every task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyLimits:
    """How much one tick may do.

    Attributes:
        calls_max: Questions; the rest is done by the next tick.
        call_timeout_s: Time for one question, seconds.
        hangs_max: Questions to one verifier that may time out before the rest is left to the next tick.
        failures_max: Questions to one verifier that may fail one after the other before the rest is left: a system that
            refuses a credential locks the account after a few, and one that is away is not helped by five hundred.
        tick_s: Time after which no further question is asked, seconds.
    """

    calls_max: int = 500
    call_timeout_s: float = 10.0
    hangs_max: int = 2
    failures_max: int = 5
    tick_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyProblem:
    """A verifier that could not be used as it should.

    Attributes:
        agent: Agent id.
        task_type: Task type whose verifier it is.
        text: What is wrong, where, and what to do.
    """

    agent: str
    task_type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What one tick did.

    Attributes:
        asked: Questions asked.
        found: Answers by status (`pending` includes questions that failed and will be asked again).
        more: Whether questions that are due now were left for the next tick.
        problems: Verifiers that could not be used, one for each task type at most for each cause.
    """

    asked: int = 0
    found: tuple[tuple[OutcomeStatus, int], ...] = ()
    more: bool = False
    problems: tuple[VerifyProblem, ...] = ()


@dataclass(slots=True)
class _Tick:
    """What is counted while a tick runs."""

    limits: VerifyLimits
    ends_s: float
    asked: int = 0
    more: bool = False
    found: Counter[OutcomeStatus] = field(default_factory=Counter)
    problems: dict[VerifyProblem, None] = field(default_factory=dict)
    share_asked: int = 0
    share_ends_s: float = 0.0

    def share(self, among: int) -> None:
        """Give the next verifier its part of what is left: a slow one takes nothing from those after it.

        Args:
            among: How many have still to be asked, this one included.
        """
        now_s = time.monotonic()
        self.share_asked = self.asked + math.ceil((self.limits.calls_max - self.asked) / among)
        self.share_ends_s = now_s + max(0.0, self.ends_s - now_s) / among

    def is_over(self) -> bool:
        return self.asked >= self.share_asked or time.monotonic() >= self.share_ends_s


def verify_due(
    installation: Installation,
    now: datetime,
    *,
    agent: str | None = None,
    thorough: bool = False,
    limits: VerifyLimits | None = None,
) -> VerifyReport:
    """Ask about every task that is due, within limits.

    A task is due once it is older than the charter's `after` and has no outcome, or a pending one whose
    pause is over. A question that stays open beyond `retry_for` becomes `unverifiable`, with the reason.

    Args:
        installation: Lake and ledger.
        now: The moment, aware UTC.
        agent: Only this agent; None for all that have a charter.
        thorough: Whether to look behind pages of settled tasks too, where a late import may have put
            some. The frequent tick of a server does not; an hourly one and the command line do.
        limits: How much to do; the defaults when None.

    Returns:
        What was asked and found. A verifier that is broken is a problem in it, never an exception.
    """
    used = limits or VerifyLimits()
    tick = _Tick(limits=used, ends_s=time.monotonic() + used.tick_s)
    waiting = [
        case
        for record in installation.ledger.charters()
        if agent is None or record.agent == agent
        for case in _cases(record, tick)
        if next(_due(installation.lake, installation.ledger, case, now, thorough=thorough), None) is not None
    ]
    waiting.sort(key=lambda case: _lot(case, now))
    for place, case in enumerate(waiting):
        tick.share(len(waiting) - place)
        _verify_case(installation, case, now, tick, thorough=thorough)
    return VerifyReport(
        asked=tick.asked,
        found=tuple(sorted(tick.found.items())),
        more=tick.more,
        problems=tuple(tick.problems),
    )


def _cases(record: CharterInForce, tick: _Tick) -> Iterator[VerifierCase]:
    try:
        charter = charter_of(record)
    except PilothouseError as error:
        tick.problems[VerifyProblem(agent=record.agent, task_type="", text=str(error))] = None
        return
    for name, task_type in charter.task_types.items():
        case = verifier_case(record, name, task_type)
        if case is not None:
            yield case


def _lot(case: VerifierCase, now: datetime) -> bytes:
    """Return a place in the order of a tick, another one in each: where many hang, none is always the last."""
    return hashlib.sha256(f"{now.isoformat()} {case.record.agent} {case.task_type}".encode()).digest()


def _verify_case(
    installation: Installation, case: VerifierCase, now: datetime, tick: _Tick, *, thorough: bool
) -> None:
    due = _due(installation.lake, installation.ledger, case, now, thorough=thorough)
    first = next(due, None)
    if first is None:
        return
    try:
        verifier = load_verifier(case.use, Path(case.record.path).parent)
    except ExtensionError as error:
        _note(tick, case, str(error))
        return
    answered: list[Outcome] = []
    hangs = failures = 0
    try:
        name = f"{case.record.agent} {case.use}"
        with Asker(verifier.ask, tick.limits.call_timeout_s, name=name) as asker:
            for task, known in _chain(first, due):
                if tick.is_over() or hangs >= tick.limits.hangs_max or failures >= tick.limits.failures_max:
                    tick.more = True
                    break
                answer = asker.ask(task)
                if answer.refused:
                    _note(tick, case, f"verifier {case.use!r}: {answer.problem}")
                    tick.more = True
                    break
                hangs += answer.timed_out
                failures = 0 if answer.finding is not None else failures + 1
                attempts = 1 if known is None else known.attempts + 1
                outcome = _outcome(case, verifier, task, answer, attempts=attempts, now=now)
                tick.asked += 1
                tick.found[outcome.status] += 1
                _note_answer(tick, case, verifier, answer)
                answered.append(outcome)
                if len(answered) >= SAVE_EVERY:
                    _save(installation.ledger, case, answered, tick)
                    answered.clear()
    finally:
        if answered:
            _save(installation.ledger, case, answered, tick)


def _save(ledger: Ledger, case: VerifierCase, answered: list[Outcome], tick: _Tick) -> None:
    """Keep answers; one about a task whose own words no database can hold costs no other its place."""
    try:
        ledger.save_outcomes(answered)
    except MalformedRecord:
        for outcome in answered:
            try:
                ledger.save_outcomes([outcome])
            except MalformedRecord as error:
                _note(tick, case, f"task {outcome.trace_id[:8]}: {error}")


def _chain(
    first: tuple[Task, Outcome | None], rest: Iterator[tuple[Task, Outcome | None]]
) -> Iterator[tuple[Task, Outcome | None]]:
    yield first
    yield from rest


def _due(
    lake: Lake, ledger: Ledger, case: VerifierCase, now: datetime, *, thorough: bool
) -> Iterator[tuple[Task, Outcome | None]]:
    """Give the tasks to ask about, newest first, page by page."""
    due_ns = unix_ns(now - case.after)
    wanted = TaskFilter(
        agent=case.record.agent, task_type=case.task_type, from_ns=unix_ns(now - HORIZON), to_ns=due_ns
    )
    before: TaskCursor | None = None
    limit = FIRST_PAGE_TASKS
    while True:
        page = lake.tasks(wanted, limit=limit, before=before)
        claims = [task for task in page.tasks if says_done(task) and not is_erased(task.claim)]
        known = ledger.outcomes_of([task.trace_id for task in claims])
        settled = True
        for task in claims:
            outcome = standing_outcome(task, known.get(task.trace_id))
            if outcome is not None and outcome.status is not OutcomeStatus.PENDING:
                if thorough and outcome.is_unanswered and now >= outcome.verified_at + UNANSWERED_AGAIN:
                    yield task, outcome
                continue
            settled = False
            if task.end_ns <= due_ns and (outcome is None or _is_paused_no_more(outcome, now)):
                yield task, outcome
        if page.next_cursor is None or (claims and settled and not thorough):
            return
        before, limit = page.next_cursor, PAGE_TASKS


def _is_paused_no_more(outcome: Outcome, now: datetime) -> bool:
    """Return whether a pending claim is asked about again; an answer from the future is of a clock that was ahead."""
    doubled: timedelta = RETRY_FIRST * (1 << min(outcome.attempts - 1, 16))
    return now >= outcome.verified_at + min(RETRY_MAX, doubled) or now < outcome.verified_at - RETRY_MAX


def _outcome(
    case: VerifierCase, verifier: LoadedVerifier, task: Task, answer: Answer, *, attempts: int, now: datetime
) -> Outcome:
    status, found, critical = _settle(case, task, answer, attempts, now)
    return Outcome(
        trace_id=task.trace_id,
        agent=task.agent,
        task_type=task.task_type,
        version_digest=task.version_digest,
        task_start_ns=task.start_ns,
        claim=task.claim,
        status=status,
        found=found,
        critical=critical,
        verifier=verifier.identity,
        verified_at=now,
        attempts=attempts,
    )


def _settle(
    case: VerifierCase, task: Task, answer: Answer, attempts: int, now: datetime
) -> tuple[OutcomeStatus, str, str | None]:
    """Decide what an answer comes to: settled, asked again later, or never to be known."""
    is_late = unix_ns(now) >= task.end_ns + (case.after + case.retry_for) // timedelta(microseconds=1) * 1_000
    finding = answer.finding
    if finding is None:
        reason = f"{UNANSWERED}{answer.problem}"
        given_up = is_late and attempts >= ERROR_ATTEMPTS_MIN
        return (OutcomeStatus.UNVERIFIABLE if given_up else OutcomeStatus.PENDING), reason, None
    if finding.status is OutcomeStatus.PENDING and is_late:
        reason = finding.found or "the system of record had no answer"
        return OutcomeStatus.UNVERIFIABLE, f"still pending after `retry_for`: {reason}", None
    return finding.status, finding.found, finding.critical


def _note_answer(tick: _Tick, case: VerifierCase, verifier: LoadedVerifier, answer: Answer) -> None:
    if answer.finding is None:
        remedy = (
            "Return a Finding, an OutcomeStatus or a bool."
            if answer.broken
            else "See docs/how-to/verify-outcomes.md; it is asked again until `retry_for` is over."
        )
        error = ExtensionError(f"verifier {case.use!r}: {answer.problem}.", remedy=remedy, subject=case.use)
        _note(tick, case, f"{verifier.file}: {error}")
    elif (
        answer.finding.critical is not None
        and case.critical is not None
        and answer.finding.critical not in case.critical
    ):
        _note(tick, case, unlisted_critical(answer.finding.critical, case.task_type))


def _note(tick: _Tick, case: VerifierCase, text: str) -> None:
    problem = VerifyProblem(agent=case.record.agent, task_type=case.task_type, text=text)
    if len(tick.problems) < PROBLEMS_MAX:
        tick.problems[problem] = None
