# SPDX-License-Identifier: Apache-2.0
"""One evaluation input with its expectation, and the two hashes that decide what must run or be scored again."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pilothouse.core.charter.digest import canonical_digest, canonical_json

__all__ = [
    "Assertion",
    "Case",
    "CaseLabel",
    "Split",
    "Step",
    "Trajectory",
    "TrajectoryMode",
    "canonical_digest",
]

INPUT_BYTES_MAX = 1024 * 1024
"""One case is one unit of narrow work; a larger input is a file that belongs behind a tool."""


CaseId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Split(StrEnum):
    """What a case may be used for."""

    GATE = "gate"
    """Feeds verdicts."""
    DEV = "dev"
    """May be looked at freely and never feeds a verdict."""
    SEALED = "sealed"
    """Opened only on request; each opening is recorded."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Assertion(_Frozen):
    """One check of one case.

    Attributes:
        scorer: Name in the scorer registry.
        args: Arguments of that scorer.
        must_not: Zero tolerance: one reproduced failure breaches the release.
    """

    scorer: str = Field(min_length=1, max_length=200)
    args: dict[str, Any] = Field(default_factory=dict)
    must_not: bool = False


class Step(_Frozen):
    """One tool call of a golden trajectory.

    Attributes:
        tool: Name of the tool.
        args: Arguments that must be equal; None accepts any.
        ignore: Argument names that are not compared (ids, timestamps).
    """

    tool: str = Field(min_length=1, max_length=200)
    args: dict[str, Any] | None = None
    ignore: tuple[str, ...] = ()


TrajectoryMode = Literal["exact", "in_order", "any_order"]
"""How steps are matched: the same list, in this order with others between, or in any order."""


class Trajectory(_Frozen):
    """The steps a good run takes.

    Attributes:
        steps: Tool calls, first call first.
        mode: How they are matched.
        max_calls: Most tool calls allowed, or None.
    """

    steps: tuple[Step, ...]
    mode: TrajectoryMode = "in_order"
    max_calls: int | None = Field(default=None, ge=0)


class CaseLabel(_Frozen):
    """The right answer according to a person, and its confirmation by a second one.

    Attributes:
        by: Person id.
        at: When, aware.
        value: The label.
        second_by: A second person who labelled it blind, or None.
        second_value: What the second person said.
    """

    by: str
    at: AwareDatetime
    value: Any
    second_by: str | None = None
    second_value: Any = None


class Case(_Frozen):
    """One evaluation input with its expectation.

    Attributes:
        id: Unique in its dataset and stable across versions.
        task_type: Task type of the charter.
        input: Messages or any JSON, at most 1 MiB.
        expected: What a right answer is, or None.
        cluster: What makes cases dependent (conversation, customer, template, seed attack); own id when None.
        stratum: Free tag for allocation and reports.
        tags: Domain terms that the case is about, as the glossary writes them.
        fixtures: Digests of tool states by name.
        asserts: Checks of this case; without any, the run's own scorer judges it.
        trajectory: Golden tool sequence, or None.
        weight: Population weight, never a difficulty knob.
        source: `human`, `production:<trace id>`, `synthetic` or `adversarial:<family>`.
        label: A person's label, or None.
        risk_cost: Cost of an error in the charter's currency, or None.
        split: What it may be used for.
        valid_from: Outside the interval the case is skipped and counted.
        valid_to: End of the interval.
    """

    id: CaseId
    task_type: Tag
    input: Any
    expected: Any = None
    cluster: Tag | None = None
    stratum: Tag = "all"
    tags: tuple[str, ...] = ()
    fixtures: dict[str, str] = Field(default_factory=dict)
    asserts: tuple[Assertion, ...] = ()
    trajectory: Trajectory | None = None
    weight: float = Field(default=1.0, gt=0)
    source: Annotated[
        str,
        StringConstraints(
            pattern=r"^(human|synthetic|production:[0-9a-f]{32}|adversarial:[a-z0-9_-]{1,64})$"
        ),
    ] = "human"
    label: CaseLabel | None = None
    risk_cost: float | None = Field(default=None, ge=0)
    split: Split = Split.GATE
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(canonical_json(self.input).encode()) > INPUT_BYTES_MAX:
            raise ValueError(f"input is larger than {INPUT_BYTES_MAX} bytes")
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError("valid_to does not lie after valid_from")
        return self

    @cached_property
    def input_hash(self) -> str:
        """Equal hashes need no new run of the agent."""
        return canonical_digest({"task_type": self.task_type, "input": self.input, "fixtures": self.fixtures})

    @cached_property
    def case_hash(self) -> str:
        """Equal hashes need no new scoring either."""
        return canonical_digest(
            {
                "input": self.input_hash,
                "expected": self.expected,
                "asserts": [one.model_dump(mode="json") for one in self.asserts],
                "trajectory": self.trajectory.model_dump(mode="json") if self.trajectory else None,
            }
        )

    @property
    def cluster_id(self) -> str:
        """Cluster, or the case's own id when it depends on no other."""
        return self.cluster or self.id

    @property
    def family(self) -> str | None:
        """Adversarial family, or None for an ordinary case."""
        kind, _, name = self.source.partition(":")
        return name if kind == "adversarial" else None

    @property
    def trace_id(self) -> str | None:
        """Trace the case was taken from, or None."""
        kind, _, name = self.source.partition(":")
        return name if kind == "production" else None

    def is_valid_at(self, now: datetime) -> bool:
        """Whether the case may be used at `now` (aware)."""
        return not (
            (self.valid_from is not None and now < self.valid_from)
            or (self.valid_to is not None and now >= self.valid_to)
        )
