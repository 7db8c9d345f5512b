# SPDX-License-Identifier: Apache-2.0
"""Play a recorded run again, its calls alone or with the agent's code, and report what came of it."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Literal, Protocol

from pilothouse.core.evidence.run_log import Draw, OutputHeld, RecordedRun, Replayable
from pilothouse.errors import EvidenceError, UsageError
from pilothouse.reading_git import ask_git
from pilothouse.runtime.context.conversation import tool_results
from pilothouse.runtime.context.ledger import ID, removed_results
from pilothouse.runtime.replay.answers import Answer, error_told, read_answer
from pilothouse.runtime.replay.divergence import Divergence
from pilothouse.runtime.replay.exchange import Exchange, exchanges
from pilothouse.runtime.replay.live import LiveModel
from pilothouse.runtime.replay.masks import NO_MASKS, Covered, MaskSet
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.sandbox import Refusal, prepare_sandbox
from pilothouse.runtime.replay.session import Counts, Diverge, Live, ReplaySession, Serve
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.runtime.runlog.redaction import Redaction

__all__ = [
    "Comparison",
    "ReplayReport",
    "ReplayRequest",
    "ServeReplay",
    "Served",
    "recorded_words",
    "replay_run",
]

TEXT_SHOWN_MAX = 400
"""Characters of an answer that a report shows."""

REPEATS_MAX = 100
"""Replays of one run in one command."""


class Served(Protocol):
    """A replay server that runs."""

    @property
    def port(self) -> int:
        """Port on loopback."""
        ...


ServeReplay = Callable[
    [
        Mapping[str, ReplaySession],
        LiveModel | None,
        Callable[[Serve | Live, int, bytes], None],
        Path | None,
    ],
    AbstractContextManager[Served],
]
"""Serves sessions by run id, on a socket file too, and tells of live answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What is asked of a replay.

    Attributes:
        mode: What happens to a request that the record does not have.
        command: The agent's own command, or None for its calls alone.
        folder: Folder of the agent's code.
        substitution: What is changed.
        live: Address of a gateway for calls that leave the record, or None.
        live_key: Key for it, or None.
        live_s: How long a live model is asked for all calls together, seconds; None for as long as it takes.
        allowed_tools: Tools whose unseen calls may keep what they returned inside.
        allowed_programs: Programs that the agent may start.
        repeats: How often.
        timeout_s: How long the agent may take.
        must_touch: Whether a change that no recorded request knows is a mistake.
        looks_up: Whether telemetry is asked what the run had retrieved, to name a difference; many replays do without.
        masks: What may differ and means nothing.
    """

    mode: ReplayMode = ReplayMode.STRICT
    command: str | None = None
    folder: Path = field(default_factory=Path.cwd)
    substitution: Substitution = field(default_factory=Substitution)
    live: str | None = None
    live_key: str | None = None
    live_s: float | None = None
    allowed_tools: frozenset[str] = frozenset()
    allowed_programs: tuple[str, ...] = ()
    repeats: int = 1
    timeout_s: float = 300.0
    must_touch: bool = False
    looks_up: bool = True
    masks: MaskSet = NO_MASKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A recorded answer beside a live one.

    Attributes:
        call: Number of the recorded call, or None for a further one.
        is_same: Whether both say the same and call the same tools with the same arguments.
        recorded: What the record says, shortened.
        live: What the live model says, or why it says nothing, shortened.
        status: HTTP status of the live answer.
        calls_otherwise: Whether the live one calls other tools, or with other arguments.
    """

    call: int | None
    is_same: bool
    recorded: str
    live: str
    status: int
    calls_otherwise: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the live model gave no answer."""
        return self.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What came of one replay.

    Attributes:
        run: Run id.
        agent: Agent.
        head: Digest of the last event of the record.
        mode: How it was replayed.
        grain: `calls` alone, or the agent's `code`.
        change: What was changed, in words.
        calls: Recorded calls.
        counts: Where answers came from.
        divergence: First divergence, or None.
        comparisons: Live answers beside recorded ones.
        refusals: What the agent tried and was refused.
        exit_status: Of the agent, or None without its code.
        counterfactual: `full` when nothing was blocked or refused, every request could be changed, every live call was
            answered, and by calls alone no step asked for other tools than the history behind it has, else `partial`;
            `none` when nothing left the record.
        recorded: What the run ended with.
        final: What the replay ended with; None when it stopped before its end, or the agent failed.
        masks: Masks that were in force.
        covered: What differed and was covered by them.
        twins: Commands of the run of which nothing tells which of two equal ones they were.
        models: Models that answered in the record, sorted.
        is_cut: Whether the record may be shorter than what happened.
        held: Ids of answers that were held: the record has what the client was told, which the model did not say.
    """

    run: str
    agent: str
    head: str
    mode: ReplayMode
    grain: Literal["calls", "code"]
    change: str
    calls: int
    counts: Counts
    divergence: Divergence | None
    comparisons: tuple[Comparison, ...]
    refusals: tuple[Refusal, ...]
    exit_status: int | None
    counterfactual: Literal["none", "full", "partial"]
    recorded: Answer
    final: Answer | None
    masks: MaskSet
    covered: tuple[Covered, ...]
    twins: int = 0
    models: tuple[str, ...] = ()
    is_cut: bool = False
    held: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether every call was the recorded one, but for what masks cover, and none was left out."""
        return self.divergence is None and self.counts.live == 0

    @property
    def is_undecided(self) -> bool:
        """Whether it differs, perhaps only because one of two equal commands was given what the other drew."""
        return self.twins > 0 and not self.is_equal


def replay_run(
    recorded: RecordedRun,
    redaction: Redaction,
    request: ReplayRequest,
    serve: ServeReplay | None,
    retrieved: Callable[[], Sequence[str]] = tuple,
) -> tuple[ReplayReport, ...]:
    """Replay a run as often as asked.

    Args:
        recorded: The run.
        redaction: What the record was written through.
        request: What is asked.
        serve: Starts a replay server; None where no code is run.
        retrieved: Returns the texts that retrieval steps of the run brought in; asked at most once for each replay.

    Raises:
        EvidenceError: The run cannot be replayed.
        UsageError: The request does not fit together.
    """
    calls = exchanges(recorded)
    _check(recorded, request, calls)
    return tuple(
        _once(recorded, calls, redaction, request, serve, retrieved=retrieved) for _ in range(request.repeats)
    )


def _why_not(recorded: RecordedRun) -> tuple[str, str]:
    """Return why a run cannot be replayed, and what to do."""
    summary = recorded.summary
    remedy = f"See what is left: `pilothouse replay {summary.run} --show`"
    if recorded.damage:
        return recorded.damage, remedy
    if summary.replayable is Replayable.ERASED:
        return "its content was erased", remedy
    if summary.replayable is Replayable.UNRECORDED:
        return (
            "its model calls were not recorded by choice",
            "Record the next one: `pilothouse run -- CMD`, without `--record off`",
        )
    if summary.lost:
        return f"{summary.lost} events of it could not be written", remedy
    if summary.calls:
        return "it has no model call that was answered", remedy
    why = "only its tool calls are here; the model's client sent no `traceparent`, so its calls are a run of their own"
    by_time = f"Find that run by its time: `pilothouse replay --list --agent {summary.agent}`."
    return (
        why,
        f"{by_time} To name one run at the start: `pilothouse run --taps clock,uuid,random -- CMD`",
    )


def _check(recorded: RecordedRun, request: ReplayRequest, calls: tuple[Exchange, ...]) -> None:
    run = recorded.summary.run
    if not recorded.summary.replayable.is_playable or not calls:
        why, remedy = _why_not(recorded)
        raise EvidenceError(f"run {run} cannot be replayed: {why}", remedy=remedy, subject=run)
    if request.mode is ReplayMode.COMPARE and request.live is None:
        raise UsageError(
            "compare asks a live model too", remedy="Name one: `--upstream http://127.0.0.1:4318/gw`"
        )
    if request.substitution.code is not None and request.command is None:
        raise UsageError(
            "another revision of the code needs the command that runs it",
            remedy="Give it: `--exec 'python agent.py'`",
        )
    change = replace(request.substitution, code=None)
    if request.must_touch and not change.is_empty and not any(_touches(change, call) for call in calls):
        tools = ", ".join(
            dict.fromkeys(result.call_id for call in calls for result in tool_results(call.document or {}))
        )
        raise UsageError(
            f"{change.label()} changes nothing in the {len(calls)} requests of run {run[:8]}"
            + (f"; its tool results are {tools[:TEXT_SHOWN_MAX]}" if change.tool_results else ""),
            remedy=f"Look at what was asked: `pilothouse replay {run[:12]} --show --json`",
            subject=run,
        )
    if not 1 <= request.repeats <= REPEATS_MAX:
        raise UsageError(
            f"{request.repeats} repeats are not from 1 to {REPEATS_MAX}", remedy="Give `--repeat 5`"
        )


def _cleaned(retrieved: Callable[[], Sequence[str]], redaction: Redaction) -> Callable[[], Sequence[str]]:
    """Take out of texts what was taken out of the record that they are looked for in."""
    return lambda: [redaction.apply(text.encode("utf-8", "replace")).decode() for text in retrieved()]


def _touches(change: Substitution, call: Exchange) -> bool:
    return (
        call.is_answering and call.document is not None and change.apply(call.document) is not call.document
    )


def _once(
    recorded: RecordedRun,
    calls: tuple[Exchange, ...],
    redaction: Redaction,
    request: ReplayRequest,
    serve: ServeReplay | None,
    *,
    retrieved: Callable[[], Sequence[str]],
) -> ReplayReport:
    session = ReplaySession(
        calls,
        request.mode,
        redaction,
        substitution=request.substitution,
        allowed_tools=request.allowed_tools,
        removed=removed_results(recorded),
        retrieved=_cleaned(retrieved, redaction),
        masks=request.masks,
    )
    live = None if request.live is None else LiveModel(request.live, request.live_key, total_s=request.live_s)
    comparisons: list[Comparison] = []
    told: list[tuple[Serve | Live, Answer]] = []
    last = next((call for call in reversed(calls) if call.is_answering), calls[-1])

    def compare(decision: Serve | Live, status: int, body: bytes, call: Exchange | None = None) -> None:
        told.append((decision, read_answer(status, body)))
        comparisons.append(_compared(call or decision.exchange, status, body))

    refusals: tuple[Refusal, ...] = ()
    exit_status: int | None = None
    if request.command is None or serve is None:
        asyncio.run(_replay_calls(calls, session, live, compare))
    else:
        exit_status, refusals = _replay_code(
            recorded, request, lambda file: serve({recorded.summary.run: session}, live, compare, file)
        )
    changed = session.counts.live > 0 or bool(session.counts.blocked) or session.unchanged > 0
    is_answered = not any(each.has_failed for each in comparisons)
    leads_on = request.command is not None or not any(_leaves_history(each, last) for each in comparisons)
    whole = not (session.counts.blocked or session.unchanged or refusals) and is_answered and leads_on
    divergence = session.first_divergence()
    is_stopped = divergence is not None and request.mode in {ReplayMode.STRICT, ReplayMode.PIN_TOOLS}
    return ReplayReport(
        run=recorded.summary.run,
        agent=recorded.summary.agent,
        head=recorded.summary.head,
        mode=request.mode,
        grain="calls" if request.command is None else "code",
        change=request.substitution.label(),
        calls=len(calls),
        counts=session.counts,
        divergence=divergence,
        comparisons=tuple(comparisons),
        refusals=refusals,
        exit_status=exit_status,
        counterfactual="none" if not changed and leads_on else "full" if whole else "partial",
        recorded=_recorded_answer(last),
        final=None if is_stopped or exit_status else _final(session.last, told),
        masks=request.masks,
        covered=tuple(session.covered),
        twins=0 if request.command is None else sum(each.is_order for each in _draws(recorded)),
        models=tuple(sorted({call.response.model for call in calls if call.response.model is not None})),
        is_cut=recorded.is_cut,
        held=tuple(each.event.hold for each in recorded.events if isinstance(each.event, OutputHeld)),
    )


def _leaves_history(step: Comparison, last: Exchange) -> bool:
    """Whether a live model would have gone elsewhere than the recorded history, which its next requests still carry."""
    return step.calls_otherwise and step.call is not None and step.call < last.number


def _final(last: Serve | Live | None, told: Sequence[tuple[Serve | Live, Answer]]) -> Answer | None:
    """Return what a replay ended with: what the last request got, or None where it got nothing."""
    for decision, answer in told:
        if decision is last:
            return answer
    return _recorded_answer(last.exchange) if isinstance(last, Serve) else None


def _recorded_answer(call: Exchange) -> Answer:
    return read_answer(call.response.status, call.response.body)


async def _replay_calls(
    calls: tuple[Exchange, ...],
    session: ReplaySession,
    live: LiveModel | None,
    compare: Callable[[Serve | Live, int, bytes, Exchange], None],
) -> None:
    """Send each recorded request again; what the change does not touch is served from the record."""
    for call in calls:
        decision = await asyncio.to_thread(session.take, call.route, call.body)
        if isinstance(decision, Diverge):
            return
        body = decision.body if isinstance(decision, Live) else decision.shadow
        if body is None:
            continue
        if live is None:
            raise UsageError(
                f"call {call.number} leaves the record and no live model was named",
                remedy="Name a gateway: `--upstream http://127.0.0.1:4318/gw`",
            )
        status, _, answer = await live.ask(call.route, call.headers, body)
        compare(decision, status, answer, call)


def _replay_code(
    recorded: RecordedRun, request: ReplayRequest, serve: Callable[[Path], AbstractContextManager[Served]]
) -> tuple[int, tuple[Refusal, ...]]:
    """Run the agent's code in a closed place."""
    draws = _draws(recorded)
    with tempfile.TemporaryDirectory(prefix="ph-") as made, _source(request) as source:
        folder = Path(made)
        with serve(folder / "s") as served:
            place = prepare_sandbox(folder, source, served.port)
            environment = place.environment(
                os.environ, recorded.summary.run, draws, allowed=request.allowed_programs
            )
            status = place.run(shlex.split(request.command or ""), environment, timeout_s=request.timeout_s)
        return status, place.refusals()


