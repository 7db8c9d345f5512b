# SPDX-License-Identifier: Apache-2.0
"""Which files, containers, vector stores, prompts and items of earlier answers a request names by ids that its provider keeps.

A request that says none of their names pays for looking for them, half a microsecond a kilobyte and name. Where one stands in it, it is
read whole, and what readers may take for different requests names nothing that can be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pilothouse.runtime.context.document import readable_of
from pilothouse.runtime.gateway.kept_there import own_value
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.wire import is_spelt
from pilothouse.runtime.loose_json import list_or_empty, object_or_empty

__all__ = ["items_given", "items_named", "may_name_things", "things_named"]

NAMED_MAX = 1_000
"""Things of one request, twice as many as a provider takes files for one search; more are asked of no ledger."""

MARKS = {
    Operation.CHAT: (b"file_id", b'"audio"'),
    Operation.MESSAGES: (b"file_id", b'"container"'),
    Operation.COUNT_TOKENS: (b"file_id", b'"container"'),
    Operation.RESPONSES: (b"file_id", b"container", b"vector_store_id"),
    Operation.COMPACT: (b"file_id", b"container", b"vector_store_id"),
}
"""What stands in a request that names such a thing."""

NAMES = frozenset({"file_id", "file_ids", "container_id", "vector_store_id", "vector_store_ids"})
HOLDERS = frozenset({"container", "audio"})
"""Named by their id alone, or by an object with it."""

FREE = frozenset({"metadata", "arguments", "parameters", "input_schema", "schema", "json_schema"})
"""Fields that an agent writes into what it likes: what is called a file there is none of the provider's."""

_REFERRING = b"item_reference"

_SAYING = frozenset({"id", "type", "status", "role", "summary"})
"""Fields of an item beside what it says."""

_ITEM_ID = re.compile(rb'"item_id"\s*:\s*"([\w-]{1,128})"')


class _Said(msgspec.Struct):
    input: Any = None


_INPUT = msgspec.json.Decoder(_Said)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def may_name_things(body: bytes, operation: Operation) -> bool:
    """Return whether a request has a name in it by which things are named, wherever it stands."""
    marks = MARKS.get(operation)
    if marks is None:
        return False
    for mark in marks:
        if mark in body:
            return True
    return is_spelt(body)


def things_named(body: bytes, operation: Operation) -> tuple[str, ...]:
    """Return the ids of files, containers, vector stores, prompts and spoken answers that a request names, each once.

    Raises:
        ValueError: Readers may take it for different ones, or it names more than can be asked about.

    Example:
        >>> things_named(b'{"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}', Operation.RESPONSES)
        ('file-1',)
        >>> things_named(b'{"input": "x", "metadata": {"file_id": "ours"}}', Operation.RESPONSES)
        ()
    """
    found: dict[str, None] = {}
    if may_name_things(body, operation):
        document = readable_of(body)
        if document is None:
            raise ValueError
        found = dict.fromkeys(_named(document))
    if operation in {Operation.RESPONSES, Operation.COMPACT}:
        prompt = own_value(body, "prompt")
        kept = {} if prompt == b"null" else readable_of(prompt)
        if kept is None:
            raise ValueError
        found |= {kept["id"]: None} if isinstance(kept.get("id"), str) else {}
    if len(found) > NAMED_MAX:
        raise ValueError
    return tuple(found)


def items_named(body: bytes) -> tuple[str, ...]:
    """Return the ids of items of earlier answers that a request to `responses` refers to, so that its provider says what stands in them.

    An item with its content is no reference, whatever id it has; what a model thought is one, unless it is there in cipher.

    Raises:
        ValueError: Readers may take it for different ones, or it names more than can be asked about.

    Example:
        >>> items_named(b'{"input": [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_2", "role": "user", "content": "x"}]}')
        ('msg_1',)
    """
    if b'"id"' not in body and not is_spelt(body):
        return ()
    if _REFERRING in body and readable_of(body) is None:
        raise ValueError
    try:
        items = list_or_empty(_INPUT.decode(body).input)
    except _UNREADABLE:
        return ()  # then it names no model either
    found = tuple(dict.fromkeys(one["id"] for one in items if isinstance(one, dict) and _refers(one)))
    if len(found) > NAMED_MAX:
        raise ValueError
    return found


def items_given(plain: bytes) -> tuple[str, ...]:
    """Return the ids of the items of an answer to `responses`, by which a later request can refer to them.

    Args:
        plain: The answer without content encoding, whole or in events, or empty.

    Example:
        >>> items_given(b'{"output": [{"type": "message", "id": "msg_1", "content": []}]}')
        ('msg_1',)
        >>> items_given(b'data: {"type": "response.output_text.delta", "item_id": "msg_1"}' + bytes((10, 10)))
        ('msg_1',)
    """
    if plain.lstrip()[:1] == b"{":
        return _idents(object_or_empty(plain).get("output"))
    # A stream that came to its end says them all once more with the whole answer; of one that broke off each piece says its item.
    at = plain.rfind(b'"output"')
    begin = plain.rfind(b"data:", 0, at) + 5
    whole = object_or_empty(plain[begin : plain.find(b"\n", at)]).get("response") if at >= 0 else None
    if isinstance(whole, dict) and whole.get("output"):
        return _idents(whole["output"])
    return tuple(dict.fromkeys(one.decode() for one in _ITEM_ID.findall(plain)))[:NAMED_MAX]


def _idents(items: Any) -> tuple[str, ...]:
    found = (one.get("id") for one in list_or_empty(items) if isinstance(one, dict))
    return tuple(dict.fromkeys(one for one in found if isinstance(one, str)))[:NAMED_MAX]


def _refers(item: Mapping[str, Any]) -> bool:
    if not isinstance(item.get("id"), str) or not item["id"]:
        return False
    kind = item.get("type")
    if kind == "reasoning":
        return not item.get("encrypted_content")
    return kind == "item_reference" or not any(value for name, value in item.items() if name not in _SAYING)


def _named(value: Any) -> Iterator[str]:
    """Yield ids wherever a provider looks for them; the document is no deeper than anything that walks through it takes."""
    if isinstance(value, list):
        for one in value:
            yield from _named(one)
        return
    if not isinstance(value, dict):
        return
    calls_tool = str(value.get("type")).endswith("tool_use")
    for name, inner in value.items():
        if name in FREE or (calls_tool and name == "input"):
            continue
        if name in HOLDERS:
            inner_id = inner.get("id") if isinstance(inner, dict) else inner
            if isinstance(inner_id, str):
                yield inner_id
        if name in NAMES:
            yield from (
                one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, str)
            )
        else:
            yield from _named(inner)
