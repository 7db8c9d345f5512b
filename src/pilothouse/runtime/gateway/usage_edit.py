# SPDX-License-Identifier: Apache-2.0
"""The edit `inject_usage`: ask for the usage of a chat stream whose client does not, and take the event that says it out again.

OpenAI's chat streams say what they used only when they are asked to, in one further event before the end. A charter that switches the
edit on has its streams settled by what the provider counted; their clients get the stream that they asked for.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.sse import BOUNDARY, EventCutter, event_data
from pilothouse.runtime.gateway.wire import Answer, read_event

__all__ = ["UsageCutter", "ask_for_usage", "with_usage"]


class _Options(msgspec.Struct):
    stream_options: Any = None


class _Extra(msgspec.Struct):
    choices: list[Any] | None = None
    usage: Any = None


_OPTIONS = msgspec.json.Decoder(_Options)
_EXTRA = msgspec.json.Decoder(_Extra)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def ask_for_usage(call: Call) -> None:
    """Have the provider of a chat stream asked for its usage, unless its client asks for it.

    The provider is asked for a stream without content encoding too: out of an encoded one no event can be taken.

    Args:
        call: Before its first attempt, of an agent whose charter switches the edit on.
    """
    if not call.is_stream or call.route.operation is not Operation.CHAT:
        return
    try:
        said = _OPTIONS.decode(call.asked).stream_options
    except _UNREADABLE:
        return
    if said is not None and (not isinstance(said, dict) or said.get("include_usage") is True):
        return
    call.adds_usage = True
    others = [pair for pair in call.request_headers if pair[0] != b"accept-encoding"]
    call.request_headers = [*others, (b"accept-encoding", b"identity")]


def with_usage(fields: dict[str, msgspec.Raw]) -> None:
    """Put the option into the fields of a request that `ask_for_usage` has looked at, beside the client's own options.

    Example:
        >>> fields = {"stream_options": msgspec.Raw(b'{"include_obfuscation": false}')}
        >>> with_usage(fields)
        >>> bytes(fields["stream_options"])
        b'{"include_obfuscation":false,"include_usage":true}'
    """
    own = msgspec.json.decode(fields["stream_options"]) if "stream_options" in fields else None
    fields["stream_options"] = msgspec.Raw(msgspec.json.encode({**(own or {}), "include_usage": True}))


class UsageCutter(EventCutter):
    r"""Gives out whole events without the one that says nothing but the usage, which it reads.

    Args:
        said: Filled with the usage.
        echo: As for every cutter.

    Example:
        >>> cutter = UsageCutter(Answer())
        >>> cutter.feed(b'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\ndata: [DONE]\n\n')
        b'data: [DONE]\n\n'
    """

    __slots__ = ("_said", "taken")

    def __init__(self, said: Answer, echo: int = 0) -> None:
        super().__init__(echo)
        self._said = said
        self.taken = 0
        """Bytes that were taken out."""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes in and return whole events, perhaps none."""
        return self._without(super().feed(chunk))

    def rest(self) -> bytes:
        """Return what is left at the end of the stream."""
        return self._without(super().rest())

    def _without(self, events: bytes) -> bytes:
        if b'"usage"' not in events:
            return events
        kept, begin = [], 0
        ends = [found.end() for found in BOUNDARY.finditer(events)]
        for end in (*ends, len(events)):
            event, begin = events[begin:end], end
            if event and self._is_extra(event):
                self.taken += len(event)
            else:
                kept.append(event)
        return b"".join(kept)

    def _is_extra(self, event: bytes) -> bool:
        """Whether an event says nothing but the usage; then it is read."""
        data = next(event_data(event), b"")
        if b'"usage"' not in data:
            return False
        try:
            found = _EXTRA.decode(data)
        except _UNREADABLE:
            return False
        if found.choices != [] or not isinstance(found.usage, dict):
            return False
        read_event(data, Operation.CHAT, self._said)
        return True