def _draws(recorded: RecordedRun) -> list[Draw]:
    return [logged.event for logged in recorded.events if isinstance(logged.event, Draw)]


ARCHIVE_TIMEOUT_S = 120.0
"""For the files of one revision."""


@contextmanager
def _source(request: ReplayRequest) -> Iterator[Path]:
    """Give the folder of the agent's code: the one named, or another revision of it checked out apart."""
    revision = request.substitution.code
    if revision is None:
        yield request.folder
        return
    # A revision that begins with a dash would be an option: `--output=FILE` writes one.
    archived = (
        None
        if revision.startswith("-")
        else ask_git(request.folder, "archive", "--format=tar", revision, timeout_s=ARCHIVE_TIMEOUT_S)
    )
    if archived is None or archived.returncode != 0:
        raise UsageError(
            f"git knows no revision {revision!r} in {request.folder}",
            remedy="List them: `git log --oneline`",
            subject=revision,
        )
    with tempfile.TemporaryDirectory(prefix="ph-code-") as made:
        subprocess.run(["tar", "-x", "-C", made], input=archived.stdout, check=True)  # noqa: S603, S607 - fixed words
        yield Path(made)


def _compared(exchange: Exchange | None, status: int, body: bytes) -> Comparison:
    found = read_answer(status, body)
    if exchange is None:
        return Comparison(call=None, is_same=False, recorded="", live=_live(found, body), status=status)
    theirs, ours = _without_run(_recorded_answer(exchange)), _without_run(found)
    return Comparison(
        call=exchange.number,
        is_same=theirs == ours,
        recorded=recorded_words(exchange),
        live=_live(found, body),
        status=status,
        calls_otherwise=theirs.tools != ours.tools,
    )


def recorded_words(call: Exchange) -> str:
    """Return what was answered to a recorded call, shortened."""
    recorded = _recorded_answer(call)
    return _shown(recorded.text, recorded.tools)


def _without_run(answer: Answer) -> Answer:
    """Return an answer in which ids of removed results name no run: a live call is none of the recorded run."""
    tools = tuple((name, ID.sub(lambda named: named["digest"], args)) for name, args in answer.tools)
    return replace(answer, tools=tools)


def _live(found: Answer, body: bytes) -> str:
    if found.status < HTTPStatus.BAD_REQUEST:
        return _shown(found.text, found.tools)
    return _shown(f"HTTP {found.status} {error_told(body)}".rstrip(), ())


def _shown(text: str, tools: tuple[tuple[str, str], ...]) -> str:
    parts = [text] if text else []
    parts += [f"{name}({args})" for name, args in tools]
    shown = " ".join(parts)
    return shown if len(shown) <= TEXT_SHOWN_MAX else shown[: TEXT_SHOWN_MAX - 1] + "…"
