# SPDX-License-Identifier: Apache-2.0
"""Decorator that makes a function a governed tool; without a charter its calls pass straight through."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from pilothouse.core.evidence.loops import NO_RUN
from pilothouse.errors import ToolError, UsageError
from pilothouse.runtime.sdk.opening import tool_runtime
from pilothouse.runtime.sdk.recorder import sink
from pilothouse.runtime.sdk.run import Run, current_run
from pilothouse.runtime.tools.runtime import ToolRuntime
from pilothouse.runtime.tools.values import plain

if TYPE_CHECKING:
    from pilothouse.ports.tools import ToolCall

__all__ = ["current_call_key", "tool"]

P = ParamSpec("P")
R = TypeVar("R")

_text = json.JSONEncoder(ensure_ascii=False).encode


def current_call_key() -> str | None:
    """Return the idempotency key that the running tool must hand to its backend; None for a read."""
    from pilothouse.runtime.tools.steps import idempotency_key  # noqa: PLC0415 - not before a tool is called

    return idempotency_key()


def tool(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a tool.

    Effect, limits, schemas and permissions come from the charter and the contract, not from here.

    Args:
        name: `name@version` as under `tools:` of the charter.

    Raises:
        UsageError: The name has no version, or the function yields: a result is checked as a whole.

    Example:
        >>> @tool("crm.find@1")
        ... def find(customer: str) -> dict[str, str]:
        ...     return {"customer": customer}
        >>> find.__name__
        'find'
    """
    if "@" not in name:
        raise UsageError(
            f"tool {name!r} names no version",
            remedy=f'Write @tool("{name}@1"), as it stands in the charter.',
            subject=name,
        )

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"tool {name} is a generator, and a result is checked as a whole",
                remedy="Return a list.",
                subject=name,
            )
        signature = inspect.signature(function)
        # A default is part of the call; one of None says that there is none.
        defaults = {
            key: plain(one.default)
            for key, one in signature.parameters.items()
            if one.default is not one.empty and one.default is not None
        }

        owner = _owner_of(function, signature)

        def arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
            given = signature.bind(*args, **kwargs).arguments if args else kwargs
            found = {key: plain(value) for key, value in given.items() if key != owner}
            return {**defaults, **found} if defaults else found

        made: Any
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                call = _Call(name, lambda: arguments(args, kwargs))
                try:
                    runtime = tool_runtime()
                    work = cast("Callable[..., Awaitable[Any]]", function)
                    if runtime is None:
                        call.result = await work(*args, **kwargs)
                    else:
                        await _governed_async(runtime, call, work, (args, kwargs))
                except BaseException as error:
                    call.error = error
                    raise
                finally:
                    call.close()
                return call.result

            made = awaited
        else:

            @functools.wraps(function)
            def called(*args: P.args, **kwargs: P.kwargs) -> R:
                call = _Call(name, lambda: arguments(args, kwargs))
                try:
                    runtime = tool_runtime()
                    if runtime is None:
                        call.result = function(*args, **kwargs)
                    else:
                        _governed(runtime, call, function, (args, kwargs))
                except BaseException as error:
                    call.error = error
                    raise
                finally:
                    call.close()
                return cast("R", call.result)

            made = called
        made.pilothouse_tool = name
        return cast("Callable[P, R]", made)

    return wrap


def _owner_of(function: Callable[..., Any], signature: inspect.Signature) -> str | None:
    """Return the name under which a method is given its object: no argument of the call, and the only one that is none.

    A function that stands in no class has an argument of that name like any other, which somebody decides about.
    """
    first = next(iter(signature.parameters), None)
    within = function.__qualname__.rpartition(".")[0]
    return first if first in ("self", "cls") and within and not within.endswith("<locals>") else None


class _Undeclared:
    """The assumptions about an undeclared tool: the worst."""

    effect, integration, digest = "irreversible", "", ""


