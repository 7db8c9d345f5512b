# SPDX-License-Identifier: Apache-2.0
"""Rules about watching: alerts that exist, see in time, and have a runbook."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.operations import Alert
from pilothouse.core.charter.quantities import format_duration
from pilothouse.core.charter.rules.arithmetic import days_to_detect
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, question, warning
from pilothouse.core.charter.tasks import TaskType

__all__ = ["CHECKS", "RULES"]

ALERTED_METRICS = ("completion", "quality", "cost_per_task", "escalation")
"""What must never fall or rise unseen."""

SECONDS_PER_DAY = 86_400

BLIND_ALERT = warning(
    "blind-alert",
    "alert {alert}: a drop of {drop} points in {task_type} is seen after {days}, {asked} asked",
    "Score more ({per_day} a day now): raise `sampling.rate` of {task_type}{or_verify}; or promise a longer `detect_within`.",
)
ALERT_UNPROMISED = warning(
    "alert-unpromised",
    "alert {alert} says no `detect_within`, and without it MON-8 stays without evidence",
    "Add the time within which a fall must be noticed; `pilothouse watch status` derives one.",
)
ALERT_MISSING = error(
    "alert-missing", "no alert on {metric} for {task_types}", "Add a rule with `on: {metric}` under `alerts`."
)
RUNBOOK_MISSING = error("runbook-missing", "file {file} does not exist or is empty", "Write it.")
FILE_MISSING = error(
    "file-missing", "{path}: file {file} does not exist or is empty", 'Write it, or put "?" in its place.'
)

SCHEMA_MISSING = question(
    "schema-missing",
    "function.output_schema: file {file} does not exist or is empty",
    "Write the JSON Schema of the agent's answers: it says what a valid answer is.",
)

RULES: tuple[Rule, ...] = (
    BLIND_ALERT,
    ALERT_UNPROMISED,
    ALERT_MISSING,
    RUNBOOK_MISSING,
    FILE_MISSING,
    SCHEMA_MISSING,
)


def _check_alerts(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield task types whose fall nobody would be told of."""
    del facts
    alerts = known(charter.alerts)
    if alerts is None:
        return
    for index, alert in enumerate(alerts):
        if alert.detector == "drop" and alert.detect_within is None:
            yield ALERT_UNPROMISED.at(("alerts", index), alert=alert.id)
    for metric in ALERTED_METRICS:
        rules = [alert for alert in alerts if alert.on == metric or is_open(alert.on)]
        if any(is_open(rule.task_types) for rule in rules):
            continue
        blind = [name for name in charter.task_types if not any(_watches(rule, name) for rule in rules)]
        if blind:
            yield ALERT_MISSING.at(("alerts",), metric=metric, task_types=blind)


def _check_delays(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield drop alerts that cannot see a drop within the time they promise."""
    del facts
    per_day = known(charter.target_volume.per_day)
    if per_day is None:
        return
    for index, alert in enumerate(known(charter.alerts) or ()):
        promised = known(alert.detect_within)
        if alert.detector != "drop" or promised is None or alert.on not in ("quality", "completion"):
            continue
        watched = [(name, terms) for name, terms in charter.task_types.items() if _watches(alert, name)]
        slowest = max(
            ((_days(alert, terms, per_day, len(watched)), name, terms) for name, terms in watched),
            key=lambda found: (found[0], found[1]),
            default=None,
        )
        if slowest is not None and slowest[0] > promised.total_seconds() / SECONDS_PER_DAY:
            days, name, terms = slowest
            yield BLIND_ALERT.at(
                ("alerts", index, "detect_within"),
                alert=alert.id,
                drop=terms.quality.max_drop,
                task_type=name,
                days="never" if days == math.inf else f"{days:.0f} days",
                asked=format_duration(promised),
                per_day=f"{_scored_per_day(alert, terms, per_day):.0f}",
                or_verify="" if known(terms.verifier) else ", or give it a verifier",
            )


def _check_files(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield files that the charter names and nobody wrote."""
    if facts.files is None:
        return
    for index, alert in enumerate(known(charter.alerts) or ()):
        if not is_open(alert.runbook) and not _is_there(facts, alert.runbook):
            yield RUNBOOK_MISSING.at(("alerts", index, "runbook"), file=alert.runbook)
    for name in known(charter.runbooks) or ():
        if not _is_there(facts, name):
            yield RUNBOOK_MISSING.at(("runbooks", name), file=name)
    if not _is_there(facts, charter.function.output_schema):
        yield SCHEMA_MISSING.at(("function", "output_schema"), file=charter.function.output_schema)
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("change_plan",), charter.change_plan),
        (("guardrails", "schema"), charter.guardrails.schema_path),
        (("glossary",), charter.glossary),
    ]
    named += [(("prompts", index), path) for index, path in enumerate(known(charter.prompts) or ())]
    named += [
        (("tools", name, "contract"), tool.contract) for name, tool in (known(charter.tools) or {}).items()
    ]
    for path, file in named:
        if not is_open(file) and not _is_there(facts, file):
            yield FILE_MISSING.at(path, file=file)


def _is_there(facts: CharterFacts, path: str) -> bool:
    fact = (facts.files or {}).get(path)
    return fact is not None and fact.is_there


def _watches(alert: Alert, task_type: str) -> bool:
    return alert.task_types == "all" or task_type in alert.task_types


def _scored_per_day(alert: Alert, terms: TaskType, per_day: float) -> float:
    """Tasks a day whose result the detector sees: all of them for completion, a sample for quality."""
    rate = known(terms.sampling.rate) if alert.on == "quality" else 1.0
    return per_day * (known(terms.share) or 0.0) * (1.0 if rate is None else rate)


def _days(alert: Alert, terms: TaskType, per_day: float, detectors: int) -> float:
    floor = known(terms.quality.min if alert.on == "quality" else terms.completion.min)
    drop, share = known(terms.quality.max_drop), known(terms.share)
    if floor is None or drop is None or share is None or not 0.0 < floor < 1.0:
        return 0.0  # another finding speaks about these
    return days_to_detect(
        rate=floor,
        drop_points=drop,
        scored_per_day=_scored_per_day(alert, terms, per_day),
        detectors=detectors,
    )


CHECKS: tuple[Check, ...] = (_check_alerts, _check_delays, _check_files)
