# SPDX-License-Identifier: Apache-2.0
"""For the agent's code: open a task with what the requester asked, before the model reads anything, so that it can prove arguments."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.errors import UsageError
from pilothouse.runtime.sdk.opening import tool_runtime
from pilothouse.runtime.sdk.run import current_run

__all__ = ["open_task"]


def open_task(*, requester: str, typed: Sequence[str], quoted: Sequence[str] = ()) -> None:
    """Open the task that is going on; once, and before its first tool call.

    Only what was typed proves where an argument comes from. Text that the requester pasted from somewhere else (a mail,
    a page) is quoted: it may be read, and proves nothing. Without a charter this does nothing, as tools pass through.

    Args:
        requester: Who asks, as the calling service has authenticated them; also whose data the arguments are.
        typed: What they typed.
        quoted: What they pasted.

    Raises:
        UsageError: No task is going on here.
        Denied: The task was opened before, or a tool was called already.
    """
    from pilothouse.ports.permissions import Segment, TaskOpening  # noqa: PLC0415 - no agent pays for it unasked

    run, runtime = current_run().get(), tool_runtime()
    if runtime is None or runtime.tasks is None:
        return
    if run is None:
        raise UsageError(
            "no task is going on here that could be opened",
            remedy="Call it inside a function marked with `@pilothouse.agent(task_type=…)`.",
        )
    pieces = [Segment(text=text, source="typed") for text in typed]
    pieces += [Segment(text=text, source="quoted") for text in quoted]
    runtime.tasks.open_task(
        TaskOpening(
            agent=runtime.agent,
            run=run.trace_id,
            task_type=run.task_type,
            requester=requester,
            segments=tuple(pieces),
        )
    )
