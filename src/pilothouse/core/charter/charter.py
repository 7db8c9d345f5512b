# SPDX-License-Identifier: Apache-2.0
"""The charter of one agent: everything that must hold, as one frozen record.

A charter file may leave almost any value open with "?"; `is_open` and `known` of `answers.py` tell
an open question from an answer. `parse.py` turns a file into a charter and its findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from pilothouse.core.charter.answers import Answer, Section, is_open, known
from pilothouse.core.charter.digest import charter_digest, charter_document, section_digests
from pilothouse.core.charter.models import Context, Datasets, FewShot, Guardrails, KnowledgeSource, Model
from pilothouse.core.charter.operations import Alert, Phase, PhaseName, Release, Runbook, Stability
from pilothouse.core.charter.people import (
    EscalationLevel,
    Handoff,
    Operations,
    Owner,
    Person,
    Raci,
    Reviewers,
    Reviews,
    Severity,
    SeverityName,
    Sponsor,
)
from pilothouse.core.charter.quantities import Id, Text
from pilothouse.core.charter.systems import Integration, Tool
from pilothouse.core.charter.tasks import TaskType, UnknownTaskType, merge_defaults
from pilothouse.core.charter.value import (
    Budgets,
    BusinessCase,
    Framework,
    Outcome,
    Residency,
    Retention,
    TargetVolume,
)

__all__ = ["API_VERSION", "AgentFunction", "Charter"]

API_VERSION: Literal["pilothouse/v1"] = "pilothouse/v1"
"""The form of charter that this program reads."""

AgentId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,48}$")]


def _as_read(value: Any) -> Any:
    """Return plain data with lists as tuples, as the parser of charters returns it."""
    if isinstance(value, dict):
        return {key: _as_read(part) if type(part) in _NESTED else part for key, part in value.items()}
    return tuple(_as_read(part) if type(part) in _NESTED else part for part in value)


_NESTED = frozenset({dict, list})


def _refuse_open(value: str) -> str:
    if is_open(value):
        raise PydanticCustomError(
            "bad_type", "answer, and this one may not stay open", {"example": "route, or supplier invoice"}
        )
    return value


Stated = Annotated[Text, AfterValidator(_refuse_open)]


class AgentFunction(Section):
    """The one narrow thing the agent does.

    Attributes:
        verb: For example `route`.
        object: What it is done to.
        output_schema: Path of the one JSON Schema of its answers.
    """

    verb: Stated
    object: Stated
    output_schema: Stated


class Charter(Section):
    """What must hold for one agent.

    Attributes:
        api_version: Form of the file (`apiVersion`).
        agent: Id of the agent, never reused.
        currency: ISO 4217 code of every amount.
        title: For people.
        purpose: One sentence.
        function: The one narrow thing it does.
        business_unit: Unit that owns it.
        change_plan: Path: what changes for the people in this work.
        people: Persons by id; empty only while the whole mapping is open.
        owner: Who answers for it.
        sponsor: Who pays and agrees.
        operations: Who runs it.
        reviewers: Who reviews its answers.
        raci: Nine duties.
        escalation: Levels in order.
        severities: How fast incidents end.
        reviews: Cadence of reviews.
        handoff: From builders to operators.
        target_volume: Basis of "production-grade".
        task_types: Task types by name, with the defaults merged in; empty only while open.
        unknown_task_type: Traffic outside the list.
        integrations: Outside systems by name.
        tools: Tool policies by `name@version`.
        model: Pin, fallback, judges, upgrade.
        prompts: Paths of prompt files.
        guardrails: What happens to invalid answers.
        context: What happens to inputs that do not fit.
        datasets: The three datasets.
        few_shot: Examples in the prompt.
        glossary: Path of the domain terms.
        sources: Knowledge outside systems.
        release: The release gate.
        alerts: Alert rules.
        runbooks: Review and drill of runbooks, by path; those not named follow the default.
        phases: pilot, 1, 2 and 3.
        stability: The clock of stable days.
        outcomes: Committed outcome metrics.
        residency: Where data may be.
        regulations: Names of control maps.
        retention: How long data is kept.
        budgets: Pilot and production.
        business_case: Inputs of the three numbers.
        framework: The framework that judges it.
    """

    model_config = ConfigDict(title="Pilothouse charter")

    api_version: Literal["pilothouse/v1"] = Field(alias="apiVersion")
    agent: AgentId
    currency: Answer[Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]]
    title: Answer[Text]
    purpose: Answer[Text]
    function: AgentFunction
    business_unit: Answer[Id]
    change_plan: Answer[Text]
    people: dict[Id, Person]
    owner: Owner
    sponsor: Sponsor
    operations: Operations
    reviewers: Reviewers
    raci: Raci
    escalation: Answer[tuple[EscalationLevel, ...]]
    severities: Answer[dict[SeverityName, Severity]]
    reviews: Reviews
    handoff: Handoff
    target_volume: TargetVolume
    task_types: dict[Id, TaskType]
    unknown_task_type: UnknownTaskType
    integrations: Answer[dict[Id, Integration]]
    tools: Answer[dict[str, Tool]]
    model: Model
    prompts: Answer[tuple[Answer[Text], ...]]
    guardrails: Guardrails
    context: Context
    datasets: Datasets
    few_shot: FewShot
    glossary: Answer[Text]
    sources: Answer[tuple[KnowledgeSource, ...]]
    release: Release
    alerts: Answer[tuple[Alert, ...]]
    runbooks: Answer[dict[str, Runbook]]
    phases: Answer[dict[PhaseName, Phase]]
    stability: Stability
    outcomes: Answer[tuple[Outcome, ...]]
    residency: Residency
    regulations: Answer[tuple[Answer[Id], ...]]
    retention: Retention
    budgets: Budgets
    business_case: BusinessCase
    framework: Framework

    @model_validator(mode="before")
    @classmethod
    def _merge_task_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        rest = {key: value for key, value in data.items() if key != "task_defaults"}
        for key in ("people", "task_types"):  # nobody and nothing named yet, which is never a valid answer
            if is_open(rest.get(key)):
                rest[key] = {}
        own, defaults = rest.get("task_types"), data.get("task_defaults")
        if isinstance(own, dict) and defaults is not None:
            rest["task_types"] = {name: merge_defaults(defaults, terms) for name, terms in own.items()}
        return rest

    @classmethod
    def read_back(
        cls,
        tree: Mapping[str, Any],
        *,
        digest: str,
        sections: Mapping[str, str],
        files: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a stored charter with its stored digests.

        Args:
            tree: What its file holds, as plain data.
            digest: Its digest.
            sections: The digest of each section.
            files: The digest of each file that it names, as it was put into force.

        Raises:
            ValidationError: This program cannot read its form.
        """
        charter = cls.model_validate(_as_read(tree))
        charter.__dict__.update(digest=digest, section_digests=dict(sections))
        return charter.with_files(files)

    def with_files(self, files: Mapping[str, str] | None) -> Self:
        """Return the charter with the digests of the files that it names.

        Args:
            files: SHA-256 of the content of each that is there, by its path as written; None when nobody looked.
        """
        copied = self.model_copy()
        copied.__dict__["files"] = files
        return copied

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form of the whole charter."""
        return charter_digest(self)

    @cached_property
    def files(self) -> Mapping[str, str] | None:
        """SHA-256 of each file that it names, by its path as written; None when nobody looked. See `with_files`."""
        return None

    @cached_property
    def document(self) -> dict[str, Any]:
        """The charter as plain data with the keys of the file, defaults written out; to be read, not changed."""
        return charter_document(self)

    @cached_property
    def section_digests(self) -> dict[str, str]:
        """SHA-256 of each section, by its name in `digest.SECTIONS`; what signatures bind to."""
        return section_digests(self)

    def name_of(self, person: str) -> str:
        """Return a person's name, or the id when the charter leaves the name open or does not know the id."""
        entry = self.people.get(person)
        return (known(entry.name) if entry else None) or person

    def identity_of(self, person: str) -> str | None:
        """Return the identity by which a person signs in, or None where the charter names none."""
        entry = self.people.get(person)
        return known(entry.identity) if entry else None

    def substitute_of(self, person: str) -> str | None:
        """Return the id of a person's substitute, or None when the charter names none."""
        entry = self.people.get(person)
        return known(entry.substitute) if entry else None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; a changed copy computes its own digests."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            for name in ("digest", "document", "section_digests"):
                copied.__dict__.pop(name, None)
        return copied

    def task_type(self, name: str) -> TaskType | None:
        """Return a declared task type with its defaults merged in, or None."""
        return self.task_types.get(name)

    def integration(self, name: str) -> Integration | None:
        """Return a declared integration, or None when it is not declared or all are open."""
        return (known(self.integrations) or {}).get(name)

    def tool(self, name: str) -> Tool | None:
        """Return the policy of a tool `name@version`, or None: everything not said is denied."""
        return (known(self.tools) or {}).get(name)

    def phase(self, name: PhaseName) -> Phase | None:
        """Return the scope of a phase, or None while it is open."""
        return (known(self.phases) or {}).get(name)

    def integrations_of(self, name: PhaseName) -> tuple[str, ...] | None:
        """Return the integrations that a phase may use, or None while that is an open question."""
        phase, declared = self.phase(name), known(self.integrations)
        if phase is None or declared is None or is_open(phase.integrations):
            return None
        return tuple(declared) if phase.integrations == "all" else phase.integrations
