# SPDX-License-Identifier: Apache-2.0
"""Find what a request as it was received lets its provider take out of the conversation; most pay a search for three words."""

from __future__ import annotations

from pilothouse.runtime.context.document import readable_of
from pilothouse.runtime.context.opaque import edits_of_provider

__all__ = ["UNREADABLE", "may_be_edited"]

MARKS = (b'"context_management"', b'"compaction', b'"truncation"')
"""What stands in a request that asks for it; one that spells names by numbers is refused before."""

UNREADABLE = "unreadable"
"""A request that may ask for it, and that readers take for different ones."""


def may_be_edited(route: str, body: bytes) -> tuple[str, ...]:
    """Return by what a provider may shorten a request; empty for most.

    Args:
        route: Path from `/v1` on.
        body: Its body, as received.

    Example:
        >>> may_be_edited("/v1/responses", b'{"input": "hi", "truncation": "auto"}')
        ('truncation=auto',)
        >>> may_be_edited("/v1/responses", b'{"input": "hi"}')
        ()
    """
    if not (route.endswith("/compact") or any(mark in body for mark in MARKS)):
        return ()
    document = readable_of(body)
    return (UNREADABLE,) if document is None else edits_of_provider(route, document)
