# SPDX-License-Identifier: Apache-2.0
"""Loop detection: stops a looping run before its next call."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict, deque
from dataclasses import replace

from pilothouse.core.evidence.loops import NO_RUN, LoopLimits, Step, find_loop
from pilothouse.errors import ToolError
from pilothouse.ports.tools import ToolCall

__all__ = ["RUNS_KEPT_MAX", "LoopWatch"]

RUNS_KEPT_MAX = 10_000
"""Runs that are remembered; the one not used for longest is forgotten first."""

ARGS_CHARACTERS_MAX = 200
"""Of arguments that are remembered as they are; of longer ones a digest is, for a run has a hundred and one may be a megabyte."""

_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode
"""Made once: the function of the module makes an encoder for each call."""


class LoopWatch:
    """Remembers the calls of each run.

    Args:
        limits: Limits from which a run counts as a loop.
    """

    def __init__(self, limits: LoopLimits | None = None) -> None:
        self._limits = limits or LoopLimits()
        self._runs: OrderedDict[str, deque[Step]] = OrderedDict()
        self._going: dict[tuple[str, str], Step] = {}
        """Steps of calls that are under way, by run and span: of calls side by side the latest is not the one that ends."""
        self._lock = threading.Lock()

    def before(self, call: ToolCall, *, polling: bool) -> None:
        """Count a call that is about to be made; calls outside a run are not counted.

        Args:
            call: The call.
            polling: Whether many equal calls in a row are its normal use.

        Raises:
            ToolError: The run goes in circles; the text names the pattern.
        """
        if call.run == NO_RUN:
            return
        args = _text(call.args)
        if len(args) > ARGS_CHARACTERS_MAX:
            args = hashlib.sha256(args.encode()).hexdigest()
        with self._lock:
            steps = self._runs.get(call.run)
            if steps is None:
                steps = self._runs[call.run] = deque(maxlen=self._limits.calls + 1)
                if len(self._runs) > RUNS_KEPT_MAX:
                    self._runs.popitem(last=False)
            else:
                self._runs.move_to_end(call.run)
            step = Step(call.tool, args, failed=None, polling=polling)
            pattern = find_loop((*steps, step), self._limits)
            if pattern is None:
                steps.append(step)
                self._going[call.run, call.span_id] = step
        if pattern is not None:
            raise ToolError(
                f"{call.tool}: this run goes in circles: {pattern}",
                remedy="Stop calling it; say what could not be done and why.",
                kind="loop_limit",
                subject=call.tool,
            )

    def after(self, call: ToolCall, *, failed: bool) -> None:
        """Note how a call of a run went."""
        with self._lock:
            step = self._going.pop((call.run, call.span_id), None)
            steps = self._runs.get(call.run, ())
            at = next((at for at in reversed(range(len(steps))) if steps[at] is step), None)
            if step is not None and at is not None:
                self._runs[call.run][at] = replace(step, failed=failed)
