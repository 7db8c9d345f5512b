# SPDX-License-Identifier: Apache-2.0
"""Link a model call to its run when the client names none, by ids that were given to only one run.

A model answer hands out ids (of tool calls, of responses); the next request of the same run brings them back. Where
there are none, a request that continues the messages of exactly one earlier request belongs to that one's run.
Whatever is ambiguous begins a new run: splitting a run is a nuisance, merging two is wrong.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.core.evidence.run_log import IdentitySource
from pilothouse.runtime.context.conversation import conversation_items
from pilothouse.runtime.loose_json import list_or_empty, object_or_empty

__all__ = ["ASKS", "CallLinker", "Conversation", "RunLinker", "consumed_ids", "message_digests"]

LINKS_MAX = 60_000
"""Ids and digests remembered, about 180 bytes each; the oldest are forgotten first. One or two come with a call."""

LINK_LIFE_S = 86_400.0
"""A run that pauses for longer is a new run; half of it is remembered for sure."""

KEY_BYTES = 12
"""Of the digest that an agent's id is remembered by: among 60,000 two are equal once in 10^18 gateways."""

IDS_MAX = 1_000
"""Ids looked at in one request or answer."""

_AMBIGUOUS = "several"
_SORTED = msgspec.json.Encoder(order="sorted")


