# SPDX-License-Identifier: Apache-2.0
"""Masks: values of a request that differ between two runs of the same input and mean nothing, such as a time or an id.

A mask names whose text it is, where in it, and what kind of token. It is learned from two replays and approved by a person, never
guessed. It covers a token only where both sides have one of that kind and all around it is equal, and where the text still says
something without it. What a model said, names and arguments of tools, roles, and every parameter but an id cannot be covered at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pilothouse.runtime.replay.divergence import MISSING, DivergenceKind, differences, kind_at

__all__ = ["MASKS_MAX", "NO_MASKS", "Covered", "Mask", "MaskSet", "TokenKind", "tokens_apart"]

MASKS_MAX = 16
"""Masks of one agent: who needs more has an agent whose runs cannot be compared, and a record of them fits the audit log."""

PLACE_CHARS_MAX = 160
"""Characters of whose and where; what lies deeper, or under longer names, is not covered."""


class TokenKind(StrEnum):
    """What may differ within a text."""

    ISO_TIME = "iso_time"
    UUID = "uuid"
    HEX_ID = "hex_id"
    EPOCH = "epoch"
    NUMBER = "number"


IDS = frozenset({TokenKind.UUID, TokenKind.HEX_ID})
"""Kinds that name a thing: who is the same on one side must be the same on the other."""

TOKEN = re.compile(
    r"(?<![\w.])(?:"
    r"(?P<iso_time>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<epoch>1\d{9}(?:\.\d{1,9})?|1\d{12}|1\d{15}|1\d{18})"
    r"|(?P<hex_id>(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,64})"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r")(?!\w)"
)
"""The kinds, the most telling first; nothing of a longer word is one."""

SPOKEN = re.compile(
    r"^\$\.(?:(?:messages|input|system)(?:\[\d+\])?(?:\.(?:content|output|text)(?:\[\d+\])?)*|instructions)$"
)
"""Texts that are said to a model."""

NAMING = re.compile(r"^\$\.(?:metadata[.\[].*|user|safety_identifier|prompt_cache_key|seed)$")
"""Parameters that name a call and do not decide what is answered; each may differ as a whole."""

INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True, order=True)
class Mask:
    """What is covered.

    Attributes:
        whose: Whose text: `tool_result(NAME)`, `user`, `instructions`, or `params`.
        path: Where, any index as `[*]`; behind ` > ` a path within a text that is JSON.
        token: What kind of token.
    """

    whose: str
    path: str
    token: TokenKind

    @property
    def ident(self) -> str:
        """Short name, the same for the same mask.

        Example:
            >>> Mask("user", "$.messages[*].content", TokenKind.UUID).ident
            '11f87795'
        """
        return hashlib.sha256(f"{self.whose}\n{self.path}\n{self.token}".encode()).hexdigest()[:8]

    def sentence(self) -> str:
        """Return what is covered, in words.

        Example:
            >>> Mask("user", "$.messages[*].content", TokenKind.UUID).sentence()
            'uuid in user at $.messages[*].content'
        """
        return f"{self.token} in {self.whose} at {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A token that differs and is covered.

    Attributes:
        call: Number of the recorded call.
        at: JSON path of it.
        mask: What covers it.
        recorded: The token in the record.
        found: The token in the replay.
    """

    call: int
    at: str
    mask: Mask
    recorded: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSet:
    """The masks of an agent in force.

    Attributes:
        masks: Each of them.
        version: One more with each approval or withdrawal; 0 for none ever.
        learns: Whether everything that can be covered is, to find out what differs.
    """

    masks: tuple[Mask, ...] = ()
    version: int = 0
    learns: bool = False

    @property
    def covers_nothing(self) -> bool:
        """Whether no request could match by them."""
        return not (self.masks or self.learns)

    def cover(self, call: int, recorded: dict[str, Any], found: dict[str, Any]) -> tuple[Covered, ...] | None:
        """Return what is covered of a request, or None where it differs from the recorded one in anything else.

        Args:
            call: Number of the recorded call.
            recorded: Its parsed request.
            found: The other one.
        """
        covered: list[Covered] = []
        for place in differences(recorded, found):
            here = self._cover_place(call, place, recorded, found)
            if here is None:
                return None
            covered += here
        return tuple(covered) if _is_one_to_one(covered) else None

    def hides(
        self, path: str, mine: Any, theirs: Any, recorded: dict[str, Any], found: dict[str, Any]
    ) -> bool:
        """Whether one difference of two requests is covered, so that another one is what the report must name."""
        return self._cover_place(0, (path, mine, theirs), recorded, found) is not None

    def _cover_place(
        self, call: int, place: tuple[str, Any, Any], recorded: dict[str, Any], found: dict[str, Any]
    ) -> list[Covered] | None:
        if self.covers_nothing or MISSING in place[1:]:
            return None
        whose = _whose(place[0], recorded, found)
        try:
            return None if whose is None else self._cover_value(call, whose, *place)
        except RecursionError:  # a text may be JSON that nests as deep as it likes
            return None

    def _cover_value(self, call: int, whose: str, path: str, mine: Any, theirs: Any) -> list[Covered] | None:
        whole = tokens_apart(_written(mine), _written(theirs))
        if not whole or not (whose == "params" or (_says(_written(mine)) and _says(_written(theirs)))):
            return None
        covered: list[Covered] = []
        for place, one, other in _texts(path, mine, theirs):
            for kind, left, right in tokens_apart(one, other) or ():
                mask = Mask(whose, INDEX.sub("[*]", place), kind)
                if len(whose) + len(mask.path) > PLACE_CHARS_MAX or not (self.learns or mask in self.masks):
                    return None
                covered.append(Covered(call=call, at=place, mask=mask, recorded=left, found=right))
        # A key that stands twice hides a value from whoever reads the text as JSON.
        return covered if len(covered) == len(whole) else None


