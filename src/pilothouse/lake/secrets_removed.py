# SPDX-License-Identifier: Apache-2.0
"""Take secrets out of a request before it is logged: an agent that prints its key has it in no table, file or page.

What has a mark of a secret anywhere is found by one pass over the bytes. Only then is the request taken apart, text by
text, since what stands beside a text on the wire may look like more of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pilothouse.core.charter.secrets import REDACTED, masked
from pilothouse.errors import MalformedRecord
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.ports.intake import Signal

__all__ = ["has_mark", "without_secrets"]

_BETWEEN = r"(?:[\s\x0b\x1c-\x1f\\'\"]|\\[fnrt]|\\u00[01][0-9a-f])"
"""White space, quotes and what JSON writes for them."""

_HEADERS = r"\.header\.(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key)"
"""Ends of the names of attributes whose value is a secret whatever it looks like, of `http.request.header.authorization` and its like."""

_MARKS: Final = "|".join((
    "-----BEGIN ",
    r"sk-[A-Za-z0-9_-]{8}",
    r"ph_[0-9a-f]{8}_",
    r"A(?:KI|SI)A[A-Z0-9]{8}",
    r"AIza[A-Za-z0-9_-]{8}",
    r"gh[pousr]_[A-Za-z0-9]{8}",
    "github_pat_",
    r"glpat-[A-Za-z0-9_-]{8}",
    r"xox[abposr]-[A-Za-z0-9-]{8}",
    r"hf_[A-Za-z0-9]{8}",
    r"eyJ[A-Za-z0-9_-]{8}",
    rf"[Bb]earer{_BETWEEN}",
    r":\\?/\\?/[^/\s:@]+:[^/\s:@]+@",
    rf"(?i:key|secret|passw(?:or)?d|token){_BETWEEN}*[:=]{_BETWEEN}*[A-Za-z0-9._~+/-]{{8}}",
    _HEADERS,
))  # fmt: skip
"""What `SECRET_FORMS` cannot do without, and names of headers, in a form that is quick to compile: RE2 does so anew for each request."""

_SMALL: Final = re.compile(_MARKS.encode())
SMALL_BYTES_MAX: Final = 2_048
"""Up to here Python's engine, which has the pattern compiled, is quicker than compiling it for RE2, which reads each byte once."""

_HEADER: Final = re.compile(rf"{_HEADERS}\Z")

_REQUESTS: Final[dict[Signal, Any]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}

Mask = Callable[[str], str]


def has_mark(content: bytes) -> bool:
    r"""Return whether a request may hold a secret.

    Args:
        content: The inflated body.

    Example:
        >>> has_mark(b"\x0a\x20sk-ant-0123456789abcdef0123"), has_mark(b"max_tokens: 100, risk-free")
        (True, False)
    """
    if len(content) <= SMALL_BYTES_MAX:
        return _SMALL.search(content) is not None
    return bool(pc.match_substring_regex(pa.array([content], pa.large_binary()), _MARKS)[0].as_py())


def without_secrets(signal: Signal, encoding: Encoding, content: bytes) -> bytes:
    """Return a request with the secrets in its texts replaced, or itself where there are none.

    Args:
        signal: Which service it was sent to; of metrics nothing is kept.
        encoding: How it is written.
        content: The inflated body, which can be parsed.

    Raises:
        MalformedRecord: It cannot be taken apart, so nobody can say that it holds no secret.
    """
    if signal is Signal.METRICS or not has_mark(content):
        return content
    try:
        if encoding is Encoding.PROTOBUF:
            message = _REQUESTS[signal].FromString(content)
            is_changed = _mask_message(message, masked)
            return message.SerializeToString() if is_changed else content
        value = msgspec.json.decode(content)
        changed = _masked_value(value, masked)
        return content if changed == value else msgspec.json.encode(changed)
    except (DecodeError, ValueError, RecursionError) as error:
        raise MalformedRecord(
            f"secrets cannot be taken out of the body: {error}",
            remedy="Send texts in UTF-8, nested less deep.",
        ) from error


def _mask_message(message: Any, mask: Mask) -> bool:
    """Replace the texts of a message in place, but for names of attributes, and say whether one was another before."""
    is_pair = message.DESCRIPTOR.name == "KeyValue"
    if is_pair and _HEADER.search(message.key):
        mask = _hidden
    is_changed = False
    for field, value in message.ListFields():
        if isinstance(value, str):
            told = value if is_pair else mask(value)
            if told != value:
                setattr(message, field.name, told)
                is_changed = True
        elif isinstance(value, Message):
            is_changed |= _mask_message(value, mask)
        elif field.message_type is not None:
            for one in value:
                is_changed |= _mask_message(one, mask)
    return is_changed


def _masked_value(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_masked_value(one, mask) for one in value]
    if not isinstance(value, dict):
        return value
    key = value.get("key")
    if isinstance(key, str) and _HEADER.search(key):
        mask = _hidden
    return {name: one if name == "key" else _masked_value(one, mask) for name, one in value.items()}


def _hidden(_: str) -> str:
    return REDACTED
