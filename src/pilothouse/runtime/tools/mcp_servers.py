# SPDX-License-Identifier: Apache-2.0
"""The list of MCP servers that stand behind the proxy, in the form that other clients use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse.errors import UsageError

__all__ = ["UpstreamAddress", "read_addresses", "read_servers"]

_EXAMPLE = '{"mcpServers": {"crm": {"command": "python", "args": ["crm_server.py"]}}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAddress:
    """How a server is reached: a command to start, or an address.

    Attributes:
        name: Name that contracts use.
        command: Program and arguments, or empty.
        env: Variables for the program; nothing else is handed on.
        url: Address of a streamable HTTP server, or None.
    """

    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    url: str | None = None


def read_servers(file: Path) -> dict[str, UpstreamAddress]:
    """Read a file with a list of servers.

    Args:
        file: JSON file.

    Raises:
        UsageError: It cannot be read, or is no such list.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{str(file)!r} is no list of MCP servers ({type(error).__name__})",
            remedy=f"Write {_EXAMPLE} into it.",
            subject=str(file),
        ) from error
    return read_addresses(document, file=str(file))


def read_addresses(document: Any, *, file: str) -> dict[str, UpstreamAddress]:
    """Read the usual form of a list of servers: `{"mcpServers": {NAME: {"command", "args", "env"} or {"url"}}}`.

    Args:
        document: Parsed JSON.
        file: Path, for the message.

    Raises:
        UsageError: It is none.
    """
    servers = document.get("mcpServers") if isinstance(document, dict) else None
    found: dict[str, UpstreamAddress] = {}
    for name, terms in (servers or {}).items() if isinstance(servers, dict) else ():
        command, url = (terms.get("command"), terms.get("url")) if isinstance(terms, dict) else (None, None)
        if isinstance(command, str):
            words = (command, *map(str, terms.get("args", ())))
            found[name] = UpstreamAddress(name=name, command=words, env=terms.get("env"))
        elif isinstance(url, str) and url.startswith(("http://", "https://")):
            found[name] = UpstreamAddress(name=name, url=url)
        else:
            raise UsageError(
                f"{file}: server {name!r} has neither `command` nor `url`",
                remedy=f"Write {_EXAMPLE}.",
                subject=file,
            )
    if not found:
        raise UsageError(
            f"{file} names no MCP server",
            remedy='Write {"mcpServers": {"crm": {"url": "https://crm.example/mcp"}}}.',
            subject=file,
        )
    return found
