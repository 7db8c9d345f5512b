# SPDX-License-Identifier: Apache-2.0
"""The way of one request through the gateway: who asks, for what, whether it may, who answers, what is kept of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Protocol

from pilothouse.core.evidence.run_log import IdentitySource
from pilothouse.ports.controls import Controls
from pilothouse.ports.gateway import AnswerOwners, Promises, ThingOwners, WireProtocol
from pilothouse.ports.planted import FaultKind, planted_for
from pilothouse.runtime.gateway.admission import ContextAdmission
from pilothouse.runtime.gateway.background import BackgroundCalls, RecordedOf
from pilothouse.runtime.gateway.call import UNDONE, Call, Ending
from pilothouse.runtime.gateway.caller import BODY_BYTES_MAX, BodyTooLarge, Caller, Headers
from pilothouse.runtime.gateway.chain import ChainBuilder
from pilothouse.runtime.gateway.chain_member import Member, Opener
from pilothouse.runtime.gateway.exchange import Exchange
from pilothouse.runtime.gateway.guard import Guardian
from pilothouse.runtime.gateway.kept_by_use import KeptByUse
from pilothouse.runtime.gateway.kept_there import advisors_asked, further_asked
from pilothouse.runtime.gateway.key_book import KeyBook
from pilothouse.runtime.gateway.keys import shown_key
from pilothouse.runtime.gateway.meter import CostOf, Meter
from pilothouse.runtime.gateway.named_things import items_given, items_named, may_name_things
from pilothouse.runtime.gateway.planted import SilentUpstream, apart
from pilothouse.runtime.gateway.policy import Directory
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused, error_body, no_route
from pilothouse.runtime.gateway.routes import Operation, Place, find_place
from pilothouse.runtime.gateway.runs import Ownership, RunIdentity, identify
from pilothouse.runtime.gateway.signs import ProviderSigns
from pilothouse.runtime.gateway.stored_answers import StoredAnswers
from pilothouse.runtime.gateway.upstream import Upstream, kept_request_headers
from pilothouse.runtime.gateway.usage_edit import ask_for_usage
from pilothouse.runtime.gateway.watchdog import Stop, Watchdog, Young
from pilothouse.runtime.gateway.wire import (
    EMBEDDED_MAX,
    OBJECTS_MAX,
    VALUES_MAX,
    Asked,
    has_many_parts,
    has_one_meaning,
    read_request,
)
from pilothouse.runtime.linkage import CallLinker, Conversation

__all__ = ["CallSink", "Gateway"]

IN_FLIGHT_MAX = 2_000
"""Calls at once: with 256 KiB of buffers each, half a gigabyte at the worst."""

READ_S = 60.0
"""Time in which a request must have arrived."""

DEADLINE_HEADER = b"x-pilothouse-deadline-ms"
ATTEMPTS_HEADER = b"x-pilothouse-attempts"
HOLD_HEADER = b"x-pilothouse-hold"
WAIT_HEADER = b"x-pilothouse-hold-wait-ms"
SUBJECT_HEADER = b"x-pilothouse-subject"
GROUPS_HEADER = b"x-pilothouse-groups"


GUARDED = frozenset({Operation.CHAT, Operation.RESPONSES, Operation.MESSAGES})
"""What gives answers that an output schema speaks about."""


REQUEST_ID = {WireProtocol.OPENAI: b"x-request-id", WireProtocol.ANTHROPIC: b"request-id"}
"""Where the official client of each protocol finds the id that its error names."""


KEPT_BY_PROVIDERS = frozenset({Operation.RESPONSES, Operation.COMPACT})
"""Whose answers can be asked for again by their ids, by the agent that they were given to."""


CHARSET = re.compile(rb"charset\s*=\s*\"?([^\";,\s]+)", re.IGNORECASE)
CHARSETS = (b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-", b"latin", b"windows-125")
"""How the names begin of those in which the letters of a field's name are the same."""


