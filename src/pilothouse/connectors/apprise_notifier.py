# SPDX-License-Identifier: Apache-2.0
"""Messages through Apprise: mail, chat, webhook, phone and a hundred services behind one kind of address."""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import Any

from pilothouse.core.charter.secrets import without_credentials
from pilothouse.errors import UsageError
from pilothouse.ports.contacts import Message

__all__ = ["AppriseNotifier"]

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
"""A page that is not taken in this time is a failed try: the next channel is tried, and this one again later."""

SEND_TIMEOUT_S = 30.0
"""A whole try. The two above begin anew with each byte: a service that sends one now and then held a sender for good, eight of
them all pages, and the server when it was to stop."""

LEFT_MAX = 16
"""Tries that still run after their time; beyond this nothing is sent until one ends, for each is a thread."""

LEFT = "pilothouse-page-left"

URL_CHARS_MAX = 2_000
"""The longest address of a service is a few hundred characters."""

_KEY_HEADER = "Idempotency-Key"


class _Said(logging.Handler):
    """Keeps the last message that Apprise logged in this thread, its only explanation of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._kept = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._kept.text = " ".join(record.getMessage().split())[:300]

    def forget(self) -> None:
        self._kept.text = ""

    def text(self) -> str:
        return getattr(self._kept, "text", "")


class AppriseNotifier:
    """`ports.Notifier` on Apprise."""

    def __init__(self) -> None:
        self._said = _Said()
        log = logging.getLogger("apprise")
        log.addHandler(self._said)
        log.propagate = False

    def send(self, url: str, message: Message) -> str:
        """Send a message; return an empty text on success, else the reason of the failure."""
        try:
            service, secret = self._service(url)
        except UsageError as error:
            return error.message
        headers = getattr(service, "headers", None)
        if isinstance(headers, dict):  # webhooks and mail carry the key, so that a repetition is recognised
            headers[_KEY_HEADER] = message.key
        if sum(thread.name == LEFT for thread in threading.enumerate()) >= LEFT_MAX:
            return f"{LEFT_MAX} earlier tries still wait for the other side; nothing more is sent"
        answers: SimpleQueue[str] = SimpleQueue()
        thread = threading.Thread(
            target=lambda: answers.put(self._tried(service, message, secret)),
            name="pilothouse-page",
            daemon=True,
        )
        thread.start()
        try:
            return answers.get(timeout=SEND_TIMEOUT_S)
        except Empty:
            thread.name = LEFT
            return f"no answer within {SEND_TIMEOUT_S:g} s"

    def _tried(self, service: Any, message: Message, secret: bytes | None) -> str:
        from pilothouse.connectors.page_wire import Signing, signing  # noqa: PLC0415 - as below

        self._said.forget()
        try:
            with signing(None if secret is None else Signing(message.key, secret)):
                taken = service.notify(body=message.body, title=message.title)
        except Exception as error:  # noqa: BLE001 - a hundred services raise a hundred kinds of things
            return without_credentials(f"{type(error).__name__}: {error}"[:1_000])[:300]
        return "" if taken else without_credentials(self._said.text()) or "the other side did not take it"

    def masked(self, url: str) -> str:
        """Return the address without its credential; the path of a hook is one."""
        service, _ = self._service(url)
        shown: str = service.url(privacy=True).partition("?")[0]
        if getattr(service, "fullpath", None):  # what services of a kind of their own mask themselves
            scheme, _, rest = shown.partition("://")
            return f"{scheme}://{rest.partition('/')[0]}/…"
        return shown

    def _service(self, url: str) -> tuple[Any, bytes | None]:
        """Return the service of an address, and the secret that its messages are signed with."""
        import apprise  # noqa: PLC0415 - a second of loading a hundred services, which `pilothouse pause` must not wait for

        from pilothouse.connectors.page_wire import bound_answers, without_secret  # noqa: PLC0415 - so does its library

        url, secret = without_secret(url)
        service = None
        if len(url) <= URL_CHARS_MAX:
            self._said.forget()
            service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            raise UsageError(
                "that is no address of a service we can send to",
                remedy="For example `pilothouse contact set sam mailto://USER:PASSWORD@corp.example?to=sam@corp.example`, "
                "`json://hooks.corp.example/page` or `slack://TOKEN/#on-call`.",
                subject="contact",
            )
        service.socket_connect_timeout = CONNECT_TIMEOUT_S
        service.socket_read_timeout = READ_TIMEOUT_S
        # A page that is led elsewhere arrives as a question for that page: a sign-in page answers it well, and nobody is told.
        service.redirects = False
        bound_answers(service)
        return service, secret
