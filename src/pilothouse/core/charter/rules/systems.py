# SPDX-License-Identifier: Apache-2.0
"""Rules about names of outside systems, task types and levels, and the phases that join them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import get_args

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.located import Path
from pilothouse.core.charter.operations import Phase, PhaseName
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, question, warning
from pilothouse.errors import nearest_name

__all__ = ["CHECKS", "INTEGRATION_INCOMPLETE", "RULES"]

PHASES: tuple[PhaseName, ...] = get_args(PhaseName)

STABLE_DAYS_MIN = 90
"""The framework's figure; nobody knows a quarter's end before one has passed."""

UNKNOWN_NAME = error("unknown-name", "{path}: there is no {kind} {name}", "{hint}")
INTEGRATION_MANUAL = warning(
    "integration-manual",
    "{integration} is `manual`: blocks INT-6",
    "Build a connection, or drop it from the phase.",
)
INTEGRATION_INCOMPLETE = question(
    "integration-incomplete",
    "integration {integration} lacks {field}",
    "Fill it in, then run `pilothouse check`.",
)
PHASE_MISSING = error("phase-missing", "phase {phase} lacks {field}", "Add `{field}` to phase {phase}.")
PHASE_ORDER = error(
    "phase-order",
    "phase {phase} has {what} than phase {before}",
    "Order them: each phase is at least as wide.",
)
PHASE_TWO_JOINS = warning(
    "phase-two-joins",
    "phase {phase} adds {n} integrations at once: {names}",
    "Join them one at a time within the phase.",
)
PHASE1_MANY = error(
    "phase1-many",
    "phase 1 has {n} integrations: {names}",
    "Keep the simplest one; the others join in phase 2.",
)
EXIT_UNASKED = error(
    "exit-unasked",
    "phases.{phase}.exit.{field}: no gate asks for it there",
    "Write it under phases.{asked}.exit, which is asked for from then on, or take it out.",
)
EXIT_CRITICAL = error(
    "exit-critical",
    "phases.1.exit.critical_errors is {n}, and one reproduced critical mistake is a breach",
    "Write 0; what may happen now and then is no `critical` mistake of its task type.",
)
PHASE_LENGTH = error(
    "phase-length", "phase {phase} has a minimum longer than its maximum", "Swap `min` and `max`."
)
STABILITY_SHORT = error("stability-short", "stability.days {days} is less than 90", "Make it 90 or more.")

RULES: tuple[Rule, ...] = (
    UNKNOWN_NAME,
    INTEGRATION_MANUAL,
    INTEGRATION_INCOMPLETE,
    PHASE_MISSING,
    PHASE_ORDER,
    PHASE_TWO_JOINS,
    PHASE1_MANY,
    EXIT_UNASKED,
    EXIT_CRITICAL,
    PHASE_LENGTH,
    STABILITY_SHORT,
)

_EXIT_OF: dict[str, PhaseName] = {
    "uptime": "1",
    "p95_s": "1",
    "critical_errors": "1",
    "volume_times": "2",
    "not_worse_than": "2",
    "outcomes": "3",
}
"""The phase whose exit a requirement reads, by field."""


def _check_names(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield names of integrations, task types and levels that nothing has."""
    del facts
    for kind, known_names, path, name in _names(charter):
        if known_names is None or is_open(name) or name in known_names:
            continue
        near = nearest_name(name, known_names)
        hint = f"Did you mean {near}?" if near else f"Declared: {', '.join(known_names) or 'none'}."
        yield UNKNOWN_NAME.at(path, kind=kind, name=name, hint=hint)


