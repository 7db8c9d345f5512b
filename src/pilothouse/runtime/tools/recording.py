# SPDX-License-Identifier: Apache-2.0
"""Records each tool call and its result in the run log, beside the gateway's events of the same run."""

from __future__ import annotations

import json
from collections.abc import Callable

from pilothouse.core.evidence.loops import NO_RUN
from pilothouse.core.evidence.run_log import RunOpened, Tap, ToolCalled, ToolReturned
from pilothouse.errors import PilothouseError, ToolError
from pilothouse.ports.runlog import RunLog
from pilothouse.ports.tools import CallRecord, ToolCall

__all__ = ["RunRecord"]

_text: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, default=str).encode


class RunRecord:
    """`ports.CallObserver` on the run log; calls outside a run are in no log."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    def before(self, call: ToolCall) -> None:
        """Note that a call is about to be made.

        Raises:
            ToolError: It changes something and cannot be recorded.
        """
        if call.run == NO_RUN:
            return
        called = ToolCalled(
            tool=call.tool, contract=call.contract, args=_text(dict(call.args)).encode(), effect=call.effect
        )
        opened = RunOpened(agent=call.agent, version=call.version, taps=(Tap.TOOLS.value,))
        try:
            self._log.append(call.run, opened, tap=Tap.TOOLS)
            self._log.append(call.run, called, call=call.span_id, tap=Tap.TOOLS)
        except PilothouseError as failed:
            if call.effect != "read":
                raise ToolError(
                    f"{call.tool}: the call could not be recorded, so it was not made",
                    remedy="Try later; the operator is told by `pilothouse doctor`.",
                    kind="permission",
                    subject=call.tool,
                ) from failed

    def after(self, record: CallRecord) -> None:
        """Keep how it went; the log counts what it loses."""
        if record.call.run == NO_RUN:
            return
        returned = ToolReturned(
            result=None if record.error is not None else _text(record.result).encode(),
            error=None if record.error is None else record.error.as_tool_result(),
            attempts=record.attempts,
            breaker=record.breaker,
        )
        try:
            self._log.append(record.call.run, returned, call=record.call.span_id, tap=Tap.TOOLS)
        except PilothouseError:
            return
