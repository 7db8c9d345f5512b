# SPDX-License-Identifier: Apache-2.0
"""Read from requests and answers the few things the gateway must know, and leave every byte as it is.

Only named fields are decoded and the rest is skipped, so that a body of megabytes costs little. What
cannot be read is None: the provider judges bodies, not we.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.core.evidence.price import tier_of
from pilothouse.core.evidence.task import TokenCount
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.sse import event_data
from pilothouse.runtime.gateway.usage import TOKENS_MAX, has_fees, has_sound, is_absurd, read_usage

__all__ = [
    "EMBEDDED_MAX",
    "INFLATED_BYTES_MAX",
    "OBJECTS_MAX",
    "VALUES_MAX",
    "Answer",
    "Asked",
    "Stage",
    "has_many_parts",
    "has_one_meaning",
    "inflate",
    "inflater_window",
    "is_spelt",
    "read_answer",
    "read_event",
    "read_request",
]

INFLATED_BYTES_MAX = 64 << 20
"""Most bytes of an answer that are inflated to be read; a longer one passes unread."""

GZIP_BEGINS = b"\x1f\x8b"

OBJECTS_MAX = 20_000
"""Of one request: a conversation of thousands of messages with its tools. Whose run it is, how long it is and what may be taken out is
found by reading each, in the loop that answers everybody: 800,000 took half a minute of it."""

VALUES_MAX = 100_000
"""Of one request, fields and members of lists together, for the same reason."""

EMBEDDED_MAX = 400_000
"""Of a request for embeddings, which may hold its tokens as numbers, 300,000 where providers take most; they are not read."""

NAMED_MAX = 10_000
"""Names that decide about a call, anywhere in its body, and fields of the body: more are not looked through."""

MAXIMA = {
    Operation.CHAT: ("max_completion_tokens", "max_tokens"),
    Operation.RESPONSES: ("max_output_tokens",),
    Operation.MESSAGES: ("max_tokens",),
}
"""How each says the most that it may write; of a chat's two names providers read the one or the other."""


class _Head(msgspec.Struct):
    model: Any = None
    stream: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    n: Any = None
    background: Any = None
    previous_response_id: Any = None
    store: Any = None
    service_tier: Any = None


class _Asking(_Head):
    thread: Any = None
    fallbacks: Any = None


class _Answer(msgspec.Struct):
    id: Any = None
    model: Any = None
    system_fingerprint: Any = None
    usage: Any = None
    tool_usage: Any = None
    status: Any = None
    service_tier: Any = None


class _Delta(msgspec.Struct):
    delta: Any = None
    text: Any = None
    finish_reason: Any = None


class _Event(msgspec.Struct):
    type: Any = None
    id: Any = None
    model: Any = None
    system_fingerprint: Any = None
    usage: Any = None
    choices: list[_Delta] | None = None
    error: Any = None
    service_tier: Any = None
    message: _Answer | str | None = None
    """Of the responses' own error event a text."""
    response: _Answer | None = None


