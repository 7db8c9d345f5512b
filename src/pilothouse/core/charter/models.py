# SPDX-License-Identifier: Apache-2.0
"""The model behind an agent, and what it is judged and taught with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilothouse.core.charter.answers import Answer, OrNone, Section
from pilothouse.core.charter.quantities import Count, Day, Duration, Id, Money, Number, Rate, Text

__all__ = [
    "EDITED_CHARACTERS_MIN",
    "AdversarialDataset",
    "AgentPin",
    "AlertLimits",
    "CallLimits",
    "Context",
    "ContextEdits",
    "Datasets",
    "Deployment",
    "FallbackPin",
    "FewShot",
    "Guardrails",
    "Judge",
    "KnowledgeSource",
    "LabelledDataset",
    "Model",
    "ModelPin",
    "TrajectoryDataset",
    "Upgrade",
]

EDITED_FROM_MIN = 0.35
"""Share of the window below which a gateway does not count tokens, so it could not tell."""

EDITED_CHARACTERS_MIN = 200
"""A shorter result costs about what the note in its place costs."""


def _is_unsaid(value: object) -> bool:
    """Whether an optional key says nothing: it is left out of the document, so that digests of before stay as they are."""
    return value in (None, False, ())


class ModelPin(Section):
    """An exact model, never an alias.

    Attributes:
        provider: Who serves it.
        model: Exact id.
    """

    provider: Answer[Id]
    model: Answer[Text]


class FallbackPin(ModelPin):
    """A model that stands in when the pinned one does not answer.

    Attributes:
        region: Region in which it answers.
        served_as: Other names under which its provider says that it answered.
        fingerprint: What an answer of a backend does that is not among `fingerprints`: call a person (`alert`) where it is new, not
            reach the agent either (`refuse`), or nothing (`ignore`).
        fingerprints: Backends that it was tested on, as `system_fingerprint` names them.
    """

    region: Answer[Id]
    served_as: tuple[Text, ...] = Field(default=(), exclude_if=_is_unsaid)
    fingerprint: Literal["alert", "refuse", "ignore"] = Field(
        default="alert", exclude_if=lambda said: said == "alert"
    )
    fingerprints: tuple[Text, ...] = Field(default=(), exclude_if=_is_unsaid)


class Deployment(Section):
    """What a model that you host yourself is made of, each as its server lists it; it is part of the agent's version.

    Attributes:
        weights: Revision or digest of the weights.
        engine: Engine with its version.
        quantisation: How the weights are stored.
    """

    weights: Text | None = None
    engine: Text | None = None
    quantisation: Text | None = None


class AgentPin(FallbackPin):
    """The model that the agent runs on.

    Attributes:
        retires_on: Day the provider stops serving it; None for `none` (self-hosted).
        deployment: What a model that you host yourself is made of.
    """

    retires_on: Answer[OrNone[Day]]
    deployment: Deployment | None = Field(default=None, exclude_if=_is_unsaid)


class Judge(Section):
    """A model that scores answers.

    Attributes:
        name: Id of the judge.
        pin: Its exact model.
        card_max_age: Longest age of the measurement of its errors.
    """

    name: Id
    pin: ModelPin
    card_max_age: Answer[Duration]


class Upgrade(Section):
    """How the model is changed.

    Attributes:
        retirement_notice: Days before retirement at which work begins.
        gate: Gate a successor must pass.
        approve: Person ids who approve; OWN-4's rehearsal asks one of them.
    """

    retirement_notice: Answer[Duration]
    gate: Answer[Literal["release"]]
    approve: Answer[tuple[Answer[Id], ...]]


class AlertLimits(Section):
    """From where on somebody is told what an agent's model calls cost, while they go on.

    Attributes:
        usd_per_run: US dollars of one run.
        usd_per_day: US dollars of the agent on one day (UTC).
        tokens_per_run: Tokens of one run, all classes.
        tokens_per_day: Tokens of the agent on one day (UTC).
    """

    usd_per_run: Money | None = None
    usd_per_day: Money | None = None
    tokens_per_run: Count | None = None
    tokens_per_day: Count | None = None


class CallLimits(Section):
    """What the gateway lets an agent's model calls cost; a limit that is not said is none, but for calls.

    Attributes:
        usd_per_run: US dollars of one run.
        usd_per_day: US dollars of the agent on one day (UTC).
        tokens_per_run: Tokens of one run, all classes.
        tokens_per_day: Tokens of the agent on one day (UTC).
        calls_per_run: Model calls of one run; 50 when it is not said.
        deadline: Longest time of a whole call; 2 minutes, 10 for a stream, when it is not said.
        window_tokens: Tokens that the pinned model reads and writes together; the published window when it is not said.
        alert: Lower limits at which a person is told, and nothing is refused.
    """

    usd_per_run: Money | None = None
    usd_per_day: Money | None = None
    tokens_per_run: Count | None = None
    tokens_per_day: Count | None = None
    calls_per_run: Count | None = None
    deadline: Duration | None = None
    window_tokens: Count | None = None
    alert: AlertLimits | None = Field(default=None, exclude_if=_is_unsaid)
    because: Text | None = None


class Model(Section):
    """The model section.

    Attributes:
        pin: What the agent runs on.
        fallback: Stand-ins, first choice first.
        require_evidence: Whether a stand-in that never passed the gate is skipped.
        judges: Models that score.
        upgrade: How the pin is changed.
        limits: What model calls may cost, or None for no limit in money and tokens.
        inject_usage: Whether the gateway asks chat streams for their usage where the agent does not, and takes the event that says it
            out again.
        fallback_when_refused: Whether a stand-in answers when the provider refuses the credential (401, 403); somebody is called
            either way.
    """

    pin: AgentPin
    fallback: Answer[tuple[FallbackPin, ...]]
    require_evidence: Answer[bool]
    judges: Answer[tuple[Judge, ...]]
    upgrade: Upgrade
    limits: CallLimits | None = None
    inject_usage: bool = Field(default=False, exclude_if=_is_unsaid)
    fallback_when_refused: bool = Field(default=False, exclude_if=_is_unsaid)


class Guardrails(Section):
    """What happens to an answer that breaks the output schema, and where an answer says how sure it is.

    Attributes:
        schema_path: Path of the JSON Schema (`schema`).
        on_invalid: What happens to it.
        repair: Attempts to repair it first.
        confidence: Field of the answer that states its confidence in [0, 1]; with it the gateway holds answers under
            the threshold of `routing`, and all of them until a threshold is shown valid.
    """

    schema_path: Answer[Text] = Field(alias="schema")
    on_invalid: Answer[Literal["hold", "reject", "escalate"]]
    repair: Answer[Count]
    confidence: Text | None = None


class ContextEdits(Section):
    """What the gateway takes out of a long request: results of tools, and nothing else.

    Attributes:
        from_share: Share of the window from which requests are edited (`from`); 0.7 when it is not said.
        duplicates: Whether a result that stands again further on is taken out.
        large: Characters above which a result is taken out.
        keep_last: Latest results that stay; older ones are taken out, as many at a time.
        pinned: Texts; a result with one of them stays.
    """

    from_share: Annotated[Rate, Field(ge=EDITED_FROM_MIN)] | None = Field(default=None, alias="from")
    duplicates: bool = False
    large: Annotated[int, Field(ge=EDITED_CHARACTERS_MIN)] | None = None
    keep_last: Annotated[int, Field(ge=1)] | None = None
    pinned: tuple[Text, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no edit is switched on."""
        return not self.duplicates and self.large is None and self.keep_last is None


