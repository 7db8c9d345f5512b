# SPDX-License-Identifier: Apache-2.0
"""A filter of tasks as SQL: conditions with a `?` for each value, never a value in the text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pilothouse.errors import UsageError
from pilothouse.lake.records import TOKEN_FIELDS
from pilothouse.lake.view import View
from pilothouse.ports.lake import CANARY_AGENT, SAID_SPAN_MAX_NS, TaskFilter
from pilothouse.ports.planted import SHADOW

__all__ = ["SPAN_AFTER_NS", "SPAN_BEFORE_NS", "condition", "narrowed", "said_in_spans"]

SPAN_BEFORE_NS = 300 * 1_000_000_000
"""A span may begin before its task by the difference of two clocks."""

SPAN_AFTER_NS = 86_400 * 1_000_000_000
"""A task is looked through for its first day."""

EVERY_TEXT = (
    *("input", "output", "attributes", "events", "status_message", "system_instructions"),
    *("tool_definitions", "resource", "scope", "links", "task_claim", "name"),
)
"""Columns of spans in which a subject may stand, and which an erasure empties."""

NAMES = (
    *(
        "tool_name",
        "tool_type",
        "tool_call_id",
        "data_source_id",
        "server",
        "service",
        "event_name",
        "error_type",
    ),
    *("provider", "request_model", "response_model", "response_id", "finish_reasons"),
    *("agent", "agent_id", "agent_version", "version_digest", "task_type", "environment"),
)
"""Columns of spans by which something is counted or found; an erasure says that a subject stands there."""

TASK_NAMES = ("tools", "models", "hosts")
"""Lists of names that a task keeps when its spans are gone."""

TASK_WORDS = ("agent", "agent_version", "version_digest", "task_type", "environment", "error_type")
"""Names of a task itself."""

WORDS_MAX = 16
"""Words of one text search."""


def condition(wanted: TaskFilter) -> tuple[str, list[Any]]:
    """Return the condition of a filter, with its values."""
    clauses = ["TRUE"]
    values: list[Any] = []
    for column in ("agent", "task_type", "version_digest", "environment", "result", "state"):
        value = getattr(wanted, column)
        if value is not None:
            clauses.append(f"{column} = ?")
            values.append(str(value))
    if wanted.leaves_out_shadows:
        clauses.append("environment IS DISTINCT FROM ?")
        values.append(SHADOW)
    if wanted.leaves_out_canaries:
        clauses.append("agent <> ?")
        values.append(CANARY_AGENT)
    if wanted.from_ns is not None:
        clauses.append("start_ns >= ?")
        values.append(wanted.from_ns)
    if wanted.to_ns is not None:
        clauses.append("start_ns < ?")
        values.append(wanted.to_ns)
    if wanted.trace_prefix is not None:
        clauses.append("starts_with(trace_id, ?)")
        values.append(wanted.trace_prefix)
    _add_lists(wanted, clauses, values)
    _add_amounts(wanted, clauses, values)
    _add_said(wanted, clauses, values)
    _add_held(wanted, clauses, values)
    for word in (wanted.text or "").split()[:WORDS_MAX]:
        clauses.append("contains(lower(input_preview || ' ' || output_preview), ?)")
        values.append(word.lower())
    return " AND ".join(clauses), values


def said_in_spans(wanted: TaskFilter) -> tuple[str, list[Any]]:
    """Return the condition of spans whose full texts contain a phrase, with its values.

    The spans of a task begin with it or later, and files are pruned by that.

    Args:
        wanted: What is looked for, and when.

    Raises:
        UsageError: The window is open, or longer than can be looked through.
    """
    if wanted.from_ns is None or wanted.to_ns is None or wanted.to_ns - wanted.from_ns > SAID_SPAN_MAX_NS:
        raise UsageError(
            "whole texts are looked through in at most 7 days at once", remedy="Add `since:7d` to the query."
        )
    phrase = (wanted.said or "").lower()
    is_said, said = _is_said(phrase)
    texts: tuple[str, ...] = ("input", "output")
    named: tuple[str, ...] = ("user_id",)
    if wanted.in_names:
        texts, named = NAMES, ()
    elif wanted.anywhere:
        texts, named = EVERY_TEXT, ("user_id", "conversation_id")
    found = [is_said.format(one) for one in texts] + [f"lower({one}) = ?" for one in named]
    values: list[Any] = [wanted.from_ns - SPAN_BEFORE_NS, wanted.to_ns + SPAN_AFTER_NS]
    values += [*(said * len(texts)), *([phrase] * len(named))]
    return f"start_ns >= ? AND start_ns < ? AND ({' OR '.join(found)})", values


def narrowed(view: View, wanted: TaskFilter) -> View:
    """Return the view without the files of spans that a search in whole texts need not open."""
    if wanted.said is None or wanted.from_ns is None or wanted.to_ns is None:
        return view
    low, high = wanted.from_ns - SPAN_BEFORE_NS, wanted.to_ns + SPAN_AFTER_NS
    files = tuple(file for file in view.span_files if file.start_min < high and file.start_max >= low)
    return replace(view, span_files=files)


def _add_lists(wanted: TaskFilter, clauses: list[str], values: list[Any]) -> None:
    if wanted.error_type is not None:
        clauses.append("error_type LIKE ? ESCAPE '\\'")
        values.append(_like(wanted.error_type))
    for column, pattern in (("tools", wanted.tool), ("models", wanted.model)):
        if pattern is not None:
            clauses.append(
                f"EXISTS (SELECT 1 FROM (SELECT unnest({column}) AS name) WHERE name LIKE ? ESCAPE '\\')"  # noqa: S608 - columns are constants
            )
            values.append(_like(pattern))


def _add_amounts(wanted: TaskFilter, clauses: list[str], values: list[Any]) -> None:
    tokens = " + ".join(TOKEN_FIELDS)
    for clause, value in (
        ("coalesce(cost_usd, cost_known_usd) > ?", wanted.cost_over),
        ("cost_usd < ?", wanted.cost_under),
        ("duration_ns > ?", wanted.took_ns_over),
        ("duration_ns < ?", wanted.took_ns_under),
        (f"{tokens} > ?", wanted.tokens_over),
        (f"{tokens} < ?", wanted.tokens_under),
    ):
        if value is not None:
            clauses.append(clause)
            values.append(value)


def _add_said(wanted: TaskFilter, clauses: list[str], values: list[Any]) -> None:
    if wanted.said is not None:
        where, said = said_in_spans(wanted)
        clauses.append(f"trace_id IN (SELECT trace_id FROM spans WHERE {where})")  # noqa: S608 - columns are constants
        values += said


def _add_held(wanted: TaskFilter, clauses: list[str], values: list[Any]) -> None:
    """Search the texts that a task row keeps after the texts of its spans have expired."""
    if wanted.held is None:
        return
    phrase = wanted.held.lower()
    is_said, said = _is_said(phrase)
    if wanted.in_names:
        lists = [f"array_to_string({one}, chr(10))" for one in TASK_NAMES]
        clauses.append(f"({' OR '.join(is_said.format(one) for one in (*lists, *TASK_WORDS))})")
        values += said * (len(lists) + len(TASK_WORDS))
        return
    clauses.append(f"({is_said.format('claim')} OR lower(user_id) = ? OR lower(conversation_id) = ?)")
    values += [*said, phrase, phrase]


def _is_said(phrase: str) -> tuple[str, list[Any]]:
    """Return the condition that a column, `{0}`, holds a phrase, with its values."""
    is_said, said = "contains(lower({0}), ?)", [phrase]
    escaped = _as_json(phrase)
    if escaped is not None:  # a text that escapes nothing is not looked through twice
        is_said = f"({is_said} OR (contains({{0}}, '\\') AND regexp_matches(lower({{0}}), ?)))"
        said.append(escaped)
    return is_said, said


def _as_json(phrase: str) -> str | None:
    """Return a phrase as a pattern that finds it in JSON too, however often packed; None when JSON cannot change it.

    Most senders hand over messages as JSON text, in which a name with an umlaut or an apostrophe stands escaped.
    """
    parts = list(map(_char_as_json, phrase))
    return None if parts == list(phrase) else "".join(parts)


def _char_as_json(char: str) -> str:
    if char.isascii() and (char.isalnum() or char == " "):
        return char
    short = _SHORT_ESCAPES.get(char)
    written = rf"\\*{re.escape(char)}" if short is None else rf"(?:\{short}|\\+{short})"
    codes = {_escapes_of(one) for one in (char, char.lower(), char.upper())}
    return f"(?:{'|'.join([written, *sorted(codes)])})"


def _escapes_of(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(rf"\\+u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\f": "f"}
"""Characters that JSON has a letter for."""


def _like(pattern: str) -> str:
    """Return a pattern with `*` in the language of LIKE."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")
