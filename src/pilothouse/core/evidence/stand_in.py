# SPDX-License-Identifier: Apache-2.0
"""Which tasks a stand-in of the model pin answered: the agent with another pin is another version, and its work counts apart."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task import Task

__all__ = ["own_work", "stand_ins_of"]


def stand_ins_of(charter: Charter) -> frozenset[str]:
    """Return the names under which only a stand-in answers; none while the pin is an open question.

    Args:
        charter: The charter in force.
    """
    pin = charter.model.pin
    if is_open(pin.model):
        return frozenset()
    names = {name for one in known(charter.model.fallback) or () for name in (one.model, *one.served_as)}
    return frozenset(name for name in names if not is_open(name)) - {pin.model, *pin.served_as}


def own_work(charter: Charter, tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks that no stand-in answered a call of, in their order.

    Whatever version their spans name: an agent seldom knows who answered it. A stand-in that is the same model at another
    provider cannot be told by its name.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent.
    """
    stand_ins = stand_ins_of(charter)
    return [task for task in tasks if stand_ins.isdisjoint(task.models)] if stand_ins else list(tasks)
