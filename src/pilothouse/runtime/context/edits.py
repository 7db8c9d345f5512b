# SPDX-License-Identifier: Apache-2.0
"""Remove tool results from a long request without losing them: the edited request and the ledger restore the original.

Only results of tools are ever touched. Instructions, the user's words, and what the assistant said stay, and so does
any result that holds a pinned text: an id, an amount, a prohibition. In place of a removed result the model reads what
is gone and how to recall it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.core.charter.models import EDITED_CHARACTERS_MIN
from pilothouse.errors import DigestMismatch
from pilothouse.runtime.context.conversation import (
    ToolResult,
    is_said_by_model,
    tool_names,
    tool_results,
    tool_uses,
)

__all__ = [
    "RECALL_TOOL",
    "ContextEdits",
    "EditPolicy",
    "Removed",
    "apply_edits",
    "recall",
    "recall_id",
    "restore",
]

DIGEST_CHARACTERS = 16
"""Hex digits of the digest in an id: one in 10^19 for two results of a run."""

RECALL_TOOL = "recall"
"""Name of the agent's own tool that asks for what was taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPolicy:
    """Which edits a charter switched on; all are off by default.

    Attributes:
        from_share: Share of the window from which a request is edited.
        drop_duplicates: Remove a result that stands again, word for word, further on.
        externalize_characters: Remove results longer than this, or None.
        keep_last: Remove results before so many last ones, as many at a time, or None. In steps, because each
            removal makes the provider read the rest of the conversation anew.
        pinned: Texts that must stay in the request.
    """

    from_share: float = 0.7
    drop_duplicates: bool = False
    externalize_characters: int | None = None
    keep_last: int | None = None
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A ledger entry: one removed result.

    Attributes:
        path: JSON path of it in the request.
        call_id: The call it is the result of.
        digest: SHA-256 of it as JSON, hex.
        characters: Its length.
        reason: `duplicate`, `large` or `old`.
        content: The result itself.
        note: What stands in its place.
        tokens: Tokens that it probably had, where somebody counts them.
    """

    path: str
    call_id: str
    digest: str
    characters: int
    reason: str
    content: Any
    note: str
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEdits:
    """A request after its edits.

    Attributes:
        request: What is sent.
        ledger: What was taken out, in the order of the request.
    """

    request: dict[str, Any]
    ledger: tuple[Removed, ...] = field(default_factory=tuple)


def apply_edits(request: dict[str, Any], policy: EditPolicy, *, run: str = "") -> ContextEdits:
    """Edit a request, and verify that it can be restored.

    What the model has not answered to yet is only taken out where it stands again, or where the agent has a tool
    `recall`: else the model would never see it.

    Args:
        request: Parsed request; it is not changed.
        policy: Which edits are on.
        run: Run id, which begins every id that the model is given.

    Raises:
        DigestMismatch: What is kept and the ledger are not the original; nothing may be sent.

    Example:
        >>> said = {"role": "assistant", "content": "Done."}
        >>> big = {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x" * 500}, said]}
        >>> edits = apply_edits(big, EditPolicy(externalize_characters=400))
        >>> edits.ledger[0].reason, restore(edits) == big
        ('large', True)
    """
    edited = copy.deepcopy(request)
    can_recall = RECALL_TOOL in tool_names(request)
    ledger: list[Removed] = []
    for result, reason in _chosen(edited, policy, can_recall=can_recall):
        content = result.content
        text = _plain(content)
        if len(text) < EDITED_CHARACTERS_MIN or any(pin in text for pin in policy.pinned):
            continue
        digest = hashlib.sha256(_canonical(content).encode("utf-8", "surrogatepass")).hexdigest()
        note = _note(len(text), reason, recall_id(run, digest), can_recall=can_recall)
        ledger.append(
            Removed(
                path=result.path,
                call_id=result.call_id,
                digest=digest,
                characters=len(text),
                reason=reason,
                content=content,
                note=note,
            )
        )
        result.replace(note)
    edits = ContextEdits(request=edited, ledger=tuple(ledger))
    if restore(edits) != request:
        raise DigestMismatch(
            "an edited request and its ledger are not the original",
            remedy="Switch the edits off: `context.policy: refuse` in charter.yaml, then `pilothouse check`",
        )
    return edits


def restore(edits: ContextEdits) -> dict[str, Any]:
    """Restore the original request exactly.

    Args:
        edits: An edited request with its ledger.
    """
    original = copy.deepcopy(edits.request)
    entries = {entry.path: entry for entry in edits.ledger}
    for result in tool_results(original):
        entry = entries.get(result.path)
        if entry is not None and result.content == entry.note:
            result.replace(copy.deepcopy(entry.content))
    return original


def recall(removed: Mapping[str, Any], digest: str, *, start: int = 0, end: int | None = None) -> str | None:
    """Return a removed result, or a range of it, by the digest in its note; None for an unknown one.

    Args:
        removed: Results by their whole digests.
        digest: Digest, or enough of its beginning to name only one.
        start: First character.
        end: Character after the last, or None for the rest.

    Example:
        >>> recall({"ab12": "order 7 is in Lyon"}, "ab", end=7), recall({}, "ab")
        ('order 7', None)
    """
    found = [content for whole, content in removed.items() if digest and whole.startswith(digest)]
    return None if len(found) != 1 else _plain(found[0])[start:end]


def recall_id(run: str, digest: str) -> str:
    """Return the id by which a removed result is recalled."""
    return f"{run}-{digest[:DIGEST_CHARACTERS]}" if run else digest[:DIGEST_CHARACTERS]


def _chosen(
    request: dict[str, Any], policy: EditPolicy, *, can_recall: bool
) -> Iterator[tuple[ToolResult, str]]:
    """Yield each result that the policy removes, and the reason."""
    uses = tool_uses(request)
    results = [result for result in tool_results(request) if result.is_given]
    answered = _answered(request, [result.path for result in results])
    last = {_canonical(result.content): result.path for result in results}
    old = _old(len(results), policy.keep_last)
    for place, result in enumerate(results):
        use = uses.get(result.call_id)
        is_recalled = use is not None and use.name == RECALL_TOOL
        is_large = (
            policy.externalize_characters is not None
            and len(_plain(result.content)) > policy.externalize_characters
        )
        if policy.drop_duplicates and last[_canonical(result.content)] != result.path:
            reason = "duplicate"
        elif is_large and not is_recalled and (can_recall or place < answered):
            reason = "large"
        elif place < min(old, answered):
            reason = "old"
        else:
            continue
        yield result, reason


def _answered(request: Mapping[str, Any], paths: Sequence[str]) -> int:
    """Return how many of the results precede a later answer of the model."""
    spoken = -1
    name = "messages" if isinstance(request.get("messages"), list) else "input"
    items = request.get(name)
    for place, item in enumerate(items if isinstance(items, list) else ()):
        if is_said_by_model(item):
            spoken = place
    begin = f"$.{name}["
    return sum(
        path.startswith(begin) and int(path[len(begin) :].partition("]")[0]) < spoken for path in paths
    )


def _old(results: int, keep_last: int | None) -> int:
    """Return how many of the first results are old, a whole multiple of those that stay."""
    return 0 if keep_last is None else max(0, results - keep_last) // keep_last * keep_last


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def _note(characters: int, reason: str, ident: str, *, can_recall: bool) -> str:
    how = (
        f"{RECALL_TOOL}(id={ident!r}, start=0, end=...) returns them"
        if can_recall
        else f"they are kept as {ident}; if you need them, call the tool again"
    )
    return f"[{characters:,} characters of a tool's result were taken out here ({reason}); {how}.]"
