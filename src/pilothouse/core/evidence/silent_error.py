# SPDX-License-Identifier: Apache-2.0
"""Silent errors: a task answered as if nothing had happened although a tool failed (task + tool calls → class)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pilothouse.core.evidence.claim import says_done
from pilothouse.core.evidence.task import Task, TaskResult

__all__ = ["SilentError", "ToolOutcome", "classify_answer", "failed_by_result", "unresolved_errors"]

ACKNOWLEDGES = re.compile(
    r"\b(could(?:n[’']t| not)|can(?:n?ot|[’']t)|unable|was(?:n[’']t| not) able|did(?:n[’']t| not)|fail(?:ed|s|ure)?|error"
    r"|unavailable|not available|time[d]?[ -]?out|no (?:answer|response)|out of (?:date|service)|down|unfortunately"
    r"|try (?:again|later)|please retry|not (?:be )?(?:completed|confirmed|verified|possible)"
    r"|konnte(?:n)? nicht|nicht (?:möglich|verfügbar|erreichbar)|fehler|leider)\b",
    re.IGNORECASE,
)
"""Words with which an answer admits that something did not work. A net, not a judge: what it lets through is counted."""

ERROR_KEYS = frozenset({"error", "errors", "is_error", "isError", "exception"})


class SilentError(StrEnum):
    """How a task handled its tool errors."""

    NONE = "none"
    ACKNOWLEDGED = "acknowledged"
    SILENT = "silent"
    HARD = "hard"
    """The task claims to have done what the tool failed to do, or the system of record contradicts it."""
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """One tool call of a task.

    Attributes:
        tool: Tool as the span names it.
        args: Text that is equal for equal arguments.
        failed: Whether it gave no result.
        at_ns: When it ended, Unix nanoseconds.
    """

    tool: str
    args: str
    failed: bool
    at_ns: int


def failed_by_result(text: str) -> bool:
    """Return whether a tool result reports a failure although its span does not.

    Args:
        text: Result as JSON or plain text.

    Example:
        >>> failed_by_result('{"error": "timeout"}'), failed_by_result('{"error": null, "id": 7}')
        (True, False)
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # a result of a thousand brackets is text too
        return text.lstrip().lower().startswith(("error:", "traceback (most recent", "exception:"))
    return isinstance(document, dict) and any(document.get(key) for key in ERROR_KEYS)


def unresolved_errors(calls: Sequence[ToolOutcome]) -> tuple[ToolOutcome, ...]:
    """Return the failures without a later success of the same tool and arguments.

    Args:
        calls: Tool calls of one task in any order.

    Example:
        >>> first = ToolOutcome(tool="pay", args="1", failed=True, at_ns=1)
        >>> again = ToolOutcome(tool="pay", args="1", failed=False, at_ns=2)
        >>> len(unresolved_errors([first])), len(unresolved_errors([first, again]))
        (1, 0)
    """
    last: dict[tuple[str, str], ToolOutcome] = {}
    for call in sorted(calls, key=lambda one: one.at_ns):
        last[call.tool, call.args] = call
    return tuple(call for call in last.values() if call.failed)


def classify_answer(
    task: Task, calls: Sequence[ToolOutcome], *, effects: Mapping[str, str], contradicted: bool = False
) -> SilentError:
    """Classify how a task handled its tool errors.

    Args:
        task: The task.
        calls: Its tool calls.
        effects: Effect of each tool by its name with and without version, as the charter says.
        contradicted: Whether a verifier found that the claim is not true.

    Returns:
        `HARD` needs no judgement: a claim stands although a tool that changes something failed, or the system of
        record contradicts it. Between `ACKNOWLEDGED` and `SILENT` the words of the answer decide.
    """
    errors = unresolved_errors(calls)
    if not errors:
        return SilentError.NONE
    if not says_done(task):
        silent = task.result is TaskResult.UNKNOWN and not task.output_preview
        return SilentError.UNCLEAR if silent else SilentError.ACKNOWLEDGED
    if contradicted:
        return SilentError.HARD
    acknowledged = ACKNOWLEDGES.search(task.output_preview) is not None
    acted = any(effects.get(error.tool, "read") != "read" for error in errors)
    if task.claim is not None and acted and not acknowledged:
        return SilentError.HARD
    return SilentError.ACKNOWLEDGED if acknowledged else SilentError.SILENT
