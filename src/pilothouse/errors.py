# SPDX-License-Identifier: Apache-2.0
"""Every exception that Pilothouse raises on purpose, in one tree; imports nothing of ours.

```
PilothouseError
├── UsageError
│   └── UnknownName
├── CharterError
│   ├── CharterSyntaxError
│   └── CharterInvalid
├── EvidenceError
│   ├── MalformedRecord
│   └── DigestMismatch
├── Denied
├── Conflict
├── LimitExceeded
├── ExtensionError
└── InfrastructureError
    ├── StorageUnavailable
    ├── StorageFull
    ├── ProviderError
    ├── IntegrationError
    └── ToolError
```

An exception says that the input is wrong, the world failed, or we have a bug. A breach is a
verdict, never an exception. Each error carries what is wrong, where, and a remedy that can be typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CharterError",
    "CharterInvalid",
    "CharterSyntaxError",
    "Conflict",
    "Denied",
    "DigestMismatch",
    "EvidenceError",
    "ExitStatus",
    "ExtensionError",
    "InfrastructureError",
    "IntegrationError",
    "LimitExceeded",
    "MalformedRecord",
    "PilothouseError",
    "Place",
    "ProviderError",
    "SideEffect",
    "StorageFull",
    "StorageUnavailable",
    "ToolError",
    "ToolErrorKind",
    "UnknownName",
    "UsageError",
    "nearest_name",
]


ToolErrorKind = Literal[
    "invalid_input",
    "auth",
    "permission",
    "not_found",
    "conflict",
    "rate_limited",
    "timeout",
    "unavailable",
    "circuit_open",
    "upstream_bug",
    "contract_violation",
    "stale",
    "budget",
    "held",
    "loop_limit",
]
"""Why a tool call gave no result: a closed list, because agents and detectors decide by it."""

SideEffect = Literal["none", "done", "unknown"]
"""Whether a failed tool call changed something."""


class ExitStatus(IntEnum):
    """What the process exit status means, for every command."""

    HOLDS = 0
    BREACHED = 1
    USAGE = 2
    NOT_ENOUGH_EVIDENCE = 3
    INFRASTRUCTURE = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file that a person can open.

    Attributes:
        file: Path as the user gave it.
        line: 1-based line.
        column: 1-based column.

    Example:
        >>> str(Place("charter.yaml", 41, 5))
        'charter.yaml:41:5'
    """

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like a misspelt one.

    Args:
        name: What was typed.
        known: Names that would have been right.

    Returns:
        The nearest known name, or None when nothing is near.

    Example:
        >>> nearest_name("refnud", ["refund", "invoice"])
        'refund'
    """
    matches = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class PilothouseError(Exception):
    """Base of everything we raise: catch this one at a boundary.

    Attributes:
        code: Stable identifier of the kind of error, for JSON and for docs anchors.
        exit_status: What the command line exits with.
        message: What is wrong, one sentence, without payload or secrets.
        subject: Id of the thing it is about, or None.
        place: File position, or None.
        remedy: What to do; ends with something that can be typed.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[ExitStatus] = ExitStatus.INFRASTRUCTURE

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        subject: str | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.subject = subject
        self.place = place

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.message} {self.remedy}".strip()

    def as_record(self) -> dict[str, str | None]:
        """Return the fields that JSON, page and log show.

        Example:
            >>> UsageError("no such command", remedy="Run `pilothouse --help`.").as_record()["code"]
            'usage'
        """
        return {
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "subject": self.subject,
            "place": str(self.place) if self.place else None,
            "docs": f"docs/reference/errors.md#{self.code}",
        }


class UsageError(PilothouseError):
    """Wrong command, option or page argument."""

    code = "usage"
    exit_status = ExitStatus.USAGE