NO_MASKS = MaskSet()
"""Nothing is covered."""


def tokens_apart(one: str, other: str) -> list[tuple[TokenKind, str, str]] | None:
    """Return the tokens by which two texts differ; None where they differ in anything else.

    Example:
        >>> tokens_apart("order 7 at 2026-11-30T09:00:00Z", "order 7 at 2026-11-30T09:00:02Z")
        [(<TokenKind.ISO_TIME: 'iso_time'>, '2026-11-30T09:00:00Z', '2026-11-30T09:00:02Z')]
        >>> tokens_apart("paid 7", "owed 7") is None
        True
    """
    left, right = list(TOKEN.finditer(one)), list(TOKEN.finditer(other))
    if _between(one, left) != _between(other, right) or [m.lastgroup for m in left] != [
        m.lastgroup for m in right
    ]:
        return None
    return [
        (TokenKind(str(mine.lastgroup)), mine[0], theirs[0])
        for mine, theirs in zip(left, right, strict=True)
        if mine[0] != theirs[0]
    ]


def _between(text: str, tokens: Sequence[re.Match[str]]) -> list[str]:
    """Return what stands before, between and behind the tokens of a text."""
    begins = [0, *(token.end() for token in tokens)]
    ends = [*(token.start() for token in tokens), len(text)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _texts(path: str, mine: Any, theirs: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the texts that differ: the two values, or within them where both are JSON that is written alike."""
    if isinstance(mine, str) and isinstance(theirs, str):
        one, other = _read(mine), _read(theirs)
        if one is not None and other is not None:
            for inner, left, right in differences(one, other):
                yield f"{path} > {inner}", _written(left), _written(right)
            return
    yield path, _written(mine), _written(theirs)


def _written(value: Any) -> str:
    """Return a value as text; of what is neither text nor number only what it is, which holds no token."""
    if isinstance(value, str):
        return value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return json.dumps(value) if is_number else f"\0{type(value)}"


def _read(text: str) -> Any:
    """Return the object or list that a text is, or None."""
    try:
        return json.loads(text) if text.lstrip().startswith(("{", "[")) else None
    except ValueError:
        return None


def _says(text: str) -> bool:
    """Whether a text says something besides its tokens."""
    return any(letter.isalnum() for letter in TOKEN.sub("", text))


def _whose(path: str, recorded: dict[str, Any], found: dict[str, Any]) -> str | None:
    """Return whose text stands at a place; None where nothing may be covered."""
    if NAMING.match(path):
        return "params"
    if not SPOKEN.match(path):
        return None
    kind, tool = kind_at(path, recorded, found)
    if kind is DivergenceKind.TOOL_RESULT:
        return None if tool is None else f"tool_result({tool})"
    if kind is DivergenceKind.INSTRUCTIONS:
        return "instructions"
    if path == "$.input":
        return "user"
    name, _, rest = path.removeprefix("$.").partition("[")
    item = recorded[name][int(rest.partition("]")[0])] if rest else None
    return "user" if isinstance(item, dict) and item.get("role") == "user" else None


def _is_one_to_one(covered: Sequence[Covered]) -> bool:
    """Whether ids that were the same are the same still, and others are others."""
    pairs = {(each.recorded, each.found) for each in covered if each.mask.token in IDS}
    return len(pairs) == len({mine for mine, _ in pairs}) == len({theirs for _, theirs in pairs})