_ASKING = msgspec.json.Decoder(_Asking)
_TOP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAMES = _Head.__struct_fields__
_NAMED = re.compile(
    rb'"(?=[%b])(?i:%b)"(?=\s*:)'
    % ("".join({n[0] + n[0].upper() for n in _NAMES}).encode(), "|".join(_NAMES).encode())
)
_PARTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(,)|(\{)', re.DOTALL)
"""Texts, which are passed over, and what stands between them for a further value and for an object."""
_SPELT = re.compile(rb'"[A-Za-z_]*\\u[0-9A-Za-z_\\]*"\s*:')
"""A name with a letter that is written by its number."""

_ANSWER = msgspec.json.Decoder(_Answer)
_EVENT = msgspec.json.Decoder(_Event)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_BEFORE_CONTENT = frozenset(
    {
        "message_start",
        "ping",
        "content_block_start",
        "response.created",
        "response.in_progress",
        "response.queued",
        "response.output_item.added",
        "response.content_part.added",
    }
)
"""Events that come before the first content: held back, so that a failure can still be a true status."""


@dataclass(slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        model: Model id, or None when the body says none or cannot be read.
        is_stream: Whether events are wanted.
        output_max: Most output tokens, all choices together, or None.
        is_background: Whether the answer is to be made without anybody who waits for it.
        continues: Id of the stored response that it goes on from, or None.
        is_stored: Whether its provider may keep the answer: it does unless it is told not to.
        names_further: Whether it names a thread that its provider keeps, or other models that may answer in place of its own.
        tier: Service tier with a price of its own, or empty.
    """

    model: str | None
    is_stream: bool
    output_max: int | None
    is_background: bool = False
    continues: str | None = None
    is_stored: bool = True
    names_further: bool = False
    tier: str = ""


@dataclass(slots=True)
class Answer:
    """What an answer says about itself.

    Attributes:
        model: Model that answered, or None.
        ident: Id of the answer, or None.
        fingerprint: Configuration of the backend, or None.
        usage: Tokens in disjoint classes, or None when they are missing or absurd.
        begun: Tokens that a stream counted before its content: what was read, and hardly anything that is written.
        state: How far a response says that it is, or None.
        has_fees: Whether it cost something besides its tokens: searches of the provider, pictures, another model's advice.
        is_absurd: Whether its usage counts what cannot be.
        tier: Service tier in which it was made, empty for the standard one, or None where nothing says so.
    """

    model: str | None = None
    ident: str | None = None
    fingerprint: str | None = None
    usage: TokenCount | None = None
    begun: TokenCount | None = None
    state: str | None = None
    has_fees: bool = False
    is_absurd: bool = False
    tier: str | None = None


class Stage:
    """What an event of a stream is."""

    BEFORE = "before"
    CONTENT = "content"
    ERROR = "error"


def read_request(body: bytes, operation: Operation) -> Asked:
    """Read what a request asks for.

    Args:
        body: As received.
        operation: What it is: a maximum of output that is none of its own is read by nobody.

    Example:
        >>> read_request(b'{"model": "m-2026-01-01", "stream": true, "messages": []}', Operation.CHAT).model
        'm-2026-01-01'
        >>> read_request(b"not json", Operation.CHAT).model is None
        True
    """
    try:
        head = _ASKING.decode(body)
    except _UNREADABLE:
        return Asked(None, False, None)
    most = 0
    for name in MAXIMA.get(operation, ()):
        given = getattr(head, name)
        if isinstance(given, int) and most < given < TOKENS_MAX:
            most = given
    choices = head.n if isinstance(head.n, int) and head.n > 1 else 1
    return Asked(
        head.model if isinstance(head.model, str) and head.model else None,
        head.stream is True,
        most * choices or None,
        head.background is True,
        head.previous_response_id if isinstance(head.previous_response_id, str) else None,
        head.store is not False,
        head.thread is not None or head.fallbacks is not None,
        tier_of(head.service_tier) or "",
    )


def has_one_meaning(body: bytes) -> bool:
    """Return whether every JSON reader agrees on the fields that `read_request` reads: no name is repeated, or written in other case.

    Of two fields with one name some readers take the first and some the last, and some do not tell large letters from small ones.

    Example:
        >>> has_one_meaning(b'{"model": "m", "tools": [{"name": "n", "parameters": {"model": 1}}]}')
        True
        >>> has_one_meaning(b'{"model": "m", "model": "n"}'), has_one_meaning(b'{"model": "m", "Model": "n"}')
        (False, False)
    """
    named = _NAMED.findall(body)
    is_plain = len(set(named)) == len(named) and all(map(bytes.islower, named))
    if is_plain and not is_spelt(body):
        return True
    # What stands inside of a field is the provider's business; what is left belongs to the object itself.
    try:
        top = _TOP.decode(body)
    except _UNREADABLE:
        return True  # then it names no model either
    if max(len(named), len(top)) > NAMED_MAX:
        return False
    own, spelt = Counter(map(bytes.lower, named)), len(_SPELT.findall(body))
    for inner in map(bytes, top.values()):
        own.subtract(map(bytes.lower, _NAMED.findall(inner)))
        spelt -= len(_SPELT.findall(inner))
    is_usual = all(name in _NAMES or name.lower() not in _NAMES for name in top)
    return is_usual and not spelt and max(own.values(), default=0) <= 1


def is_spelt(body: bytes) -> bool:
    """Return whether a name in a body has a letter that is written by its number."""
    return b"\\u" in body and _SPELT.search(body) is not None


def has_many_parts(body: bytes, values_max: int = VALUES_MAX) -> bool:
    """Return whether a request has more parts than are read of any.

    Args:
        body: As received.
        values_max: Most fields and members of lists.

    Example:
        >>> has_many_parts(b'{"input": "1, 2, 3, 4, 5"}', 3), has_many_parts(b'{"input": [1, 2, 3, 4, 5]}', 3)
        (False, True)
    """
    if body.count(b"{") <= OBJECTS_MAX and body.count(b",") <= values_max:
        return False  # however many of them stand in texts
    objects = values = 0
    for part in _PARTS.finditer(body):
        if part.lastindex == 1:
            values += 1
        elif part.lastindex == 2:
            objects += 1
        if objects > OBJECTS_MAX or values > values_max:
            return True
    return False


def read_answer(body: bytes) -> Answer:
    r"""Read what a whole answer says about itself: one document, or events, by whatever type a server calls them.

    Args:
        body: Inflated.

    Example:
        >>> read_answer(b'data: {"model": "m"}\n\n').model, read_answer(b'{"model": "m"}').model
        ('m', 'm')
    """
    try:
        return _answer(_ANSWER.decode(body))
    except _UNREADABLE:
        said = Answer()
    for data in event_data(body):
        read_event(data, Operation.RESPONSES, said)  # what its stage would be is asked by nobody
    return said


def read_event(data: bytes, operation: Operation, into: Answer) -> str:
    """Read one event of a stream, note what it says about the answer, and tell what it is.

    Args:
        data: What follows `data:`.
        operation: What was asked for.
        into: Gets model, id, fingerprint and usage where the event says them.
    """
    if data == b"[DONE]":
        return Stage.CONTENT
    try:
        event = _EVENT.decode(data)
    except _UNREADABLE:
        return Stage.CONTENT
    kind = event.type if isinstance(event.type, str) else None
    inner = event.message if isinstance(event.message, _Answer) else event.response
    for said in (event, inner):
        if said is not None:
            _merge(_answer(said, into.begun), into, is_begun=kind in _BEFORE_CONTENT)
    if operation is Operation.CHAT:
        return _chat_stage(event)
    if kind in {"error", "response.failed"}:
        return Stage.ERROR
    return Stage.BEFORE if kind in _BEFORE_CONTENT else Stage.CONTENT


def inflater_window(encoding: str) -> int:
    """Return the window of zlib for a content encoding: one that reads the head of gzip, or of deflate, by itself.

    Example:
        >>> zlib.decompressobj(inflater_window("deflate")).decompress(zlib.compress(b"{}"))
        b'{}'
    """
    return 15 if encoding == "deflate" else 47


def inflate(body: bytes, encoding: str) -> bytes | None:
    """Return a body without its content encoding, or None when it cannot be or is too large.

    Example:
        >>> inflate(b"{}", "")
        b'{}'
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate", "x-gzip"}:
        return None
    whole = b""
    while True:
        machine = zlib.decompressobj(inflater_window(encoding))
        try:
            whole += machine.decompress(body, INFLATED_BYTES_MAX - len(whole))
        except zlib.error:
            return None
        if machine.unconsumed_tail or len(whole) >= INFLATED_BYTES_MAX:
            return None
        body = machine.unused_data
        if not body.startswith(GZIP_BEGINS):  # some servers send several members, each whole by itself
            return whole


def _answer(said: _Answer | _Event, begun: TokenCount | None = None) -> Answer:
    used = read_usage(said.usage, begun)
    return Answer(
        said.model if isinstance(said.model, str) and said.model else None,
        said.id if isinstance(said.id, str) and said.id else None,
        said.system_fingerprint if isinstance(said.system_fingerprint, str) else None,
        used,
        state=said.status if isinstance(said, _Answer) and isinstance(said.status, str) else None,
        has_fees=said.usage is not None
        and (
            has_fees(said.usage, said.tool_usage if isinstance(said, _Answer) else None)
            or (used is None and has_sound(said.usage))
        ),
        is_absurd=used is None and is_absurd(said.usage),
        tier=_tier(said),
    )


def _tier(said: _Answer | _Event) -> str | None:
    """Return the tier of an answer: OpenAI names it beside its usage, Anthropic within."""
    if said.service_tier is None and isinstance(said.usage, dict):
        return tier_of(said.usage.get("service_tier"))
    return tier_of(said.service_tier)


def _merge(said: Answer, into: Answer, *, is_begun: bool) -> None:
    into.model = into.model or said.model
    into.ident = into.ident or said.ident
    into.fingerprint = into.fingerprint or said.fingerprint
    into.state = said.state or into.state
    into.has_fees = into.has_fees or said.has_fees
    into.is_absurd = into.is_absurd or said.is_absurd
    into.tier = into.tier if said.tier is None else said.tier
    if said.usage is None:
        return
    if is_begun:
        into.begun = said.usage
    else:
        before = into.usage or into.begun
        into.usage = said.usage if before is None else _larger(said.usage, before)


def _larger(one: TokenCount, other: TokenCount) -> TokenCount:
    """Join the usage of several events: each counts from the start, and none may count backwards."""
    return TokenCount(
        input=max(one.input, other.input),
        cache_read=max(one.cache_read, other.cache_read),
        cache_creation=max(one.cache_creation, other.cache_creation),
        output=max(one.output, other.output),
        reasoning=max(one.reasoning, other.reasoning),
    )


def _chat_stage(event: _Event) -> str:
    if event.error is not None:
        return Stage.ERROR
    for choice in event.choices or ():
        if choice.finish_reason or choice.text:
            return Stage.CONTENT
        if isinstance(choice.delta, dict) and any(
            value not in (None, "", []) for name, value in choice.delta.items() if name != "role"
        ):
            return Stage.CONTENT
    return Stage.CONTENT if event.usage is not None or event.choices is None else Stage.BEFORE
