# SPDX-License-Identifier: Apache-2.0
"""What `pilothouse doctor` found: each thing it looked at, with what to type about it."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

__all__ = ["Check", "Checkup"]

State = Literal["ok", "warning", "failed"]


class Check(BaseModel):
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        state: `ok`, `warning` or `failed`.
        sentence: What was found.
        remedy: What to type; empty when nothing is needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: State
    sentence: str
    remedy: str = ""


class Checkup(BaseModel):
    """Everything that was looked at, in order.

    Attributes:
        as_of: When, aware UTC.
        program: Version of Pilothouse.
        checks: What was found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: AwareDatetime
    program: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return any(check.state == "failed" for check in self.checks)
