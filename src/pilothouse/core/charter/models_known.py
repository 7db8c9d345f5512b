# SPDX-License-Identifier: Apache-2.0
"""Model aliases whose exact ids are known, for remedies that can be typed.

The table only helps to write a message: an id is judged exact or floating by its form (see
`rules/model.py`). Written down from the providers' published model lists; an entry that has become old
costs nothing but a worse hint.
"""

from __future__ import annotations

__all__ = ["MODEL_ALIASES"]

MODEL_ALIASES: dict[str, tuple[str, ...]] = {
    "gpt-4o": ("gpt-4o-2024-11-20", "gpt-4o-2024-08-06"),
    "gpt-4o-mini": ("gpt-4o-mini-2024-07-18",),
    "gpt-4.1": ("gpt-4.1-2025-04-14",),
    "gpt-4.1-mini": ("gpt-4.1-mini-2025-04-14",),
    "gpt-4.1-nano": ("gpt-4.1-nano-2025-04-14",),
    "gpt-5": ("gpt-5-2025-08-07",),
    "gpt-5-mini": ("gpt-5-mini-2025-08-07",),
    "gpt-5-nano": ("gpt-5-nano-2025-08-07",),
    "o3": ("o3-2025-04-16",),
    "o4-mini": ("o4-mini-2025-04-16",),
    "claude-3-5-haiku-latest": ("claude-3-5-haiku-20241022",),
    "claude-3-7-sonnet-latest": ("claude-3-7-sonnet-20250219",),
    "claude-sonnet-4-0": ("claude-sonnet-4-20250514",),
    "claude-opus-4-0": ("claude-opus-4-20250514",),
    "claude-opus-4-1": ("claude-opus-4-1-20250805",),
    "claude-sonnet-4-5": ("claude-sonnet-4-5-20250929",),
    "claude-haiku-4-5": ("claude-haiku-4-5-20251001",),
    "claude-opus-4-5": ("claude-opus-4-5-20251101",),
}
"""Alias → exact ids, newest first."""
