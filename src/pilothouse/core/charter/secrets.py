# SPDX-License-Identifier: Apache-2.0
"""Detect secrets in text, so that none is ever written or printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

__all__ = [
    "REDACTED",
    "assigned_secret",
    "forms_in",
    "masked",
    "redacted",
    "secret_kind",
    "secrets_replaced",
    "without_credentials",
]

REDACTED = "[redacted]"
"""What stands where a secret stood."""

_WHOSE = (
    r"(?:access|refresh|auth|bearer|session|client|secret|private|api|bot|app|db|user|admin|service|webhook)"
)
_NAMED = r"(?:api[_-]?key|secret(?:[_-]?key)?|passw(?:or)?d|token|access[_-]?key)"
_NAMED_ALOUD = r"(?:API_?KEY|SECRET(?:_?KEY)?|PASSW(?:OR)?D|TOKEN|ACCESS_?KEY)"
"""Words that stand for a secret, as fields and as variables of an environment; `page_token` is none."""

SECRET_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
            r"(?:[^\"-]*(?:-[^\"-]+)*-----END (?:[A-Z]+ )*PRIVATE KEY-----|[A-Za-z0-9+/=\s\\]*)"
        ),
    ),
    ("model provider key", re.compile(r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{16,}")),
    ("gateway key", re.compile(r"\bph_[0-9a-f]{8}_[0-9a-f]{32,64}\b")),
    ("cloud access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("cloud API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b")),
    (
        "code host token",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{18,})"),
    ),
    ("chat token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}")),
    ("model hub token", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    # Not where it would begin within what it may consist of: each such beginning would be followed to the same end.
    (
        "signed token",
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    ),
    ("bearer token", re.compile(r"\b[Bb]earer\s+[A-Za-z0-9._~+/-]{16,}=*")),
    ("password in an address", re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^/\s:@]{1,80}:[^/\s:@]{3,200}@")),
    (
        "password",
        re.compile(
            rf"\b(?:(?i:(?:{_WHOSE}[_-]?){{0,2}}{_NAMED})|(?:[A-Z0-9]{{1,30}}_){{1,6}}{_NAMED_ALOUD})\b"
            r"\\{0,3}['\"]?\s{0,4}[:=]\s{0,4}\\{0,3}['\"]?[A-Za-z0-9._~+/-]{12,}"
        ),
    ),
)
"""Forms that leave little doubt. A credential's *name*, such as `erp-read`, matches none of them."""

MARKS: dict[str, dict[str, tuple[str, ...]]] = {
    "private key": {"-----begin ": ()},
    "model provider key": {"sk-": ()},
    "gateway key": {"ph_": ()},
    "cloud access key": {"akia": (), "asia": ()},
    "cloud API key": {"aiza": ()},
    "code host token": {
        "gh": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        "github_pat_": (),
        "glpat-": (),
    },
    "chat token": {"xox": ()},
    "model hub token": {"hf_": ()},
    "signed token": {"eyj": ()},
    "bearer token": {"bearer": ()},
    "password in an address": {"://": ()},
    "password": {
        "api": ("apikey", "api_key", "api-key"),
        "access": ("access_key", "access-key", "accesskey"),
        "secret": (),
        "passw": (),
        "token": (),
    },
}
"""What a secret of each form cannot do without, in lower case: looking for it costs a hundredth of the form.

Behind a mark stand the longer ones that it is the beginning of, if there are any: then one of them must be there too.
"""

_MARKS = tuple((kind, mark, longer) for kind, marks in MARKS.items() for mark, longer in marks.items())

NO_MARKS = {"token": "tokens"}
"""Marks that say nothing inside a longer word: every answer of a model counts its `tokens`, and none of them is a secret."""


ASSIGNED = re.compile(
    r"(?i)(?:api[_-]?key|secret|passw(?:or)?d|token|access[_-]?key)[a-z_]{0,20}['\"]?\]?\s{0,4}[:=]\s{0,4}"
    r"(?P<quote>['\"]?)(?P<value>[^'\"\s#,;(){}\[\]$<>]{8,200})(?P=quote)"
)
"""A word that stands for a secret, with a value behind it."""

PLACEHOLDER = re.compile(
    r"(?i)your|change|example|placeholder|dummy|fake|test|xxx|\.\.\.|todo|none|null|true|false"
)
"""Values that people write where a secret belongs."""


