# SPDX-License-Identifier: Apache-2.0
"""What is tried somewhere else is no work of the agent."""

from __future__ import annotations

import pytest
from evidence_made import load_charter

from pilothouse.core.charter.answers import OPEN
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.work import work_environments, work_of

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
