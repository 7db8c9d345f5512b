# SPDX-License-Identifier: Apache-2.0
"""Sightings in an agent's repository, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["RepositoryReport", "Sighting", "SightingKind"]


class SightingKind(StrEnum):
    """What kind of thing was seen."""

    AGENT = "agent"
    TASK_TYPE = "task_type"
    FRAMEWORK = "framework"
    MODEL = "model"
    TOOL = "tool"
    MCP_SERVER = "mcp_server"
    HOST = "host"
    PROMPT_FILE = "prompt_file"
    PROMPT_TEXT = "prompt_text"
    SCHEMA_FILE = "schema_file"
    ENVIRONMENT = "environment"
    SECRET = "secret"  # noqa: S105 - the word, not one


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One sighting at one place.

    Attributes:
        kind: What it is.
        value: Its name, never a secret: for a secret, what kind of secret.
        file: Path inside the repository, with forward slashes.
        line: 1-based line.
        detail: A few words more, for example the arguments of a tool.
        names: Parts that have names, for example the arguments of a tool.
    """

    kind: SightingKind
    value: str
    file: str
    line: int
    detail: str = ""
    names: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryReport:
    """All sightings in one repository.

    Attributes:
        name: Name of the project, or of its folder.
        sightings: In the order of files and lines; each value once for each file.
        files_read: Files that were read.
        notes: What was left out, and why: limits reached, files that could not be read.
    """

    name: str
    sightings: tuple[Sighting, ...]
    files_read: int
    notes: tuple[str, ...]

    def of_kind(self, kind: SightingKind) -> tuple[Sighting, ...]:
        """Return the sightings of one kind, in order."""
        return tuple(sighting for sighting in self.sightings if sighting.kind is kind)
