# SPDX-License-Identifier: Apache-2.0
"""What users need to test their own charters and verifiers: the ports, kept in memory.

The contract suite of each port runs on these and on the real ones, so a double that behaves
otherwise is a failing test. Nothing inside the package imports this module.

```python
from pilothouse.testing import example_task
from pilothouse.core.evidence.outcome import OutcomeStatus

def booked(task):
    return OutcomeStatus.VERIFIED if '"booked"' in (task.claim or "") else OutcomeStatus.CONTRADICTED

assert booked(example_task(claim='{"state": "booked"}')) is OutcomeStatus.VERIFIED
```
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pilothouse.core.evidence.claim import erased_claim, is_erased
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.price import Price, TokenClass
from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.spellings import says, spellings
from pilothouse.core.evidence.standing import replaces
from pilothouse.core.evidence.task import Task, TaskResult, TaskState
from pilothouse.errors import Conflict, DigestMismatch, LimitExceeded
from pilothouse.ports.lake import CANARY_AGENT, AgentSeen, TaskCursor, TaskFilter, TaskPage, TraceView
from pilothouse.ports.ledger import (
    DECISIONS_MAX,
    EVIDENCE_MAX,
    OUTCOME_IDS_MAX,
    OUTCOMES_MAX,
    CharterInForce,
    Decision,
)
from pilothouse.ports.planted import SHADOW

__all__ = ["EXAMPLE_NOW", "FixedClock", "MemoryLake", "MemoryLedger", "example_task"]

EXAMPLE_NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The moment at which examples take place."""

TASKS_MAX = 10_000
"""Largest page of the lake."""


class FixedClock:
    """A clock that stands still until it is moved.

    Args:
        moment: What it shows, aware UTC.

    Example:
        >>> clock = FixedClock()
        >>> clock.advance(timedelta(hours=1))
        >>> clock.now().hour
        13
    """

    def __init__(self, moment: datetime = EXAMPLE_NOW) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """Return the moment it shows."""
        return self._moment

    def advance(self, duration: timedelta) -> None:
        """Move it, also backwards."""
        self._moment += duration


def example_task(**fields: Any) -> Task:
    """Return a complete task that claims to be done, with some fields of your own.

    Args:
        **fields: Fields of `Task` that matter to the test.

    Example:
        >>> example_task(agent="refunds", claim="{}").agent
        'refunds'
    """
    end_ns = int(EXAMPLE_NOW.timestamp()) * 1_000_000_000 - 3_600_000_000_000
    base = Task(
        trace_id="0123456789abcdef0123456789abcdef",
        agent="ap-invoice-triage",
        task_type="po_invoice",
        result=TaskResult.COMPLETED,
        claim='{"claim":"routed"}',
        start_ns=end_ns - 2_000_000_000,
        end_ns=end_ns,
        duration_ns=2_000_000_000,
    )
    return replace(base, **fields)


