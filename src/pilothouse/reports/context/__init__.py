# SPDX-License-Identifier: Apache-2.0
"""Dated data of others beside our own numbers: figures of a survey, and the frameworks our evidence speaks to.

No formula reads this; a test holds `core` against it.
"""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Benchmarks", "Control", "ControlMap", "Framework", "Sector", "benchmarks", "control_map"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sector(_Frozen):
    """Figures of one sector, as text: they are quoted, not counted with."""

    name: str
    production: str
    failure: str
    blocker: str


class _Disagreement(_Frozen):
    text: str


class Benchmarks(_Frozen):
    """What one survey says about sectors.

    Attributes:
        note: Words that stand at every rendering.
        frame: Who was asked.
        dated: Date of the source.
        read_on: When we read it.
        sector: One row for each sector.
        disagreement: Where texts that repeat the survey contradict each other.
    """

    note: str
    frame: str
    dated: date
    read_on: date
    sector: tuple[Sector, ...]
    disagreement: tuple[_Disagreement, ...]


class Control(_Frozen):
    """One thing that a framework asks for.

    Attributes:
        id: How the framework calls it.
        asks: What it asks for, in our words.
        evidence: Requirements that produce evidence for it; empty when nothing here does.
        checked: Whether a person held the row against the framework's text.
    """

    id: str
    asks: str
    evidence: tuple[str, ...]
    checked: bool = False


class Framework(_Frozen):
    """A framework.

    Attributes:
        id: Short name.
        name: Name.
        names: How charters call it under `regulations`.
        control: What it asks for.
    """

    id: str
    name: str
    names: tuple[str, ...] = Field(alias="for")
    control: tuple[Control, ...]


class ControlMap(_Frozen):
    """Every framework that our evidence speaks to."""

    dated: date
    framework: tuple[Framework, ...]


def _read(name: str) -> dict[str, object]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def benchmarks() -> Benchmarks:
    """Return the figures of the survey."""
    return Benchmarks.model_validate(_read("benchmarks.toml"))


@cache
def control_map() -> ControlMap:
    """Return which requirements produce evidence for which control."""
    return ControlMap.model_validate(_read("controls.toml"))
