# SPDX-License-Identifier: Apache-2.0
"""Scan an agent's repository for what a charter must name (folder → sightings).

Nothing is imported or run: Python is parsed, everything else is read as text. A file that is broken is
a note, never a failure, and no secret leaves this module: only where one stands.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pilothouse.connectors.repository_python import sightings_in_python
from pilothouse.connectors.repository_words import (
    FRAMEWORK_OF_PACKAGE,
    environment_names,
    hosts_in,
    models_in,
)
from pilothouse.core.charter.secrets import assigned_secret, redacted
from pilothouse.core.charter.sighting import RepositoryReport, Sighting, SightingKind

__all__ = ["read_repository"]

FILES_MAX = 5_000
"""Files read: a narrow agent has a few dozen; more is a monorepo, and a person should name a folder."""

FILE_BYTES_MAX = 512 * 1024
"""Source files are smaller; what is larger is data or generated."""

BYTES_MAX = 64 * 1024 * 1024
"""Bytes read in all, so that the command answers within seconds."""

DEPTH_MAX = 12
"""Folders below the top."""

SIGHTINGS_MAX = 1_000
"""Sightings kept: nobody reads more."""

PROMPT_BYTES_MIN = 20
"""A prompt file says something."""

SKIPPED_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", "node_modules", ".venv", "venv", "env", ".env", "__pycache__", ".tox", ".nox",
        ".mypy_cache", ".ruff_cache", ".pytest_cache", "site-packages", "dist", "build", "target", ".next",
        "vendor", "third_party", "tests", "test", "__tests__", "fixtures", ".idea", ".vscode", "coverage",
    }
)  # fmt: skip
"""Folders that hold other people's code, what is generated, or what only tests say."""

