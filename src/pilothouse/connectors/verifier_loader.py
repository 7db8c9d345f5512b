# SPDX-License-Identifier: Apache-2.0
"""Load the Python function that a charter names as a verifier, from the charter's folder or what is installed.

A file of the charter's folder is loaded under a name of its own below a package that stands for that
folder, so two charters may both have a `verifiers/erp.py`, and `sys.path` stays as it was. Neighbours
are therefore imported relatively (`from .db import connect`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from pilothouse.core.charter.secrets import without_credentials
from pilothouse.core.evidence.task import Task
from pilothouse.errors import ExtensionError, Place, nearest_name

__all__ = ["LoadedVerifier", "load_verifier"]

SOURCE_BYTES_MAX = 1_000_000
"""Largest verifier file; one that is longer is no verifier."""

USE = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<function>[A-Za-z_]\w*)")

ROOT_PREFIX = "_pilothouse_charter_"

DIGEST = "__pilothouse_digest__"
"""Where a loaded module keeps the digest of what it was made of."""

NEIGHBOURS_MAX = 200
"""Files of one verifier that are looked at; one that imports more is a program of its own, and is installed."""

_LOADING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVerifier:
    """A function that can be asked about a task.

    Attributes:
        use: `module:function` as the charter names it.
        source_digest: SHA-256 of the file it stands in, lower-case hex; where it imports neighbours, of all of them.
        file: The file it stands in.
        ask: The function. What it returns is not to be trusted yet.
    """

    use: str
    source_digest: str
    file: Path
    ask: Callable[[Task], object]

    @property
    def identity(self) -> str:
        """Name and form in one text, as outcomes keep it."""
        return f"{self.use}@sha256:{self.source_digest}"


def load_verifier(use: str, folder: Path) -> LoadedVerifier:
    """Load a verifier.

    Args:
        use: `package.module:function`.
        folder: Folder of the charter; a module found there wins over an installed one.

    Raises:
        ExtensionError: It cannot be found, imported, or called with one task.
    """
    match = USE.fullmatch(use)
    if match is None:
        raise ExtensionError(
            f"{use!r} names no function",
            remedy="Write it as `package.module:function`, for example verifiers.erp:routing_matches.",
            subject=use,
        )
    module_name, function_name = match["module"], match["function"]
    file = _file_in(folder, module_name)
    module = _load_file(use, folder, module_name, file) if file else _import(use, folder, module_name)
    source = Path(module.__file__ or "")
    function = getattr(module, function_name, None)
    place = Place(str(source))
    if function is None:
        names = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        near = nearest_name(function_name, names)
        hint = f" Did you mean {near!r}?" if near else ""
        raise ExtensionError(
            f"there is no function {function_name!r}.{hint}",
            remedy=f"Write `def {function_name}(task):` there, or correct `verifier.use` in the charter.",
            subject=use,
            place=place,
        )
    _check_callable(use, function, place)
    digest = getattr(module, DIGEST, None) if file else _digest(use, source)
    return LoadedVerifier(use=use, source_digest=str(digest), file=source, ask=function)


def _file_in(folder: Path, module_name: str) -> Path | None:
    stem = folder.joinpath(*module_name.split("."))
    for file in (stem.with_suffix(".py"), stem / "__init__.py"):
        if file.is_file():
            return file
    return None


def _digest(use: str, file: Path) -> str:
    return hashlib.sha256(_content(use, file)).hexdigest()


def _content(use: str, file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ExtensionError(
            f"its source cannot be read ({error.strerror})",
            remedy="A verifier is Python source, so that its digest says which form of it was asked.",
            subject=use,
            place=Place(str(file)),
        ) from error
    if len(content) > SOURCE_BYTES_MAX:
        raise ExtensionError(
            f"the file has {len(content):,} bytes, at most {SOURCE_BYTES_MAX:,} are loaded",
            remedy="Put the verifier into a file of its own.",
            subject=use,
            place=Place(str(file)),
        )
    return content


def _sources(use: str, folder: Path, file: Path) -> dict[Path, str]:
    """Return the source files of a verifier, its imports from the folder included, each with its digest."""
    found: dict[Path, str] = {}
    waiting = [file]
    while waiting and len(found) < NEIGHBOURS_MAX:
        one = waiting.pop()
        if one not in found:
            content = _content(use, one)
            found[one] = hashlib.sha256(content).hexdigest()
            waiting += _neighbours(content, folder, one)
    return found


def _neighbours(content: bytes, folder: Path, file: Path) -> Iterator[Path]:
    try:
        nodes = [node for node in ast.walk(ast.parse(content)) if isinstance(node, ast.ImportFrom)]
    except (SyntaxError, ValueError, RecursionError):
        return  # importing it says what is wrong with it
    for node in nodes:
        if node.level:
            stem = file.parents[node.level - 1] if node.level <= len(file.parents) else folder.parent
            names = (node.module or "").split(".") if node.module else []
            for parts in (names, *([*names, alias.name] for alias in node.names)):
                near = _file_in(stem, ".".join(parts)) if parts and stem.is_relative_to(folder) else None
                if near is not None:
                    yield near


def _digest_of(sources: dict[Path, str], folder: Path) -> str:
    if len(sources) == 1:
        return next(iter(sources.values()))
    lines = (f"{digest} {one.relative_to(folder).as_posix()}\n" for one, digest in sources.items())
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _load_file(use: str, folder: Path, module_name: str, file: Path) -> ModuleType:
    """Load a file of the folder, once for each version of it and of the files that it imports."""
    root = ROOT_PREFIX + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    name = f"{root}.{module_name}"
    sources = _sources(use, folder, file)
    digest = _digest_of(sources, folder)
    with _LOADING:
        known = sys.modules.get(name)
        if known is not None:
            if getattr(known, DIGEST, None) == digest:
                return known
            for loaded in [one for one in sys.modules if one.startswith(f"{root}.")]:
                del sys.modules[loaded]  # its neighbours may have changed with it
            for one in sources:
                # Byte code is known by the second and the size of its source: an edit within a second would be missed.
                Path(importlib.util.cache_from_source(str(one))).unlink(missing_ok=True)
            importlib.invalidate_caches()
        _add_packages(root, folder, module_name)
        module = ModuleType(name)
        module.__file__ = str(file)
        module.__spec__ = ModuleSpec(name, None, origin=str(file), is_package=file.name == "__init__.py")
        if file.name == "__init__.py":
            module.__path__ = [str(file.parent)]
            module.__package__ = name
        else:
            module.__package__ = name.rpartition(".")[0]
        sys.modules[name] = module
        try:
            # Compiled here and not by the import system, so that no cached byte code of an older form of
            # the file can be taken for the one whose digest we state.
            exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)  # noqa: S102 - running the named function is what a verifier is
        except BaseException as error:
            del sys.modules[name]
            if not isinstance(error, (Exception, SystemExit)):
                raise
            raise _failed_import(use, error, folder, file) from error
        module.__dict__[DIGEST] = digest
        return module


def _add_packages(root: str, folder: Path, module_name: str) -> None:
    """Make the packages above a module, so that its relative imports find their neighbours."""
    parents = module_name.split(".")[:-1]
    for depth in range(len(parents) + 1):
        name = ".".join([root, *parents[:depth]])
        if name in sys.modules:
            continue
        package = ModuleType(name)
        package.__path__ = [str(folder.joinpath(*parents[:depth]))]
        package.__package__ = name
        package.__spec__ = ModuleSpec(name, None, is_package=True)
        sys.modules[name] = package


def _import(use: str, folder: Path, module_name: str) -> ModuleType:
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if (
            isinstance(error, ModuleNotFoundError)
            and (error.name or "") == module_name[: len(error.name or "")]
        ):
            path = "/".join(module_name.split(".")) + ".py"
            raise ExtensionError(
                f"the verifier {use!r} was not found: no file {path} beside the charter, and nothing "
                f"installed is called {module_name!r}",
                remedy=f"Write {folder / path}, or install the package it is in with pip.",
                subject=use,
                place=Place(str(folder / path)),
            ) from error
        raise _failed_import(use, error, folder, None) from error
    return module


def _failed_import(use: str, error: BaseException, folder: Path, file: Path | None) -> ExtensionError:
    line = 1
    if isinstance(error, SyntaxError) and error.lineno:
        line = error.lineno
    else:
        frame = error.__traceback__
        while frame is not None:
            if file is not None and frame.tb_frame.f_code.co_filename == str(file):
                line = frame.tb_lineno
            frame = frame.tb_next
    remedy = (
        f"Correct the file; `python {file.name}` shows the same error."
        if file
        else f"Try `import {use.partition(':')[0]}` in Python."
    )
    if isinstance(error, ModuleNotFoundError) and error.name and file is not None:
        missing = error.name.split(".")[0]
        if _file_in(folder, missing) or (folder / missing).is_dir() or _file_in(file.parent, missing):
            remedy = "Import neighbours relatively, for example `from .db import connect`, or install the project with `pip install -e .`."
        else:
            remedy = f"Install what it needs beside Pilothouse: `pip install {missing}`."
    return ExtensionError(
        f"the verifier {use!r} cannot be imported ({without_credentials(f'{type(error).__name__}: {error}')})",
        remedy=remedy,
        subject=use,
        place=Place(str(file), line) if file else None,
    )


def _check_callable(use: str, function: object, place: Place) -> None:
    problem = ""
    if not callable(function):
        problem = f"is no function but {type(function).__name__}"
    elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        problem = "is `async`; a verifier is a plain function"
    else:
        try:
            inspect.signature(function).bind(object())
        except TypeError as error:
            problem = f"cannot be called with one task ({error})"
        except ValueError:  # a function without a signature, for example one written in C
            return
    if problem:
        raise ExtensionError(
            f"the verifier {use!r} {problem}",
            remedy="Write it as `def name(task): ...` that returns a Finding.",
            subject=use,
            place=place,
        )
