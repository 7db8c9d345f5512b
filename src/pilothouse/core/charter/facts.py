# SPDX-License-Identifier: Apache-2.0
"""Facts from outside the charter file that its rules need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pilothouse.core.charter.contract import ToolContract
from pilothouse.core.charter.models_published import Retirement

__all__ = ["CharterFacts", "FileFact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """A file that a charter names.

    Attributes:
        digest: SHA-256 of its bytes, or None when it does not exist.
        is_empty: Whether it holds nothing but white space.
        arguments: For a tool contract: names of its arguments; None when it is no contract.
        contract: The tool contract that it is, or why it is none; None where nobody looked.
    """

    digest: str | None
    is_empty: bool = False
    arguments: tuple[str, ...] | None = None
    contract: ToolContract | str | None = None

    @property
    def is_there(self) -> bool:
        """Whether it exists and is not empty."""
        return self.digest is not None and not self.is_empty


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterFacts:
    """The facts that rules are given.

    Attributes:
        today: The present day, UTC.
        files: Files by the path written in the charter; None when nobody looked, and then no rule
            speaks about files.
        exact_models: Model ids known to be exact although they carry no date.
        model_aliases: Exact ids by alias, newest first.
        retirements: Published last days by model; those that come with this program when None.
        writing_credentials: Credentials known to be able to write.
        groups: Directory groups that may stand where a group is allowed.
        first_counted_on: Day of the first counted task, or None before it.
        sealed_outcomes: Digest of the outcome section as sealed, or None before that.
    """

    today: date
    files: Mapping[str, FileFact] | None = None
    exact_models: frozenset[str] = frozenset()
    model_aliases: Mapping[str, tuple[str, ...]] | None = None
    retirements: Mapping[str, Retirement] | None = None
    writing_credentials: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    first_counted_on: date | None = None
    sealed_outcomes: str | None = None
