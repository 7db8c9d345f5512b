# SPDX-License-Identifier: Apache-2.0
"""The escaped forms of a text in JSON, also nested, so that an erasure finds them."""

from __future__ import annotations

import json

__all__ = ["says", "spellings"]

PACKED_MAX = 3
"""How often JSON is looked for within JSON: a message of a sender, within what a tool answered, within a row of ours."""

_FOR_PAGES = str.maketrans({one: f"\\u{ord(one):04x}" for one in "'<>&"})
"""What encoders escape besides that write for pages, those of .NET and Go among them."""


def spellings(text: str) -> tuple[str, ...]:
    r"""Return a text and its JSON escapes, also nested.

    Example:
        >>> spellings("Jürgen")[:2]
        ('Jürgen', 'J\\u00fcrgen')
        >>> spellings("Kim 4711")
        ('Kim 4711',)
    """
    found = {text: None}
    for is_ascii in (True, False):
        for for_pages in (False, True):
            written = text
            for _ in range(PACKED_MAX):
                written = json.dumps(written, ensure_ascii=is_ascii)[1:-1]
                if for_pages:
                    written = written.translate(_FOR_PAGES)
                found[written] = None
    return tuple(found)


def says(text: str, spelled: tuple[str, ...]) -> bool:
    r"""Return whether a text contains another, however it is escaped.

    Args:
        text: Where it is looked for.
        spelled: The `spellings` of what is looked for; many texts are looked through for one.

    Example:
        >>> says('{"role": "user", "content": "ask O\\u0027Brien"}', spellings("O'Brien"))
        True
    """
    return any(one in text for one in spelled)
