# SPDX-License-Identifier: Apache-2.0
"""One replay: each request is answered from the record, goes live, or ends the replay at its first divergence.

Only what a change touches leaves the record, because only those requests no longer match it: that is the causal cone
of the change, by construction. A parallel branch that the change does not reach is still served.
"""

from __future__ import annotations

import copy
import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from pilothouse.core.charter.digest import canonical_json
from pilothouse.runtime.context.conversation import ToolUse, tool_results, tool_uses
from pilothouse.runtime.context.document import readable_of
from pilothouse.runtime.context.edits import recall
from pilothouse.runtime.context.ledger import ID
from pilothouse.runtime.replay.divergence import Divergence, DivergenceKind, describe, nearest
from pilothouse.runtime.replay.exchange import Exchange, is_answering, request_key
from pilothouse.runtime.replay.kept_answers import kept_answer
from pilothouse.runtime.replay.masks import NO_MASKS, Covered, MaskSet
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.runtime.runlog.redaction import Redaction

__all__ = ["BLOCKED", "Counts", "Diverge", "Live", "ReplaySession", "Serve"]

COVERED_MAX = 1_000
"""Covered tokens that one replay names; each later request of a conversation has those of the earlier ones again."""

BLOCKED = json.dumps(
    {
        "error": {
            "kind": "unavailable",
            "side_effect": "none",
            "advice": "This call was not made: it is not in the recorded run, and a replay changes nothing outside.",
        }
    }
)
"""What the model reads in place of the result of a tool call that must not be made."""


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer from the record; `shadow` is the body to send live beside it, or None."""

    exchange: Exchange
    shadow: bytes | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """Ask a live model at `route`; `exchange` is the recorded call that the request stands for, or None."""

    body: bytes
    exchange: Exchange | None
    route: str


@dataclass(frozen=True, slots=True)
class Diverge:
    """End the replay here."""

    divergence: Divergence


Decision = TypeVar("Decision", Serve, Live)


@dataclass(slots=True, kw_only=True)
class Counts:
    """Where answers came from.

    Attributes:
        served: Model calls answered from the record.
        compared: Those among them that a live model was asked beside it.
        live: Model calls that a live model answered.
        pinned: Tool results that were put back as recorded.
        simulated: Tool calls that ran inside, allowed by name.
        blocked: Tool calls that were not in the record and were not made known to the model.
    """

    served: int = 0
    compared: int = 0
    live: int = 0
    pinned: int = 0
    simulated: int = 0
    blocked: int = 0


class ReplaySession:
    """Answers the requests of one replay; safe for several threads.

    Args:
        recorded: The calls of the run.
        mode: How requests are answered that are not in the record.
        redaction: What the record was written through.
        substitution: What is changed.
        allowed_tools: Tools whose unseen calls may keep what they returned inside.
        retrieved: Returns the texts that retrieval steps of the run brought in; asked once, where a text differs.
        removed: Results that edits of the context had taken out of requests, by digest.
        masks: What may differ and means nothing.
    """

    def __init__(
        self,
        recorded: Sequence[Exchange],
        mode: ReplayMode,
        redaction: Redaction,
        *,
        substitution: Substitution | None = None,
        allowed_tools: frozenset[str] = frozenset(),
        retrieved: Callable[[], Sequence[str]] = tuple,
        removed: Mapping[str, Any] | None = None,
        masks: MaskSet = NO_MASKS,
    ) -> None:
        self.mode = mode
        self.counts = Counts()
        self.divergences: list[Divergence] = []
        self.covered: list[Covered] = []
        """What differed and was covered by a mask."""
        self.unchanged = 0
        """Requests that could not be changed, because readers may take them for different ones."""
        self.last: Serve | Live | None = None
        """What the last request that a model answers got."""
        self._recorded = tuple(recorded)
        self._redaction = redaction
        self._substitution = substitution or Substitution()
        self._changes_requests = not replace(self._substitution, code=None).is_empty
        self._allowed = allowed_tools
        self._retrieved = cache(retrieved)
        self._removed = removed or {}
        self._masks = masks
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, deque[Exchange]] = defaultdict(deque)
        for exchange in self._recorded:
            self._waiting[exchange.key].append(exchange)
        self._served: list[Exchange] = []
        self._results = _recorded_results(self._recorded)
        self._seen: set[str] = set()
        self._forked = False

    def take(self, route: str, body: bytes) -> Serve | Live | Diverge:
        """Decide about one request.

        Args:
            route: Path from `/v1` on.
            body: Request body as the agent sent it.
        """
        clean = self._redaction.apply(body)
        document = readable_of(clean)
        with self._lock:
            asked, shadow = clean, None
            if document is None:
                self.unchanged += is_answering(route) and self._changes_requests
            else:
                changed = self._substitution.apply(document) if is_answering(route) else document
                if self.mode is ReplayMode.FORK:
                    changed = self._rewrite(changed)
                if self.mode is ReplayMode.COMPARE:
                    shadow = clean if changed is document else json.dumps(changed).encode()
                elif changed is not document:
                    asked, document = json.dumps(changed).encode(), changed
            waiting = self._waiting.get(request_key(route, asked))
            if waiting:
                self.counts.compared += shadow is not None
                return self._serve(waiting, shadow)
            alike = self._but_for_masks(route, document)
            if alike is not None:
                self.counts.compared += shadow is not None
                return self._serve(self._waiting[alike.key], shadow)
            if self.mode is ReplayMode.PIN_TOOLS and document is not None:
                pinned = self._pin(route, document)
                if pinned is not None:
                    return pinned
            divergence = describe(
                document,
                asked,
                route,
                self._left(),
                self._served,
                retrieved=self._retrieved,
                hides=self._masks.hides,
            )
            self.divergences.append(divergence)
            if self.mode is not ReplayMode.FORK:
                return Diverge(divergence)
            self._forked = True
            self.counts.live += 1
            stands_for = None
            if divergence.kind is not DivergenceKind.EXTRA:  # a further call is none of the recorded ones
                stands_for = next((each for each in self._left() if each.number == divergence.call), None)
            if stands_for is not None:
                self._waiting[stands_for.key].remove(stands_for)
            return self._noted(Live(asked, stands_for, route), route)

    def models(self) -> list[str]:
        """Return the models that the run asked, by name."""
        named = ((call.document or {}).get("model") for call in self._recorded)
        return sorted({name for name in named if isinstance(name, str)})

    def kept_answer(self, method: str, route: str, query: bytes) -> tuple[str, bytes] | None:
        """Return type and body of the answer to a request about a response that this replay has served, or None; see `kept_answers`."""
        with self._lock:
            return kept_answer(self._served, method, route, query)

    def recall(self, ident: str, *, start: int = 0, end: int | None = None) -> str | None:
        """Return what the agent asks for by the id of a note, as the gateway did; None where nothing is recorded.

        Args:
            ident: The id.
            start: First character.
            end: Character after the last, or None for the rest.
        """
        named = ID.fullmatch(ident)
        return None if named is None else recall(self._removed, named["digest"], start=start, end=end)

    def first_divergence(self) -> Divergence | None:
        """Return the first divergence in the order of the run; a call that was never made is one at the end."""
        with self._lock:
            if self.divergences:
                return min(self.divergences, key=lambda each: each.call)
            left = self._left()
            if not left or self._forked:
                return None
            return Divergence(call=left[0].number, kind=DivergenceKind.MISSING, path="$")

    def _serve(self, waiting: deque[Exchange], shadow: bytes | None = None) -> Serve:
        exchange = waiting.popleft()
        self._served.append(exchange)
        self.counts.served += 1
        return self._noted(Serve(exchange, shadow), exchange.route)

    def _noted(self, decision: Decision, route: str) -> Decision:
        if is_answering(route):
            self.last = decision
        return decision

    def _left(self) -> list[Exchange]:
        return sorted(
            (exchange for waiting in self._waiting.values() for exchange in waiting),
            key=lambda each: each.number,
        )

    def _but_for_masks(self, route: str, document: dict[str, Any] | None) -> Exchange | None:
        """Return the first recorded call that differs from a request in nothing but what masks cover."""
        if document is None or self._masks.covers_nothing:
            return None
        for call in self._left():
            if call.document is None or call.route != route:
                continue
            covered = self._masks.cover(call.number, call.document, document)
            if covered is not None:
                self._keep(covered)
                return call
        return None

    def _keep(self, covered: Sequence[Covered]) -> None:
        self.covered += covered[: COVERED_MAX - len(self.covered)]

    def _pin(self, route: str, document: dict[str, Any]) -> Serve | None:
        """Serve a recorded call that differs from the request in tool results only."""
        call, was_served = nearest(document, route, self._left(), self._served)
        if call is None or was_served or call.document is None:
            return None
        pinned = copy.deepcopy(document)
        theirs = {result.call_id: result.content for result in tool_results(call.document) if result.is_given}
        for result in tool_results(pinned):
            if result.call_id in theirs and result.content != theirs[result.call_id]:
                result.replace(theirs[result.call_id])
                self._count_once("pinned", result.call_id)
        covered = self._masks.cover(call.number, call.document, pinned)
        if covered is None:
            return None
        self._keep(covered)
        return self._serve(self._waiting[call.key])

    def _rewrite(self, document: dict[str, Any]) -> dict[str, Any]:
        """Substitute recorded results for recorded calls; other results pass only by name."""
        changed = copy.deepcopy(document)
        uses = tool_uses(document)
        asked: Counter[tuple[str, str]] = Counter()
        for result in tool_results(changed):
            if result.call_id in self._substitution.tool_results:
                continue
            tool = _tool_of(result.call_id, uses)
            recorded, before = self._results.get(tool), asked[tool]
            asked[tool] += 1
            if recorded is not None:
                given = recorded.of(result.call_id, before)
                if result.content not in given:
                    result.replace(given[0])
                    self._count_once("pinned", result.call_id)
            elif tool[0] in self._allowed:
                self._count_once("simulated", result.call_id)
            else:
                result.replace(BLOCKED)
                self._count_once("blocked", result.call_id)
        return document if _is_same(changed, document) else changed

    def _count_once(self, name: str, call_id: str) -> None:
        """Count a substituted result once, although every later request repeats it."""
        if f"{name}:{call_id}" not in self._seen:
            self._seen.add(f"{name}:{call_id}")
            setattr(self.counts, name, getattr(self.counts, name) + 1)


class _Results:
    """What a tool returned to the same arguments: to each call of a run its own result, in whatever forms it was sent."""

    def __init__(self) -> None:
        self._forms: dict[str, list[Any]] = {}

    def add(self, call_id: str, result: Any) -> None:
        """Store a result; an agent that shortens its history sends it in several forms."""
        forms = self._forms.setdefault(call_id, [])
        if result not in forms:
            forms.append(result)

    def of(self, call_id: str, before: int) -> list[Any]:
        """Return the forms of a call's result; a call that the run does not know gets those of the run's call in its place.

        Args:
            call_id: The call.
            before: Calls with the same arguments before it in its conversation.
        """
        own = self._forms.get(call_id)
        return own or list(self._forms.values())[min(before, len(self._forms) - 1)]


def _recorded_results(recorded: Sequence[Exchange]) -> dict[tuple[str, str], _Results]:
    """Return the results of tools in a run by tool and arguments."""
    found: defaultdict[tuple[str, str], _Results] = defaultdict(_Results)
    for exchange in recorded:
        if exchange.document is None:
            continue
        uses = tool_uses(exchange.document)
        for result in tool_results(exchange.document):
            if result.is_given:
                found[_tool_of(result.call_id, uses)].add(result.call_id, result.content)
    return dict(found)


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        return canonical_json(one) == canonical_json(other)
    except ValueError:  # a whole number that has no canonical form
        return one == other


def _tool_of(call_id: str, uses: Mapping[str, ToolUse]) -> tuple[str, str]:
    """Return tool and arguments of a call; of one that stands in a conversation kept elsewhere only the id is known."""
    use = uses.get(call_id)
    return ("", call_id) if use is None else (use.name, use.args)
