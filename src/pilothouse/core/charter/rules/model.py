# SPDX-License-Identifier: Apache-2.0
"""Rules about models: exact pins, announced retirements, and judges other than the model that they judge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.located import Path
from pilothouse.core.charter.models import Deployment, FallbackPin, ModelPin
from pilothouse.core.charter.models_published import MODEL_WINDOWS, first_retirement
from pilothouse.core.charter.quantities import format_duration
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, warning

__all__ = ["CHECKS", "RULES", "is_exact_model"]

RETIREMENT_NOTICE_DEFAULT = timedelta(days=60)
"""Time that a gate and an approval of a successor take, with reserve."""

EXACT_MODEL = re.compile(
    r"[0-9]{4}-?[01][0-9]-?[0-3][0-9](?![0-9])"  # a date: 2026-04-12, 20260412
    r"|-[01][0-9][0-3][0-9]$"  # the short date of older models: -0613
    r"|(?:sha256:|@)[0-9a-f]{7,64}$"  # a digest or revision of something self-hosted
    r"|-v[0-9]+:[0-9]+$"  # a version of a cloud catalogue: -v2:0
    # Claude from 4.6 on, also as clouds list it: its maker freezes each undated id (model-ids-and-versions, read 2026-11-30)
    r"|^(?:(?:[a-z]{2,6}\.)?anthropic\.)?claude-[a-z]+-(?:4-(?:[6-9]|[1-9][0-9])|(?:[5-9]|[1-9][0-9])(?:-[0-9]{1,2})?)(?:-v1)?$"
)
"""What an exact id carries; a name without any of it can be served by something else tomorrow."""

FLOATING_ENDINGS = ("latest", "preview", "default", "stable")

FLOATING_MODEL = error("floating-model", "{path}: {model} is an alias", "Write an exact id: {known}.")
JUDGE_FLOATING = error(
    "judge-floating", "judge {judge} has no exact pin: {model} is an alias", "Pin it: {known}."
)
JUDGE_SAME_MODEL = warning(
    "judge-same-model",
    "judge {judge} is the agent's own model {model}",
    "Choose a judge from another family.",
)
RETIRES_SOON = warning(
    "retires-soon",
    "pin {model} retires in {days} days",
    "Gate the successor: `pilothouse gate --candidate …`, then change the pin.",
)
RETIRED = error(
    "retired", "pin {model} was retired on {day}", "Pin a model that is served, after `pilothouse gate`."
)
PUBLISHED_SOON = warning(
    "retires-soon-published",
    "{path}: {model} retires in {days} days, says {source} (read on {read_on})",
    "Gate the successor: `pilothouse gate --candidate …`, then change it here.",
)
PUBLISHED_RETIRED = error(
    "retired-published",
    "{path}: {model} was retired on {day}, says {source} (read on {read_on})",
    "Name a model that is served, after `pilothouse gate`.",
)
FALLBACK_REGION = error(
    "fallback-region",
    "fallback {model} lies in {region}, allowed: {allowed}",
    "Remove it or widen `residency`.",
)
REGION_OUTSIDE = error(
    "region-outside",
    "{path}: {region} is outside `residency`, allowed: {allowed}",
    "Move it or widen `residency`.",
)
NOTICE_SHORT = warning(
    "notice-short",
    "model.upgrade.retirement_notice {notice} is shorter than 60 days",
    "A successor needs a gate, an approval and a rehearsal; give it 60d.",
)
EDITS_NONE = error(
    "context-edits-none",
    "context.policy is shorten_visibly and no edit is switched on: nothing would be taken out",
    "Switch one on, for example `edits: {{duplicates: true, keep_last: 10}}`, or write `policy: refuse`.",
)
EDITS_REFUSED = error(
    "context-edits-refused",
    "context.edits stands under `policy: refuse`, which never shortens",
    "Write `policy: shorten_visibly`, or take the edits out.",
)
EDITS_BLIND = warning(
    "context-edits-blind",
    "nobody has published the window of {model}, so no request is ever edited",
    "Say it: `model.limits.window_tokens`.",
)
FALLBACK_TWICE = error(
    "fallback-twice",
    "{path}: {model} at {provider} stands in the chain already; whoever failed would be asked again",
    "Take it out, or name another provider.",
)
BACKENDS_UNSAID = error(
    "fingerprints-none",
    "{path} is refuse and `fingerprints` names no backend: every answer that says one would be withheld",
    "Name those that the agent was tested on, `fingerprints: [fp_…]`, or write `fingerprint: alert`.",
)
DEPLOYMENT_EMPTY = error(
    "deployment-empty",
    "model.pin.deployment names neither weights nor engine nor quantisation",
    "Say what the server lists, for example `weights: REVISION`, or take it out.",
)
ALERT_LATE = warning(
    "alert-limit-late",
    "{path} {alert} is not below the limit {limit}, at which calls are refused: nobody is told before",
    "Let somebody be told earlier, for example at 0.8 of the limit.",
)

RULES: tuple[Rule, ...] = (
    FLOATING_MODEL,
    JUDGE_FLOATING,
    JUDGE_SAME_MODEL,
    RETIRES_SOON,
    RETIRED,
    PUBLISHED_SOON,
    PUBLISHED_RETIRED,
    FALLBACK_REGION,
    FALLBACK_TWICE,
    REGION_OUTSIDE,
    NOTICE_SHORT,
    EDITS_NONE,
    EDITS_REFUSED,
    EDITS_BLIND,
    BACKENDS_UNSAID,
    DEPLOYMENT_EMPTY,
    ALERT_LATE,
)


def is_exact_model(model: str, facts: CharterFacts) -> bool:
    """Return whether a model id always means the same model.

    Args:
        model: Id as written.
        facts: Tables of known exact ids and aliases.
    """
    if model in (facts.model_aliases or {}) or model.lower().rstrip("0123456789").endswith(FLOATING_ENDINGS):
        return False
    return model in facts.exact_models or EXACT_MODEL.search(model) is not None


def _check_pins(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield models that are no exact model, and judges that judge themselves."""
    for path, pin in _answering(charter):
        if not is_open(pin.model) and not is_exact_model(pin.model, facts):
            yield FLOATING_MODEL.at(path, model=pin.model, known=_exact_ids(pin.model, facts))
    judges = known(charter.model.judges) or ()
    for judge, (path, judging) in zip(judges, _judging(charter), strict=True):
        model = judging.model
        if is_open(model):
            continue
        if not is_exact_model(model, facts):
            yield JUDGE_FLOATING.at(path, judge=judge.name, model=model, known=_exact_ids(model, facts))
        if model == charter.model.pin.model:
            yield JUDGE_SAME_MODEL.at(path, judge=judge.name, model=model)