class _Call:
    """One call with its span."""

    __slots__ = (
        "_opened",
        "_outer",
        "_read",
        "_span",
        "_title",
        "args",
        "call_id",
        "error",
        "name",
        "result",
        "run",
    )

    def __init__(self, name: str, read: Callable[[], dict[str, Any]]) -> None:
        self.name, self.args, self._read = name, read(), read
        self._outer = current_run().get()
        self.run = self._outer or Run(NO_RUN, "0" * 16, "", "unknown", None)
        self.call_id = self.run.step()
        self._title = f"execute_tool {name}"
        parent = None if self._outer is None else (self._outer.trace_id, self._outer.span_id)
        _, self._span, self._opened = sink().open(self._title, parent)
        self.result: Any = None
        self.error: BaseException | None = None

    def refusal(self, runtime: ToolRuntime) -> Callable[[], object] | None:
        """Return a function that records the refusal of an undeclared tool, or None for a declared one."""
        if self.name in runtime.tools or runtime.tasks is None:
            return None
        # Without its arguments: nobody said what they are, and a record is for good.
        asked = replace(self.request(runtime, _Undeclared), args={})
        return functools.partial(runtime.tasks.refuse, asked)

    def request(self, runtime: ToolRuntime, governed: Any) -> ToolCall:
        """Return the call for the pipeline."""
        return _tool_call()(
            tool=self.name,
            args=self.args,
            agent=runtime.agent,
            version=runtime.version,
            run=self.run.trace_id,
            span_id=self._span,
            parent_span_id=self.run.span_id,
            # Calls outside a run have nothing in common, so none is ever taken for another.
            call_id=self.call_id if self._outer is not None else self._span,
            task_type=self.run.task_type,
            effect=governed.effect,
            integration=governed.integration,
            contract=governed.digest,
        )

    def check_unchanged(self) -> None:
        """Call the function only with the arguments that were decided: a mutable one may have changed while the call waited.

        Raises:
            ToolError: Somebody changed an argument.
        """
        if any(type(one) in (list, dict) for one in self.args.values()) and self._read() != self.args:
            raise ToolError(
                f"{self.name}: an argument was changed while the call waited, so it was not made",
                remedy="Give each call lists of its own, then call again.",
                kind="conflict",
                subject=self.name,
            )

    def close(self) -> None:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": self.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": self.call_id,
            "gen_ai.tool.call.arguments": _text(self.args),
        }
        if isinstance(self.error, ToolError):
            attributes["error.type"] = self.error.kind
            attributes["gen_ai.tool.call.result"] = _text(self.error.as_tool_result())
        elif self.error is not None:
            attributes["error.type"] = type(self.error).__name__
        else:
            try:
                attributes["gen_ai.tool.call.result"] = _text(plain(self.result))
            except (TypeError, ValueError):
                attributes["gen_ai.tool.call.result"] = f"<{type(self.result).__name__}>"
        sink().close(self._opened, self._title, failed=self.error is not None, attributes=attributes)


class _Fresh:
    """Which object of the function each checked result came from: the agent gets its own types back."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Any, Any]] = []

    def keep(self, value: Any) -> Any:
        data = plain(value)
        self._pairs.append((data, value))
        return data

    def original(self, data: Any) -> Any:
        """Return the object behind a result; a repeated call's stored result stands for itself."""
        return next((value for checked, value in self._pairs if checked is data), data)


Given = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments as the agent's code wrote them."""


@functools.cache
def _layer() -> tuple[Any, Any, Any]:
    """Import the tool layer, not before a tool is called; asking Python for it at each call costs more than a call of it."""
    from pilothouse.runtime.tools.pipeline import call_through  # noqa: PLC0415 - as said above
    from pilothouse.runtime.tools.steps import drive, drive_async  # noqa: PLC0415 - same reason

    return call_through, drive, drive_async


@functools.cache
def _tool_call() -> type[ToolCall]:
    from pilothouse.ports.tools import ToolCall  # noqa: PLC0415 - same reason

    return ToolCall


def _governed(runtime: ToolRuntime, call: _Call, work: Callable[..., Any], given: Given) -> None:
    call_through, drive, _ = _layer()
    refusal = call.refusal(runtime)
    if refusal is not None:
        refusal()
    governed = runtime.tool(call.name)
    fresh = _Fresh()
    asked = runtime.door.filled(call.request(runtime, governed))
    args, kwargs = _filled(runtime, asked, given)
    going = call_through(runtime.door, governed, asked)

    def attempt() -> Any:
        call.check_unchanged()
        return fresh.keep(work(*args, **kwargs))

    call.result = fresh.original(drive(going, attempt))


async def _governed_async(
    runtime: ToolRuntime, call: _Call, work: Callable[..., Awaitable[Any]], given: Given
) -> None:
    call_through, _, drive_async = _layer()
    refusal = call.refusal(runtime)
    if refusal is not None:
        import asyncio  # noqa: PLC0415 - runs already where this is called, and costs whoever imports us without it

        await asyncio.to_thread(refusal)  # it waits for a disk
    governed = runtime.tool(call.name)
    fresh = _Fresh()
    asked = runtime.door.filled(call.request(runtime, governed))
    args, kwargs = _filled(runtime, asked, given)

    async def attempt() -> Any:
        call.check_unchanged()
        return fresh.keep(await work(*args, **kwargs))

    going = call_through(runtime.door, governed, asked)
    call.result = fresh.original(await drive_async(going, attempt))


def _filled(runtime: ToolRuntime, asked: ToolCall, given: Given) -> Given:
    """The agent's own arguments with what their names of unread values stand for."""
    presenter = runtime.door.presenter
    unread = presenter.unread(asked.run) if asked.unread and presenter is not None else None
    if unread is None:
        return given
    args, kwargs = given
    return unread.filled(args)[0], unread.filled(kwargs)[0]
