# SPDX-License-Identifier: Apache-2.0
"""Flatten one log record into a row of `spans`: older conventions carry messages in logs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pilothouse.lake import limits
from pilothouse.lake.attributes import SHARED_SLOTS, Attribute
from pilothouse.lake.columns import COST_NONE, TIME_MISSING, CoreSpan
from pilothouse.lake.layout import lay_out, shared_values
from pilothouse.lake.otlp_dialect import Dialect
from pilothouse.lake.otlp_fields import dropped_count, short_text, times_of
from pilothouse.lake.otlp_sender import Sender
from pilothouse.lake.payload import json_text, preview
from pilothouse.lake.rows import Arrival, bounded, core_span
from pilothouse.lake.semconv import EVENT_INPUTS, EVENT_OUTPUTS, PAYLOAD_INPUTS, PAYLOAD_OUTPUTS, SYSTEM_KEYS
from pilothouse.lake.usage import NO_USAGE

__all__ = ["log_row"]


def log_row(  # noqa: PLR0917 - the same order as for a span
    log: Any, attributes: Sequence[Attribute], sender: Sender, scope: str, dialect: Dialect, arrival: Arrival
) -> tuple[CoreSpan, tuple[Any, ...]]:
    """Flatten one log record, whose attributes were read before: the core columns, and the others."""
    layout, attributes, lost = lay_out(attributes)
    cut = sum(one.cut for one in attributes)
    repeated = layout.shared(attributes)
    shared = shared_values(repeated)
    rest = ",".join([one.json for one in (*repeated, *(attributes[place] for place in layout.texts))])

    def first(keys: tuple[str, ...]) -> str | None:
        found = layout.find(keys)
        return None if found is None else layout.text(attributes, found)

    body = dialect.value(log.body) if log.body is not None else None
    event_name = log.event_name or shared[SHARED_SLOTS["event_name"]] or ""
    time_ns = int(log.time_unix_nano) or int(log.observed_time_unix_nano)
    start, _, _, flags, day = times_of(time_ns, time_ns, arrival.received_ns)
    said_in = first(PAYLOAD_INPUTS["model"])
    said_out = first(PAYLOAD_OUTPUTS["model"])
    text = None if body is None else json_text(body)
    if event_name in EVENT_INPUTS and said_in is None and text is not None:
        said_in = json_text([_log_message(body, EVENT_INPUTS[event_name])])
    elif said_out is None and text is not None:
        message = [_log_message(body, EVENT_OUTPUTS[event_name])] if event_name in EVENT_OUTPUTS else body
        said_out = json_text(message)
    said_in, cut_in = bounded(said_in)
    said_out, cut_out = bounded(said_out)
    system, cut_system = bounded(first(SYSTEM_KEYS))
    trace_id, span_id = dialect.hex_id(log.trace_id), dialect.hex_id(log.span_id)
    key = f"{event_name}\0{time_ns}\0{text}\0{{{rest}}}"
    core = core_span((
        trace_id.strip("0") and trace_id, span_id.strip("0") and span_id, None,
        "log", hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).hexdigest(),
        start, None, None, arrival.received_ns, flags & ~TIME_MISSING if time_ns else flags,
        arrival.shown_agent(shared[SHARED_SLOTS["agent"]] or sender.agent or sender.service),
        shared[SHARED_SLOTS["agent_id"]], sender.version, sender.digest,
        shared[SHARED_SLOTS["task_type"]] or sender.task_type,
        layout.value(attributes, "conversation_id"), layout.value(attributes, "user_id"), sender.environment,
        shared[SHARED_SLOTS["operation"]] or "other",
        (event_name or log.severity_text or "log")[: limits.NAME_CHARS_MAX], 0,
        shared[SHARED_SLOTS["error_type"]], shared[SHARED_SLOTS["provider"]],
        shared[SHARED_SLOTS["request_model"]], shared[SHARED_SLOTS["response_model"]],
        layout.value(attributes, "response_id"), shared[SHARED_SLOTS["tool_name"]], None, short_text(event_name),
        *NO_USAGE, None, COST_NONE, None, None, None,
        preview(said_in, of_user=True) if said_in else None,
        preview(said_out, of_user=False) if said_out else None,
        arrival.source, arrival.seq,
    ))  # fmt: skip
    return core, (
        0, "", sender.service, None, None, None, layout.convention,
        None, None, None, None, len(said_in) if said_in else None, len(said_out) if said_out else None,
        said_in, said_out, system, None,
        f"{{{rest}}}", sender.text, scope, "[]", "[]", arrival.node,
        dropped_count(log.dropped_attributes_count + lost), 0, 0,
        cut + cut_in + cut_out + cut_system, day,
    )  # fmt: skip


def _log_message(body: Any, role: str) -> Any:
    if isinstance(body, dict):
        said = body.get("message")
        return {"role": role, **said} if isinstance(said, dict) else {"role": role, **body}
    return {"role": role, "content": body}
