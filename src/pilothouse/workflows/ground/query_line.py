# SPDX-License-Identifier: Apache-2.0
"""The query line: one line of `key:value` and words in, the filter of a task query out; pure.

`agent:triage type:po_invoice result:failed tool:erp.find model:gpt* cost:>0.05 since:7d "free text"`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pilothouse.core.evidence.task import TaskResult, TaskState
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import UnknownName, UsageError, nearest_name
from pilothouse.ports.lake import SAID_SPAN_MAX_NS, TaskFilter

__all__ = ["QUERY_CHARS_MAX", "QUERY_KEYS", "narrow_query", "parse_query"]

QUERY_CHARS_MAX = 500
"""Longer is no question that a person types."""

SAID_SPAN = timedelta(days=1)
"""How far back whole texts are searched when the line does not say."""

QUERY_KEYS: Mapping[str, str] = {
    "agent": "name of the agent",
    "type": "task type",
    "version": "version digest",
    "env": "deployment environment",
    "result": "how it ended: completed, failed, escalated, refused or unknown",
    "state": "complete or incomplete",
    "error": "kind of the error that ended it, `*` stands for anything",
    "tool": "a tool it called, `*` stands for anything",
    "model": "a model that answered, `*` stands for anything",
    "cost": "US dollars, for example `>0.05`",
    "took": "duration, for example `>30s` or `<2m`",
    "tokens": "all tokens, for example `>10000`",
    "trace": "first digits of the trace id",
    "since": "start: `7d`, `12h`, `30m`, or a date",
    "until": "end, the same way",
    "said": "words in whole inputs and outputs, in at most 7 days; without `since` in the last day",
}
"""What may stand before the colon, and what it means."""

_WORD = re.compile(r'(?:(?P<key>[A-Za-z_][A-Za-z0-9_]*):)?(?P<value>"[^"]*"|[^\s"]*)(?=\s|$)')
_AGO = re.compile(r"(\d{1,5})(m|h|d|w)")
_TOOK = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)?")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_TOOK_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_query(line: str, now: datetime) -> TaskFilter:
    """Return the filter that a query line asks for.

    Args:
        line: The line; empty asks for everything.
        now: The moment that `since:7d` counts back from, aware UTC.

    Raises:
        UsageError: The line cannot be read; the message says which part and what would do.
        UnknownName: A key or a fixed value is unknown; the message names the nearest.

    Example:
        >>> at = datetime(2026, 11, 20, tzinfo=UTC)
        >>> found = parse_query('agent:triage tool:erp.* cost:>0.05 late "order 17"', at)
        >>> found.agent, found.tool, str(found.cost_over), found.text
        ('triage', 'erp.*', '0.05', 'late order 17')
    """
    if len(line) > QUERY_CHARS_MAX:
        raise UsageError(
            f"the query has {len(line):,} characters, at most {QUERY_CHARS_MAX} are read",
            remedy="Ask with fewer words, for example `result:failed since:7d`.",
        )
    fields: dict[str, Any] = {}
    words: list[str] = []
    for key, value in _parts(line):
        if key is None:
            words.append(value)
            continue
        for name, part in _READERS[key](key, value, now).items():
            if name in fields:
                raise UsageError(
                    f"`{key}` is asked for twice", remedy=f"Keep one of them, for example `{key}:{value}`."
                )
            fields[name] = part
    if words:
        fields["text"] = " ".join(words)
    return _bounded(fields, now)


def narrow_query(wanted: TaskFilter, options: Mapping[str, str | None]) -> TaskFilter:
    """Return a filter with options added that stand beside the line; what stands in both must agree.

    Args:
        wanted: What the line asks for.
        options: Fields of `TaskFilter`; None or empty asks for nothing. `text` adds words.

    Raises:
        UsageError: Line and option ask for different things.
    """
    added: dict[str, Any] = {}
    for name, value in options.items():
        in_line = getattr(wanted, name)
        if not value or value == in_line:
            continue
        if name == "text":
            added[name] = f"{in_line} {value}" if in_line else value
        elif in_line is None:
            added[name] = value
        else:
            key = name.removeprefix("task_").removesuffix("_digest")
            raise UsageError(
                f"the query says {key} {_short(in_line)!r}, and beside it {_short(value)!r} is chosen",
                remedy=f"Leave `{key}:` out of the query, or choose any.",
            )
    return replace(wanted, **added)


def _parts(line: str) -> list[tuple[str | None, str]]:
    """Split a line into keys and values; a bare word has no key."""
    parts: list[tuple[str | None, str]] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        match = _WORD.match(line, at)
        if match is None:
            raise UsageError(
                f"cannot read {_short(line[at:])!r} at character {at + 1} of the query",
                remedy='Put words with spaces into one pair of quotes, for example `said:"order 17"`.',
            )
        key, value = match["key"], match["value"].strip('"')
        if key is not None and key not in _READERS:
            near = nearest_name(key, _READERS)
            hint = (
                f"Did you mean `{near}:{value}`?"
                if near
                else f"Write one of {', '.join(f'{k}:' for k in _READERS)}"
            )
            raise UnknownName(
                f"no key {key!r} in a query",
                remedy=f'{hint} To search for the text itself, quote it: `"{match[0]}"`.',
                subject=key,
            )
        if not value:
            raise UsageError(
                f"nothing stands after `{key}:`" if key else "an empty pair of quotes searches for nothing",
                remedy=f"Write {QUERY_KEYS[key]}." if key else "Leave the quotes out.",
            )
        parts.append((key, value))
        at = match.end()
    return parts


def _bounded(fields: dict[str, Any], now: datetime) -> TaskFilter:
    """Give a search in whole texts both ends, and see that they are not too far apart."""
    start, end = fields.get("from_ns"), fields.get("to_ns")
    if "said" in fields:
        end = unix_ns(now) + 1 if end is None else end
        start = max(0, end - SAID_SPAN // timedelta(microseconds=1) * 1_000) if start is None else start
        if end - start > SAID_SPAN_MAX_NS:
            raise UsageError(
                "`said` looks through whole inputs and outputs, in at most 7 days at once",
                remedy="Add `since:7d`, or search the beginnings only: leave `said:` out.",
            )
        fields |= {"from_ns": start, "to_ns": end}
    if start is not None and end is not None and start >= end:
        raise UsageError("`since` is not before `until`", remedy="Write, for example, `since:7d until:1d`.")
    return TaskFilter(**fields)


def _plain(name: str) -> Callable[[str, str, datetime], dict[str, Any]]:
    def read(_key: str, value: str, _now: datetime) -> dict[str, Any]:
        return {name: value}

    return read


def _one_of(name: str, known: tuple[str, ...]) -> Callable[[str, str, datetime], dict[str, Any]]:
    def read(key: str, value: str, _now: datetime) -> dict[str, Any]:
        if value not in known:
            raise UnknownName.among(key, value, known, remedy=f"Write one of {', '.join(known)}.")
        return {name: value}

    return read


def _trace(_key: str, value: str, _now: datetime) -> dict[str, Any]:
    if not re.fullmatch(r"[0-9a-fA-F]{1,32}", value):
        raise UsageError(
            f"{_short(value)!r} are no digits of a trace id", remedy="Write hex digits, `trace:4bf9`."
        )
    return {"trace_prefix": value.lower()}


def _compared(
    name: str, read_number: Callable[[str], Any], example: str
) -> Callable[[str, str, datetime], dict[str, Any]]:
    def read(key: str, value: str, _now: datetime) -> dict[str, Any]:
        number = read_number(value[1:]) if value[0] in "<>" else None
        if number is None:
            raise UsageError(
                f"cannot read `{key}:{_short(value)}`",
                remedy=f"Write > or < and a number: `{key}:{example}`.",
            )
        return {f"{name}_{'over' if value[0] == '>' else 'under'}": number}

    return read


def _money(text: str) -> Decimal | None:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < 10**9 else None


def _seconds_ns(text: str) -> int | None:
    match = _TOOK.fullmatch(text)
    return None if match is None else round(float(match[1]) * _TOOK_S[match[2] or "s"] * 1e9)


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 15 else None


def _moment(name: str) -> Callable[[str, str, datetime], dict[str, Any]]:
    def read(key: str, value: str, now: datetime) -> dict[str, Any]:
        ago = _AGO.fullmatch(value)
        try:
            at = now - int(ago[1]) * _UNITS[ago[2]] if ago else datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            raise UsageError(
                f"cannot read `{key}:{_short(value)}`",
                remedy=f"Write `{key}:7d`, `{key}:12h`, `{key}:30m` or `{key}:{now:%Y-%m-%d}` (UTC).",
            ) from None
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        return {name: max(0, unix_ns(aware))}

    return read


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


_READERS: Mapping[str, Callable[[str, str, datetime], dict[str, Any]]] = {
    "agent": _plain("agent"),
    "type": _plain("task_type"),
    "version": _plain("version_digest"),
    "env": _plain("environment"),
    "result": _one_of("result", tuple(result.value for result in TaskResult)),
    "state": _one_of("state", tuple(state.value for state in TaskState)),
    "error": _plain("error_type"),
    "tool": _plain("tool"),
    "model": _plain("model"),
    "cost": _compared("cost", _money, ">0.05"),
    "took": _compared("took_ns", _seconds_ns, ">30s"),
    "tokens": _compared("tokens", _whole, ">10000"),
    "trace": _trace,
    "since": _moment("from_ns"),
    "until": _moment("to_ns"),
    "said": _plain("said"),
}
