# SPDX-License-Identifier: Apache-2.0
"""Read which state stored at its provider a request continues, and who else may answer; refuse what readers may read differently."""

from __future__ import annotations

import re

import msgspec

from pilothouse.runtime.context.document import readable_of
from pilothouse.runtime.gateway.wire import is_spelt
from pilothouse.runtime.loose_json import list_or_empty

__all__ = ["advisors_asked", "conversation_asked", "further_asked", "own_value"]

NAMED_MAX = 10_000
"""Fields of a body: more are not looked through."""

_TOP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_IDENT = re.compile(rb'"([^"\\]*)"|\{\s*"id"\s*:\s*"([^"\\]*)"\s*\}|null')
"""How a conversation is named: by its id, or by an object of nothing else."""

_THREAD = re.compile(
    rb'\{\s*"type"\s*:\s*"create"\s*\}|null'
    rb'|\{\s*"type"\s*:\s*"continue"\s*,\s*"previous_message_id"\s*:\s*"([^"\\]*)"\s*\}'
    rb'|\{\s*"previous_message_id"\s*:\s*"([^"\\]*)"\s*,\s*"type"\s*:\s*"continue"\s*\}'
)
"""A thread is begun, or gone on with from the answer of that id."""

_NAMES = {
    name: re.compile(rb'"%b"(?=\s*:)' % name.encode(), re.IGNORECASE)
    for name in ("conversation", "fallbacks", "prompt", "thread")
}


def conversation_asked(body: bytes) -> str | None:
    """Return the id of the stored conversation that a request continues, or None.

    Raises:
        ValueError: Readers may take it for different ones.

    Example:
        >>> conversation_asked(b'{"model": "m", "conversation": {"id": "conv_1"}}')
        'conv_1'
        >>> conversation_asked(b'{"model": "m", "metadata": {"conversation": "ours"}}') is None
        True
    """
    found = _IDENT.fullmatch(own_value(body, "conversation"))
    if found is None:
        raise ValueError
    return _ident(found)


def further_asked(body: bytes) -> tuple[str | None, bool, bool]:
    """Return, for a request to `messages`, the answer that its thread continues, whether it has a thread, and whether other models may answer.

    Raises:
        ValueError: Readers may take it for different ones.

    Example:
        >>> further_asked(b'{"thread": {"type": "continue", "previous_message_id": "msg_1"}}')
        ('msg_1', True, False)
        >>> further_asked(b'{"thread": {"type": "create"}, "fallbacks": "default"}')
        (None, True, True)
    """
    thread, fallbacks = own_value(body, "thread"), own_value(body, "fallbacks")
    found = _THREAD.fullmatch(thread)
    if found is None:
        raise ValueError
    return _ident(found), thread != b"null", fallbacks != b"null"


def advisors_asked(body: bytes) -> tuple[str, ...]:
    """Return the models that a request lets its provider ask for advice.

    Args:
        body: As received.

    Raises:
        ValueError: Readers may take it for different ones.

    Example:
        >>> advisors_asked(b'{"model": "m", "tools": [{"type": "advisor_20260301", "name": "advisor", "model": "n"}]}')
        ('n',)
    """
    if b"advisor" not in body and not is_spelt(body):
        return ()
    document = readable_of(body)
    if document is None:
        raise ValueError
    tools = (one for one in list_or_empty(document.get("tools")) if isinstance(one, dict))
    return tuple(str(one.get("model", "")) for one in tools if str(one.get("type")).startswith("advisor"))


def own_value(body: bytes, name: str) -> bytes:
    """Return the value of a field of the body itself, `null` where it has none.

    Args:
        body: As received.
        name: One of `conversation`, `fallbacks`, `prompt` and `thread`.

    Raises:
        ValueError: It stands twice, or in other letters.
    """
    if b'"%b"' % name.encode() not in body.lower():
        return b"null"
    try:
        top = _TOP.decode(body)
    except _UNREADABLE:
        return b"null"  # then it names no model either
    if len(top) > NAMED_MAX:
        raise ValueError
    said = _NAMES[name]
    own = len(said.findall(body))
    own -= sum(len(said.findall(bytes(inner))) for inner in top.values())
    names = [each for each in top if each.lower() == name]
    if not names and not own:
        return b"null"
    if own != 1 or names != [name]:
        raise ValueError
    return bytes(top[name])


def _ident(found: re.Match[bytes]) -> str | None:
    ident = found[1] if found[1] is not None else found[2]
    return ident.decode() if ident else None
