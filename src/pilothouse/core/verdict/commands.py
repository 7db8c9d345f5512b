# SPDX-License-Identifier: Apache-2.0
"""Which commands that remedies name are still to come, so that every face can say so."""

from __future__ import annotations

__all__ = ["NOT_YET", "is_to_come", "step_text"]

NOT_YET = "not in this version yet"
"""What stands beside a command that cannot be typed yet."""

_TO_COME = frozenset(
    {
        ("drill", "correction"),
        ("drill", "fallback"),
    }
)
"""First words of commands without an implementation. A test holds this against the real command tree, both ways."""


def is_to_come(command: str) -> bool:
    """Whether a remedy names a command that this version does not have.

    Args:
        command: A remedy as it stands in a verdict.

    Example:
        >>> is_to_come("pilothouse drill fallback"), is_to_come("pilothouse check")
        (True, False)
    """
    words = tuple(command.split()[1:3])
    return command.startswith("pilothouse ") and (words in _TO_COME or words[:1] in _TO_COME)


def step_text(command: str) -> str:
    """Return a remedy as a line of plain text, marked when it cannot be typed yet.

    Args:
        command: A remedy as it stands in a verdict.

    Example:
        >>> step_text("pilothouse check")
        '$ pilothouse check'
        >>> step_text("pilothouse drill fallback")
        'pilothouse drill fallback (not in this version yet)'
    """
    return f"{command} ({NOT_YET})" if is_to_come(command) else f"$ {command}"