class RunLinker:
    """Remembers which run was given which id, separately for each agent.

    Example:
        >>> linker = RunLinker()
        >>> linker.remember("triage", "a" * 32, handed=("call_1",))
        >>> linker.find("triage", consumed=("call_1",))
        ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', <IdentitySource.LINKED_ID: 'linked_id'>)
        >>> linker.find("other", consumed=("call_1",)) is None
        True
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic, links_max: int = LINKS_MAX) -> None:
        self._now_s = now_s
        self._half = max(1, links_max // 2)
        self._lock = threading.Lock()
        self._young: dict[bytes, str] = {}
        self._old: dict[bytes, str] = {}
        self._since = now_s()
        self._until = self._since + LINK_LIFE_S / 2
        self.unlinked = 0
        """Requests that brought ids which nobody was given, or several runs were."""

    def find(
        self, agent: str, *, consumed: Sequence[str] = (), prefixes: Sequence[str] = ()
    ) -> tuple[str, IdentitySource] | None:
        """Return the run of a request and how it was found, or None for a new run.

        Args:
            agent: The agent whose key came with it.
            consumed: Ids that the request brings back, of `consumed_ids`.
            prefixes: Digests of the beginnings that it may continue, of `message_digests`, the longest first.
        """
        with self._lock:
            self._forget()
            runs = {
                run
                for run in (self._run(agent, "id:" + each) for each in consumed[-IDS_MAX:])
                if run is not None
            }
            if len(runs) == 1 and _AMBIGUOUS not in runs:
                return runs.pop(), IdentitySource.LINKED_ID
            if consumed:
                # The ids name several runs, or none of ours: guessing by text could merge.
                self.unlinked += 1
                return None
            for digest in prefixes:
                run = self._run(agent, "text:" + digest)
                if run is not None:
                    return None if run == _AMBIGUOUS else (run, IdentitySource.PREFIX)
        return None

    def remember(
        self, agent: str, run: str, *, handed: Sequence[str] = (), messages: str | None = None
    ) -> None:
        """Remember the ids and messages that a run was given.

        Args:
            agent: The agent.
            run: The run.
            handed: Ids in the answer that a next request can bring back.
            messages: Digest of all messages of its request, or None.
        """
        names = ["id:" + each for each in handed[:IDS_MAX]]
        if messages is not None:
            names.append("text:" + messages)
        with self._lock:
            self._forget()
            for name in names:
                key = _key(agent, name)
                known = self._young.get(key) or self._old.get(key)
                is_other = known is not None and known != run
                self._young[key] = _AMBIGUOUS if is_other else run
                if len(self._young) >= self._half:
                    self._old, self._young = self._young, {}

    def _forget(self) -> None:
        """Drop old links: they are kept in two generations, and a generation is dropped as a whole, so that none needs a time."""
        now = self._now_s()
        if now < self._until:
            return
        halves = int((now - self._since) // (LINK_LIFE_S / 2))
        self._old = self._young if halves == 1 else {}
        self._young = {}
        self._since += halves * LINK_LIFE_S / 2
        self._until = self._since + LINK_LIFE_S / 2

    def _run(self, agent: str, name: str) -> str | None:
        key = _key(agent, name)
        return self._young.get(key) or self._old.get(key)


def _key(agent: str, name: str) -> bytes:
    text = f"{agent}\0{name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=KEY_BYTES).digest()


class Conversation:
    """A request for linkage: parsed once, digested lazily.

    A body that is no JSON object links nothing.

    Attributes:
        consumed: Ids that it brings back.
    """

    __slots__ = ("_digests", "_request", "consumed")

    def __init__(self, body: bytes) -> None:
        self._request = object_or_empty(body)
        self._digests: tuple[str | None, tuple[str, ...]] | None = None
        self.consumed = consumed_ids(self._request)

    def digests(self) -> tuple[str | None, tuple[str, ...]]:
        """Return what `message_digests` says: a pass over the whole conversation, where ids say it without."""
        if self._digests is None:
            self._digests = message_digests(self._request)
            self._request = {}
        return self._digests


class CallLinker:
    """Links calls by their bodies: JSON requests, and answers in one piece or as events."""

    def __init__(self, linker: RunLinker | None = None) -> None:
        self.linker = linker or RunLinker()

    def find(self, agent: str, said: Conversation) -> tuple[str, IdentitySource] | None:
        """Return the run of a request and how it was found, or None for a new run.

        Args:
            agent: The agent whose key came with it.
            said: The request.
        """
        beginnings = () if said.consumed else said.digests()[1]
        return self.linker.find(agent, consumed=said.consumed, prefixes=beginnings)

    def learn(self, agent: str, run: str, said: Conversation, answer: bytes) -> None:
        """Remember the ids and messages that a run was given.

        Args:
            agent: The agent.
            run: The run.
            said: The request.
            answer: Body of the answer, JSON or events.
        """
        handed = tuple(dict.fromkeys(found.decode() for found in HANDED.findall(answer)))
        messages = None if handed and ASKS.search(answer) else said.digests()[0]
        self.linker.remember(agent, run, handed=handed, messages=messages)


ASKS = re.compile(rb'"tool_calls"\s*:\s*\[\s*\{|"type"\s*:\s*"(?:tool_use|function_call|custom_tool_call)"')
"""How an answer asks for a tool, in one piece or in events; inside a text the quotes are escaped."""

HANDED = re.compile(rb'"(?:id|call_id)"\s*:\s*"([A-Za-z0-9_.:-]{1,200})"')
"""Ids as they stand in an answer. One inside a text has its quotes escaped, and one that never comes back links nothing."""


def consumed_ids(request: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids that a request brings back from earlier answers, in order.

    Args:
        request: Parsed body of a chat, responses or messages request.

    Example:
        >>> consumed_ids({"messages": [{"role": "tool", "tool_call_id": "call_7", "content": "1"}]})
        ('call_7',)
        >>> consumed_ids({"previous_response_id": "resp_1", "input": "go on"})
        ('resp_1',)
        >>> consumed_ids({"thread": {"type": "continue", "previous_message_id": "msg_1"}, "messages": []})
        ('msg_1',)
    """
    found: list[str] = []
    previous = request.get("previous_response_id")
    if isinstance(previous, str):
        found.append(previous)
    thread = request.get("thread")
    before = thread.get("previous_message_id") if isinstance(thread, dict) else None
    if isinstance(before, str):
        found.append(before)
    for item in conversation_items(request):
        content = item.get("content")
        if len(item) == 2 and type(content) is str and "role" in item:
            continue  # somebody says something, as most of a conversation is
        for name in ("tool_call_id", "call_id"):
            value = item.get(name)
            if isinstance(value, str):
                found.append(value)
        found.extend(
            call["id"]
            for call in list_or_empty(item.get("tool_calls"))
            if isinstance(call, dict) and isinstance(call.get("id"), str)
        )
        for part in list_or_empty(content):
            if isinstance(part, dict):
                value = part.get("tool_use_id") or (
                    part.get("id") if part.get("type") == "tool_use" else None
                )
                if isinstance(value, str):
                    found.append(value)
    return tuple(dict.fromkeys(found))


def message_digests(request: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return the digest of all messages, and of the prefixes that the request may continue, longest first.

    A request continues another when it has the other's messages, then what a model made, then more.

    Args:
        request: Parsed body of a chat, responses or messages request.

    Example:
        >>> first, _ = message_digests({"messages": [{"role": "user", "content": "a"}]})
        >>> _, continued = message_digests({"messages": [{"role": "user", "content": "a"},
        ...     {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})
        >>> continued == (first,)
        True
    """
    items = conversation_items(request)
    if not items:
        return None, ()
    system = request.get("system", request.get("instructions"))
    running = hashlib.blake2b(_SORTED.encode(system), digest_size=16)
    beginnings: list[str] = []
    for place, item in enumerate(items):
        if place and _is_models(item):
            beginnings.append(running.copy().hexdigest())
        running.update(_SORTED.encode(item))
    return running.hexdigest(), tuple(reversed(beginnings))


def _is_models(item: Mapping[str, Any]) -> bool:
    """Whether a model made an item: of those of `responses` only messages say a role, its reasoning and its searches say none."""
    role = item.get("role")
    return role == "assistant" or (role is None and not str(item.get("type")).endswith("_output"))
