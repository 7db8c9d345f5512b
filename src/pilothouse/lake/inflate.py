# SPDX-License-Identifier: Apache-2.0
"""Inflate a gzip body within limits of size and ratio, so that no body can exhaust the memory."""

from __future__ import annotations

import zlib
from typing import Any

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake.limits import (
    GZIP_MEMBERS_MAX,
    INFLATE_FREE_BYTES,
    INFLATE_RATIO_MAX,
    INFLATED_BYTES_MAX,
)

_fast: Any
try:
    from isal import isal_zlib as _fast
except ImportError:  # isal has no wheel for every machine; zlib does the same, four times slower
    _fast = zlib

_errors: tuple[type[Exception], ...] = (_fast.error, zlib.error)

__all__ = ["crc32", "inflate"]

GZIP_WINDOW_BITS = 31
"""32 KiB window, gzip header expected."""

CHUNK_BYTES = 1 << 20
"""Output asked for at once, so that the bounds are looked at in time."""


def crc32(data: bytes, start: int = 0) -> int:
    """Return the CRC-32 of `data`, continued from `start`.

    Example:
        >>> crc32(b"123456789")
        3421780262
    """
    return int(_fast.crc32(data, start))


def inflate(body: bytes) -> bytes:
    """Inflate a gzip body, possibly of several members.

    Returns:
        The plain bytes, at most `INFLATED_BYTES_MAX`.

    Raises:
        MalformedRecord: It is no gzip data, or it ends too early.
        LimitExceeded: It grows too large, or by a ratio that no real body has, or has too many members.

    Example:
        >>> import gzip
        >>> inflate(gzip.compress(b"spans"))
        b'spans'
    """
    parts: list[bytes] = []
    size = members = 0
    rest = body
    while rest:
        members += 1
        if members > GZIP_MEMBERS_MAX:
            raise LimitExceeded(
                f"the body has more than {GZIP_MEMBERS_MAX} gzip members", remedy="Compress it as a whole."
            )
        stream: Any = _fast.decompressobj(GZIP_WINDOW_BITS)
        data = rest
        while not stream.eof:
            try:
                part = stream.decompress(data, CHUNK_BYTES)
            except _errors as error:
                raise MalformedRecord(
                    f"the body is no gzip data: {error}", remedy="Check Content-Encoding."
                ) from error
            data = stream.unconsumed_tail
            size += len(part)
            if not part and not data and not stream.eof:
                raise MalformedRecord("the gzip data end too early", remedy="Send the whole body.")
            _check(size, len(body))
            parts.append(part)
        rest = stream.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check(size: int, wire_size: int) -> None:
    if size > INFLATED_BYTES_MAX:
        raise LimitExceeded(
            f"the inflated body is larger than {INFLATED_BYTES_MAX} bytes", remedy="Send smaller batches."
        )
    if size > INFLATE_FREE_BYTES and size > INFLATE_RATIO_MAX * wire_size:
        raise LimitExceeded(
            f"the body inflates to more than {INFLATE_RATIO_MAX} times its size",
            remedy="Send ordinary telemetry.",
        )
