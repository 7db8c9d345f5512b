# SPDX-License-Identifier: Apache-2.0
"""Every rule of the charter and every check that speaks them, in the order of the reference."""

from __future__ import annotations

from pilothouse.core.charter.rules import (
    duties,
    model,
    people,
    policy,
    shape,
    systems,
    tasks,
    value,
    watching,
)
from pilothouse.core.charter.rules.rule import Check, Rule

__all__ = ["CHECKS", "GROUPS", "RULES"]

GROUPS: dict[str, tuple[Rule, ...]] = {
    "The file": shape.RULES,
    "People": people.RULES,
    "Duties and escalation": duties.RULES,
    "Work and thresholds": tasks.RULES,
    "Alerts and files": watching.RULES,
    "Integrations, phases, stability": systems.RULES,
    "Tools": policy.RULES,
    "Models": model.RULES,
    "Outcomes, money, defaults": value.RULES,
}
"""Title in the reference → rules."""

RULES: dict[str, Rule] = {rule.id: rule for rules in GROUPS.values() for rule in rules}
"""Every rule by its id."""

CHECKS: tuple[Check, ...] = (
    *people.CHECKS,
    *duties.CHECKS,
    *tasks.CHECKS,
    *watching.CHECKS,
    *systems.CHECKS,
    *policy.CHECKS,
    *model.CHECKS,
    *value.CHECKS,
)
"""Every check that runs on a charter that could be read."""
