# SPDX-License-Identifier: Apache-2.0
"""Tell a secret from ordinary text, so that nothing we write or print ever carries one."""

from __future__ import annotations

import re

__all__ = ["REDACTED", "redacted", "secret_kind"]

REDACTED = "[redacted]"
"""What stands where a secret stood."""

SECRET_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    ("model provider key", re.compile(r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{16,}")),
    ("cloud access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("cloud API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b")),
    (
        "code host token",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{18,})"),
    ),
    ("chat token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}")),
    ("model hub token", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("signed token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("bearer token", re.compile(r"\b[Bb]earer\s+[A-Za-z0-9._~+/-]{16,}=*")),
    ("password in an address", re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^/\s:@]{1,80}:[^/\s:@]{3,200}@")),
    (
        "password",
        re.compile(
            r"(?i)\b(?:api[_-]?key|secret|passw(?:or)?d|token|access[_-]?key)\b['\"]?\s{0,4}[:=]\s{0,4}['\"]?[A-Za-z0-9._~+/-]{12,}"
        ),
    ),
)
"""Forms that leave little doubt. A credential's *name*, such as `erp-read`, matches none of them."""


def secret_kind(text: str) -> str | None:
    """Return what kind of secret a text looks like, or None.

    Args:
        text: Any text.

    Example:
        >>> secret_kind("sk-ant-0123456789abcdef0123"), secret_kind("erp-read")
        ('model provider key', None)
    """
    return next((kind for kind, form in SECRET_FORMS if form.search(text)), None)


def redacted(text: str) -> str:
    """Return a text with every secret in it replaced.

    Example:
        >>> redacted("key sk-ant-0123456789abcdef0123 found")
        'key [redacted] found'
    """
    for _, form in SECRET_FORMS:
        text = form.sub(REDACTED, text)
    return text
