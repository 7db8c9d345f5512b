# SPDX-License-Identifier: Apache-2.0
"""Take tool results out of a long request without losing them: what is kept and the ledger together are the original.

Only results of tools are ever touched. Instructions, the user's words, and what the assistant said stay, and so does
any result that holds a pinned text: an id, an amount, a prohibition. In place of a removed result the model reads what
is gone and how to recall it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.errors import DigestMismatch
from pilothouse.runtime.context.conversation import tool_results

__all__ = ["ContextEdits", "EditPolicy", "Removed", "apply_edits", "is_reachable", "recall", "restore"]

NOTE_CHARACTERS_MIN = 200
"""A shorter result costs about what its note costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPolicy:
    """Which edits a charter switched on; all are off by default.

    Attributes:
        drop_duplicates: Remove a result that stands again, word for word, further on.
        externalize_characters: Remove results longer than this, or None.
        clear_older_than: Remove results of all but the last so many tool calls, or None.
        pinned: Texts that must stay in the request.
    """

    drop_duplicates: bool = False
    externalize_characters: int | None = None
    clear_older_than: int | None = None
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """An entry of the ledger: one result that was taken out.

    Attributes:
        path: JSON path of it in the request.
        call_id: The call it is the result of.
        digest: SHA-256 of it as JSON, hex: what `recall` is asked for.
        characters: Its length.
        reason: `duplicate`, `large` or `old`.
        content: The result itself.
    """

    path: str
    call_id: str
    digest: str
    characters: int
    reason: str
    content: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEdits:
    """A request after its edits.

    Attributes:
        request: What is sent.
        ledger: What was taken out, in the order of the request.
    """

    request: dict[str, Any]
    ledger: tuple[Removed, ...] = field(default_factory=tuple)


def apply_edits(request: dict[str, Any], policy: EditPolicy) -> ContextEdits:
    """Edit a request, and verify that nothing is lost.

    Args:
        request: Parsed request; it is not changed.
        policy: Which edits are on.

    Raises:
        DigestMismatch: What is kept and the ledger are not the original; nothing may be sent.

    Example:
        >>> big = {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x" * 500}]}
        >>> edits = apply_edits(big, EditPolicy(externalize_characters=400))
        >>> edits.ledger[0].reason, restore(edits) == big
        ('large', True)
    """
    edited = copy.deepcopy(request)
    results = [
        (path, call_id, holder, name)
        for call_id, path, holder, name in tool_results(edited)
        if name in holder
    ]
    last = {json.dumps(holder[name], sort_keys=True): path for path, _, holder, name in results}
    ledger: list[Removed] = []
    for place, (path, call_id, holder, name) in enumerate(results):
        content = holder[name]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        plain = content if isinstance(content, str) else text
        if len(plain) < NOTE_CHARACTERS_MIN or any(pin in plain for pin in policy.pinned):
            continue
        is_again = last[json.dumps(content, sort_keys=True)] != path
        reason = _reason(policy, is_again=is_again, size=len(plain), newer=len(results) - 1 - place)
        if not reason:
            continue
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        entry = Removed(
            path=path, call_id=call_id, digest=digest, characters=len(plain), reason=reason, content=content
        )
        ledger.append(entry)
        holder[name] = _note(entry)
    edits = ContextEdits(request=edited, ledger=tuple(ledger))
    if restore(edits) != request:
        raise DigestMismatch(
            "an edited request and its ledger are not the original",
            remedy="Switch the edit off: `context.edits: []` in charter.yaml, then `pilothouse check`",
        )
    return edits


def restore(edits: ContextEdits) -> dict[str, Any]:
    """Put everything back; the original, exactly.

    Args:
        edits: An edited request with its ledger.
    """
    original = copy.deepcopy(edits.request)
    notes = {entry.path: entry for entry in edits.ledger}
    for _, path, holder, name in tool_results(original):
        entry = notes.get(path)
        if entry is not None and holder.get(name) == _note(entry):
            holder[name] = copy.deepcopy(entry.content)
    return original


def recall(ledger: Sequence[Removed], digest: str, *, start: int = 0, end: int | None = None) -> str | None:
    """Return a removed result, or a range of it, by the digest that its note names; None for an unknown one.

    Args:
        ledger: Entries of the run.
        digest: Digest, or enough of its beginning to name only one.
        start: First character.
        end: Character after the last, or None for the rest.
    """
    found = {entry.digest: entry for entry in ledger if digest and entry.digest.startswith(digest)}
    if len(found) != 1:
        return None
    content = next(iter(found.values())).content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return text[start:end]


def is_reachable(edits: ContextEdits, fact: str) -> bool:
    """Whether a planted fact still stands in the request, or can be recalled.

    Args:
        edits: An edited request.
        fact: The text.
    """
    if fact in json.dumps(edits.request, ensure_ascii=False):
        return True
    return any(fact in (recall(edits.ledger, entry.digest) or "") for entry in edits.ledger)


def _reason(policy: EditPolicy, *, is_again: bool, size: int, newer: int) -> str:
    if policy.drop_duplicates and is_again:
        return "duplicate"
    if policy.externalize_characters is not None and size > policy.externalize_characters:
        return "large"
    if policy.clear_older_than is not None and newer >= policy.clear_older_than:
        return "old"
    return ""


def _note(entry: Removed) -> str:
    return (
        f"[{entry.characters} characters were taken out of this request ({entry.reason}). "
        f"They are kept: ask for them with recall(id={entry.digest[:16]!r}, start=0, end=...).]"
    )
