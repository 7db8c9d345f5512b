# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of recorded runs in any of three protocols, each with the call, path and kind that must be named.

A mutation changes one leaf whose path it knows because it went there, so what is expected owes nothing to the code that
finds differences.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass

from pilothouse.runtime.replay.divergence import DivergenceKind
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import Diverge, ReplaySession, Serve

KINDS = (
    "model",
    "params",
    "instructions",
    "tool_schema",
    "history",
    "arguments",
    "tool_result",
    "missing",
    "extra",
)


@dataclass(frozen=True)
class Found:
    """What a mutation was, and what the replay named.

    Attributes:
        expected: Call, path and kind.
        named: The same as the replay says it.
    """

    expected: tuple
    named: tuple

    @property
    def is_placed(self):
        """Whether call and path are right."""
        return self.expected[:2] == self.named[:2]

    @property
    def is_classified(self):
        """Whether the kind is right."""
        return self.expected[2] == self.named[2]


def play(calls, redaction, rng):
    """Play a run up to a mutated call."""
    replay = ReplaySession(calls, ReplayMode.STRICT, redaction)
    at = rng.randrange(len(calls))
    places = {kind: _places(calls[at].document, kind) for kind in KINDS[:7]}
    kind = rng.choice(
        [name for name in KINDS if places.get(name) or name == "missing" or (name == "extra" and at)]
    )
    for call in calls[:at]:
        assert isinstance(replay.take(call.route, call.body), Serve)
    number = calls[at].number
    expected = (number, "$", DivergenceKind(kind) if kind in {"missing", "extra"} else None)
    if kind == "extra":
        again = calls[rng.randrange(at)]  # asked again: nothing is left to answer it
        assert isinstance(replay.take(again.route, again.body), Diverge)
    elif kind != "missing":
        path, keys = rng.choice(places[kind])
        document = copy.deepcopy(calls[at].document)
        _change(document, keys, rng)
        assert isinstance(replay.take(calls[at].route, json.dumps(document).encode()), Diverge)
        expected = (number, path, DivergenceKind.HISTORY if kind == "arguments" else DivergenceKind(kind))
    named = replay.first_divergence()
    return Found(expected, (named.call, named.path, named.kind))


def _places(document, kind):
    """Return path and keys of each leaf whose change is of a kind."""
    if kind == "model":
        return [_leaf("model")]
    if kind == "params":
        return [_leaf(name) for name in ("temperature", "max_tokens", "stream", "seed")]
    if kind == "tool_schema":
        tool = document["tools"][0]
        inner = ("function",) if isinstance(tool.get("function"), dict) else ()
        return [_leaf("tools", 0, *inner, name) for name in ("description", "name")]
    if kind == "instructions" and isinstance(document.get("instructions"), str):
        return [_leaf("instructions")]
    name = "messages" if "messages" in document else "input"
    if isinstance(document[name], str):
        return [_leaf(name)] if kind == "history" else []
    return [
        found for place, item in enumerate(document[name]) for found in _of_item(item, (name, place), kind)
    ]


def _of_item(item, keys, kind):
    role, type_name = item.get("role"), item.get("type")
    if kind == "arguments":
        calls = enumerate(item.get("tool_calls") or ())
        found = [_leaf(*keys, "tool_calls", place, "function", "arguments") for place, _ in calls]
        return found + [_leaf(*keys, "arguments")] * (type_name == "function_call")
    if kind == "tool_result":
        name = "content" if role == "tool" else "output" if type_name == "function_call_output" else None
    else:
        of_kind = {"instructions": {"system", "developer"}, "history": {"user"}}[kind]
        name = "content" if role in of_kind else None
    if name is None:
        return []
    if isinstance(item[name], str):
        return [_leaf(*keys, name)]
    return [_leaf(*keys, name, at, "text") for at, part in enumerate(item[name]) if "text" in part]


def _leaf(*keys):
    path = "$"
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}"
    return path, keys


def _change(document, keys, rng):
    holder = document
    for key in keys[:-1]:
        holder = holder[key]
    word = f"changed-{rng.randrange(10**6)}"
    holder[keys[-1]] = word if isinstance(holder.get(keys[-1]), str) else rng.choice([0.5, 9, word, None])
    if keys[-1] == "stream":
        holder["stream"] = rng.choice(["yes", 7])