class Context(Section):
    """What happens when the input does not fit.

    Attributes:
        policy: `refuse` never shortens; `shorten_visibly` takes out what `edits` names, and says so.
        probes: Dataset of planted sentences that must survive.
        edits: What is taken out, or None for nothing.
        provider_edits: Whether a request may ask its provider to shorten the conversation, where nobody sees what is lost: `pass`
            marks it in the record, `refuse` refuses it; `pass` when it is not said.
    """

    policy: Answer[Literal["refuse", "shorten_visibly"]]
    probes: Answer[Text]
    edits: ContextEdits | None = None
    provider_edits: Literal["pass", "refuse"] = Field(default="pass", exclude_if=lambda said: said == "pass")


class LabelledDataset(Section):
    """Labelled cases like production.

    Attributes:
        path: Folder.
        min: Least cases.
        per_type_min: Least cases of each task type.
        production_share_min: Least share that came from production.
    """

    path: Answer[Text]
    min: Answer[Count]
    per_type_min: Answer[Count]
    production_share_min: Answer[Rate]
    because: Text | None = None


class AdversarialDataset(Section):
    """Cases made to break it.

    Attributes:
        path: Folder.
        min: Least cases.
        families: Largest accepted failure rate of each family; 0 means never.
    """

    path: Answer[Text]
    min: Answer[Count]
    families: Answer[dict[str, Answer[Rate]]]
    because: Text | None = None


class TrajectoryDataset(Section):
    """Golden trajectories: which steps a good run takes."""

    path: Answer[Text]
    min: Answer[Count]
    because: Text | None = None


class Datasets(Section):
    """The three datasets every agent has.

    Attributes:
        labelled: Labelled cases like production.
        adversarial: Cases made to break it.
        trajectories: Golden trajectories.
    """

    labelled: LabelledDataset
    adversarial: AdversarialDataset
    trajectories: TrajectoryDataset


class FewShot(Section):
    """Examples in the prompt.

    Attributes:
        path: Folder.
        min: Least examples.
        max: Most examples of the whole library; more than 200 are never served.
        lift_min: Least gain each must bring, as a difference of rates.
    """

    path: Answer[Text]
    min: Answer[Count]
    max: Answer[Count]
    lift_min: Answer[Number]


class KnowledgeSource(Section):
    """Knowledge that lives outside systems.

    Attributes:
        name: What people call it.
        kind: What it is.
        owner: Person id.
        max_age: Longest accepted age.
        path: File or folder beside the charter that holds it; what is written down nowhere cannot be looked at.
    """

    name: Answer[Text]
    kind: Answer[Literal["document", "person", "wiki", "mail", "spreadsheet"]]
    owner: Answer[Id]
    max_age: Answer[Duration]
    path: Text | None = Field(default=None, exclude_if=_is_unsaid)