class MemoryLake:
    """`ports.Lake` over tasks that a test hands in.

    Args:
        tasks: Tasks in any order; of two with one trace id, the later one counts.
        scores: What evaluators outside of Pilothouse sent.
    """

    def __init__(self, tasks: Iterable[Task] = (), scores: Iterable[Score] = ()) -> None:
        self._tasks: dict[str, Task] = {}
        self._scores = tuple(scores)
        self.add(tasks)

    def add(self, tasks: Iterable[Task]) -> None:
        """Add tasks, or put corrected ones in place of those with the same trace id."""
        self._tasks.update((task.trace_id, task) for task in tasks)

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first, at most `limit` (1..10,000)."""
        if not 1 <= limit <= TASKS_MAX:
            raise LimitExceeded(
                f"{limit:,} tasks asked for at once, 1 to {TASKS_MAX:,} are given",
                remedy=f"Ask with `--limit {TASKS_MAX}` at most.",
            )
        found = [
            task
            for task in self._matching(wanted)
            if before is None or _position(task) < (before.start_ns, before.trace_id)
        ]
        page = tuple(found[:limit])
        more = len(found) > limit
        cursor = TaskCursor(start_ns=page[-1].start_ns, trace_id=page[-1].trace_id) if more else None
        return TaskPage(tasks=page, next_cursor=cursor)

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window (both ends required) for folding."""
        if wanted.from_ns is None or wanted.to_ns is None:
            raise LimitExceeded("a window needs both ends", remedy="Give `from_ns` and `to_ns`.")
        return tuple(self._matching(wanted))

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return nothing: whatever a test hands in is a task."""
        del wanted
        return ()

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return the scores of a half-open window."""
        return tuple(score for score in self._scores if from_ns <= score.at_ns < to_ns)

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return the task of a trace without spans, or None when nothing has it."""
        del limit
        task = self._tasks.get(trace_id)
        return None if task is None else TraceView(task=task, spans=(), spans_total=0)

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return the traces among these that are known, by id."""
        found = {trace_id: self.trace(trace_id) for trace_id in trace_ids}
        return {trace_id: view for trace_id, view in found.items() if view is not None}

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks, by name."""
        by_agent: dict[str, list[Task]] = {}
        for task in sorted(self._tasks.values(), key=_position):
            by_agent.setdefault(task.agent, []).append(task)
        return tuple(
            AgentSeen(
                agent=agent,
                tasks=sum(task.state is TaskState.COMPLETE for task in tasks),
                first_ns=tasks[0].start_ns,
                last_ns=tasks[-1].start_ns,
                versions=tuple(
                    dict.fromkeys(task.version_digest for task in reversed(tasks) if task.version_digest)
                ),
            )
            for agent, tasks in sorted(by_agent.items())
        )

    def _matching(self, wanted: TaskFilter) -> list[Task]:
        return sorted(
            (task for task in self._tasks.values() if _matches(task, wanted)), key=_position, reverse=True
        )


def _position(task: Task) -> tuple[int, str]:
    return (task.start_ns, task.trace_id)


def _matches(task: Task, wanted: TaskFilter) -> bool:
    exact = ("agent", "task_type", "version_digest", "environment", "result", "state")
    return (
        all(getattr(wanted, name) in (None, getattr(task, name)) for name in exact)
        and not (wanted.leaves_out_shadows and task.environment == SHADOW)
        and not (wanted.leaves_out_canaries and task.agent == CANARY_AGENT)
        and (wanted.from_ns is None or task.start_ns >= wanted.from_ns)
        and (wanted.to_ns is None or task.start_ns < wanted.to_ns)
        and task.trace_id.startswith(wanted.trace_prefix or "")
        and all(
            word in f"{task.input_preview} {task.output_preview}".lower()
            for word in (wanted.text or "").lower().split()
        )
        and _amounts_match(task, wanted)
        and _names_match(task, wanted)
    )


def _names_match(task: Task, wanted: TaskFilter) -> bool:
    texts = (task.input_preview.lower(), task.output_preview.lower())  # all the text that a double keeps
    return (
        (
            wanted.error_type is None
            or (task.error_type is not None and _like(task.error_type, wanted.error_type))
        )
        and (wanted.tool is None or any(_like(tool, wanted.tool) for tool in task.tools))
        and (wanted.model is None or any(_like(model, wanted.model) for model in task.models))
        and (wanted.said is None or any(wanted.said.lower() in text for text in texts))
        and (wanted.held is None or wanted.held.lower() in (task.claim or "").lower())
    )


def _amounts_match(task: Task, wanted: TaskFilter) -> bool:
    cost, known = task.cost_usd, task.cost_known_usd if task.cost_usd is None else task.cost_usd
    took, tokens = task.duration_ns, task.tokens.total
    return (
        (wanted.cost_over is None or known > wanted.cost_over)
        and (wanted.cost_under is None or (cost is not None and cost < wanted.cost_under))
        and (wanted.took_ns_over is None or (took is not None and took > wanted.took_ns_over))
        and (wanted.took_ns_under is None or (took is not None and took < wanted.took_ns_under))
        and (wanted.tokens_over is None or tokens > wanted.tokens_over)
        and (wanted.tokens_under is None or tokens < wanted.tokens_under)
    )


def _like(name: str, pattern: str) -> bool:
    return (
        re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name, re.DOTALL) is not None
    )


class MemoryLedger:
    """`ports.Ledger` in memory: forgets everything at the end of the process; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._charters: dict[str, list[CharterInForce]] = {}
        self._evidence: dict[str, Evidence] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._verdicts: list[tuple[str, datetime, str, str]] = []
        self._decisions: list[Decision] = []
        self._prices: dict[tuple[str, str, TokenClass, datetime], Price] = {}

    def accept_charter(
        self,
        *,
        agent: str,
        digest: str,
        text: str,
        path: str,
        at: datetime,
        files: Mapping[str, str] | None = None,
    ) -> CharterInForce:
        """Put a charter into force; one that is in force already, with the same files, changes nothing."""
        beside = None if files is None else tuple(sorted(files.items()))
        with self._lock:
            history = self._charters.setdefault(agent, [])
            if not history or history[-1].digest != digest or beside not in {None, history[-1].files}:
                history.append(
                    CharterInForce(
                        agent=agent,
                        digest=digest,
                        text=text,
                        path=path,
                        accepted_at=at,
                        number=len(history) + 1,
                        files=beside,
                    )
                )
            return history[-1]

    def charter(
        self, agent: str, *, at: datetime | None = None, number: int | None = None
    ) -> CharterInForce | None:
        """Return the charter in force now, at a past moment, or of a number; None when there is none."""
        history = [
            one
            for one in self._charters.get(agent, ())
            if (at is None or one.accepted_at <= at) and number in {None, one.number}
        ]
        return history[-1] if history else None

    def charters(self) -> Sequence[CharterInForce]:
        """Return the charter in force of every agent, by agent."""
        return tuple(history[-1] for _, history in sorted(self._charters.items()))

    def add_evidence(self, records: Sequence[Evidence]) -> int:
        """Store records, deduplicated by content, and return how many were new."""
        with self._lock:
            before = len(self._evidence)
            for record in records:
                self._evidence.setdefault(evidence_digest(record), record)
            return len(self._evidence) - before

    def extend_evidence(
        self,
        agent: str,
        *,
        since: datetime,
        kinds: Collection[str],
        following: Callable[[Sequence[Evidence]], Sequence[Evidence]],
    ) -> Sequence[Evidence]:
        """Store records derived from the current ones, atomically, and return them."""
        with self._lock:
            records = following(self.evidence(agent, since=since, kinds=kinds))
            self.add_evidence(records)
        return records

    def evidence(
        self, agent: str, *, since: datetime | None = None, kinds: Collection[str] | None = None
    ) -> Sequence[Evidence]:
        """Return an agent's records, oldest first, optionally of some kinds or recorded since a moment."""
        found = sorted(
            (record.recorded_at, digest, record)
            for digest, record in self._evidence.items()
            if record.agent == agent
            and (since is None or record.recorded_at >= since)
            and (kinds is None or record.kind in kinds)
        )
        _refuse_more_than(EVIDENCE_MAX, len(found), "records of evidence", agent)
        return tuple(record for _, _, record in found)

    def standing_evidence(
        self,
        agent: str,
        *,
        at: datetime,
        version: str | None,
        decides: Callable[[Evidence], bool],
        kinds: Collection[str] | None = None,
    ) -> Sequence[Evidence]:
        """Return the records of an agent that were written until a moment, oldest first."""
        del version, decides  # nothing is left out
        return tuple(record for record in self.evidence(agent, kinds=kinds) if record.recorded_at <= at)

    def save_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Store the current outcome of each task; a later one replaces a `pending` one, or one about another claim."""
        with self._lock:
            latest = {outcome.trace_id: outcome for outcome in outcomes}
            for trace_id, outcome in latest.items():
                stored = self._outcomes.get(trace_id)
                if stored is None or replaces(outcome, stored):
                    self._outcomes[trace_id] = outcome

    def outcomes(self, agent: str, *, from_ns: int, to_ns: int) -> Sequence[Outcome]:
        """Return outcomes of tasks that started in the half-open window, by start."""
        found = sorted(
            (
                outcome
                for outcome in self._outcomes.values()
                if outcome.agent == agent and from_ns <= outcome.task_start_ns < to_ns
            ),
            key=lambda outcome: (outcome.task_start_ns, outcome.trace_id),
        )
        _refuse_more_than(OUTCOMES_MAX, len(found), "outcomes", agent)
        return tuple(found)

    def outcomes_holding(self, subject: str) -> Sequence[str]:
        """Return the traces of outcomes in whose claim or finding a subject stands."""
        spelled = spellings(subject)
        return tuple(
            trace_id
            for trace_id, one in sorted(self._outcomes.items())
            if says(f"{one.claim} {one.found}", spelled)
        )

    def erase_claims(self, claims: Mapping[str, str | None], *, at: datetime, actor: str) -> int:
        """Overwrite what outcomes of some traces say in words."""
        del at, actor
        done = 0
        with self._lock:
            for trace_id in claims.keys() & self._outcomes.keys():
                one = self._outcomes[trace_id]
                if one.found or not (one.claim is None or is_erased(one.claim)):
                    self._outcomes[trace_id] = replace(
                        one, claim=erased_claim(one.claim, claims[trace_id]), found=""
                    )
                    done += 1
        return done

    def outcomes_of(self, trace_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return current outcomes of some tasks, by trace id (at most 10,000 ids)."""
        _refuse_more_than(OUTCOME_IDS_MAX, len(trace_ids), "outcomes", "outcomes")
        return {trace_id: self._outcomes[trace_id] for trace_id in trace_ids if trace_id in self._outcomes}

    def save_verdict(self, *, agent: str, at: datetime, status: str, document: str, digest: str) -> None:
        """Store a verdict (canonical JSON) under its digest; equal bytes change nothing."""
        del status
        if hashlib.sha256(document.encode()).hexdigest() != digest:
            raise DigestMismatch(
                f"a verdict of {agent!r} does not have the digest it came with",
                remedy=f"Compute it again: `pilothouse verdict {agent}`.",
                subject=digest,
            )
        with self._lock:
            if not any(known[0] == agent and known[2] == digest for known in self._verdicts):
                self._verdicts.append((agent, at, digest, document))

    def latest_verdict(self, agent: str, *, at: datetime | None = None) -> str | None:
        """Return the newest frozen verdict at or before a moment, as JSON text, or None."""
        found = [
            (moment, order, document)
            for order, (name, moment, _, document) in enumerate(self._verdicts)
            if name == agent and (at is None or moment <= at)
        ]
        return max(found)[2] if found else None

    def record(
        self, *, kind: str, agent: str, at: datetime, actor: str, document: str, after: int | None = None
    ) -> int:
        """Append one decision (JSON text) and return its sequence number; a newer one of its kind than `after` is a conflict."""
        with self._lock:
            if after is not None and any(
                one.sequence > after for one in self.decisions(agent, kind=kind, limit=1)
            ):
                raise Conflict(
                    f"another {kind} of {agent!r} was recorded meanwhile",
                    remedy="Look at what stands now, and decide again.",
                    subject=agent,
                )
            sequence = len(self._decisions) + 1
            self._decisions.append(
                Decision(sequence=sequence, kind=kind, agent=agent, at=at, actor=actor, document=document)
            )
            return sequence

    def decisions(
        self, agent: str, *, kind: str | None = None, limit: int = 100, before: int | None = None
    ) -> Sequence[Decision]:
        """Return decisions about an agent, newest first, at most `limit` (1..1,000), of sequences below `before`."""
        if not 1 <= limit <= DECISIONS_MAX:
            raise LimitExceeded(
                f"{limit:,} decisions asked for at once, 1 to {DECISIONS_MAX:,} are given",
                remedy=f"Ask with a limit of at most {DECISIONS_MAX}.",
                subject=agent,
            )
        found = [
            one
            for one in reversed(self._decisions)
            if one.agent == agent and kind in (None, one.kind) and (before is None or one.sequence < before)
        ]
        return tuple(found[:limit])

    def add_prices(self, prices: Sequence[Price], *, at: datetime, actor: str) -> int:  # noqa: ARG002 - no log here
        """Store prices and return how many were new; all of them or none."""
        with self._lock:
            merged = dict(self._prices)
            for price in prices:
                key = (price.provider, price.model, price.token_class, price.valid_from)
                if merged.setdefault(key, price) != price:
                    raise Conflict(
                        f"another price of {price.provider} {price.model!r} for that start is known",
                        remedy="Give the new price a later `valid_from`.",
                        subject=price.model,
                    )
            added = len(merged) - len(self._prices)
            self._prices = merged
            return added

    def prices(self) -> Sequence[Price]:
        """Return every price by provider, model, class and start."""
        return tuple(price for _, price in sorted(self._prices.items(), key=lambda item: item[0]))


def _refuse_more_than(most: int, asked: int, what: str, subject: str) -> None:
    if asked > most:
        raise LimitExceeded(
            f"{asked:,} {what} in one answer are too many",
            remedy="Ask for a shorter window, or page by page.",
            subject=subject,
        )
