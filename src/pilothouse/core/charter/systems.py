# SPDX-License-Identifier: Apache-2.0
"""The outside systems of an agent, and the tools through which it may touch them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from pilothouse.core.charter.answers import Answer, OrNone, Section
from pilothouse.core.charter.quantities import Count, Duration, Id, Number, Text

__all__ = [
    "EFFECTS",
    "Argument",
    "CallExample",
    "Effect",
    "Freshness",
    "GivenArgument",
    "GivenCall",
    "Integration",
    "Origin",
    "RateLimit",
    "ResultField",
    "Tool",
    "ToolBudget",
    "ToolExamples",
]

Effect = Literal["read", "internal", "external", "irreversible"]
"""What a call of a tool changes."""

EFFECTS: tuple[Effect, ...] = get_args(Effect)
"""From the weakest to the strongest."""

Origin = Literal["request", "owner", "registry", "handle", "field", "model", "absent"]
"""Where a value comes from; adding one is a change of the code with a decision record."""


class RateLimit(Section):
    """Calls the system accepts.

    Attributes:
        per_s: Calls a second.
    """

    per_s: Answer[Number]


class Freshness(Section):
    """How old its data may be.

    Attributes:
        max_age: Longest accepted age.
        probe: Name of the read that tells the age.
    """

    max_age: Answer[Duration]
    probe: Answer[Text]


class Integration(Section):
    """One outside system.

    Attributes:
        kind: `manual` means that a person copies data.
        owner: Person id.
        hosts: `host:port` of each address.
        auth: How we sign in.
        environment: Where it stands.
        data: Classes of data that pass.
        region: Region of the data.
        rate_limit: What it accepts.
        freshness: How old its data may be; None when age means nothing (`none`).
        criticality: What an outage does.
        failure_modes: How it fails.
        fallback: What happens then.
        fallback_drill: How often that is rehearsed.
    """

    kind: Answer[Literal["api", "middleware", "manual"]]
    owner: Answer[Id]
    hosts: Answer[tuple[Answer[Text], ...]]
    auth: Answer[Text]
    environment: Answer[Literal["production", "staging", "sandbox", "pilot"]]
    data: Answer[tuple[Answer[Text], ...]]
    region: Answer[Id]
    rate_limit: RateLimit
    freshness: Answer[OrNone[Freshness]]
    criticality: Answer[Literal["low", "medium", "high"]]
    failure_modes: Answer[tuple[Answer[Text], ...]]
    fallback: Answer[Text]
    fallback_drill: Answer[Duration]


class Argument(Section):
    """What one argument of a tool may be.

    Attributes:
        role: What the argument decides.
        type: Type name, with its parameter in brackets where it has one: `amount(EUR)`.
        origins: Origins that are accepted without asking.
        required: Whether a call without it is refused; otherwise it may be absent.
        values: Accepted values of an `enum`.
        max: Largest amount, or longest text in characters.
        ask_above: Amount above which a person is asked.
        four_eyes_above: Amount above which two persons must agree.
        sum_per_task: Largest sum within a task.
        sum_per_day: Largest sum within a day.
        pii: Personal data it may carry. With `none`, a payload that holds an e-mail address, an account, a card, a phone number, a US social
            security number or an IP address is not made without asking; another word is a note for readers.
    """

    role: Answer[Literal["target", "magnitude", "payload", "neutral"]] | None = None
    type: Answer[Text]
    origins: Answer[tuple[Origin, ...]] = ("request", "owner", "registry")
    required: bool = False
    values: tuple[Text, ...] | None = None
    max: Answer[Number] | None = None
    ask_above: Answer[Number] | None = None
    four_eyes_above: Answer[Number] | None = None
    sum_per_task: Answer[Number] | None = None
    sum_per_day: Answer[Number] | None = None
    pii: Answer[Id] | None = None


class ResultField(Section):
    """What is known about one field of a tool's result; everything else is untrusted.

    Attributes:
        type: Type of its values, as of an argument. Where untrusted fields are hidden, one of a type too poor to
            hold an instruction (a number, a date, an enum, an `id` with a pattern, a `name` of a registry) is shown.
        values: Values of an `enum`.
        origin: Origin that values of the field carry.
        integrity: Whether instructions in it could be somebody's.
        pii: Class of personal data, in a word of yours, None for `none`. The model is not shown the field or anything in it, trusted or
            not, whatever its type: the tool must have `untrusted: hide`.
    """

    type: Answer[Text] | None = None
    values: tuple[Text, ...] | None = None
    origin: Answer[Origin] | None = None
    integrity: Answer[Literal["trusted", "untrusted"]] | None = None
    pii: Answer[OrNone[Id]] = None


class ToolBudget(Section):
    """How often a tool may be called.

    Attributes:
        per_task: Calls within one task.
        per_day: Calls within one day, UTC.
    """

    per_task: Answer[Count]
    per_day: Answer[Count]


class GivenArgument(Section):
    """One argument of an example call.

    Attributes:
        value: What the call passes.
        origin: Where it came from.
    """

    value: str | float | bool
    origin: Origin


class GivenCall(Section):
    """An example call.

    Attributes:
        task_type: Task type of the task, or None for one that lists the tool.
        args: Arguments by name; a missing one is absent.
        used: Calls already made in the task.
        tainted: Whether the model has been shown something untrusted before.
    """

    task_type: Id | None = None
    args: dict[str, GivenArgument] = Field(default_factory=dict)
    used: Count = 0
    tainted: bool = False


class CallExample(Section):
    """One call and the rule it proves.

    Attributes:
        rule: Argument name, `entitled` or `budget`.
        given: The call.
    """

    rule: Text
    given: GivenCall = GivenCall()


class ToolExamples(Section):
    """Calls that pass and calls that do not: one of each for every rule.

    Attributes:
        allow: Calls that are allowed.
        deny: Calls that are denied, or asked about, because of the rule they name.
    """

    allow: tuple[CallExample, ...]
    deny: tuple[CallExample, ...]


class Tool(Section):
    """What the agent may do with one tool; everything that is not said is denied.

    Attributes:
        integration: Integration it talks to.
        effect: What a call changes.
        task_types: Task types that may call it.
        contract: Path of the contract file.
        manifest_hash: Digest of name, description, schemas and annotations as pinned.
        args: Arguments by name.
        results: Fields of the result by path.
        untrusted: Whether the model is shown untrusted fields (`show`, also when nothing is said), or names that
            stand for them and for fields with `pii` (`hide`).
        regions: Regions a call may go to; None for the charter's own.
        budget: Calls in a task and a day.
        on_fail: What happens when a rule is not proven.
        approvers: Person ids or groups who are asked.
        examples: Calls that prove the rules.
    """

    integration: Answer[Id]
    effect: Answer[Effect]
    task_types: Answer[tuple[Id, ...]]
    contract: Answer[Text]
    manifest_hash: Answer[Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]]
    args: Answer[dict[str, Argument]] = Field(default_factory=dict)
    results: dict[str, ResultField] = Field(default_factory=dict)
    untrusted: Answer[Literal["show", "hide"]] | None = None
    regions: Answer[tuple[Id, ...]] | None = None
    budget: ToolBudget | None = None
    on_fail: Answer[Literal["deny", "ask"]] = "deny"
    approvers: Answer[tuple[Answer[Id], ...]] = ()
    examples: Answer[ToolExamples]
