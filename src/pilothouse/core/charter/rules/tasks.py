# SPDX-License-Identifier: Apache-2.0
"""Rules about the work: one narrow function, its task types, and thresholds that can be held."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.located import Path
from pilothouse.core.charter.review_need import review_minutes
from pilothouse.core.charter.rules.arithmetic import cases_to_prove, jeffreys_proves
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, warning

__all__ = ["CHECKS", "NO_THRESHOLD", "RULES"]

TASK_TYPES_DEFAULT_MAX = 3
"""More kinds of work than this is rarely one function."""

SHARES_TOLERANCE = 1e-6
"""Shares are typed with a few decimals; a larger gap is a missing task type."""

DROP_POINTS_DEFAULT_MAX = 5.0
"""The figure of the framework's source."""

VAGUE_VERBS = frozenset(
    {
        "help",
        "assist",
        "support",
        "handle",
        "manage",
        "answer anything",
        "chat",
        "do",
        "process",
        "work",
    }
)
"""Verbs that name no result which could be right or wrong."""

WRITING_WORDS = frozenset({"write", "writer", "rw", "admin", "root", "owner", "readwrite"})
"""Parts of a credential's name that say it may write."""

TWO_FUNCTIONS = error(
    "two-functions",
    "task types have {n} output schemas: {schemas}",
    "One function per charter; split the agent.",
)
MANY_TASK_TYPES = warning(
    "many-task-types", "{n} task types, default at most 3", "Merge some, or widen the scope after phase 3."
)
VAGUE_FUNCTION = error(
    "vague-function",
    "function.verb {verb!r} is open-ended",
    "Use a verb with a checkable result: classify, extract, route, match, enrich or draft.",
)
SHARES_SUM = error("shares-sum", "shares of the task types add up to {sum}", "Make them add up to 1.")
NO_THRESHOLD = error("no-threshold", "{who} no {field}", "Add `{field}` under {place}.")
IMPOSSIBLE_THRESHOLD = error(
    "impossible-threshold",
    "{path}: {value} is not {allowed}",
    "Choose a value that can be held and broken; use `critical` for what must never happen.",
)
UNREACHABLE_THRESHOLD = warning(
    "unreachable-threshold",
    "{path} {bound}: even {n} right of {n} labelled cannot prove it",
    "Ask for {needed} cases in `{source}`, or lower the bound.",
)
DROP_WIDER = warning(
    "drop-wider-than-default",
    "{path} {drop} is more than 5 points",
    "Narrow it; the framework's figure is 5.",
)
UNSTAFFED = warning(
    "threshold-unstaffed",
    "routing of {task_type} needs {needed} of all {total} review hours a day, the roster has {roster}",
    "More reviewers, a narrower scope, or a better agent.",
)
NO_VERIFIER = warning(
    "no-verifier",
    "{task_type} has no verifier; MON-7 will stay missing",
    "Write `verifier`, or say why not under `unverifiable_because`.",
)
NOT_ACTED_ON = error(
    "not-acted-on",
    "{path}: nothing acts on {on}, nobody is asked about a task outside the list",
    "Write `refuse`, which the tool boundary does with what such a task would change; send it to a person in the agent's own code.",
)
VERIFIER_WRITES = error(
    "verifier-writes", "verifier credential {credential} may write", "Give it a read-only credential."
)

RULES: tuple[Rule, ...] = (
    TWO_FUNCTIONS,
    MANY_TASK_TYPES,
    VAGUE_FUNCTION,
    SHARES_SUM,
    NO_THRESHOLD,
    IMPOSSIBLE_THRESHOLD,
    UNREACHABLE_THRESHOLD,
    DROP_WIDER,
    UNSTAFFED,
    NO_VERIFIER,
    NOT_ACTED_ON,
    VERIFIER_WRITES,
)