class CallSink(Protocol):
    """Where calls are kept: the run log, the spans."""

    def problem(self, call: Call) -> str:
        """Return why this call cannot be kept although it must be, or empty."""
        ...

    def begin(self, call: Call) -> None:
        """Keep what there is so far of a call whose answer comes later; `keep` follows. Never blocks and never raises."""
        ...

    def keep(self, call: Call) -> None:
        """Keep a call that is over; never blocks and never raises."""
        ...


class Gateway:
    """Answers model calls of agents.

    Args:
        directory: Returns keys, providers and policies in force; costs nothing.
        controls: The kill switch.
        upstream: Connections to providers.
        cost_of: Prices tokens.
        sinks: Where calls are kept.
        look: Reads again what the directory returns, for a key that is not in it yet; called in a thread.
        owner_of: Says whose a run is that began before this process, or None; asked once for each.
        guardian: Looks at whole final answers before they are sent.
        promises: Where answers stand that come later; None where nobody keeps any.
        owners: Whose the conversations and files are that providers keep; None for the memory of this process.
        answer_owners: Whose the answers are that providers keep; None for the memory of this process.
        shared: Ids of files and the like at providers that several agents may use.
        recorded: Returns what was asked in a call, for the process that is told its answer.
        chance: Draws pauses.
    """

    def __init__(
        self,
        directory: Callable[[], Directory],
        controls: Controls,
        upstream: Upstream,
        cost_of: CostOf,
        *,
        sinks: Sequence[CallSink] = (),
        look: Callable[[], None] | None = None,
        owner_of: Callable[[str], str | None] = lambda _: None,
        guardian: Guardian | None = None,
        promises: Promises | None = None,
        owners: ThingOwners | None = None,
        answer_owners: AnswerOwners | None = None,
        shared: frozenset[str] = frozenset(),
        recorded: RecordedOf = lambda *_: (b"", b""),
        chance: Random | None = None,
    ) -> None:
        self._controls = controls
        self._upstream = upstream
        self._sinks = tuple(sinks)
        self._guardian = guardian
        self._chance = chance or Random()  # noqa: S311 - jitter of pauses, nothing secret
        self.keys = KeyBook(directory, look)
        self._chains = ChainBuilder(directory)
        self._runs = Ownership(owner_of)
        self.meter = Meter(cost_of)
        self.context = ContextAdmission()
        self.signs = ProviderSigns()
        self.in_flight = 0
        self.links = CallLinker()
        self._young = Young()
        self.counters: Counter[str] = Counter()
        """What happened, by name, since the process started."""
        self._things = KeptByUse(owners, self.counters, shared=shared)
        self.answers = StoredAnswers(answer_owners, self.counters)
        self._background = BackgroundCalls(promises, self.meter, directory, recorded, self.counters)

    async def handle(self, caller: Caller) -> None:
        """Answer one request, whatever it is."""
        headers = dict(caller.headers)
        place = find_place(caller.method, caller.path, says_anthropic=b"anthropic-version" in headers)
        call: Call | None = None
        self.in_flight += 1
        dog = Watchdog(READ_S, self._young)
        try:
            call = await self._admit(caller, place, headers)
            await self._serve(caller, call, headers, dog)
        except Refused as refused:
            await self._refuse(caller, place.protocol, refused.refusal, call)
        except ConnectionError:
            self.counters["client_gone"] += 1
        except asyncio.CancelledError:
            if dog.go_on() is None:
                raise
            self.counters["client_gone"] += 1
        finally:
            dog.close()
            try:
                if call is not None:
                    self._close(call)
            finally:
                # Not before it is kept: who waits for the last call reads the record next.
                self.in_flight -= 1
            if call is not None:
                if call.promise is not None:
                    await self._end_promised(call, caller)
                if call.uses:
                    await self._things.claim(call)

    async def _admit(self, caller: Caller, place: Place, headers: Mapping[bytes, bytes]) -> Call:
        if b"upgrade" in headers and headers[b"upgrade"].lower() == b"websocket":
            raise Refused(_NO_WEBSOCKET)
        if place.route is None:
            raise Refused(no_route(place.problem))
        if self.in_flight > IN_FLIGHT_MAX:
            raise Refused(
                Refusal(
                    RefusalCode.TOO_BUSY,
                    f"{IN_FLIGHT_MAX:,} calls are being answered",
                    "Come again in a second.",
                    retry_after_s=1,
                )
            )
        key, directory = await self.keys.holder(shown_key(headers), datetime.now(UTC))
        body = b"" if caller.method in {"GET", "DELETE"} else await _body(caller, place.route.operation)
        policy = directory.policy_of(key)
        identity = identify(place, headers, key.agent, self._runs)
        said = None
        # A replay brings back what a run was given, and is no part of that run.
        if identity.source == IdentitySource.NEW and place.route.names_model and not key.is_replay:
            said = Conversation(body)
            linked = self.links.find(key.agent, said)
            if linked is not None:
                identity = RunIdentity(linked[0], linked[1])
        return Call(
            run=identity.run,
            route=place.route,
            key=key,
            policy=policy,
            protocol=place.protocol,
            identity=identity.source,
            parent=identity.parent,
            launch=place.launch,
            said=said,
            request=body,
            request_headers=kept_request_headers(caller.headers),
        )

    async def _serve(self, caller: Caller, call: Call, headers: Mapping[bytes, bytes], dog: Watchdog) -> None:
        controls, agent = self._controls.state(), call.key.agent
        # What is stopped is the agent. Whoever asks a model why it had to be stopped must not let it go on for that.
        killed = None if call.key.is_replay else controls.refusal_of(agent, version=call.policy.version)
        if killed is not None:
            remedy = f"Let it go on: `pilothouse resume {agent}`."
            if controls.pause_of(agent) is None:
                remedy = (
                    f"Start that version again, or let each one serve: `pilothouse rollback {agent} --undo`."
                )
            raise Refused(Refusal(RefusalCode.KILLED, killed, remedy))
        if call.policy.problem:
            remedy = f"Put one into force that it can: `pilothouse verdict {call.key.agent} --charter FILE`."
            raise Refused(Refusal(RefusalCode.CHARTER_UNREADABLE, call.policy.problem, remedy))
        self._check_reach(call, headers)
        if call.route.stored_id is not None:
            await self.answers.check((call.route.stored_id,), call.key.agent)
            call.is_stream = (
                b"stream=true" in caller.query
            )  # of an answer that is still made: it has the time of a stream
        if call.route.names_model:
            _check_readable(call)
            asked = read_request(call.request, call.route.operation)
            call.model, call.is_stream, call.output_max = asked.model, asked.is_stream, asked.output_max
            call.is_background, call.tier = asked.is_background, asked.tier
            _check_background(call)
            if call.route.operation in KEPT_BY_PROVIDERS:
                await self._check_answers(call, asked)
                await self._things.check(call, may_converse=True)
            elif may_name_things(call.request, call.route.operation):
                await self._things.check(call, may_converse=False)
            if call.route.operation is Operation.MESSAGES:
                await self._check_further(call, asked, headers)
            if call.policy.inject_usage:
                ask_for_usage(call)
        if call.route.stored_id is not None:
            await self._background.find(call)
        chain, upstream = self._answering(call)
        if call.route.names_model:
            self.context.admit(call, chain[0].pin)
            if len(chain) > 1:
                chain = [chain[0], *(one for one in chain[1:] if self.context.fits(call, one.pin))]
        for sink in self._sinks:
            problem = sink.problem(call)
            if problem:
                raise Refused(
                    Refusal(RefusalCode.RECORD_REQUIRED, problem, "Look at the disk: `pilothouse doctor`.")
                )
        held = headers.get(HOLD_HEADER) if self._looks_at(call) else None
        # Neither a count nor a look for a decision makes a model work.
        if call.route.names_model and held is None and call.route.operation is not Operation.COUNT_TOKENS:
            self.meter.reserve(call, chain[0].pin)
        limits = call.policy.limits
        try:
            dog.restart(min(call.given_s, _number(headers, DEADLINE_HEADER, call.given_s * 1e3) / 1e3))
            dog.when_late(lambda: caller.watch(lambda: dog.stop(Stop.CLIENT_GONE)))
            exchange = Exchange(
                call,
                chain,
                caller,
                upstream,
                headers=call.request_headers,
                dog=dog,
                attempts=max(1, min(limits.attempts, int(_number(headers, ATTEMPTS_HEADER, 99)))),
                chance=self._chance,
            )
            if call.route.operation is Operation.RESPONSES:
                exchange.relay.promised = partial(self._promise, call)
            if call.is_kept:
                exchange.relay.given = partial(self._give, call)
            if self._guardian is not None and self._looks_at(call):
                exchange.relay.check_whole = partial(self._guardian.check, call, exchange)
            if self._guardian is not None and held is not None:
                wait_s = min(_number(headers, WAIT_HEADER, 0.0) / 1e3, dog.left_s - 1.0)
                decided = await self._guardian.desk.decision(call, held.decode("latin-1"), wait_s=wait_s)
                await exchange.relay.send_whole(decided)
            else:
                await exchange.run()
                # Some providers stream for a `stream` that is no `true` to us, so what came counts and not what was asked.
                if exchange.relay.check_whole is not None and call.first_content_s is not None:
                    self.counters["answers_streamed_unchecked"] += 1
                    if self._guardian is not None and call.ending is Ending.DONE:
                        self._guardian.note_streamed(call)
        finally:
            dog.close()

    def _looks_at(self, call: Call) -> bool:
        """Whether the guard stands in front of the final answers of a call."""
        return (
            self._guardian is not None
            and not call.key.is_replay
            and call.policy.looks_at_answers
            and call.route.operation in GUARDED
        )

    async def _check_answers(self, call: Call, asked: Asked) -> None:
        """Refuse a request to `responses` that goes on from an answer of another agent, or from an item of one."""
        call.is_kept = asked.is_stored or asked.is_background
        named = [] if asked.continues is None else [asked.continues]
        try:
            named += items_named(call.request)
        except ValueError:
            raise Refused(_UNPLAIN_ITEM) from None
        if named:
            call.adopts = await self.answers.check(named, call.key.agent)

    async def _check_further(self, call: Call, asked: Asked, headers: Mapping[bytes, bytes]) -> None:
        """Refuse what a request to `messages` may ask besides: another agent's thread, or that another model answers in place of its own."""
        if not (asked.names_further or b"anthropic-beta" in headers):
            return
        try:
            before, is_thread, has_fallbacks = further_asked(call.request)
            advisors = advisors_asked(call.request)
        except ValueError:
            raise Refused(_UNPLAIN) from None
        if has_fallbacks:
            raise Refused(_FALLBACKS)
        for model in advisors:
            self._chains.check_model(call, model)
        call.is_kept = is_thread
        if before is not None:
            call.adopts = await self.answers.check((before,), call.key.agent)

    def _check_reach(self, call: Call, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a subject that the phase in force leaves to its incumbent; a call that names none cannot be told."""
        reach, subject = call.policy.reach, headers.get(SUBJECT_HEADER)
        if reach is None:
            return
        if subject is None:
            self.counters["calls_without_subject"] += 1
            return
        groups = [name.strip() for name in headers.get(GROUPS_HEADER, b"").decode("latin-1").split(",")]
        outside = reach.refusal_of(subject.decode("latin-1"), groups)
        if outside is not None:
            raise Refused(
                Refusal(
                    RefusalCode.OUTSIDE_ROLLOUT,
                    f"{outside}; let its incumbent answer",
                    f"Look at the phase: `pilothouse phase status {call.key.agent}`.",
                )
            )

    def _answering(self, call: Call) -> tuple[list[Member], Opener]:
        """Return who may answer and how they are reached: not at all while a drill has planted their silence."""
        chain = self._chains.members(call)
        planted = self._controls.state().planted
        fault = planted and planted_for(
            planted,
            call.key.agent,
            FaultKind.MODEL_TIMEOUT,
            environment=call.key.environment,
            now=datetime.now(UTC),
        )
        if not fault:
            return chain, self._upstream
        self.counters["calls_of_drills"] += 1
        return apart(chain), SilentUpstream(fault.hang_s)

    async def _refuse(
        self, caller: Caller, protocol: WireProtocol, refusal: Refusal, call: Call | None
    ) -> None:
        """Answer with an error of ours in the form of the protocol."""
        self.counters[f"refused_{refusal.code.code}"] += 1
        body = error_body(protocol, refusal)
        headers: Headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *refusal.headers(),
        ]
        if call is not None:
            call.status, call.refusal, call.response = refusal.code.status, refusal.code, body
            call.told, call.response_headers = refusal.message, headers[:1]
            call.ending = Ending.FAILED if call.attempts else Ending.REFUSED
            headers += [*call.own_headers(), (REQUEST_ID[protocol], call.call_id.encode())]
        if refusal.code is RefusalCode.BODY_TOO_LARGE:
            headers.append((b"connection", b"close"))
        try:
            async with asyncio.timeout(10.0):
                await caller.answer(refusal.code.status, headers, body)
        except (TimeoutError, ConnectionError):
            self.counters["client_gone"] += 1

    def end_overdue(self) -> None:
        """Keep as unknown the calls whose answer nobody has fetched in time; waits for the ledger, beside the loop that serves."""
        for late in self._background.overdue():
            self.counters["background_unanswered"] += 1
            for sink in self._sinks:
                sink.keep(late)

    async def _promise(self, call: Call) -> None:
        """Let a call wait for an answer that comes later, before its client can fetch it."""
        if call.is_unanswered:
            before = await self._background.keep(call)
            if before is not None:
                self._keep(before)

    async def _give(self, call: Call, plain: bytes) -> None:
        """Put on record whose an answer is that its provider keeps, before its client can name it."""
        if call.answer_id is not None:
            await self.answers.give((call.answer_id, *items_given(plain)), call.key.agent)

    async def _end_promised(self, call: Call, caller: Caller) -> None:
        """Keep the call that is over now because its answer has come, to itself or to a fetch."""
        answered = await self._background.ended_by(call, caller)
        if answered is not None:
            self.answers.claim(items_given(answered.plain), answered.key.agent)
            self.answers.hurry()
            self._keep(answered)
        elif call.route.stored_id is None and call.is_unanswered:
            for sink in self._sinks:
                sink.begin(call)

    def _close(self, call: Call) -> None:
        """Keep a call, unless its answer comes later."""
        call.ended_ns = time.time_ns()
        if call.is_kept or call.adopts:
            self._note_kept(call)
        if call.promise is None or call.route.stored_id is not None:
            if call.answer_state in UNDONE:
                self.counters["background_unanswered"] += call.is_unanswered
            self._keep(call)

    def _note_kept(self, call: Call) -> None:
        """Note whose the items of a stream are, and what nobody had before a provider took it from this agent."""
        idents = (
            list(call.adopts) if 0 < call.status < HTTPStatus.BAD_REQUEST and not call.key.is_replay else []
        )
        if call.is_kept and call.answer_id is not None and call.first_content_s is not None:
            idents += [call.answer_id, *items_given(call.plain)]
        self.answers.claim(idents, call.key.agent)
        self.answers.hurry()

    def _keep(self, call: Call) -> None:
        """Settle and keep a call: once, whatever happened."""
        self.meter.settle(call)
        self.context.learn(call)
        self.signs.note(call)
        self.counters["calls"] += 1
        self.counters[f"ended_{call.ending}"] += 1
        self.counters["attempts"] += len(call.attempts)
        if call.mismatch:
            self.counters["model_mismatch"] += 1
        if call.is_absurd:
            self.counters["usage_absurd"] += 1
        if call.fallback != "none":
            self.counters["fallbacks"] += 1
        if call.said is not None and call.status < HTTPStatus.BAD_REQUEST and call.route.operation in GUARDED:
            # Nobody goes on from an error or a count, and the same request asked again must not make its run ambiguous.
            self.links.learn(call.key.agent, call.run, call.said, call.plain)
        call.said = None  # whoever keeps the call needs the bytes only
        for sink in self._sinks:
            sink.keep(call)


_NO_WEBSOCKET = Refusal(
    RefusalCode.TRANSPORT_REFUSED,
    "WebSocket and realtime transports are not taken: they would pass pins, budgets and record",
    "Turn the transport off in the client, for example openai-agents: `set_default_openai_responses_transport('http')`.",
)
_UNPLAIN = Refusal(
    RefusalCode.PIN_UNKNOWN,
    "`thread`, `fallbacks` or an advisor's `model` is said in a way that its provider may take for another one",
    'Send each once: `thread` as `{"type": "create"}` or with nothing but the id that it continues.',
)
_UNPLAIN_ITEM = Refusal(
    RefusalCode.PIN_UNKNOWN,
    "an item of an earlier answer is named in a way that its provider may take for another one",
    "Send each field once, and at most a thousand references.",
)
_FALLBACKS = Refusal(
    RefusalCode.MODEL_NOT_ALLOWED,
    "`fallbacks` lets the provider answer by another model than the one that is asked for",
    "Take it out of the request; who stands in is `model.fallback` in the charter.",
)


def _check_readable(call: Call) -> None:
    """Refuse a body that its provider may take for another one than we read: what is pinned and paid for must be what is asked."""
    problem = (
        ""
        if has_one_meaning(call.request)
        else "a field that decides about the call stands twice in the body"
    )
    for name, value in call.request_headers:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            problem = f"the body is encoded ({value[:40].decode('latin-1')})"
        elif (
            name == b"content-type"
            and (said := CHARSET.search(value))
            and not said[1].lower().startswith(CHARSETS)
        ):
            problem = f"the body says that it is written in {said[1][:40].decode('latin-1')}"
    if problem:
        raise Refused(
            Refusal(
                RefusalCode.PIN_UNKNOWN,
                f"{problem}, so that its provider may take it for another one",
                "Send one plain JSON object in UTF-8, each field once.",
            )
        )


def _check_background(call: Call) -> None:
    """Refuse an answer that is fetched later where answers are looked at before they are delivered."""
    if call.is_background and call.policy.looks_at_answers and not call.key.is_replay:
        raise Refused(
            Refusal(
                RefusalCode.BACKGROUND_UNCHECKED,
                "a background response is fetched past the output schema and the confidence that the charter sets",
                "Ask without `background`, or take `guardrails` out of the charter.",
            )
        )


async def _body(caller: Caller, operation: Operation) -> bytes:
    try:
        body = await caller.read_body()
    except BodyTooLarge:
        raise Refused(
            Refusal(
                RefusalCode.BODY_TOO_LARGE,
                f"the body has more than {BODY_BYTES_MAX >> 20} MiB",
                "Send less, or files by reference.",
            )
        ) from None
    values_max = EMBEDDED_MAX if operation is Operation.EMBEDDINGS else VALUES_MAX
    if has_many_parts(body, values_max):
        raise Refused(
            Refusal(
                RefusalCode.BODY_TOO_LARGE,
                f"the body has more than {OBJECTS_MAX:,} objects, such as messages and their parts, or {values_max:,} values",
                "Send fewer, each with more in it.",
            )
        )
    return body


def _number(headers: Mapping[bytes, bytes], name: bytes, missing: float) -> float:
    text = headers.get(name, b"")
    return float(text) if text.isdigit() and len(text) < 10 and int(text) else missing
