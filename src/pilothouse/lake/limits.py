# SPDX-License-Identifier: Apache-2.0
"""Every maximum of the telemetry road, each with its reason."""

from __future__ import annotations

__all__ = [
    "ATTRIBUTES_MAX",
    "BODY_WIRE_BYTES_MAX",
    "CLOCK_FUTURE_NS_MAX",
    "CLOCK_OLD_NS_MAX",
    "DEPTH_MAX",
    "ERROR_TYPE_CHARS_MAX",
    "EVENTS_MAX",
    "FIELDS_BESIDE_MAX",
    "GZIP_MEMBERS_MAX",
    "INFLATED_BYTES_MAX",
    "INFLATE_FREE_BYTES",
    "INFLATE_RATIO_MAX",
    "ITEMS_MAX",
    "KEY_BYTES_MAX",
    "LIMITS_REVISION",
    "LINKS_MAX",
    "NAME_CHARS_MAX",
    "NULLS_BYTES_MAX",
    "ORDINARY_BYTES_MAX",
    "PREVIEW_CHARS_MAX",
    "STATUS_MESSAGE_CHARS_MAX",
    "TEXT_CHARS_MAX",
    "TIME_NS_MAX",
    "TOKENS_MAX",
    "TRACE_SPANS_MAX",
    "VALUE_CHARS_MAX",
    "WIRE_BYTES_PER_OBJECT_MIN",
    "WIRE_BYTES_PER_PART_MIN",
]

MIB = 1 << 20

LIMITS_REVISION = 1
"""Stored in each log record, so that a replay rejects what was rejected, whatever the limits are then."""

BODY_WIRE_BYTES_MAX = 16 * MIB
"""Largest body as sent: a thousand times an ordinary batch of 512 spans, compressed."""

INFLATED_BYTES_MAX = 64 * MIB
"""Largest body after inflating; the memory that one request may claim."""

INFLATE_FREE_BYTES = MIB
"""Below this nothing is a bomb, whatever its ratio."""

INFLATE_RATIO_MAX = 200
"""Real bodies shrink 5 to 9 times; a bomb shrinks a thousand times."""

GZIP_MEMBERS_MAX = 16
"""Parts that were compressed apart in one body; a sender writes one. Each is looked for in what is left, so 800,000 empty
ones kept the server busy for minutes."""

ITEMS_MAX = 50_000
"""Items in one request; an exporter sends 512 by default. Resources and scopes are bounded by it too."""

ORDINARY_BYTES_MAX = 4 * MIB
"""Larger bodies are looked through before they are parsed: seven times an ordinary batch, and what the emptiest of so many bytes
takes in memory is bearable."""

WIRE_BYTES_PER_OBJECT_MIN = 16
"""Of a large body in JSON: the shortest attribute there is has two objects in 36 bytes."""

WIRE_BYTES_PER_PART_MIN = 12
"""Of a large body in protobuf, by ids, texts, attributes, events and links of its items: a span of nothing but ids has 16."""

FIELDS_BESIDE_MAX = 20 * ITEMS_MAX
"""Of a large body in protobuf, numbers and unknown fields beside its groups, items and their parts: a span has nine. Each costs a
microsecond of looking, and a body of 60 KiB inflates to thirty million."""

NULLS_BYTES_MAX = 8 * MIB
"""Largest body in JSON that is read again without its nulls: every value of it becomes an object, twice."""

DEPTH_MAX = 32
"""Nesting of an attribute value; deeper ones are cut there."""

ATTRIBUTES_MAX = 4_096
"""Attributes of one span; flattened message lists need many."""

KEY_BYTES_MAX = 256
"""Length of an attribute key; no convention has one half as long."""

VALUE_CHARS_MAX = MIB
"""Length of one value; a longer prompt is cut and the cut is shown."""

EVENTS_MAX = 256
"""Events of one span."""

LINKS_MAX = 128
"""Links of one span."""

NAME_CHARS_MAX = 256
"""A span name is a low-cardinality label."""

STATUS_MESSAGE_CHARS_MAX = 512
"""Enough for the first lines of an error."""

ERROR_TYPE_CHARS_MAX = 128
"""A class name or a code."""

TEXT_CHARS_MAX = 1_024
"""Any other short column: model, tool, agent, identifier."""

PREVIEW_CHARS_MAX = 256
"""What a list shows of an input or an output."""

TIME_NS_MAX = (1 << 63) - 1
"""Times are signed 64-bit nanoseconds everywhere behind the door."""

TOKENS_MAX = 1_000_000_000
"""More tokens than this in one call is a broken counter, not usage."""

CLOCK_FUTURE_NS_MAX = 300 * 1_000_000_000
"""A start this far after its receipt is flagged `future`."""

CLOCK_OLD_NS_MAX = 7 * 86_400 * 1_000_000_000
"""A start this long before its receipt is flagged `old`."""

TRACE_SPANS_MAX = 50_000
"""Beyond this a trace is flagged `oversize`."""
