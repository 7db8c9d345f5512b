# SPDX-License-Identifier: Apache-2.0
"""Events and links of a span, stored as JSON, and the messages that older conventions carry in events."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.lake import limits
from pilothouse.lake.otlp_dialect import Dialect
from pilothouse.lake.otlp_fields import event_time_ns, optional_text, plain_json
from pilothouse.lake.semconv import EVENT_INPUTS, EVENT_OUTPUTS

__all__ = ["NO_EVENTS", "Events", "read_events", "read_links"]


@dataclass(frozen=True, slots=True)
class Events:
    """What was read from the events of one span."""

    text: str = "[]"
    error_type: str | None = None
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    lost: int = 0


NO_EVENTS = Events()


def read_events(events: Any, dialect: Dialect) -> Events:
    """Read the events of one span."""
    kept: list[dict[str, Any]] = []
    inputs: list[Any] = []
    outputs: list[Any] = []
    error_type = None
    for event in events[: limits.EVENTS_MAX]:
        attributes = dialect.attributes(event.attributes)
        name = event.name
        if name == "exception":
            error_type = error_type or optional_text(attributes.get("exception.type"))
        elif name in EVENT_INPUTS:
            inputs.append(_event_message(attributes, EVENT_INPUTS[name]))
        elif name in EVENT_OUTPUTS:
            outputs.append(_event_message(attributes, EVENT_OUTPUTS[name]))
        kept.append(
            {"name": name, "time_unix_nano": event_time_ns(event.time_unix_nano), "attributes": attributes}
        )
    return Events(plain_json(kept), error_type, tuple(inputs), tuple(outputs), len(events) - len(kept))


def _event_message(attributes: dict[str, Any], role: str) -> Any:
    """Return the message that an event of the older conventions carries."""
    said = attributes.get("message")
    if isinstance(said, str) and said[:1] == "{":
        with suppress(msgspec.DecodeError, RecursionError):  # a thousand brackets are a text too
            said = msgspec.json.decode(said)
    if isinstance(said, dict):
        return {"role": role, **said}
    content = next(
        (attributes[key] for key in ("content", "gen_ai.prompt", "gen_ai.completion") if key in attributes),
        said,
    )
    return {"role": attributes.get("role", role), "content": content}


def read_links(links: Any, dialect: Dialect) -> tuple[str, int]:
    """Return the links of one span as JSON, and how many were left out."""
    kept = [
        {
            "trace_id": dialect.hex_id(link.trace_id),
            "span_id": dialect.hex_id(link.span_id),
            "attributes": dialect.attributes(link.attributes),
        }
        for link in links[: limits.LINKS_MAX]
    ]
    return plain_json(kept), len(links) - len(kept)
