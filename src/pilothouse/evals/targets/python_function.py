# SPDX-License-Identifier: Apache-2.0
"""A Python function as a target: `python:module:function`, plain or async, with one argument or two."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.foreign_code import must_propagate, server_trouble
from pilothouse.evals.targets.target import PRESSURE, AgentFailed, TargetSpec, TargetUnreachable, as_reply
from pilothouse.evals.trial import Reply, TrialContext

__all__ = ["PythonFunction"]

THREADS_MAX = 256
"""As many as trials may run at once; a plain function blocks its thread."""

_ONE_THREAD: list[ThreadPoolExecutor] = []
"""The thread in which modules are imported and called where no two trials run at once: candidate and baseline may share a
module, and what it opened then (a connection, a loop) may belong to the thread that did."""


def _one_thread() -> ThreadPoolExecutor:
    if not _ONE_THREAD:
        _ONE_THREAD.append(ThreadPoolExecutor(1, thread_name_prefix="pilothouse-trial"))
    return _ONE_THREAD[0]


def _leave_thread(left: ThreadPoolExecutor) -> None:
    """Replace a thread that hangs in the agent's code."""
    if _ONE_THREAD == [left]:
        _ONE_THREAD.clear()
    left.shutdown(wait=False, cancel_futures=True)


class PythonFunction:
    """Calls a function `(input)` or `(input, context)` of an importable module.

    The version is the digest of the sources under the folder of the module's package, so that changing
    the agent's code makes another version even when nobody says so.

    Args:
        address: `module:function`, looked up from `folder` first.
        version: Version digest, or None to compute it from the source.
        folder: Folder to import from; the current one when None.
        is_alone: Whether no two trials run at once; then one thread imports the module and makes every call.

    Raises:
        UsageError: It cannot be imported or called.
    """

    def __init__(
        self, address: str, *, version: str | None = None, folder: Path | None = None, is_alone: bool = False
    ) -> None:
        root = str((folder or Path.cwd()).absolute())
        if root not in sys.path:
            sys.path.insert(0, root)
        self._is_alone = is_alone
        self._function, source = (
            _one_thread().submit(_import_function, address).result()
            if is_alone
            else _import_function(address)
        )
        self._is_async = inspect.iscoroutinefunction(self._function) or inspect.iscoroutinefunction(
            getattr(self._function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        self._wants_context = _takes_two(self._function)
        self._threads: ThreadPoolExecutor | None = None
        fingerprint = _source_digest(source, address)
        self.spec = TargetSpec(
            address=f"python:{address}",
            version=version or fingerprint,
            fingerprint=fingerprint,
            version_is_declared=version is not None,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Call the function; a plain one runs in a thread, so it cannot stop the others."""
        arguments: tuple[Any, ...] = (case.input, context) if self._wants_context else (case.input,)
        try:
            if self._is_async:
                value = await self._function(*arguments)
            elif self._is_alone:
                value = await self._call_alone(arguments)
            else:
                if self._threads is None:
                    self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="pilothouse-trial")
                loop = asyncio.get_running_loop()
                value = await loop.run_in_executor(self._threads, self._function, *arguments)
        except (AgentFailed, TargetUnreachable):
            raise
        except BaseException as error:
            if must_propagate(error):
                raise
            problem, status = f"{type(error).__name__}: {error}", server_trouble(error)
            if status is not None:
                raise TargetUnreachable(problem, is_pressure=status in PRESSURE) from error
            raise AgentFailed(problem) from error
        return as_reply(value)

    async def _call_alone(self, arguments: tuple[Any, ...]) -> Any:
        thread = _one_thread()
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, self._function, *arguments)
        except asyncio.CancelledError:
            _leave_thread(thread)
            raise

    async def close(self) -> None:
        """End idle threads; one that hangs in the agent's code is abandoned."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _import_function(address: str) -> tuple[Callable[..., Any], Path | None]:
    module_name, _, name = address.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        is_found = not (
            isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}.")
        )
        raise UsageError(
            f"cannot import {module_name!r}: {type(error).__name__}: {error}.",
            remedy="It runs beside Pilothouse. Install here what it imports, or let the agent's own interpreter answer: "
            "exec:'path/to/its/.venv/bin/python loop.py', with a loop as docs/how-to/put-a-gate-on-an-agent.md shows."
            if is_found
            else "Run from the folder that holds it, or install it; the form is python:module:function.",
            subject=address,
        ) from error
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UsageError(
            f"module {module_name!r} has no function {name!r}.",
            remedy="The form is python:module:function.",
            subject=address,
        )
    source = getattr(module, "__file__", None)
    return found, Path(source) if source else None


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    places = [one for one in parameters if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    required = [one for one in places if one.default is one.empty]
    return len(required) >= 2 or (len(places) >= 2 and places[1].name in {"context", "ctx"})


def _source_digest(source: Path | None, address: str) -> str:
    """Hash the module, or all modules of its package."""
    found = hashlib.sha256(address.encode())
    if source is not None:
        is_package = (source.parent / "__init__.py").exists()
        for path in sorted(source.parent.rglob("*.py")) if is_package else [source]:
            found.update(path.relative_to(source.parent).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest()
