# SPDX-License-Identifier: Apache-2.0
"""A conversation out of the text in which a framework writes it into a span (text → messages)."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["messages_of"]


def messages_of(text: str) -> list[dict[str, Any]]:
    """Return the messages of a text that is a JSON list of them, each with its role; none of any other text.

    Args:
        text: What stands in the span.

    Example:
        >>> messages_of('[{"role":"user","content":"Is it paid?"}]')
        [{'role': 'user', 'content': 'Is it paid?'}]
        >>> messages_of('["a list of other things"]')
        []
    """
    if not text.startswith("["):
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    is_all = isinstance(found, list) and all(isinstance(one, dict) and "role" in one for one in found)
    return found if is_all else []