def _check_integrations(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield integrations that a person has to carry data for."""
    del facts
    for name, integration in (known(charter.integrations) or {}).items():
        if integration.kind == "manual":
            yield INTEGRATION_MANUAL.at(("integrations", name, "kind"), integration=name)


def _check_phases(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield phases that do not widen step by step."""
    del facts
    phases = known(charter.phases)
    if phases is None:
        return
    for name in PHASES:
        if name not in phases:
            yield PHASE_MISSING.at(("phases",), phase=name, field="its own entry")
            continue
        phase = phases[name]
        for field in ("share", "min", "max", "exit") if name != "pilot" else ("environment",):
            if getattr(phase, field) is None:
                yield PHASE_MISSING.at(("phases", name), phase=name, field=field)
        shortest, longest = known(phase.min), known(phase.max)
        if shortest is not None and longest is not None and shortest > longest:
            yield PHASE_LENGTH.at(("phases", name, "min"), phase=name)
        yield from _check_exit(name, phase)
    first = charter.integrations_of("1")
    if first is not None and len(first) > 1:
        yield PHASE1_MANY.at(("phases", "1", "integrations"), n=len(first), names=first)
    for before, phase_name in pairwise(PHASES[1:]):
        yield from _step(charter, before, phase_name)


def _check_exit(name: PhaseName, phase: Phase) -> Iterator[Hit]:
    """Yield what a phase asks for at its end and nothing would look at."""
    if phase.exit is None:
        return
    for field, asked in _EXIT_OF.items():
        if asked != name and getattr(phase.exit, field) is not None:
            yield EXIT_UNASKED.at(("phases", name, "exit", field), phase=name, field=field, asked=asked)
    mistakes = known(phase.exit.critical_errors)
    if name == "1" and mistakes:
        yield EXIT_CRITICAL.at(("phases", name, "exit", "critical_errors"), n=mistakes)


def _check_stability(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield a stability target that is too short."""
    del facts
    days = known(charter.stability.days)
    if days is not None and days < STABLE_DAYS_MIN:
        yield STABILITY_SHORT.at(("stability", "days"), days=days)


def _step(charter: Charter, before: PhaseName, name: PhaseName) -> Iterator[Hit]:
    earlier, later = charter.phase(before), charter.phase(name)
    if earlier is None or later is None:
        return
    small, large = known(earlier.share), known(later.share)
    if small is not None and large is not None and large < small:
        yield PHASE_ORDER.at(("phases", name, "share"), phase=name, what="a smaller share", before=before)
    had, has = charter.integrations_of(before), charter.integrations_of(name)
    if had is None or has is None or not {*had, *has} <= set(known(charter.integrations) or ()):
        return
    if not {*had} <= {*has}:
        what = "fewer integrations" if {*has} < {*had} else "other integrations"
        yield PHASE_ORDER.at(("phases", name, "integrations"), phase=name, what=what, before=before)
    joined = [integration for integration in has if integration not in had]
    if len(joined) > 1:
        yield PHASE_TWO_JOINS.at(("phases", name, "integrations"), phase=name, n=len(joined), names=joined)


def _names(charter: Charter) -> Iterator[tuple[str, list[str] | None, Path, str]]:
    integrations = known(charter.integrations)
    systems = None if integrations is None else list(integrations)
    types = list(charter.task_types) or None
    levels = known(charter.escalation)
    numbers = None if levels is None else [str(level.level) for level in levels]
    for name, tool in (known(charter.tools) or {}).items():
        yield "integration", systems, ("tools", name, "integration"), tool.integration
        yield from _each("task type", types, ("tools", name, "task_types"), tool.task_types)
    for index, alert in enumerate(known(charter.alerts) or ()):
        if alert.task_types != "all":
            yield from _each("task type", types, ("alerts", index, "task_types"), alert.task_types)
    for phase_name, phase in (known(charter.phases) or {}).items():
        if phase.integrations != "all":
            yield from _each(
                "integration", systems, ("phases", phase_name, "integrations"), phase.integrations
            )
    for severity, terms in (known(charter.severities) or {}).items():
        level = known(terms.start_level)
        if level is not None:
            yield "escalation level", numbers, ("severities", severity, "start_level"), str(level)


def _each(
    kind: str, known_names: list[str] | None, path: Path, names: Iterable[str]
) -> Iterator[tuple[str, list[str] | None, Path, str]]:
    if not is_open(names):
        for index, name in enumerate(names):
            yield kind, known_names, (*path, index), name


CHECKS: tuple[Check, ...] = (_check_names, _check_integrations, _check_phases, _check_stability)