def _check_retirement(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield models that are, or will soon be, no longer served: the pin, its stand-ins, the judges."""
    notice = known(charter.model.upgrade.retirement_notice)
    if notice is not None and notice < RETIREMENT_NOTICE_DEFAULT:
        yield NOTICE_SHORT.at(("model", "upgrade", "retirement_notice"), notice=format_duration(notice))
    span = max(notice or RETIREMENT_NOTICE_DEFAULT, RETIREMENT_NOTICE_DEFAULT)
    for path, pin in (*_answering(charter), *_judging(charter)):
        if is_open(pin.model):
            continue
        found = first_retirement(pin.model, known(getattr(pin, "retires_on", None)), facts.retirements)
        if found is None or found[0] - facts.today >= span:
            continue
        day, page = found
        left = (day - facts.today).days
        if page is not None:
            rule = PUBLISHED_RETIRED if left <= 0 else PUBLISHED_SOON
            yield rule.at(
                path,
                model=pin.model,
                day=day.isoformat(),
                days=left,
                source=page.source,
                read_on=page.read_on.isoformat(),
            )
        elif left <= 0:
            yield RETIRED.at((*path[:-1], "retires_on"), model=pin.model, day=day.isoformat())
        else:
            yield RETIRES_SOON.at((*path[:-1], "retires_on"), model=pin.model, days=left)


def _check_regions(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield everything that lies outside the regions of `residency`."""
    del facts
    regions = known(charter.residency.regions)
    if regions is None or any(is_open(region) for region in regions):
        return
    for index, fallback in enumerate(known(charter.model.fallback) or ()):
        if not is_open(fallback.region) and fallback.region not in regions:
            path: Path = ("model", "fallback", index, "region")
            yield FALLBACK_REGION.at(path, model=fallback.model, region=fallback.region, allowed=regions)
    named: list[tuple[Path, str]] = [(("model", "pin", "region"), charter.model.pin.region)]
    for name, integration in (known(charter.integrations) or {}).items():
        named.append((("integrations", name, "region"), integration.region))
    for index, region in enumerate(known(charter.residency.inference_logged_in) or ()):
        named.append((("residency", "inference_logged_in", index), region))
    for path, region in named:
        if not is_open(region) and region not in regions:
            yield REGION_OUTSIDE.at(path, region=region, allowed=regions)


def _check_context_edits(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield a policy and edits that contradict each other, and edits that can never happen."""
    del facts
    context, pin = charter.context, charter.model.pin
    edits = None if context.edits is None or context.edits.is_empty else context.edits
    if edits is None:
        if context.policy == "shorten_visibly":
            yield EDITS_NONE.at(("context", "policy"))
        return
    if context.policy == "refuse":
        yield EDITS_REFUSED.at(("context", "edits"))
    said = None if charter.model.limits is None else charter.model.limits.window_tokens
    if said is None and not is_open(pin.model) and pin.model not in MODEL_WINDOWS:
        yield EDITS_BLIND.at(("context", "edits"), model=pin.model)


def _check_gateway(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield terms of pins and limits that ask one twice, withhold every answer, declare nothing, or tell nobody in time."""
    del facts
    seen: set[tuple[str, str]] = set()
    for path, pin in _answering(charter):
        place = (pin.provider, pin.model)
        if place in seen and not is_open(pin.provider) and not is_open(pin.model):
            yield FALLBACK_TWICE.at(path, model=pin.model, provider=pin.provider)
        seen.add(place)
        if pin.fingerprint == "refuse" and not pin.fingerprints:
            yield BACKENDS_UNSAID.at((*path[:-1], "fingerprint"))
    if charter.model.pin.deployment == Deployment():
        yield DEPLOYMENT_EMPTY.at(("model", "pin", "deployment"))
    limits = charter.model.limits
    if limits is None or limits.alert is None:
        return
    for name in type(limits.alert).model_fields:
        told, refused = getattr(limits.alert, name), getattr(limits, name)
        if told is not None and refused is not None and told >= refused:
            yield ALERT_LATE.at(("model", "limits", "alert", name), alert=told, limit=refused)


def _answering(charter: Charter) -> list[tuple[Path, FallbackPin]]:
    """Return the pin and its stand-ins, each with the path of its model."""
    stand_ins = enumerate(known(charter.model.fallback) or ())
    return [
        (("model", "pin", "model"), charter.model.pin),
        *((("model", "fallback", index, "model"), one) for index, one in stand_ins),
    ]


def _judging(charter: Charter) -> list[tuple[Path, ModelPin]]:
    judges = enumerate(known(charter.model.judges) or ())
    return [(("model", "judges", index, "pin", "model"), judge.pin) for index, judge in judges]


def _exact_ids(model: str, facts: CharterFacts) -> str:
    """Return the exact ids behind an alias in words."""
    exact = (facts.model_aliases or {}).get(model)
    return (
        ", ".join(exact) if exact else "the dated id that the provider lists, or sha256:… of a model you host"
    )


CHECKS: tuple[Check, ...] = (
    _check_pins,
    _check_retirement,
    _check_regions,
    _check_context_edits,
    _check_gateway,
)
