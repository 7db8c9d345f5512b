# SPDX-License-Identifier: Apache-2.0
"""Which tasks a stand-in of the model pin answered: the agent with another pin is another version, and its work counts apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task import Task

__all__ = ["NamedModel", "is_same_model", "own_work", "stand_ins_of"]


class NamedModel(Protocol):
    """A pinned model by its names."""

    @property
    def model(self) -> object:
        """Exact id, or an open question."""
        ...

    @property
    def served_as(self) -> Collection[str]:
        """Other names under which it is served."""
        ...


def is_same_model(pin: NamedModel, model: object) -> bool:
    """Return whether a member of the chain is the pinned model, at whatever provider: no stand-in, then.

    Args:
        pin: The pinned model.
        model: Model of the member.
    """
    return model == pin.model or model in pin.served_as


def stand_ins_of(charter: Charter) -> frozenset[str]:
    """Return the names under which only a stand-in answers; none while the pin is an open question.

    Args:
        charter: The charter in force.
    """
    pin = charter.model.pin
    if is_open(pin.model):
        return frozenset()
    others = [one for one in known(charter.model.fallback) or () if not is_same_model(pin, one.model)]
    names = {name for one in others for name in (one.model, *one.served_as)}
    return frozenset(name for name in names if not is_open(name)) - {pin.model, *pin.served_as}


def own_work(charter: Charter, tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks that no stand-in answered a call of, in their order.

    Whatever version their spans name: an agent seldom knows who answered it.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent.
    """
    stand_ins = stand_ins_of(charter)
    return [task for task in tasks if stand_ins.isdisjoint(task.models)] if stand_ins else list(tasks)
