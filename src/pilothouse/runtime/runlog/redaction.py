# SPDX-License-Identifier: Apache-2.0
"""Put a stable placeholder where a secret stands, before anything is written.

The same secret gets the same placeholder within one installation, so what was equal stays equal: a request of a replay
goes through the same replacement and still matches. A placeholder is left as it is when it comes by again.
"""

from __future__ import annotations

import hashlib

from pilothouse.core.charter.secrets import forms_in, secrets_replaced

__all__ = ["OF_A_RECORD", "Redaction"]


class Redaction:
    """Replaces secrets by placeholders keyed with the installation.

    Its key has 16 to 64 bytes.

    Example:
        >>> redaction = Redaction(b"k" * 32)
        >>> once = redaction.apply(b'{"content": "use sk-ant-0123456789abcdef0123"}')
        >>> once.startswith(b'{"content": "use [secret-') and redaction.apply(once) == once
        True
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @staticmethod
    def is_clean(content: bytes) -> bool:
        r"""Return whether a text certainly holds no secret: none of the marks of secrets occurs in it.

        Args:
            content: Anything; of bytes that are no text it is not known.

        Example:
            >>> Redaction.is_clean(b"a basket"), Redaction.is_clean(b"a risk-free basket"), Redaction.is_clean(b"\xff")
            (True, False, False)
        """
        try:
            return next(forms_in(content.decode()), None) is None
        except UnicodeDecodeError:
            return False

    def apply(self, content: bytes) -> bytes:
        r"""Return content with each secret in it replaced, also in content that is not all text.

        Args:
            content: UTF-8 text, or anything.

        Example:
            >>> Redaction(b"k" * 32).apply(b"\xff sk-ant-0123456789abcdef0123")[:10]
            b'\xff [secret-'
        """
        text = content.decode(errors="surrogateescape")
        changed = secrets_replaced(text, self._named)
        return content if changed is text or changed == text else changed.encode(errors="surrogateescape")

    def _named(self, secret: str) -> str:
        return f"[secret-{hashlib.blake2b(secret.encode(), key=self._key, digest_size=6).hexdigest()}]"


OF_A_RECORD = Redaction(bytes(16))
"""For what was read from a record: it holds no secret any more, so whatever key leaves it as it is."""
