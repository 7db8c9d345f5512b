# SPDX-License-Identifier: Apache-2.0
"""How Apprise's services speak HTTP: an answer has a bound in bytes and in time, and a webhook is signed.

The library behind them reads an answer to its end, whatever it is: a hook that answers with gigabytes, or with one byte now
and then, took the memory of the server that pages, or a thread of it for good. Signatures are those of Standard Webhooks
(https://www.standardwebhooks.com), so that a receiver checks them with a library that it has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests
import urllib3

from pilothouse.errors import UsageError

__all__ = ["ANSWER_BYTES_MAX", "Signing", "bound_answers", "signature_headers", "signing", "without_secret"]

ANSWER_BYTES_MAX = 1 << 20
"""Of an answer to a message; services answer with a line, and look-ups of a recipient with a few kilobytes."""

ANSWER_S_MAX = 15.0
"""Time in which an answer is read, once it has begun."""

SECRET_START = "whsec_"  # noqa: S105 - how a secret begins
SECRET_BYTES = range(24, 65)
"""What the standard allows."""

SIGNED_SCHEMES = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
"""Addresses of webhooks of one's own; every other service proves us by its own credential."""


@dataclass(frozen=True, slots=True)
class Signing:
    """What a message is signed with.

    Attributes:
        key: Key of the message, the same for a repetition.
        secret: Shared with the receiver.
    """

    key: str
    secret: bytes


_now = threading.local()


@contextmanager
def signing(how: Signing | None) -> Iterator[None]:
    """Sign what is sent in this thread for the time of a block.

    Args:
        how: With what; None for nothing.
    """
    _now.how = how
    try:
        yield
    finally:
        _now.how = None


def signature_headers(how: Signing, body: bytes, at_s: int) -> dict[str, str]:
    """Return the three headers by which a receiver knows who sent a message, that it is whole, and when it was sent.

    Args:
        how: Key and secret.
        body: Exactly what is sent.
        at_s: The moment, seconds since 1970.
    """
    ident = how.key.replace(".", "_")  # a full stop parts what is signed
    signed = b".".join((ident.encode(), str(at_s).encode(), body))
    digest = hmac.new(how.secret, signed, hashlib.sha256).digest()
    return {
        "webhook-id": ident,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def without_secret(url: str) -> tuple[str, bytes | None]:
    """Return the address of a webhook without the secret in it, and the secret; None where there is none.

    Args:
        url: Address as it is kept, for example `jsons://hooks.corp.example/page?secret=whsec_…`.

    Raises:
        UsageError: There is a secret, and it is none.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in SIGNED_SCHEMES or "secret=" not in parts.query:
        return url, None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    written = next((value for name, value in pairs if name == "secret"), None)
    if written is None:
        return url, None
    secret = _secret_of(written)
    if secret is None:
        raise UsageError(
            "that is no secret of a webhook",
            remedy=f"Give `?secret={SECRET_START}` and base64 of {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} random bytes, "
            "which `openssl rand -base64 32` makes.",
            subject="contact",
        )
    kept = urlencode([(name, value) for name, value in pairs if name != "secret"])
    return urlunsplit(parts._replace(query=kept)), secret


def _secret_of(written: str) -> bytes | None:
    """Return the bytes of a secret as it is written in an address; None for what is none."""
    if not written.startswith(SECRET_START):
        return None
    try:
        # A plus sign that was not escaped in the address arrives as a blank.
        secret = base64.b64decode(written.removeprefix(SECRET_START).replace(" ", "+"), validate=True)
    except binascii.Error:
        return None
    return secret if len(secret) in SECRET_BYTES else None


def bound_answers(service: Any) -> None:
    """Let a service of Apprise speak HTTP through here.

    Args:
        service: An instance of one of its services.
    """
    module = sys.modules[type(service).__module__]
    if getattr(module, "requests", None) is requests:
        module.requests = _WIRE  # type: ignore[attr-defined]  # where its code looks for the library


class _BoundedSession(requests.Session):
    """A session whose answers end."""

    def __init__(self) -> None:
        super().__init__()
        self.headers["Accept-Encoding"] = "identity"  # a kilobyte must not become a gigabyte

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and read the beginning of its answer."""
        how: Signing | None = getattr(_now, "how", None)
        if how is not None:
            body = request.body or b""
            sent = body.encode() if isinstance(body, str) else body
            if not isinstance(sent, bytes):
                raise requests.RequestException(
                    "what is read while it is sent cannot be signed", request=request
                )
            request.headers.update(signature_headers(how, sent, int(time.time())))
        answer = super().send(request, **{**options, "stream": True})
        try:
            beginning = _beginning(answer.raw)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise requests.ConnectionError(type(error).__name__, request=request) from error
        finally:
            answer.close()
        answer.raw = io.BytesIO(beginning)
        return answer


class _Wire:
    """Stands where Apprise's services look for `requests`."""

    Session = _BoundedSession

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        with _BoundedSession() as session:
            return session.request(method, url, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> requests.Response:
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> requests.Response:
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        return self.request("DELETE", url, **options)


_WIRE = _Wire()


def _beginning(raw: Any) -> bytes:
    """Return the beginning of an answer, as much of it as comes in its time."""
    body, until = bytearray(), time.monotonic() + ANSWER_S_MAX
    while len(body) < ANSWER_BYTES_MAX and time.monotonic() < until:
        part = raw.read1(ANSWER_BYTES_MAX - len(body), decode_content=False)
        if not part:
            break
        body += part
    return bytes(body)
