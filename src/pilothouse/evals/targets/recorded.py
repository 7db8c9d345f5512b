# SPDX-License-Identifier: Apache-2.0
"""Targets with existing results, scored without running anything: traces of the lake, or a file of outputs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilothouse.core.evidence.task import TaskResult
from pilothouse.errors import MalformedRecord, Place, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.targets.target import AgentFailed, TargetSpec, TargetUnreachable, as_reply
from pilothouse.evals.trial import RECORDED_TRACES, Reply, ToolCall, TrialContext

if TYPE_CHECKING:
    from pilothouse.ports.lake import Lake, SpanRecord, TraceView

__all__ = ["RecordedFile", "RecordedTraces", "StoredTrials", "json_or_text", "reply_of", "root_span"]

LINES_MAX = 1_000_000

ABOUT_CHARACTERS_MAX = 500
"""A sentence or two; it is repeated in notes and evidence."""


class RecordedTraces:
    """Answers each case with the trace it was taken from (`source: production:<trace id>`).

    Args:
        lake: Where the traces are.
        version: Version whose traces count; a trace of another version is a missing one.
        stand_ins: Models that answer in place of the pinned one; a trace with an answer of one is a missing one too.
    """

    def __init__(
        self, lake: Lake, *, version: str | None = None, stand_ins: frozenset[str] = frozenset()
    ) -> None:
        self._lake = lake
        self._stand_ins = stand_ins
        self.spec = TargetSpec(
            address=RECORDED_TRACES,
            version=version or "recorded",
            fingerprint="recorded",
            version_is_declared=version is not None,
            makes_calls=False,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Look the trace up."""
        del context
        if case.trace_id is None:
            raise TargetUnreachable(f"case {case.id!r} names no trace in its source")
        view = await asyncio.to_thread(self._lake.trace, case.trace_id)
        if view is None or view.task is None:
            raise TargetUnreachable(f"no trace {case.trace_id}")
        if self.spec.version_is_declared and view.task.version_digest != self.spec.version:
            raise TargetUnreachable(f"trace {case.trace_id} is of another version")
        if not self._stand_ins.isdisjoint(view.task.models):
            raise TargetUnreachable(f"a stand-in of the pinned model answered in trace {case.trace_id}")
        if view.task.result is TaskResult.FAILED:
            raise AgentFailed(view.task.error_type or "the task failed")
        root = root_span(view)
        if root is None or not root.output or root.cut_bytes:
            # A text that was cut, or emptied when its time was over, is not what the agent said.
            raise TargetUnreachable(
                f"the output of trace {case.trace_id} was not recorded whole, or not kept"
            )
        return reply_of(view)

    async def close(self) -> None:
        """There is nothing to close."""


class StoredTrials:
    """A version for which only stored trials count: nothing is run, and missing trials stay missing."""

    def __init__(self, *, version: str) -> None:
        self.spec = TargetSpec(
            address="stored",
            version=version,
            fingerprint="stored",
            version_is_declared=True,
            makes_calls=False,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Refuse: the caller asks only for trials that are stored."""
        del context
        raise TargetUnreachable(f"no stored trial of case {case.id!r}")

    async def close(self) -> None:
        """There is nothing to close."""


class RecordedFile:
    """Answers from JSON lines `{"id", "output", "tool_calls", "cost_usd", ...}`; a further repeat has `"trial": 1`.

    A first line `{"about": "..."}` says where the outputs come from; the gate repeats it.

    Args:
        path: JSON-lines file, made by any harness.
        version: Version digest, or None to take the digest of the file.

    Raises:
        UsageError: It cannot be read.
        MalformedRecord: A line is no recorded output, or records a repeat that another one has recorded already.
    """

    def __init__(self, path: Path, *, version: str | None = None) -> None:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"cannot read {str(path)!r}: {error.strerror}.", remedy="Give recorded:FILE.jsonl."
            ) from error
        self._replies: dict[tuple[str, int], Any] = {}
        lines = text.splitlines()
        if len(lines) > LINES_MAX:
            raise MalformedRecord(
                f"more than {LINES_MAX} recorded outputs.",
                remedy="Split it by task type.",
                place=Place(str(path), LINES_MAX),
            )
        about = _about(lines[0]) if lines else ""
        for number, line in enumerate(lines, start=1):
            if line.strip() and not (about and number == 1):
                place = Place(str(path), number)
                case_id, index, reply = _parse_line(line, place)
                if (case_id, index) in self._replies:
                    raise MalformedRecord(
                        f"an output of case {case_id!r}, repeat {index}, stands in it twice.",
                        remedy='Keep one; a further repeat says "trial": 1.',
                        place=place,
                    )
                self._replies[case_id, index] = reply
        self.spec = TargetSpec(
            address=f"recorded:{path}",
            version=version or hashlib.sha256(text).hexdigest(),
            fingerprint=hashlib.sha256(text).hexdigest(),
            version_is_declared=version is not None,
            makes_calls=False,
            about=about,
        )

    async def run(self, case: Case, context: TrialContext) -> Reply:
        """Return the recorded result of the case."""
        try:
            return as_reply(self._replies[case.id, context.index])
        except KeyError:
            raise TargetUnreachable(
                f"nothing is recorded for case {case.id!r}, repeat {context.index}"
            ) from None

    async def close(self) -> None:
        """There is nothing to close."""


def _about(line: bytes) -> str:
    """Return the description in the first line, or empty when that line is an output."""
    try:
        fields = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(fields, dict) or set(fields) != {"about"}:
        return ""
    return str(fields["about"])[:ABOUT_CHARACTERS_MAX]


def _parse_line(line: bytes, place: Place) -> tuple[str, int, Any]:
    try:
        fields = json.loads(line)
        case_id, index = str(fields.pop("id")), int(fields.pop("trial", 0))
        _ = fields["output"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedRecord(
            f"no recorded output: {error!r}.", remedy='A line is {"id": ..., "output": ...}.', place=place
        ) from error
    return case_id, index, fields


def reply_of(view: TraceView) -> Reply:
    """Read a reply from spans: the root's output, tools in start order, cost only when all of it is known."""
    root = root_span(view)
    tools = [span for span in view.spans if span.operation == "execute_tool"]
    is_whole = view.spans_total <= len(view.spans)
    task = view.task
    return Reply(
        output=json_or_text(root.output if root else ""),
        tool_calls=tuple(_tool_call(span) for span in tools) if is_whole else None,
        cost_usd=float(task.cost_usd) if task and task.cost_usd is not None else None,
        claim=json_or_text(task.claim) if task and task.claim is not None else None,
        trace_id=task.trace_id if task else None,
        model=task.models[0] if task and len(task.models) == 1 else None,
    )


def _tool_call(span: SpanRecord) -> ToolCall:
    arguments = json_or_text(span.input)
    return ToolCall(
        name=span.tool_name or span.name, arguments=arguments if isinstance(arguments, dict) else None
    )


def root_span(view: TraceView) -> SpanRecord | None:
    """Return the span of the task itself, or None when it never arrived."""
    return next((span for span in view.spans if span.operation == "invoke_agent"), None)


def json_or_text(text: str) -> Any:
    """Read recorded or typed content: JSON where it is JSON, else the text.

    Args:
        text: What a span carries, or what somebody typed.

    Example:
        >>> json_or_text('{"n": 1}'), json_or_text("hello")
        ({'n': 1}, 'hello')
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
