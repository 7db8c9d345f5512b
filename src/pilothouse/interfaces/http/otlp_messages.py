# SPDX-License-Identifier: Apache-2.0
"""The three small protobuf messages that answer an OTLP sender, written without generated code."""

from __future__ import annotations

from pilothouse.ports.intake import Receipt

__all__ = ["export_response", "retry_delay", "rpc_status"]

RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"


def export_response(receipt: Receipt) -> bytes:
    """Return an `Export...ServiceResponse`: empty, or what was rejected and why.

    All three services number their fields alike: 1 partial_success {1 rejected, 2 error_message}.
    """
    if not receipt.rejected:
        return b""
    inner = b"\x08" + _varint(receipt.rejected) + b"\x12" + _text(receipt.reason)
    return b"\x0a" + _varint(len(inner)) + inner


def retry_delay(retry_after_s: int) -> bytes:
    """Return a `google.rpc.RetryInfo` {1 retry_delay {1 seconds}}."""
    delay = b"\x08" + _varint(retry_after_s)
    return b"\x0a" + _varint(len(delay)) + delay


def rpc_status(code: int, reason: str, *, retry_after_s: int | None = None) -> bytes:
    """Return a `google.rpc.Status` {1 code, 2 message, 3 details}.

    Args:
        code: Code of gRPC.
        reason: One sentence.
        retry_after_s: When to come again, or None.
    """
    status = b"\x08" + _varint(code) + b"\x12" + _text(reason)
    if retry_after_s is None:
        return status
    delay = retry_delay(retry_after_s)
    detail = b"\x0a" + _text(RETRY_INFO_TYPE) + b"\x12" + _varint(len(delay)) + delay
    return status + b"\x1a" + _varint(len(detail)) + detail


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