class UnknownName(UsageError):
    """A name that nothing has; says the nearest one that exists."""

    code = "unknown-name"

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], *, remedy: str) -> UnknownName:
        """Build the error for a misspelt name.

        Args:
            kind: What the name stands for, for example "agent".
            name: What was typed.
            known: Names that exist.
            remedy: What to type to list them.

        Example:
            >>> str(UnknownName.among("agent", "tirage", ["triage"], remedy="Run `pilothouse traces`."))
            "no agent 'tirage'. Did you mean 'triage'? Run `pilothouse traces`."
        """
        near = nearest_name(name, known)
        hint = f" Did you mean {near!r}?" if near else ""
        return cls(f"no {kind} {name!r}.{hint}", remedy=remedy, subject=name)


class CharterError(PilothouseError):
    """Something is wrong with a charter file; always with file, line and column."""

    code = "charter"
    exit_status = ExitStatus.USAGE


class CharterSyntaxError(CharterError):
    """The file is not readable as YAML, or not as a charter at all."""

    code = "charter-syntax"


class CharterInvalid(CharterError):
    """The charter was read and breaks rules; carries every finding at once.

    Attributes:
        findings: One line for each finding, in file order.
    """

    code = "charter-invalid"

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        findings: tuple[str, ...],
        subject: str | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, subject=subject, place=place)
        self.findings = findings


class EvidenceError(PilothouseError):
    """Evidence that cannot be what it claims to be."""

    code = "evidence"
    exit_status = ExitStatus.USAGE


class MalformedRecord(EvidenceError):
    """A record that breaks its own schema: names the field and the first bad index."""

    code = "malformed-record"


class DigestMismatch(EvidenceError):
    """Content does not have the digest it was stored or signed under."""

    code = "digest-mismatch"


class Denied(PilothouseError):
    """Permission, approval or separation of duties forbids it; names the rule."""

    code = "denied"
    exit_status = ExitStatus.USAGE


class Conflict(PilothouseError):
    """Somebody else was first (lease lost, form older than its record); safe to repeat."""

    code = "conflict"


class LimitExceeded(PilothouseError):
    """A named limit was reached; says the limit and the value."""

    code = "limit-exceeded"


class ExtensionError(PilothouseError):
    """An extension failed to load or broke its contract."""

    code = "extension"
    exit_status = ExitStatus.USAGE


class InfrastructureError(PilothouseError):
    """The world failed; the remedy says whether a retry is safe."""

    code = "infrastructure"


class StorageUnavailable(InfrastructureError):
    """Lake or ledger cannot be read or written."""

    code = "storage-unavailable"


class StorageFull(InfrastructureError):
    """The disk is at its floor; nothing was lost, nothing more is accepted."""

    code = "storage-full"


class ProviderError(InfrastructureError):
    """A model provider timed out, refused, answered nonsense or limited us."""

    code = "provider"


class IntegrationError(InfrastructureError):
    """A system of record timed out, refused, answered nonsense or limited us."""

    code = "integration"


class ToolError(InfrastructureError):
    """A tool call that gave no result, in words an agent can act on; never a stack, a secret or foreign text.

    Attributes:
        kind: Why.
        retryable: Whether the same call can succeed later.
        retry_after_s: When asking again may help, seconds; None when nobody knows.
        side_effect: Whether anything was changed: `none`, `done` or `unknown`.
        approval: Id of the approval or hold that the call waits for, or None.
    """

    code = "tool"

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        kind: ToolErrorKind = "upstream_bug",
        retryable: bool = False,
        retry_after_s: float | None = None,
        side_effect: SideEffect = "none",
        approval: str | None = None,
        subject: str | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, subject=subject, place=place)
        self.kind: ToolErrorKind = kind
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.side_effect: SideEffect = side_effect
        self.approval = approval

    def as_tool_result(self) -> dict[str, str | float | bool | None]:
        """Return what the model is shown instead of a result.

        Example:
            >>> ToolError("no answer in 5 s", remedy="Try later.", kind="timeout").as_tool_result()["side_effect"]
            'none'
        """
        return {
            "error": self.kind,
            "detail": self.message,
            "advice": self.remedy,
            "retryable": self.retryable,
            "retry_after_s": None if self.retry_after_s is None else round(self.retry_after_s, 1),
            "side_effect": self.side_effect,
        }
