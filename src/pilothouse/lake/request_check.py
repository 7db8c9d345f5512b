# SPDX-License-Identifier: Apache-2.0
"""Validate one request before it is logged: type, encoding, size and content."""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake import limits
from pilothouse.lake.inflate import inflate
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import ParsedRequest, parse_request
from pilothouse.lake.secrets_removed import without_secrets
from pilothouse.ports.intake import IntakeAnswer, Receipt, Signal

__all__ = ["Checked", "check_request"]

CONTENT_TYPES = {
    "application/x-protobuf": Encoding.PROTOBUF,
    "application/protobuf": Encoding.PROTOBUF,
    "application/json": Encoding.JSON,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A valid request.

    Attributes:
        request: Its parsed form.
        body: What is logged of it: as it came, or without the secrets that were in it.
        is_gzip: Whether that is compressed.
        had_secrets: Whether secrets were taken out.
    """

    request: ParsedRequest
    body: bytes
    is_gzip: bool
    had_secrets: bool = False


def check_request(
    signal: Signal, *, content_type: str, content_encoding: str, body: bytes
) -> Checked | Receipt:
    """Parse a request, or return why it is refused.

    Args:
        signal: Which of the three services it was sent to.
        content_type: `application/x-protobuf` or `application/json`.
        content_encoding: Empty, `identity` or `gzip`.
        body: The body as received.
    """
    encoding = CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())
    if encoding is None:
        return Receipt(
            answer=IntakeAnswer.UNSUPPORTED,
            reason=f"content type {content_type!r} is neither application/x-protobuf nor application/json",
        )
    packing = content_encoding.strip().lower()
    if packing not in ("", "identity", "gzip"):
        return Receipt(
            answer=IntakeAnswer.UNSUPPORTED, reason=f"content encoding {content_encoding!r} is not gzip"
        )
    if len(body) > limits.BODY_WIRE_BYTES_MAX:
        return Receipt(
            answer=IntakeAnswer.TOO_LARGE,
            reason=f"the body has {len(body)} bytes, at most {limits.BODY_WIRE_BYTES_MAX} are taken",
        )
    try:
        plain = inflate(body) if packing == "gzip" else body
        request = parse_request(signal, encoding, plain)
        kept = without_secrets(signal, encoding, plain)
        if kept is not plain:
            return Checked(parse_request(signal, encoding, kept), kept, is_gzip=False, had_secrets=True)
        return Checked(request, body, packing == "gzip")
    except LimitExceeded as error:
        return Receipt(answer=IntakeAnswer.TOO_LARGE, reason=error.message)
    except MalformedRecord as error:
        return Receipt(answer=IntakeAnswer.MALFORMED, reason=error.message)
