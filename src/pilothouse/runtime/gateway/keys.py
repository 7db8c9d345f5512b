# SPDX-License-Identifier: Apache-2.0
"""Virtual keys: how one is made, and who shows one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime

from pilothouse.core.dates import minute
from pilothouse.ports.gateway import VirtualKey
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused

__all__ = ["KEY_START", "check_key", "is_unknown", "make_key", "shown_key"]

KEY_START = "ph_"
PREFIX_BYTES = 4
SECRET_BYTES = 32
KEY_CHARACTERS_MAX = 200


def make_key() -> tuple[str, str, str]:
    """Make a key of 256 random bits.

    Returns:
        The key, its prefix, and the SHA-256 that is kept of it.

    Example:
        >>> key, prefix, digest = make_key()
        >>> key.startswith(f"ph_{prefix}_"), len(digest)
        (True, 64)
    """
    prefix = secrets.token_hex(PREFIX_BYTES)
    key = f"{KEY_START}{prefix}_{secrets.token_hex(SECRET_BYTES)}"
    return key, prefix, hashlib.sha256(key.encode()).hexdigest()


def shown_key(headers: Mapping[bytes, bytes]) -> str:
    """Return the key that a request shows as bearer or as `x-api-key`, or empty.

    Args:
        headers: By lower-case name.
    """
    bearer = headers.get(b"authorization", b"")
    if bearer[:7].lower() == b"bearer ":
        return bearer[7:].strip().decode("latin-1")
    return headers.get(b"x-api-key", b"").strip().decode("latin-1")


def is_unknown(shown: str, keys: Mapping[str, VirtualKey]) -> bool:
    """Return whether a key has our form but is not known: it may have been made a moment ago.

    Args:
        shown: What the request showed.
        keys: Keys by prefix.

    Example:
        >>> is_unknown("ph_0a1b2c3d_" + "0" * 64, {}), is_unknown("sk-of-somebody-else", {})
        (True, False)
    """
    start, _, rest = shown.partition("_")
    return start == "ph" and len(shown) <= KEY_CHARACTERS_MAX and rest.partition("_")[0] not in keys


def check_key(shown: str, keys: Mapping[str, VirtualKey], now: datetime) -> VirtualKey:
    """Return the key that was shown, or refuse.

    Args:
        shown: What the request showed.
        keys: Keys by prefix.
        now: The moment, aware UTC.

    Raises:
        Refused: No such key, or it is expired or revoked.
    """
    start, _, rest = shown.partition("_")
    prefix = rest.partition("_")[0]
    known = keys.get(prefix) if start == "ph" and len(shown) <= KEY_CHARACTERS_MAX else None
    digest = hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()
    if known is None or not hmac.compare_digest(digest, known.digest):
        what = (
            "the request shows no key"
            if not shown
            else "the key is none of ours (a provider's own key is not taken here)"
            if start != "ph"
            else "no such key"
        )
        raise Refused(
            Refusal(
                RefusalCode.KEY_UNKNOWN,
                what,
                "Make one with `pilothouse key add AGENT` and use it as API key.",
            )
        )
    # What was revoked stays so, whichever clock is behind: that of who revoked it may be another machine's.
    ended = known.revoked_at or known.expires_at
    if ended is not None and (known.revoked_at is not None or ended <= now):
        word = "was revoked" if known.revoked_at is not None else "expired"
        raise Refused(
            Refusal(
                RefusalCode.KEY_EXPIRED,
                f"key {prefix} of {known.agent} {word} on {minute(ended)}",
                f"Make another: `pilothouse key add {known.agent}`.",
            )
        )
    return known
