# SPDX-License-Identifier: Apache-2.0
"""Calls whose answer comes later: a background response is asked for once, and fetched by its id when the model is done.

Such a call stays one call. Its request is recorded and paid for by what was reserved when the provider has taken it; its answer,
its usage and its true price come with the first fetch that brings the end. Polls before are no calls of a model.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from http import HTTPStatus

from pilothouse.runtime.gateway.call import Call, Ending
from pilothouse.runtime.gateway.caller import Caller
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.sse import event_data
from pilothouse.runtime.gateway.wire import Answer, read_answer, read_event

__all__ = ["BackgroundCalls", "is_unanswered"]

WAIT_S = 3_600.0
"""How long an answer is waited for. OpenAI keeps one that is not stored for ten minutes; deep research works for half an hour."""

CALLS_MAX = 2_000
"""Calls that wait at once, as many as may be answered at once."""

BYTES_MAX = 64 << 20
"""What their requests may hold in memory together: the run log has them, the spans still need them."""

UNDONE = frozenset({"queued", "in_progress"})
"""What a response says of itself while its model works."""

FAILED = frozenset({"failed", "cancelled"})


def is_unanswered(call: Call) -> bool:
    """Whether a provider has taken a call and will have its answer later.

    Args:
        call: A call that is over for its client.
    """
    if call.answer_id is None or call.route.operation is not Operation.RESPONSES or call.key.is_replay:
        return False
    if call.status >= HTTPStatus.BAD_REQUEST:
        return False
    # A stream that was not asked to go on alone ends with its client, whatever it last said of itself.
    return call.answer_state in UNDONE and (call.is_background or not call.is_stream)


class BackgroundCalls:
    """Calls that wait for their answer; only the loop that serves touches it."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, str], tuple[float, Call]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, call: Call) -> Call | None:
        """Let a call wait for its answer, and return one whose provider gave it the same id: that one waits no longer.

        Args:
            call: One that `is_unanswered`.
        """
        key = (call.key.agent, call.answer_id or "")
        before = self._pop(key) if key in self._calls else None
        self._calls[key] = (time.monotonic(), call)
        self._bytes += len(call.request)
        return before

    def asked(self, fetch: Call) -> Call | None:
        """Return the call whose answer a request about a stored response is about, while it waits.

        Args:
            fetch: The request.
        """
        found = self._calls.get((fetch.key.agent, fetch.route.stored_id or ""))
        return None if found is None else found[1]

    def overdue(self, *, everything: bool = False) -> list[Call]:
        """Return the calls whose answer nobody fetched in time, or for which there is no more room; they wait no longer.

        Args:
            everything: Wait for none.
        """
        limit = time.monotonic() - WAIT_S
        late = []
        while self._calls:
            key, (since_s, _) = next(iter(self._calls.items()))
            is_full = len(self._calls) > CALLS_MAX or self._bytes > BYTES_MAX
            if not everything and not is_full and since_s > limit:
                break
            late.append(self._pop(key))
        return late

    def brought_by(self, fetch: Call, caller: Caller) -> Call | None:
        """Return the call whose answer a fetch has brought, with it; None where it still waits, or never did.

        Args:
            fetch: A request about a stored response, answered.
            caller: Who fetched; a stream may be gone on with behind what was read of it.
        """
        key = (fetch.key.agent, fetch.route.stored_id or "")
        if key not in self._calls or not fetch.attempts or not fetch.status:
            return None
        if fetch.status == HTTPStatus.NOT_FOUND or (
            caller.method == "DELETE" and fetch.status < HTTPStatus.BAD_REQUEST
        ):
            return self._pop(key)  # nobody will ever know what it used
        if fetch.status >= HTTPStatus.BAD_REQUEST:
            return None
        said = _read(fetch)
        if said.ident != fetch.route.stored_id or said.state is None or said.state in UNDONE:
            return None
        call = self._pop(key)
        _take_answer(call, fetch, said, goes_on=b"starting_after=" in caller.query)
        return call

    def _pop(self, key: tuple[str, str]) -> Call:
        _, call = self._calls.pop(key)
        self._bytes -= len(call.request)
        return call


def _read(fetch: Call) -> Answer:
    """Read what a fetched answer says of itself, whole or in events; the last event counts."""
    plain = fetch.plain
    if not _is_events(fetch):
        return read_answer(plain)
    said = Answer()
    for data in event_data(plain):
        if b'"response"' in data:  # the many events of content say nothing of the whole
            read_event(data, Operation.RESPONSES, said)
    return said


def _is_events(call: Call) -> bool:
    return any(name == b"content-type" and b"event-stream" in value for name, value in call.response_headers)


def _take_answer(call: Call, fetch: Call, said: Answer, *, goes_on: bool) -> None:
    """Put the answer in the place of the promise: one call, one answer."""
    before = call.plain if goes_on and call.is_stream else b""
    call.chunks = [] if before or fetch.plain is not fetch.response else fetch.chunks
    call.response = before + fetch.plain
    call.inflated = None
    call.response_headers = [pair for pair in fetch.response_headers if pair[0] != b"content-encoding"]
    call.status, call.answer_state = fetch.status, said.state
    call.usage, call.begun = said.usage, None
    call.refusal, call.told, call.stopped = None, "", ""
    call.ending = Ending.FAILED if said.state in FAILED else Ending.DONE
    if said.state in FAILED:
        call.stopped = str(said.state)
