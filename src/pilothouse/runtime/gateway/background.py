# SPDX-License-Identifier: Apache-2.0
"""Calls whose answer comes later: a background response is asked for once, and fetched by its id when the model is done.

Such a call stays one call, whichever process is asked for its answer. A promise stands in the ledger before the client can
fetch anything, and what was reserved is spent; the fetch that brings the end takes the promise away, and with it the answer, the
usage and the true price come to the call. Polls before are no calls of a model.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from pilothouse.core.evidence.run_log import IdentitySource
from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import Promise, Promises, VirtualKey, WireProtocol
from pilothouse.runtime.gateway.call import UNDONE, Attempt, Call, Ending
from pilothouse.runtime.gateway.caller import Caller
from pilothouse.runtime.gateway.meter import Meter, Reserved
from pilothouse.runtime.gateway.policy import AgentPolicy, Directory
from pilothouse.runtime.gateway.refusal import NO_SUCH_RESPONSE, Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.routes import RESPONSES, STORED_ID
from pilothouse.runtime.gateway.sse import cut_after, goes_on_after
from pilothouse.runtime.gateway.wire import Answer, read_answer
from pilothouse.runtime.linkage import Conversation

__all__ = ["BackgroundCalls", "RecordedOf"]

WAIT_S = 3_600.0
"""How long an answer is waited for. OpenAI keeps one that is not stored for ten minutes; deep research works for half an hour."""

FAILED = frozenset({"failed", "cancelled"})

RecordedOf = Callable[[str, str], tuple[bytes, bytes]]
"""(run, call) → the request of a call and what its client was given so far, as recorded; empty where that cannot be read."""


class BackgroundCalls:
    """Calls that wait for their answer.

    Args:
        promises: Where they stand; None where nobody keeps any: then such a call is over at once, its usage unknown.
        meter: What was reserved for them.
        directory: Returns keys and policies in force.
        recorded: Returns what was asked, from the run log; called in a thread.
        counters: Counts what happens.
    """

    def __init__(
        self,
        promises: Promises | None,
        meter: Meter,
        directory: Callable[[], Directory],
        recorded: RecordedOf,
        counters: Counter[str],
    ) -> None:
        self._promises = promises
        self._meter = meter
        self._directory = directory
        self._recorded = recorded
        self._counters = counters

    async def keep(self, call: Call) -> Call | None:
        """Keep the promise of an answer before the client gets it; where it cannot be kept, the call is over when the client has it.

        Args:
            call: A call; its `promise` is set where it waits now.

        Returns:
            An earlier call whose provider gave it the same id: nobody will be told its answer.
        """
        spent = self._meter.reserved(call)
        if self._promises is None or spent is None or not call.is_unanswered:
            return None
        if STORED_ID.fullmatch(call.answer_id or "") is None:
            return None  # by no such id is anything fetched here
        promise = _promise(call, spent)
        keeping = asyncio.create_task(asyncio.to_thread(self._promises.keep, promise))
        try:
            before = await asyncio.shield(keeping)
        except PilothouseError:
            self._counters["promises_lost"] += 1
            return None
        except asyncio.CancelledError:
            await asyncio.wait({keeping})  # its row comes all the same, and must not be charged twice
            if keeping.exception() is None:
                self._hand_over(call, promise)
            raise
        self._hand_over(call, promise)
        return None if before is None else self._call(before, call.key, b"")

    async def find(self, fetch: Call) -> None:
        """Attach the promise that a request about a stored response refers to.

        Raises:
            Refused: Another agent waits for that answer, or nobody can say whose call pays for it.
        """
        if self._promises is None or fetch.route.stored_id is None:
            return
        try:
            found = await asyncio.to_thread(self._promises.find, fetch.route.stored_id)
        except PilothouseError as error:
            raise Refused(
                Refusal(
                    RefusalCode.RECORD_REQUIRED,
                    f"which call the answer belongs to cannot be read: {error.message}",
                    error.remedy or "",
                )
            ) from error
        fetch.promise = next((one for one in found if one.agent == fetch.key.agent), None)
        if found and fetch.promise is None:
            raise Refused(NO_SUCH_RESPONSE)

    async def ended_by(self, call: Call, caller: Caller) -> Call | None:
        """Return the call that this one completes: itself, or the one whose answer it fetched; None while that is pending.

        Args:
            call: A call with a promise: one that waited, or a fetch.
            caller: Who asked; a stream may be gone on with behind what was read of it.
        """
        promise = call.promise
        if promise is None or self._promises is None:
            return None
        ended: Call | None = call
        if call.route.stored_id is not None:
            ended = await asyncio.to_thread(self._brought, promise, call, caller)
        elif call.is_unanswered:
            return None
        if ended is None:
            return None
        used = self._meter.used(ended, promise)
        try:
            stood = await asyncio.to_thread(self._promises.end, promise, used)
        except PilothouseError:
            self._counters["promises_unsettled"] += 1
            return call if ended is call else None
        if not stood:
            return None  # another process was told the same
        self._meter.correct(ended, promise, used)
        self._counters["background_answered"] += int(used is not None)
        return ended

    def overdue(self) -> list[Call]:
        """Return the calls whose answer was not fetched in time, here or in a process that has ended, and stop waiting for them.

        It waits for the ledger, and may be called beside the loop that serves.
        """
        if self._promises is None:
            return []
        late = self._promises.take_overdue(time.time_ns() - int(WAIT_S * 1e9))
        keys = self._directory().keys
        return [
            self._call(promise, keys[promise.key], self._recorded(promise.run, promise.call_id)[0])
            for promise in late
            if promise.key in keys
        ]

    def _hand_over(self, call: Call, promise: Promise) -> None:
        call.promise = promise
        self._meter.hand_over(call)

    def _brought(self, promise: Promise, fetch: Call, caller: Caller) -> Call | None:
        """Return the call whose answer a fetch has brought, with it; None where it still waits."""
        if not fetch.attempts or not fetch.status:
            return None
        is_gone = fetch.status == HTTPStatus.NOT_FOUND or (
            caller.method == "DELETE" and fetch.status < HTTPStatus.BAD_REQUEST
        )
        said = Answer()
        if not is_gone:
            if fetch.status >= HTTPStatus.BAD_REQUEST:
                return None
            said = read_answer(fetch.plain)
            if said.ident != fetch.route.stored_id or said.state is None or said.state in UNDONE:
                return None
        asked, given = self._recorded(promise.run, promise.call_id)
        call = self._call(promise, self._directory().keys.get(promise.key, fetch.key), asked)
        if not is_gone:  # else nobody will ever know what it used
            after = goes_on_after(caller.query) if promise.is_stream else None
            # What was sent and not read comes again.
            _take_answer(call, fetch, said, before=b"" if after is None else cut_after(given, after)[0])
        return call

    def _call(self, promise: Promise, key: VirtualKey, asked: bytes) -> Call:
        """Return a call as it was when its provider had taken it."""
        policy = self._directory().policies.get(promise.agent) or AgentPolicy(agent=promise.agent)
        is_inferred = not IdentitySource(promise.identity).is_exact
        return Call(
            run=promise.run,
            call_id=promise.call_id,
            route=RESPONSES,
            key=key,
            policy=replace(
                policy.of_version(promise.version), charter=promise.charter, task_type=promise.task_type
            ),
            protocol=WireProtocol.OPENAI,
            identity=promise.identity,
            parent=promise.parent,
            launch=promise.launch,
            said=Conversation(asked) if is_inferred else None,
            request=asked,
            model=promise.asked,
            is_stream=promise.is_stream,
            is_background=True,
            began_ns=promise.began_ns,
            ended_ns=time.time_ns(),
            attempts=[
                Attempt(promise.provider, promise.model, promise.began_ns, status=HTTPStatus.OK)
                for _ in range(promise.attempts)
            ],
            status=HTTPStatus.OK,
            ending=Ending.DONE,
            served_by=promise.provider,
            served_model=promise.model,
            answer_id=promise.answer_id,
            fallback=promise.fallback,
            promise=promise,
            is_begun=True,
        )


def _promise(call: Call, spent: Reserved) -> Promise:
    took = call.attempts[-1]
    return Promise(
        answer_id=call.answer_id or "",
        agent=call.key.agent,
        key=call.key.prefix,
        run=call.run,
        call_id=call.call_id,
        identity=call.identity,
        parent=call.parent,
        launch=call.launch,
        asked=call.model or "",
        provider=took.provider,
        model=took.model,
        fallback=call.fallback,
        attempts=len(call.attempts),
        is_stream=call.is_stream,
        began_ns=call.began_ns,
        version=call.policy.version,
        charter=call.policy.charter,
        task_type=call.policy.task_type,
        day=spent.day,
        usd_pico=spent.usd_pico,
        tokens=spent.tokens,
    )


def _take_answer(call: Call, fetch: Call, said: Answer, *, before: bytes) -> None:
    """Put the answer in the place of the promise: one call, one answer."""
    call.chunks = [] if before or fetch.plain is not fetch.response else fetch.chunks
    call.response = before + fetch.plain
    call.response_headers = [pair for pair in fetch.response_headers if pair[0] != b"content-encoding"]
    call.status, call.answer_state = fetch.status, said.state
    call.served_model, call.fingerprint = said.model or call.served_model, said.fingerprint
    call.has_fees, call.is_absurd, call.tier = said.has_fees, said.is_absurd, said.tier or ""
    call.usage = None if said.is_absurd else said.usage
    if said.state in FAILED:
        call.ending, call.stopped = Ending.FAILED, str(said.state)
