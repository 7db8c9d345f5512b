# SPDX-License-Identifier: Apache-2.0
"""What is tried somewhere else is no work of the agent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from evidence_made import load_charter

from pilothouse.core.charter.answers import OPEN
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.work import window_of, work_environments, work_of

CHARTER = load_charter()


def with_pilot(environment):
    pilot = CHARTER.phases["pilot"].model_copy(update={"environment": environment})
    return CHARTER.model_copy(update={"phases": {**CHARTER.phases, "pilot": pilot}})


@pytest.mark.parametrize(
    ("charter", "pilot"),
    [
        (with_pilot("staging"), "staging"),
        (with_pilot("production"), "production"),
        (with_pilot(None), "pilot"),
        (with_pilot(OPEN), "pilot"),
        (CHARTER.model_copy(update={"phases": OPEN}), "pilot"),
        (CHARTER.model_copy(update={"phases": {}}), "pilot"),
    ],
)
def test_production_the_pilot_and_what_names_no_environment_count(charter, pilot):
    assert work_environments(charter) == {None, "production", pilot}


def test_tasks_of_other_environments_are_left_out_in_their_order():
    names = ("production", "staging", None, "pilot", "dev", "Production", "")
    tasks = [
        Task(trace_id=f"{n:032x}", agent="a", environment=name, start_ns=n, end_ns=n)
        for n, name in enumerate(names)
    ]
    assert [task.environment for task in work_of(CHARTER, tasks)] == ["production", None, "pilot"]


@pytest.mark.parametrize(("said", "days"), [("7d", 7), ("28d", 28), ("29d", 28), ("365d", 28), (None, 7)])
def test_a_verdict_looks_back_four_weeks_at_most(said, days):
    terms = CHARTER.task_types["po_invoice"]
    window = OPEN if said is None else timedelta(days=int(said[:-1]))
    sampling = terms.sampling.model_copy(update={"window": window})
    types = {**CHARTER.task_types, "po_invoice": terms.model_copy(update={"sampling": sampling})}
    charter = CHARTER.model_copy(update={"task_types": types})
    assert window_of(charter, "po_invoice") == timedelta(days=days)
