# SPDX-License-Identifier: Apache-2.0
"""Images inside a request: a megabyte of base64 that costs as many tokens as a page of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pilothouse.runtime.gateway.messages import CHARACTERS_PER_TOKEN
from pilothouse.runtime.loose_json import list_or_empty, object_or_empty

__all__ = ["PICTURE_TOKENS_MAX", "pictures_in", "read_tokens"]

PICTURE_TOKENS_MAX = 16_384
"""Tokens of one picture at the most: providers make it smaller first, and publish 1,500 to 10,000."""

PICTURE_TOKENS = 1_600
"""Tokens of one picture, where nobody counted: what providers publish for one of usual size."""

_AT = ("image_url", "input_image", "computer_screenshot")


def pictures_in(body: bytes) -> tuple[int, int]:
    """Return how many images a request contains, and how many of its bytes they take.

    A text that only looks like one is text, and counts as such; so do files and sound, whose tokens their bytes do not bound.

    Args:
        body: Of a chat, responses or messages request.

    Example:
        >>> pictures_in(b'{"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]}]}')
        (1, 26)
    """
    found = [len(data) for data in _pictures(object_or_empty(body))]
    return len(found), sum(found)


def read_tokens(body: bytes) -> int:
    """Estimate the tokens of a request that a provider has read, where it did not count.

    Args:
        body: As the provider got it.

    Example:
        >>> read_tokens(b'{"messages": [{"role": "user", "content": "four more words"}]}')
        15
    """
    count, size = pictures_in(body) if len(body) > PICTURE_TOKENS * CHARACTERS_PER_TOKEN else (0, 0)
    return (len(body) - size) // CHARACTERS_PER_TOKEN + count * PICTURE_TOKENS


def _pictures(asked: Mapping[str, Any]) -> Iterator[str]:
    waiting = [item for name in ("messages", "input") for item in list_or_empty(asked.get(name))]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        for name in ("content", "output"):
            inner = part.get(name)
            waiting += [inner] if isinstance(inner, dict) else list_or_empty(inner)
        data = _data(part)
        if data is not None:
            yield data


def _data(part: Mapping[str, Any]) -> str | None:
    kind = part.get("type")
    if kind in _AT:
        at = part.get("image_url")
        url = at.get("url") if isinstance(at, dict) else at
        return url if isinstance(url, str) and url.startswith("data:image/") else None
    source = part.get("source") if kind == "image" else None
    if not isinstance(source, dict) or source.get("type") != "base64":
        return None
    data = source.get("data")
    return data if isinstance(data, str) else None