def _check_function(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield what makes the function more than one, or no function at all."""
    del facts
    if charter.function.verb.lower() in VAGUE_VERBS:
        yield VAGUE_FUNCTION.at(("function", "verb"), verb=charter.function.verb)
    schemas = {charter.function.output_schema}
    schemas |= {terms.output_schema for terms in charter.task_types.values() if terms.output_schema}
    if len(schemas) > 1:
        yield TWO_FUNCTIONS.at(("task_types",), n=len(schemas), schemas=sorted(schemas))
    if len(charter.task_types) > TASK_TYPES_DEFAULT_MAX:
        yield MANY_TASK_TYPES.at(("task_types",), n=len(charter.task_types))
    shares = [known(terms.share) for terms in charter.task_types.values()]
    total = math.fsum(share for share in shares if share is not None)
    if shares and None not in shares and abs(total - 1.0) > SHARES_TOLERANCE:
        yield SHARES_SUM.at(("task_types",), sum=total)


def _check_unknown_types(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield what the charter promises of tasks outside its list and nothing keeps."""
    del facts
    promised = known(charter.unknown_task_type.on)
    if promised not in {None, "refuse"}:
        yield NOT_ACTED_ON.at(("unknown_task_type", "on"), on=promised)


def _check_thresholds(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield thresholds that nothing can meet, or that everything meets."""
    del facts
    for path, value in _rates(charter):
        if value is not None and not 0.0 < value < 1.0:
            yield IMPOSSIBLE_THRESHOLD.at(path, value=value, allowed="above 0 and below 1")
    for path, value, limit in _amounts(charter):
        if value is not None and not 0.0 < value < limit:
            allowed = "above 0" if limit == math.inf else f"above 0 and below {limit:g}"
            yield IMPOSSIBLE_THRESHOLD.at(path, value=value, allowed=allowed)
    drops = [
        (("task_types", name, "quality", "max_drop"), t.quality.max_drop)
        for name, t in charter.task_types.items()
    ]
    for path, drop in [*drops, (("release", "max_drop"), charter.release.max_drop)]:
        points = known(drop)
        if points is not None and points > DROP_POINTS_DEFAULT_MAX:
            yield DROP_WIDER.at(path, drop=points)


def _check_proofs(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield floors that the planned number of cases could never prove."""
    del facts
    for name, terms in charter.task_types.items():
        bound = known(terms.quality.min)
        if bound is None or not 0.0 < bound < 1.0:
            continue
        planned = (
            ("datasets.labelled.per_type_min", known(charter.datasets.labelled.per_type_min)),
            ("sampling.min_per_window", known(terms.sampling.min_per_window)),
        )
        for source, n in planned:
            if n is not None and not jeffreys_proves(n, bound):
                path = ("task_types", name, "quality", "min")
                yield UNREACHABLE_THRESHOLD.at(
                    path, bound=bound, n=n, needed=cases_to_prove(bound), source=source
                )
                break


def _check_reviewers(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield the task type whose routing asks for more review hours than the roster has."""
    del facts
    minutes, roster = review_minutes(charter), known(charter.reviewers.minutes_per_day)
    if minutes is None or roster is None:
        return
    hours = {name: one / 60 for name, one in minutes.items()}
    total = math.fsum(hours.values())
    if hours and total > roster / 60:
        name = max(hours, key=lambda key: (hours[key], key))
        yield UNSTAFFED.at(
            ("task_types", name, "routing"),
            task_type=name,
            needed=f"{hours[name]:.1f}",
            total=f"{total:.1f}",
            roster=f"{roster / 60:.1f}",
        )


def _check_verifiers(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield task types whose claims nobody checks, and verifiers that could change what they check."""
    for name, terms in charter.task_types.items():
        if terms.verifier is None:
            if terms.unverifiable_because is None:
                yield NO_VERIFIER.at(("task_types", name), task_type=name)
            continue
        credential = known(terms.verifier.credential)
        if credential is None:
            continue
        words = set(credential.replace(".", "-").replace("_", "-").split("-"))
        if credential in facts.writing_credentials or words & WRITING_WORDS:
            yield VERIFIER_WRITES.at(("task_types", name, "verifier", "credential"), credential=credential)


def _rates(charter: Charter) -> Iterator[tuple[Path, float | None]]:
    for name, terms in charter.task_types.items():
        top: Path = ("task_types", name)
        yield (*top, "quality", "min"), known(terms.quality.min)
        yield (*top, "completion", "min"), known(terms.completion.min)
        yield (*top, "escalation", "max"), known(terms.escalation.max)
        yield (*top, "override", "max"), known(terms.override.max)
        yield (*top, "discrepancy", "max"), known(terms.discrepancy.max)
        yield (*top, "discrepancy", "unverifiable_max"), known(terms.discrepancy.unverifiable_max)
    yield ("unknown_task_type", "max"), known(charter.unknown_task_type.max)


def _amounts(charter: Charter) -> Iterator[tuple[Path, float | None, float]]:
    for name, terms in charter.task_types.items():
        top: Path = ("task_types", name)
        yield (*top, "quality", "max_drop"), known(terms.quality.max_drop), 100.0
        yield (*top, "cost_per_task", "max"), known(terms.cost_per_task.max), math.inf
        yield (*top, "latency", "p95_s"), known(terms.latency.p95_s), math.inf
        yield (*top, "routing", "wrong_auto_per_100"), known(terms.routing.wrong_auto_per_100), 100.0
        yield (*top, "sampling", "rate"), known(terms.sampling.rate), math.inf
    yield ("release", "max_drop"), known(charter.release.max_drop), 100.0
    yield ("target_volume", "per_day"), known(charter.target_volume.per_day), math.inf
    yield ("reviewers", "minutes_per_item"), known(charter.reviewers.minutes_per_item), math.inf
    first = charter.phase("1")
    p95 = first.exit.p95_s if first is not None and first.exit is not None else None
    yield ("phases", "1", "exit", "p95_s"), p95 if isinstance(p95, float) else None, math.inf


CHECKS: tuple[Check, ...] = (
    _check_function,
    _check_unknown_types,
    _check_thresholds,
    _check_proofs,
    _check_reviewers,
    _check_verifiers,
)
