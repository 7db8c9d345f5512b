# SPDX-License-Identifier: Apache-2.0
"""Count the tokens of a request before it is sent: known exactly for what was sent before, estimated for the rest.

A provider says after each call how many tokens its input had. The next request of the conversation begins with the
same messages, so its count is that number plus an estimate of the rest, by a ratio that is learned for each model and
class of content. Length divided by four is off by half where agents live: JSON, ids, Chinese.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["ALERTS", "ContentClass", "ContextCounter", "Level", "TokenEstimate", "content_class", "level_of"]

CONVERSATIONS_MAX = 20_000
"""Prefixes whose exact count is remembered; the one longest untouched is forgotten and estimated anew."""

RATIOS_KEPT = 200
"""Observed ratios of a class; older ones say little about the model that serves now."""

RATIOS_MIN = 20
"""Observations before quantiles of the ratio are believed; before that the table's ratio and its margin stand."""

MESSAGE_TOKENS = 4
"""What a message costs beside its text: role and marks."""

ALERTS = (0.70, 0.85, 0.95)
"""Shares of the window at which an alert is due."""


class ContentClass(StrEnum):
    """Classes of text with different ratios of tokens to bytes."""

    PROSE = "prose"
    CODE = "code"
    JSON = "json"
    IDS = "ids"
    CJK = "cjk"


TOKENS_PER_CHARACTER = {
    ContentClass.PROSE: 0.23,
    ContentClass.CODE: 0.31,
    ContentClass.JSON: 0.45,
    ContentClass.IDS: 0.62,
    ContentClass.CJK: 0.85,
}
"""Where nothing was observed yet. Prose, JSON and ids are what one real tokenizer gave; it gave 0.20 for Python and 0.60
for Chinese, which stand higher here: other tokenizers need more, and a first estimate that is too low truncates."""

TABLE_MARGIN = 1.35
"""How far a table ratio may be under the truth."""


