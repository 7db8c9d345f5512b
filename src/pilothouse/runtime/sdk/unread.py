# SPDX-License-Identifier: Apache-2.0
"""For the agent's code: work with values that were hidden from its model, by the names that replace them in tool results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilothouse.errors import UsageError
from pilothouse.runtime.sdk.opening import tool_runtime
from pilothouse.runtime.sdk.run import current_run

if TYPE_CHECKING:
    from pilothouse.ports.tools import TextMatch, UnreadValues

__all__ = ["extract", "matching", "reveal", "transform"]


def reveal(name: str) -> Any:
    """Reveal one hidden value; afterwards every external call of this task needs a person's approval.

    Args:
        name: `[[hidden 3: …]]`, as a result gave it.

    Raises:
        ToolError: The name stands for nothing in this task.
        UsageError: No task is going on here.
    """
    return _unread().reveal(name)


def matching(names: Sequence[str], how: TextMatch, words: str) -> list[str]:
    """Return those names whose hidden values match some words, without showing any.

    Args:
        names: Names to choose among.
        how: How they must match; case does not count.
        words: Words of the task, not of a tool.

    Raises:
        ToolError: A name stands for nothing in this task.
        UsageError: No task is going on here.
    """
    return _unread().matching(names, how, words)


def extract(name: str, type_name: str) -> list[Any]:
    """Return the values of one type in a hidden value: numbers and dates as they are, others as names again.

    Args:
        name: Name of the hidden value.
        type_name: Type as a policy writes it: `number`, `date`, `amount(EUR)`, `email`.

    Raises:
        ToolError: The name stands for nothing in this task, or there is no such type.
        UsageError: No task is going on here.
    """
    return _unread().extract(name, type_name)


def transform(names: Sequence[str], work: Callable[..., str]) -> str:
    """Make a text out of hidden values, and return the name that stands for it.

    Args:
        names: Names of the values.
        work: Given each value, returns a text: code, or a model without tools. Whatever the values tell that
            model to do, its text can only be passed on as data.

    Raises:
        ToolError: A name stands for nothing in this task.
        UsageError: No task is going on here.
    """
    return _unread().transform(names, work)


def _unread() -> UnreadValues:
    run, runtime = current_run().get(), tool_runtime()
    presenter = runtime.door.presenter if runtime is not None else None
    found = presenter.unread(run.trace_id) if presenter is not None and run is not None else None
    if found is None:
        raise UsageError(
            "nothing is hidden here: no task with a charter is going on",
            remedy="Call it inside a function marked with `@pilothouse.agent(task_type=…)`, after a tool was called.",
        )
    return found
