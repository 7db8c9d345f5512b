# SPDX-License-Identifier: Apache-2.0
"""Metadata of an MCP request beside the call: its task token, its trace, its task type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.core.evidence.loops import NO_RUN

__all__ = ["TASK_HEADER", "TASK_META", "TASK_TYPE_HEADER", "RequestMetadata", "read_metadata"]

TASK_HEADER = "x-pilothouse-task"
"""Header of HTTP requests that carries the token of an opened task."""

TASK_META = "pilothouse/task"
"""Key of `_meta` that carries the same, where there are no headers."""

TASK_TYPE_HEADER = "x-pilothouse-task-type"

TOKEN_CHARACTERS_MAX = 200
TASK_TYPE_CHARACTERS_MAX = 64

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMetadata:
    """What an MCP request carries beside its call.

    Attributes:
        run: Run id, which is the trace id; `NO_RUN` when it names none.
        parent_span_id: Span of the caller, or None.
        task_type: Task type that the caller names, or None.
        token: Token of an opened task, or None.
    """

    run: str = NO_RUN
    parent_span_id: str | None = None
    task_type: str | None = None
    token: str | None = None


def read_metadata(meta: Mapping[str, Any] | None, headers: Mapping[str, str] | None) -> RequestMetadata:
    """Read the metadata of a request.

    Args:
        meta: Its `_meta`.
        headers: Its headers by name in small letters, where it came over HTTP.
    """
    meta, headers = meta or {}, headers or {}
    run, parent = _trace(str(meta.get("traceparent") or headers.get("traceparent") or ""))
    token = str(meta.get(TASK_META) or headers.get(TASK_HEADER) or "")[:TOKEN_CHARACTERS_MAX]
    task_type = str(headers.get(TASK_TYPE_HEADER) or "")[:TASK_TYPE_CHARACTERS_MAX]
    return RequestMetadata(run=run, parent_span_id=parent, task_type=task_type or None, token=token or None)


def _trace(text: str) -> tuple[str, str | None]:
    parts = text.split("-")
    if len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16 and set(parts[1] + parts[2]) <= _HEX:
        return parts[1], parts[2]
    return NO_RUN, None
