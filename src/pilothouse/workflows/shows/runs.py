# SPDX-License-Identifier: Apache-2.0
"""Gather the Runs pages, and hold two recorded runs against each other call by call (run log → view model)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest

from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse, RecordedRun
from pilothouse.errors import UnknownName
from pilothouse.ports.runlog import RunLog
from pilothouse.reports.run_page import CallPair, CaseOffer, ReplayOffer, RunDifference, Taken, build_run
from pilothouse.reports.runs import build_runs
from pilothouse.reports.sections import SectionsPage
from pilothouse.runtime.context.conversation import last_said
from pilothouse.runtime.context.edits import recall_id
from pilothouse.runtime.context.ledger import recall_from
from pilothouse.runtime.replay.answers import read_answer
from pilothouse.runtime.replay.divergence import differences, shown_pair
from pilothouse.runtime.replay.exchange import Exchange, exchanges
from pilothouse.workflows.shows.played_again import answers_apart, instructions_of

__all__ = ["RUNS_SHOWN", "compare_runs", "run_of", "show_run", "show_runs"]

RUNS_SHOWN = 100
"""Runs on one page, newest first; a link leads to those before them."""

OTHERS_SHOWN = 5


def show_runs(log: RunLog, agent: str, now: datetime, *, before_ns: int | None = None) -> SectionsPage:
    """Return a page of the list of recorded runs.

    Args:
        log: The run log.
        agent: Agent id.
        now: The moment, aware UTC.
        before_ns: Only runs opened before this, Unix nanoseconds; None for the newest.
    """
    found = list(log.runs(agent=agent, until_ns=before_ns, limit=RUNS_SHOWN + 1))
    older = found.pop() if len(found) > RUNS_SHOWN else None
    # Runs of one moment stand on one page: the next begins before a moment.
    while older and len(found) > 1 and found[-1].opened_ns == older.opened_ns:
        found.pop()
    return build_runs(agent, found, now, before_ns=before_ns, has_older=older is not None)


def show_run(
    log: RunLog,
    agent: str,
    run: str,
    now: datetime,
    *,
    against: str = "",
    removed: str = "",
    case: CaseOffer | None = None,
    replay: ReplayOffer | None = None,
    beside: RunDifference | None = None,
) -> SectionsPage:
    """Return the page of one recorded run.

    Args:
        log: The run log.
        agent: Agent id.
        run: Run id, or enough of its beginning.
        now: The moment, aware UTC.
        against: Another run to compare with, or empty.
        removed: Beginning of the digest of a removed result that is to be read, or empty.
        case: What the visitor may make of it, or None.
        replay: How the visitor may play it again here, or None.
        beside: Its replay, call by call, or None.

    Raises:
        UnknownName: There is no such run of this agent.
    """
    recorded = run_of(log, agent, run)
    own = recorded.summary.run
    calls = exchanges(recorded)
    others = [one for one in log.runs(agent=agent, limit=OTHERS_SHOWN + 1) if one.run != own]
    difference = compare_runs(recorded, run_of(log, agent, against)) if against else beside
    return build_run(
        recorded,
        now,
        said=_said(recorded, calls),
        taken=_taken(recorded, removed) if removed else None,
        case=case,
        replay=replay,
        instructions=instructions_of(calls) if replay and replay.may_play else None,
        others=others[:OTHERS_SHOWN],
        difference=difference,
    )


def _said(recorded: RecordedRun, answered: Sequence[Exchange]) -> dict[int, str]:
    """Return what the last message of each request and each answer says, by the number of its event."""
    calls = {call.call: call for call in answered}
    # Of a call whose answer came later the first answer is a promise, which says nothing.
    last = {one.call: one.seq for one in recorded.events if isinstance(one.event, ModelResponse)}
    found = {}
    for logged in recorded.events:
        call = calls.get(logged.call)
        if call is not None and isinstance(logged.event, ModelRequest):
            found[logged.seq] = last_said(call.document or {})
        elif call is not None and last.get(logged.call) == logged.seq:
            found[logged.seq] = _answer(call) or ""
    return found


def _taken(recorded: RecordedRun, digest: str) -> Taken:
    ident = recall_id(recorded.summary.run, digest)
    content = recall_from(recorded, ident)
    if content is None:
        raise UnknownName(
            f"nothing was taken out of run {recorded.summary.run[:8]} under {digest[:80]!r}",
            remedy="Follow a link of its page.",
            subject=digest,
        )
    return Taken(ident=ident, content=content)


def compare_runs(here: RecordedRun, there: RecordedRun) -> RunDifference:
    """Hold two runs against each other; the first differing request or answer is where they part.

    Args:
        here: One run.
        there: The other.
    """
    pairs = zip_longest(exchanges(here), exchanges(there))
    return RunDifference(
        other=f"run {there.summary.run[:8]}",
        calls=tuple(_pair(number, one, other) for number, (one, other) in enumerate(pairs, 1)),
    )


def _pair(number: int, one: Exchange | None, other: Exchange | None) -> CallPair:
    here, there = answers_apart(_answer(one), _answer(other))
    asked, values = _asked(one, other)
    return CallPair(number=number, asked=asked, values=values, here=here, there=there)


def _asked(one: Exchange | None, other: Exchange | None) -> tuple[str, tuple[str, str] | None]:
    """Return where two requests differ first, and what stands there in each; empty and None where they do not."""
    # Most requests of two runs are equal, and long: bytes are compared before what they say.
    if one is None or other is None or (one.route, one.body) == (other.route, other.body):
        return "", None
    if one.document is None or other.document is None:
        return "its address" if one.route != other.route else "its body", None
    path, *values = next(differences(one.document, other.document), ("",))
    shown = shown_pair(*values) if values else None
    return "its address" if one.route != other.route else path, shown


def _answer(one: Exchange | None) -> str | None:
    if one is None:
        return None
    found = read_answer(one.response.status, one.response.body)
    said = [found.text] if found.text else []
    said += [f"{name}({args})" for name, args in found.tools]
    return " ".join(said) or f"HTTP {found.status}"


def run_of(log: RunLog, agent: str, run: str) -> RecordedRun:
    """Return a recorded run.

    Raises:
        UnknownName: There is no such run of this agent.
    """
    recorded = log.read(run)
    if recorded.summary.agent != agent:
        raise UnknownName(
            f"run {run!r} is not one of {agent}",
            remedy=f"List them: /agents/{agent}/runs",
            subject=run,
        )
    return recorded
