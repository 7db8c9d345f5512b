# SPDX-License-Identifier: Apache-2.0
"""A score of another library, in the form that every adapter returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = ["ForeignMetric", "ForeignScore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignScore:
    """A value as the library gave it, or none.

    Attributes:
        value: The library's own number, or None when it gave none.
        reason: What the library said about it, or empty.
    """

    value: float | None
    reason: str = ""


@runtime_checkable
class ForeignMetric(Protocol):
    """One scorer of another library, unchanged.

    Example:
        >>> class Same:
        ...     identity = "example 1.0"
        ...     is_judge = False
        ...     async def measure(self, *, input, output, expected):
        ...         return ForeignScore(value=float(output == expected))
        >>> isinstance(Same(), ForeignMetric)
        True
    """

    @property
    def identity(self) -> str:
        """Library, version, name and arguments: another one is another scorer."""
        ...

    @property
    def is_judge(self) -> bool:
        """Whether a model may be asked inside: then its errors are measured by a card before it decides anything."""
        ...

    async def measure(self, *, input: Any, output: Any, expected: Any) -> ForeignScore:  # noqa: A002 - the word every one of these libraries uses
        """Score one answer."""
        ...