SCRIPT_ENDINGS = frozenset({".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx"})
CONFIG_ENDINGS = frozenset({".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".conf", ".properties"})
PROMPT_ENDINGS = frozenset({".md", ".txt", ".prompt", ".jinja", ".jinja2", ".j2", ".mustache", ".hbs"})
LOCK_FILES = frozenset(
    {"package-lock.json", "poetry.lock", "uv.lock", "yarn.lock", "pnpm-lock.yaml", "Pipfile.lock"}
)
OWN_FILE = "charter.yaml"

PROMPT_NAME = re.compile(r"(?i)prompt|instruction|system[_-]?message|persona")
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
SCRIPT_TOOL = re.compile(
    r"\b(?:tool|defineTool|createTool|registerTool)\s*\(\s*(?:\{\s*name\s*:\s*)?['\"]([A-Za-z0-9_.-]{2,64})['\"]"
)


def read_repository(folder: Path) -> RepositoryReport:
    """Scan a repository.

    Returns:
        What was seen, in the order of files and lines, and notes about what was left out.
    """
    notes: list[str] = []
    sightings: list[Sighting] = []
    name = folder.resolve().name
    read = size = 0
    for path in _files(folder, notes):
        if read >= FILES_MAX or size >= BYTES_MAX:
            limit = f"{FILES_MAX} files" if read >= FILES_MAX else f"{BYTES_MAX // 1024**2} MiB"
            notes.append(f"stopped after {limit}: name the agent's own folder to see the rest")
            break
        shown = path.relative_to(folder).as_posix()
        text = _text(path, shown, notes)
        if text is None:
            continue
        read += 1
        size += len(text)
        if shown in {"package.json", "pyproject.toml"}:
            name = _project_name(shown, text) or name
        sightings += map(_whole, _in_file(path.relative_to(folder), shown, text, notes))
    unique = {(s.kind, s.value, s.file): s for s in reversed(sightings)}
    kept = sorted(unique.values(), key=lambda s: (s.file, s.line, s.kind.value, s.value))
    if len(kept) > SIGHTINGS_MAX:
        notes.append(f"{len(kept) - SIGHTINGS_MAX} sightings more are not shown")
    return RepositoryReport(
        name=name, sightings=tuple(kept[:SIGHTINGS_MAX]), files_read=read, notes=tuple(notes)
    )


def _whole(seen: Sighting) -> Sighting:
    r"""Return a sighting without lone surrogates, which code can spell (`"\ud800"`) and no file can hold."""
    value, detail, *names = (_written(text) for text in (seen.value, seen.detail, *seen.names))
    return replace(seen, value=value, detail=detail, names=tuple(names))


def _written(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _files(folder: Path, notes: list[str]) -> Iterator[Path]:
    """Yield files worth reading, by name, without following links."""
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as failed:
            notes.append(f"{here.relative_to(folder).as_posix()}: {failed.strerror}")
            continue
        inner: list[tuple[Path, int]] = []
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink():
                continue
            if (
                not entry.name.isprintable()
            ):  # the end of a line in it would write lines of its own into the draft
                notes.append(f"{path.relative_to(folder).as_posix()!a}: a name that cannot be shown")
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name in SKIPPED_FOLDERS or (path / "pyvenv.cfg").exists():
                    continue
                if depth + 1 > DEPTH_MAX:
                    notes.append(f"{path.relative_to(folder).as_posix()}: deeper than {DEPTH_MAX} folders")
                else:
                    inner.append((path, depth + 1))
            elif entry.is_file(follow_symlinks=False) and _is_wanted(path.relative_to(folder)):
                yield path
        waiting.extend(reversed(inner))


def _is_wanted(path: Path) -> bool:
    name, ending = path.name, path.suffix.lower()
    if name in LOCK_FILES or name == OWN_FILE:
        return False
    return (
        ending == ".py"
        or ending in SCRIPT_ENDINGS
        or ending in CONFIG_ENDINGS
        or _is_environment(name)
        or _is_requirements(name)
        or (ending in PROMPT_ENDINGS and _is_prompt(path))
    )


def _is_environment(name: str) -> bool:
    return name == ".env" or name.startswith(".env.") or name.endswith(".env")


def _is_requirements(name: str) -> bool:
    return name.startswith("requirements") and name.endswith((".txt", ".in"))


def _is_prompt(path: Path) -> bool:
    return bool(PROMPT_NAME.search(path.stem) or PROMPT_NAME.search(path.parent.name))


def _text(path: Path, shown: str, notes: list[str]) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as failed:
        notes.append(f"{shown}: {failed.strerror}")
        return None
    if len(raw) > FILE_BYTES_MAX:
        notes.append(f"{shown}: larger than {FILE_BYTES_MAX // 1024} KiB")
        return None
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        notes.append(f"{shown}: no UTF-8, read with gaps")
        return raw.decode("utf-8", errors="replace")


def _in_file(path: Path, shown: str, text: str, notes: list[str]) -> Iterator[Sighting]:
    name, ending = path.name, path.suffix.lower()
    yield from _secrets(
        shown, text, may_be_bare=_is_environment(name) or ending in {".ini", ".cfg", ".properties"}
    )
    if ending == ".py":
        try:
            yield from sightings_in_python(text, shown)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            notes.append(f"{shown}: no valid Python, read as text")
            yield from _in_text(shown, text, is_script=False)
    elif ending in PROMPT_ENDINGS and _is_prompt(path):
        if len(text.strip()) >= PROMPT_BYTES_MIN:
            yield Sighting(
                kind=SightingKind.PROMPT_FILE,
                value=shown,
                file=shown,
                line=1,
                detail=f"{len(text)} characters",
            )
    elif _is_requirements(name):
        yield from _requirements(shown, text)
    elif name == "pyproject.toml":
        yield from _pyproject(shown, text, notes)
    elif _is_environment(name):
        yield from _environment_file(shown, text)
    elif ending == ".json":
        yield from _json_file(shown, text)
        yield from _in_text(shown, text, is_script=False)
    else:
        yield from _in_text(shown, text, is_script=ending in SCRIPT_ENDINGS)


def _in_text(shown: str, text: str, *, is_script: bool) -> Iterator[Sighting]:
    for number, line in enumerate(text.splitlines(), start=1):
        for host in hosts_in(line):
            yield Sighting(kind=SightingKind.HOST, value=host, file=shown, line=number)
        for model in models_in(line, quoted_only=is_script):
            yield Sighting(kind=SightingKind.MODEL, value=model, file=shown, line=number)
        if is_script:
            for name in environment_names(line):
                yield Sighting(kind=SightingKind.ENVIRONMENT, value=name, file=shown, line=number)
            for tool in SCRIPT_TOOL.findall(line):
                yield Sighting(kind=SightingKind.TOOL, value=tool, file=shown, line=number)


def _secrets(shown: str, text: str, *, may_be_bare: bool) -> Iterator[Sighting]:
    for number, line in enumerate(text.splitlines(), start=1):
        kind = assigned_secret(line, may_be_bare=may_be_bare)
        if kind:
            yield Sighting(kind=SightingKind.SECRET, value=kind, file=shown, line=number)


def _requirements(shown: str, text: str) -> Iterator[Sighting]:
    for number, line in enumerate(text.splitlines(), start=1):
        found = REQUIREMENT.match(line)
        framework = FRAMEWORK_OF_PACKAGE.get(_package(found[1])) if found else None
        if framework:
            yield Sighting(
                kind=SightingKind.FRAMEWORK, value=framework, file=shown, line=number, detail="dependency"
            )


def _pyproject(shown: str, text: str, notes: list[str]) -> Iterator[Sighting]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        notes.append(f"{shown}: no valid TOML")
        return
    project = document.get("project")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    poetry = document.get("tool", {}).get("poetry", {}).get("dependencies", {})
    names = [*(listed if isinstance(listed, list) else ()), *(poetry if isinstance(poetry, dict) else ())]
    for name in names:
        found = REQUIREMENT.match(str(name))
        framework = FRAMEWORK_OF_PACKAGE.get(_package(found[1])) if found else None
        if framework and found:
            line = _line_of(text, found[1])
            yield Sighting(
                kind=SightingKind.FRAMEWORK, value=framework, file=shown, line=line, detail="dependency"
            )


def _json_file(shown: str, text: str) -> Iterator[Sighting]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    if shown.rsplit("/", 1)[-1] == "package.json":
        for key in ("dependencies", "devDependencies"):
            packages = document.get(key)
            for name in packages if isinstance(packages, dict) else ():
                framework = FRAMEWORK_OF_PACKAGE.get(_package(name))
                if framework:
                    line = _line_of(text, f'"{name}"')
                    yield Sighting(
                        kind=SightingKind.FRAMEWORK,
                        value=framework,
                        file=shown,
                        line=line,
                        detail="dependency",
                    )
    elif isinstance(document.get("properties"), dict) and (
        "$schema" in document or shown.endswith("schema.json")
    ):
        yield Sighting(kind=SightingKind.SCHEMA_FILE, value=shown, file=shown, line=1)
    servers = document.get("mcpServers")
    for name in servers if isinstance(servers, dict) else ():
        yield Sighting(
            kind=SightingKind.MCP_SERVER, value=redacted(name), file=shown, line=_line_of(text, f'"{name}"')
        )


def _environment_file(shown: str, text: str) -> Iterator[Sighting]:
    for number, line in enumerate(text.splitlines(), start=1):
        found = re.match(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]{2,63})\s*=", line)
        if found:
            yield Sighting(kind=SightingKind.ENVIRONMENT, value=found[1], file=shown, line=number)
        for host in hosts_in(line):
            yield Sighting(kind=SightingKind.HOST, value=host, file=shown, line=number)
        for model in models_in(line, quoted_only=False):
            yield Sighting(kind=SightingKind.MODEL, value=model, file=shown, line=number)


def _project_name(shown: str, text: str) -> str | None:
    try:
        project = tomllib.loads(text).get("project") if shown == "pyproject.toml" else json.loads(text)
    except (ValueError, RecursionError):
        return None
    name = project.get("name") if isinstance(project, dict) else None
    return name.rpartition("/")[2] if isinstance(name, str) else None  # npm writes @owner/name


def _package(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _line_of(text: str, part: str) -> int:
    start = text.find(part)
    return text.count("\n", 0, start) + 1 if start >= 0 else 1
