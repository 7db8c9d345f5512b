# SPDX-License-Identifier: Apache-2.0
"""Marks the function that does one task: everything inside belongs to one run, one trace, one root span."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

from pilothouse.runtime.sdk.recorder import sink
from pilothouse.runtime.sdk.run import Run, current_run, identity

__all__ = ["agent"]

P = ParamSpec("P")
R = TypeVar("R")


def agent(
    *, task_type: str = "undeclared", name: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark the function that does one task.

    Blocking, asynchronous and generator functions keep their signature and their exceptions.

    Args:
        task_type: Task type of the charter.
        name: Agent name; the one `pilothouse run` sets, or the function's name, when None.

    Example:
        >>> @agent(task_type="greeting")
        ... def greet(whom: str) -> str:
        ...     return f"Hello {whom}"
        >>> greet.__name__
        'greet'
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        def begin() -> Any:
            said = identity()
            return _task(name or said.get("pilothouse.agent") or function.__name__, task_type)

        made: Any
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def stream(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Any]:
                with begin():
                    async for part in cast("AsyncIterator[Any]", function(*args, **kwargs)):
                        yield part

            made = stream
        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def parts(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
                with begin():
                    return (yield from cast("Any", function(*args, **kwargs)))

            made = parts
        elif inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin():
                    return await cast("Awaitable[Any]", function(*args, **kwargs))

            made = awaited
        else:

            @functools.wraps(function)
            def called(*args: P.args, **kwargs: P.kwargs) -> R:
                with begin():
                    return function(*args, **kwargs)

            made = called
        return cast("Callable[P, R]", made)

    return wrap


@contextmanager
def _task(name: str, task_type: str) -> Iterator[Run]:
    variable = current_run()
    outer = variable.get()
    parent = None if outer is None else (outer.trace_id, outer.span_id)
    title = f"invoke_agent {name}"
    trace_id, span_id, opened = sink().open(title, parent)
    run = Run(trace_id, span_id, name, task_type, outer)
    variable.set(run)
    failed: BaseException | None = None
    try:
        yield run
    except BaseException as error:
        failed = error if isinstance(error, Exception) else None
        raise
    finally:
        # Not by token: a generator may end in another context than the one it began in.
        variable.set(outer)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            "pilothouse.agent": name,
            "pilothouse.task.type": task_type,
        }
        if outer is None:
            attributes["pilothouse.task.result"] = "completed" if failed is None else "failed"
        if failed is not None:
            attributes["error.type"] = type(failed).__name__
        attributes |= run.marks
        if run.claim_text is not None:
            attributes["pilothouse.task.claim"] = run.claim_text
        sink().close(opened, title, failed=failed is not None, attributes=attributes)