class Level(StrEnum):
    """How full the context window is."""

    CALM = "calm"
    NOTICE = "notice"
    WARNING = "warning"
    ALARM = "alarm"
    EXCEEDED = "exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """Input tokens of a request.

    Attributes:
        exact: Part that the provider counted before.
        low: 5 % quantile of the whole.
        median: Middle of the whole, for display.
        high: 95 % quantile of the whole, for admission.
    """

    exact: int
    low: int
    median: int
    high: int


CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
HEX = re.compile(r"\b[0-9a-f]{8,}\b|\b[0-9A-Za-z_-]{20,}\b")
CODE = re.compile(r"(?m)^\s*(?:def |class |import |from |return |if .*:|for .*:|[{};]|//|#include)")


def content_class(text: str) -> ContentClass:
    """Classify a text by its ratio of tokens.

    Args:
        text: Any text; its first 4,000 characters decide.

    Example:
        >>> content_class('{"order": 7, "lines": [1, 2]}'), content_class("Where is my order?")
        (<ContentClass.JSON: 'json'>, <ContentClass.PROSE: 'prose'>)
    """
    head = text[:4_000]
    if len(CJK.findall(head)) * 4 > len(head):
        return ContentClass.CJK
    if sum(map(len, HEX.findall(head))) * 2 > len(head):
        return ContentClass.IDS
    if head.lstrip()[:1] in {"{", "["} and head.count('"') * 12 > len(head):
        return ContentClass.JSON
    return ContentClass.CODE if len(CODE.findall(head)) * 60 > len(head) else ContentClass.PROSE


def level_of(estimate: TokenEstimate, window_tokens: int, output_tokens: int) -> tuple[Level, float]:
    """Return how full the context window is, and the share in use at the 95 % quantile.

    Args:
        estimate: Input tokens.
        window_tokens: What the model can read and write together.
        output_tokens: Output that was asked for.

    Example:
        >>> level_of(TokenEstimate(exact=0, low=80, median=90, high=96), 100, 5)[0]
        <Level.EXCEEDED: 'exceeded'>
    """
    share = (estimate.high + output_tokens) / window_tokens
    if share > 1:
        return Level.EXCEEDED, share
    place = sum(share >= alert for alert in ALERTS)
    return (Level.CALM, Level.NOTICE, Level.WARNING, Level.ALARM)[place], share


class ContextCounter:
    """Counts the tokens of requests, and learns from the counts that providers report."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, int] = OrderedDict()
        self._ratios: defaultdict[tuple[str, ContentClass], deque[float]] = defaultdict(
            lambda: deque(maxlen=RATIOS_KEPT)
        )

    def estimate(self, model: str, request: Mapping[str, Any]) -> TokenEstimate:
        """Estimate the input tokens of a request."""
        parts = _parts(request)
        digests = _digests(model, parts)
        exact, rest = self._beginning(digests)
        low = median = high = 0.0
        for part in parts[rest:]:
            low_ratio, middle, high_ratio = self._ratio(model, content_class(part))
            low += len(part) * low_ratio
            median += len(part) * middle + MESSAGE_TOKENS
            high += len(part) * high_ratio + MESSAGE_TOKENS
        return TokenEstimate(
            exact=exact, low=exact + int(low), median=exact + round(median), high=exact + math.ceil(high)
        )

    def tokens(self, model: str, text: str) -> int:
        """Estimate the tokens of a text."""
        return round(len(text) * self._ratio(model, content_class(text))[1])

    def learn(self, model: str, request: Mapping[str, Any], input_tokens: int) -> bool:
        """Learn the provider's count; return whether the provider read clearly less than was sent.

        Args:
            model: Exact model id.
            request: Parsed request.
            input_tokens: All input tokens, cached ones too.

        Returns:
            True when the count is below the 5 % quantile of the estimate: the server cut the input without a word.
        """
        before = self.estimate(model, request)
        parts = _parts(request)
        if not parts:
            return False
        digests = _digests(model, parts)
        cut = input_tokens < before.low
        if not cut:
            fresh = parts[self._beginning(digests)[1] :]
            classes = {content_class(part) for part in fresh}
            grown = input_tokens - before.exact - MESSAGE_TOKENS * len(fresh)
            size = sum(map(len, fresh))
            if len(classes) == 1 and size >= 40 and grown > 0:
                self._ratios[model, classes.pop()].append(grown / size)
            self._known[digests[-1]] = input_tokens
            self._known.move_to_end(digests[-1])
            if len(self._known) > CONVERSATIONS_MAX:
                self._known.popitem(last=False)
        return cut

    def _beginning(self, digests: list[str]) -> tuple[int, int]:
        """Return the tokens of the longest known prefix, and its number of parts."""
        for place in range(len(digests), 0, -1):
            known = self._known.get(digests[place - 1])
            if known is not None:
                return known, place
        return 0, 0

    def _ratio(self, model: str, kind: ContentClass) -> tuple[float, float, float]:
        seen = sorted(self._ratios[model, kind])
        if len(seen) < RATIOS_MIN:
            table = TOKENS_PER_CHARACTER[kind]
            return table / TABLE_MARGIN / 2, table, table * TABLE_MARGIN
        return seen[len(seen) // 20], seen[len(seen) // 2], seen[-1 - len(seen) // 20]


def _parts(request: Mapping[str, Any]) -> list[str]:
    """Return the request as an append-only list of texts: tools and instructions first, then each message."""
    head = [request.get(name) for name in ("tools", "system", "instructions")]
    parts = [json.dumps(each, ensure_ascii=False, sort_keys=True) for each in head if each]
    items = request.get("messages", request.get("input"))
    listed = items if isinstance(items, list) else [items] if items else []
    return [*parts, *(item if isinstance(item, str) else _text(item) for item in listed)]


def _text(item: Any) -> str:
    content = item.get("content") if isinstance(item, dict) else None
    if isinstance(content, str) and set(item) <= {"role", "content", "tool_call_id", "name"}:
        return content
    return json.dumps(item, ensure_ascii=False, sort_keys=True)


def _digests(model: str, parts: list[str]) -> list[str]:
    running = hashlib.blake2b(model.encode(), digest_size=16)
    found: list[str] = []
    for part in parts:
        running.update(b"\x00" + part.encode("utf-8", "surrogatepass"))
        found.append(running.copy().hexdigest())
    return found
