# SPDX-License-Identifier: Apache-2.0
"""Delete expired telemetry by agent: first content, then spans, then tasks; or erase the content of a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pilothouse.core.evidence.claim import ERASED_CLAIM
from pilothouse.lake.segments import SegmentTable
from pilothouse.ports.lake import STRAY_LOG
from pilothouse.ports.upkeep import DEFAULT_RULE, Removed, RetentionRule

__all__ = ["Retention"]

_MARKS: Final = ", ".join(
    rf"""(regexp_match(attributes, '("pilothouse\.experiment\.{part}":"(?:[^"\\]|\\.)*")'))[1]"""
    for part in ("id", "unit", "arm")
)
KEPT_ATTRIBUTES: Final = f"'{{' || concat_ws(',', {_MARKS}) || '}}'"
"""What time alone leaves of the attributes: the arm of an experiment, which is read for longer than texts are kept. It names a user
or a conversation, as two columns do that stay as long."""

EMPTY_SPAN: Final = {
    "input": "NULL",
    "output": "NULL",
    "system_instructions": "NULL",
    "tool_definitions": "NULL",
    "input_preview": "NULL",
    "output_preview": "NULL",
    "status_message": "''",
    "attributes": KEPT_ATTRIBUTES,
    "events": "'[]'",
}
EMPTY_TASK: Final = {"input_preview": "''", "output_preview": "''"}
"""What a row without its payload says in each column that may repeat what people wrote; the message of a status is mostly
that of the exception in `events`."""

_SAID_BESIDE: Final = (
    "(events <> '[]' OR input IS NOT NULL OR output IS NOT NULL OR status_message <> '' "
    "OR system_instructions IS NOT NULL OR tool_definitions IS NOT NULL)"
)
SAID_IN_SPAN: Final = f"((attributes <> '{{}}' AND attributes <> {KEPT_ATTRIBUTES}) OR {_SAID_BESIDE})"
SAID_IN_TASK: Final = "(input_preview <> '' OR output_preview <> '')"
"""Rows that have one, so that nothing is rewritten twice."""

_ERASED: Final = f"'{ERASED_CLAIM}'"
NOBODY: Final = {"user_id": "NULL", "conversation_id": "NULL"}
FORGOTTEN_SPAN: Final = {
    **EMPTY_SPAN,
    **NOBODY,
    "attributes": "'{}'",
    "name": "CASE WHEN operation = 'execute_tool' AND tool_name IS NULL THEN name ELSE operation END",
    "resource": "'{}'",
    "scope": "'{}'",
    "links": "'[]'",
    "task_claim": f"CASE WHEN task_claim IS NULL THEN NULL ELSE {_ERASED} END",
}
FORGOTTEN_TASK: Final = {
    **EMPTY_TASK,
    **NOBODY,
    "claim": f"CASE WHEN claim IS NULL THEN NULL ELSE {_ERASED} END",
}
"""What an erasure takes besides: whose row it was, what the sender said of itself, the name of a span, unless it is that of a
tool, and the words of what was claimed; that something was claimed stays. Time alone does not take them, since counts of users and
the claims behind outcomes outlive texts."""

OF_SOMEBODY: Final = "(user_id IS NOT NULL OR conversation_id IS NOT NULL)"
HELD_IN_SPAN: Final = f"(attributes <> '{{}}' OR {_SAID_BESIDE} OR {OF_SOMEBODY} OR name <> {FORGOTTEN_SPAN['name']} OR resource <> '{{}}' OR scope <> '{{}}' OR links <> '[]' OR coalesce(task_claim <> {_ERASED}, FALSE))"
HELD_IN_TASK: Final = f"({SAID_IN_TASK} OR {OF_SOMEBODY} OR coalesce(claim <> {_ERASED}, FALSE))"


TRACES_AT_ONCE: Final = 200
"""Traces named in one statement; each one rewrites the files that hold them."""

NEVER: Final = 2_900_000
"""A day that no row reaches: the year 9909."""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_STRAY: Final = re.compile(rf"{STRAY_LOG}([0-9a-f]{{16}})")


class Retention:
    """The retention of both tables. Not thread-safe: the thread that writes them owns it."""

    def __init__(self, spans: SegmentTable, tasks: SegmentTable) -> None:
        self._spans = spans
        self._tasks = tasks
        self._rules: Sequence[RetentionRule] = ()
        self._done: set[tuple[str, str, int]] = set()
        self._untold: list[Removed] = []
        self._today = 0

    def apply(self, rules: Sequence[RetentionRule], today: int) -> list[Removed]:
        """Delete what is older than its retention rule allows.

        Args:
            rules: One for each agent that has its own.
            today: Days since 1970-01-01.

        Returns:
            What was taken away since the last answer, also by a call that failed in the middle; nothing named that was not there.
        """
        self._rules = tuple(rule for rule in rules if rule.agent)
        if today != self._today:
            self._done.clear()
            self._today = today
        for rule in (*self._rules, DEFAULT_RULE):
            who = self._condition(rule)
            for what, days in (
                ("payload", rule.payload_days),
                ("spans", rule.spans_days),
                ("tasks", rule.tasks_days),
            ):
                before = today - days
                if (who, what, before) in self._done:
                    continue
                rows = self._take(what, before, who)
                self._done.add((who, what, before))
                if rows:
                    one = Removed(agent=rule.agent, what=what, before_day=before, rows=rows)
                    self._untold.append(one)
        told, self._untold = self._untold, []
        return told

    def erase(self, traces: Sequence[str]) -> int:
        """Erase content from the rows of some traces, whatever their age.

        Args:
            traces: Trace ids, and names of log records that belong to no trace; anything else is passed over.

        Returns:
            Rows of both tables that were emptied; what was there before is on the disk until it is vacuumed.
        """
        idents = [one for one in traces if _TRACE_ID.fullmatch(one)]
        emptied = 0
        for start in range(0, len(idents), TRACES_AT_ONCE):
            named = ", ".join(_quoted(one) for one in idents[start : start + TRACES_AT_ONCE])
            who = f"trace_id IN ({named})"
            for table, values, held in (
                (self._spans, FORGOTTEN_SPAN, HELD_IN_SPAN),
                (self._tasks, FORGOTTEN_TASK, HELD_IN_TASK),
            ):
                emptied += table.empty(values, NEVER, f"{who} AND {held}")
        strays = [found[1] for found in map(_STRAY.fullmatch, traces) if found]
        for start in range(0, len(strays), TRACES_AT_ONCE):
            named = ", ".join(_quoted(one) for one in strays[start : start + TRACES_AT_ONCE])
            condition = f"trace_id = '' AND record_id IN ({named}) AND {HELD_IN_SPAN}"
            emptied += self._spans.empty(FORGOTTEN_SPAN, NEVER, condition)
        return emptied

    def _take(self, what: str, before_day: int, who: str) -> int:
        if what == "payload":
            emptied = self._spans.empty(EMPTY_SPAN, before_day, f"{who} AND {SAID_IN_SPAN}")
            self._tasks.empty(EMPTY_TASK, before_day, f"{who} AND {SAID_IN_TASK}")
            return emptied
        return (self._spans if what == "spans" else self._tasks).remove(before_day, who)

    def _condition(self, rule: RetentionRule) -> str:
        """Return the SQL condition of the rows that a rule covers, with quoted names."""
        if rule.agent:
            return f"agent = {_quoted(rule.agent)}"
        if not self._rules:
            return "TRUE"
        return f"agent NOT IN ({', '.join(_quoted(one.agent) for one in self._rules)})"


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