def assigned_secret(line: str, *, may_be_bare: bool = False) -> str | None:
    """Return what kind of secret a line of code or configuration assigns, or None.

    Args:
        line: One line.
        may_be_bare: Whether a value without quotes counts, as in an environment file. In code it is
            the name of something.

    Example:
        >>> assigned_secret('password = "correct-horse-1"'), assigned_secret("token = load_token(vault)")
        ('password', None)
    """
    strong = next((kind for kind, form in SECRET_FORMS[:-1] if form.search(line)), None)
    if strong:
        return strong
    found = ASSIGNED.search(line)
    if found is None or PLACEHOLDER.search(found["value"]) or not (found["quote"] or may_be_bare):
        return None
    return "password"


def forms_in(text: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield the secret patterns that may match a text, in order.

    Example:
        >>> [kind for kind, _ in forms_in("a risk-free basket")]
        ['model provider key']
        >>> list(forms_in('{"prompt_tokens": 12}'))
        []
    """
    low = text.casefold()
    kinds = {kind for kind, mark, longer in _MARKS if mark in low and _is_meant(mark, longer, low)}
    if kinds:
        yield from ((kind, form) for kind, form in SECRET_FORMS if kind in kinds)


def _is_meant(mark: str, longer: tuple[str, ...], low: str) -> bool:
    if longer:
        return any(one in low for one in longer)
    return mark not in NO_MARKS or low.count(mark) > low.count(NO_MARKS[mark])


def secret_kind(text: str) -> str | None:
    """Return what kind of secret a text looks like, or None.

    Example:
        >>> secret_kind("sk-ant-0123456789abcdef0123"), secret_kind("erp-read")
        ('model provider key', None)
    """
    return next((kind for kind, form in forms_in(text) if form.search(text)), None)


_VALUE = re.compile(r"[A-Za-z0-9._~+/=-]{8,}$")
"""The secret itself at the end of a match that begins with its name."""


def secrets_replaced(text: str, named: Callable[[str], str]) -> str:
    """Return a text with each secret in it replaced; a name and quotes before it stay, so that JSON stays JSON.

    Args:
        text: Any text.
        named: Returns what stands in the place of a secret.

    Example:
        >>> secrets_replaced('{"api_key": "abcdefgh12345678"}', lambda secret: f"<{len(secret)}>")
        '{"api_key": "<16>"}'
    """

    def whole(match: re.Match[str]) -> str:
        return named(match.group())

    def value_only(match: re.Match[str]) -> str:
        found = match.group()
        value = _VALUE.search(found)
        return found[: value.start()] + named(value.group()) if value else named(found)

    for kind, form in forms_in(text):
        text = form.sub(value_only if kind == "password" else whole, text)
    return text


def masked(text: str) -> str:
    """Return a text with `REDACTED` in the place of each secret; unlike `redacted`, JSON stays JSON.

    Example:
        >>> masked('{"password": "correct-horse-1"}')
        '{"password": "[redacted]"}'
    """
    return secrets_replaced(text, lambda _: REDACTED)


_IN_ADDRESS = re.compile(r"(?P<scheme>://)[^\s/?#@'\"]{1,500}@|[?][^\s'\"<>)]+|(?P<path>\burl: /)\S+")
"""Where an address carries a credential: before its host, in its query, or in the path that a client's error quotes by itself."""

_SET = re.compile(
    r"(?i)\b(?P<name>(?:api[_-]?key|passw(?:or)?d|pwd|secret|token|authorization)\s{0,4}[:=]\s{0,4})"
    r"(?P<scheme>(?:basic|bearer)\s{1,4})?[^\s;,&'\"]{1,500}"
)


def without_credentials(text: str) -> str:
    """Return another client's error message without credentials.

    Stricter than `redacted`: of such a text nobody needs a query, or the value of anything that is called a password.

    Args:
        text: Text of an exception, one line.

    Example:
        >>> without_credentials("401 for url 'https://erp:pw@erp.corp/x?api_key=S1' with PWD=ge;")
        "401 for url 'https://[redacted]@erp.corp/x?[redacted]' with PWD=[redacted];"
    """
    return _IN_ADDRESS.sub(_blank, _SET.sub(_unset, redacted(text)))


def _unset(found: re.Match[str]) -> str:
    return f"{found['name']}{found['scheme'] or ''}{REDACTED}"


def _blank(found: re.Match[str]) -> str:
    if found["scheme"]:
        return f"://{REDACTED}@"
    return f"{found['path']}{REDACTED}" if found["path"] else f"?{REDACTED}"


def redacted(text: str) -> str:
    """Return a text with every secret in it replaced.

    Example:
        >>> redacted("key sk-ant-0123456789abcdef0123 found")
        'key [redacted] found'
    """
    for _, form in forms_in(text):
        text = form.sub(REDACTED, text)
    return text
