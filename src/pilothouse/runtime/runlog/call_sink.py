# SPDX-License-Identifier: Apache-2.0
"""Writes each call of the gateway into the run log: how the run began, the request, the answer, the refusal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter

from pilothouse.core.evidence.run_log import (
    NOT_RECORDED,
    ContextEdited,
    Denied,
    IdentitySource,
    ModelRequest,
    ModelResponse,
    OutputHeld,
    RunOpened,
)
from pilothouse.core.evidence.task import TokenCount
from pilothouse.errors import LimitExceeded, PilothouseError, StorageUnavailable
from pilothouse.ports.runlog import RecordMode, RunLog
from pilothouse.runtime.gateway.call import Call, Ending
from pilothouse.runtime.recent import Recent
from pilothouse.runtime.runlog.lost_records import LostRecord, LostRecords

__all__ = ["RunLogSink", "decoded", "recorded_call"]

USAGE = tuple(each.name for each in fields(TokenCount))
_counts = attrgetter(*USAGE)

OPENED_MAX = 20_000
"""Runs whose beginning need not be written again; a forgotten one costs a line that the log ignores."""

INFLATED_BYTES_MAX = 32 << 20
"""What a compressed answer may become in the record; a body is no larger either."""

RECORD_WAIT_S = 0.5
"""How long a call that is read back is waited for: ten times as long as a group of events gathers, in whichever process."""

LOOK_EVERY_S = 0.05

REQUEST_HEADERS = frozenset({b"anthropic-version", b"anthropic-beta", b"openai-beta"})
"""Headers that change the answer."""

RESPONSE_HEADERS = frozenset(
    {b"content-type", b"request-id", b"x-request-id", b"retry-after", b"retry-after-ms", b"x-should-retry"}
)
"""Headers that a client reads."""


class RunLogSink:
    """Keeps calls of the gateway in the run log; never blocks and never raises.

    Of a call that nobody wants recorded only the run is kept, so that whoever looks for it is told.

    Attributes:
        lost: Calls that could not be kept.
        lost_records: Whose they were, to be told.
    """

    def __init__(self, log: RunLog, mode: Callable[[Call], RecordMode] | None = None) -> None:
        """Write to `log`; `mode` says what happens to a call that cannot be recorded."""
        self._log = log
        self._mode = mode or _usual_mode
        self._opened = Recent[str, bool](OPENED_MAX)
        self.lost = 0
        self.lost_records = LostRecords()

    def problem(self, call: Call) -> str:
        """Return why this call cannot be kept although it must be, or empty."""
        if self._mode(call) is not RecordMode.REQUIRED:
            return ""
        trouble = self._log.trouble()
        return f"the run log cannot be written: {trouble}" if trouble else ""

    def begin(self, call: Call) -> None:
        """Keep what there is so far of a call whose answer comes later: who reads the run takes the last answer of a call."""
        self._try(call, self._write)

    def keep(self, call: Call) -> None:
        """Keep a call that is over."""
        self._try(call, self._write)

    def _try(self, call: Call, write: Callable[[Call], None]) -> None:
        if not call.route.names_model or call.key.is_replay:
            return
        try:
            write(call)
            why = self._log.trouble()  # what was taken is about to be lost: its writer cannot write
        except (LimitExceeded, StorageUnavailable) as error:
            self.lost += 1
            why = error.message
        if why and call.attempts and self._mode(call) is not RecordMode.OFF:
            lost = LostRecord(agent=call.key.agent, run=call.run, why=why, at_ns=call.began_ns)
            self.lost_records.note(lost)

    def _open(self, call: Call, *taps: str) -> None:
        opening = "".join((call.run, *taps)) if taps else call.run
        if not self._opened.get(opening):
            agent = next((value for name, value in call.request_headers if name == b"user-agent"), None)
            opened = RunOpened(
                agent=call.key.agent,
                version=call.policy.version,
                charter=call.policy.charter,
                user_agent=None if agent is None else agent.decode("latin-1"),
                identity=IdentitySource(call.identity),
                launch=call.launch,
                taps=taps,
            )
            self._log.append(call.run, opened, at_ns=call.began_ns)
            self._opened.put(opening, True)

    def _write_request(self, call: Call) -> None:
        call.is_begun = True
        self._open(call)
        kept = {
            name.decode(): value.decode("latin-1")
            for name, value in call.request_headers
            if name in REQUEST_HEADERS
        }
        request = ModelRequest(
            route=call.route.path,
            headers=kept,
            body=call.request,
            sent=call.sent or call.shortened,
            opaque=call.opaque,
        )
        self._log.append(call.run, request, call=call.call_id, at_ns=call.began_ns)
        if call.removed:
            self._log.append(call.run, _edited(call), call=call.call_id, at_ns=call.began_ns)

    def _write(self, call: Call) -> None:
        if self._mode(call) is RecordMode.OFF:
            self._open(call, NOT_RECORDED)
            return
        if not call.is_begun:
            self._write_request(call)
        if call.refusal is not None and not call.response:
            denied = Denied(code=str(call.refusal), reason=call.stopped)
            self._log.append(call.run, denied, call=call.call_id, at_ns=call.ended_ns or None)
            return
        if call.promise is not None and not call.response:
            return  # nobody was told its answer, and what its client was given stands there
        body, chunks = decoded(call)
        response = ModelResponse(
            status=0 if call.ending is Ending.CANCELLED else call.status,
            headers={
                name.decode(): value.decode("latin-1")
                for name, value in call.response_headers
                if name in RESPONSE_HEADERS
            },
            body=body,
            chunk_sizes=tuple(size for size, _ in chunks),
            chunk_ms=tuple(at_us // 1000 for _, at_us in chunks),
            usage=None if call.usage is None else dict(zip(USAGE, _counts(call.usage), strict=True)),
            model=call.served_model,
            attempts=len(call.attempts),
            provider=call.served_by or None,
            fallback=None if call.fallback == "none" else call.fallback,
            fingerprint=call.fingerprint,
            error=None if call.ending is Ending.DONE else str(call.ending),
        )
        self._log.append(call.run, response, call=call.call_id, at_ns=call.ended_ns or None)
        if call.held_for and call.hold_id is not None:
            held = OutputHeld(hold=call.hold_id, reason=call.held_for)
            self._log.append(call.run, held, call=call.call_id, at_ns=call.ended_ns or None)


def recorded_call(log: RunLog, run: str, call: str) -> tuple[bytes, bytes]:
    """Return the request of a call and the answer that its client was given last; empty where that cannot be read.

    Args:
        log: Where it stands.
        run: Whole run id.
        call: Call id.
    """
    until = time.monotonic() + RECORD_WAIT_S
    request = given = b""
    with suppress(PilothouseError):
        log.flush(RECORD_WAIT_S)
    while not request:
        with suppress(PilothouseError):
            for logged in log.read(run).events:
                if logged.call == call and isinstance(logged.event, ModelRequest):
                    request = logged.event.body
                elif logged.call == call and isinstance(logged.event, ModelResponse):
                    given = logged.event.body
        if request or time.monotonic() > until:
            break
        time.sleep(LOOK_EVERY_S)
    return request, given


def _edited(call: Call) -> ContextEdited:
    """Return the ledger of what was taken out of a request; the content apart, so that it can be erased."""
    return ContextEdited(
        policy=",".join(call.context_edits),
        ledger=tuple(
            {
                "path": entry.path,
                "call_id": entry.call_id,
                "digest": entry.digest,
                "characters": entry.characters,
                "tokens": entry.tokens,
                "reason": entry.reason,
            }
            for entry in call.removed
        ),
        removed=json.dumps([entry.content for entry in call.removed]).encode(),
    )


def decoded(call: Call) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the body of an answer without its content encoding, and its chunks where they are still those.

    Args:
        call: The call; a body that cannot be inflated within the limit is returned as it is.
    """
    if call.plain is call.response or len(call.plain) > INFLATED_BYTES_MAX:
        return call.response, call.chunks
    return call.plain, []


def _usual_mode(call: Call) -> RecordMode:
    """A call under a charter must be recorded, and without one nobody has asked for evidence yet, unless its launch chose otherwise."""
    if call.key.is_replay:
        return RecordMode.OFF
    if call.policy.record_demanded:
        return RecordMode.REQUIRED
    if call.key.record is not None:
        return call.key.record
    return RecordMode.BEST_EFFORT if call.policy.charter is None else RecordMode.REQUIRED
