# SPDX-License-Identifier: Apache-2.0
"""The list of MCP servers behind the proxy, in the format of other clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pilothouse.core.charter.secrets import secret_kind
from pilothouse.errors import UsageError
from pilothouse.runtime.tools.credentials import credentials_in
from pilothouse.settings import LOOPBACK_HOSTS

__all__ = ["UpstreamAddress", "read_addresses", "read_servers"]

SIGN_IN_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"})

_EXAMPLE = '{"mcpServers": {"crm": {"command": "python", "args": ["crm_server.py"]}}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAddress:
    """How a server is reached: a command to start, or an address.

    Attributes:
        name: Name that contracts use.
        command: Program and arguments, or empty.
        env: Variables for the program; nothing else is handed on.
        url: Address of a streamable HTTP server, or None.
        headers: Headers of each request to it. Values here and in `env` may name credentials.
    """

    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    url: str | None = None
    headers: Mapping[str, str] | None = None

    @property
    def host(self) -> str | None:
        """`host:port` that requests go to; None for a program which we start."""
        if self.url is None:
            return None
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    @property
    def asked(self) -> Mapping[str, str]:
        """What may name credentials: the headers, or the variables of the program."""
        return (self.env if self.url is None else self.headers) or {}


def read_servers(file: Path) -> dict[str, UpstreamAddress]:
    """Read a file with a list of servers.

    Raises:
        UsageError: It cannot be read, or is no such list.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{str(file)!r} is no list of MCP servers ({_said(error)})",
            remedy=f"Write {_EXAMPLE} into it.",
            subject=str(file),
        ) from error
    return read_addresses(document, file=str(file))


def _said(error: OSError | ValueError) -> str:
    """Return what is wrong with a file, without the parser's quotation, which may contain a secret."""
    return (error.strerror or "it cannot be read") if isinstance(error, OSError) else "no JSON"


def read_addresses(document: Any, *, file: str) -> dict[str, UpstreamAddress]:
    """Read the usual form: `{"mcpServers": {NAME: {"command", "args", "env"} or {"url", "headers"}}}`.

    Raises:
        UsageError: It is none, or a secret stands in it.
    """
    servers = document.get("mcpServers") if isinstance(document, dict) else None
    found: dict[str, UpstreamAddress] = {}
    for name, terms in (servers or {}).items() if isinstance(servers, dict) else ():
        command, url = (terms.get("command"), terms.get("url")) if isinstance(terms, dict) else (None, None)
        if isinstance(command, str):
            words = (command, *map(str, terms.get("args", ())))
            found[name] = UpstreamAddress(name=name, command=words, env=_texts(terms.get("env")))
        elif isinstance(url, str) and url.startswith(("http://", "https://")):
            found[name] = UpstreamAddress(name=name, url=url, headers=_texts(terms.get("headers")))
        else:
            raise UsageError(
                f"{file}: server {name!r} has neither `command` nor `url`",
                remedy=f"Write {_EXAMPLE}.",
                subject=file,
            )
        _check_secrets(found[name], file)
    if not found:
        raise UsageError(
            f"{file} names no MCP server",
            remedy='Write {"mcpServers": {"crm": {"url": "https://crm.example/mcp"}}}.',
            subject=file,
        )
    return found


def _texts(said: Any) -> dict[str, str] | None:
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else None


def _check_secrets(address: UpstreamAddress, file: str) -> None:
    """Refuse a literal secret, and a credential that would be sent without TLS."""
    for field, value in address.asked.items():
        named = bool(credentials_in(value))
        if (field.lower() in SIGN_IN_HEADERS or secret_kind(value) is not None) and not named:
            raise UsageError(
                f"{file}: `{field}` of server {address.name!r} holds a secret",
                remedy=f'Write "${{credential:{address.name}}}" there, and where it stands: '
                f"`pilothouse credential add {address.name} --env VARIABLE`.",
                subject=file,
            )
        if named and address.url is not None and _is_open(address.url):
            raise UsageError(
                f"{file}: server {address.name!r} is asked without TLS, and a credential would be readable on the way",
                remedy="Write https:// there.",
                subject=file,
            )


def _is_open(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS
