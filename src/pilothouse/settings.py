# SPDX-License-Identifier: Apache-2.0
"""Every setting of an installation, with the place its value came from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pilothouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GRPC_PORT_DEFAULT", "LOOPBACK_HOSTS", "PORT_DEFAULT", "Settings", "load_settings"]

PORT_DEFAULT = 4318
"""The OTLP/HTTP port, so that an OpenTelemetry exporter with default settings finds us."""

GRPC_PORT_DEFAULT = 4317
"""The OTLP/gRPC port, for the same reason."""

INGEST_ITEMS_PER_S_DEFAULT = 20_000
INGEST_BYTES_PER_DAY_DEFAULT = 50 << 30
"""What one ingest key may send: a hundred busy agents, and far from what fills a disk in a day."""

PORT_MAX = 65_535

PROXY_SECRET_CHARS_MIN = 32
"""Characters that nobody guesses: whoever knows the secret can be anybody."""

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""This machine by its usual names: nothing leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Values in force for one installation.

    Attributes:
        home: Data folder: lake, ledger, write-ahead log.
        host: Address to listen on; loopback unless somebody chose otherwise.
        port: Port for telemetry, pages and API; 0 lets the system choose.
        ledger: Address of a PostgreSQL database for the ledger; empty for a file in the data folder.
        allowed_hosts: Names besides loopback under which requests may arrive, for example a proxy's.
        proxy_header: Header in which a proxy names who is signed in, lower case; empty when none does.
        proxy_secret: What that proxy sends as `x-pilothouse-proxy`; empty when there is none.
        embeddings: Embedding endpoint that finds few-shot examples, with `?model=NAME`; empty to find them by words.
        embeddings_key: What is sent to it as bearer; empty for nothing.
        ingest_items_per_s: Spans and log records a second that one ingest key may send; 0 for no bound.
        ingest_bytes_per_day: Bytes a day that one ingest key may send; 0 for no bound.
        shared_ids: Ids of files, vector stores and prompts at providers that several agents may use.
        sources: Where each value came from, by name: `default`, `environment` or `option`.
    """

    home: Path
    host: str
    port: int
    ledger: str = ""
    allowed_hosts: tuple[str, ...] = ()
    proxy_header: str = ""
    proxy_secret: str = field(default="", repr=False)
    embeddings: str = ""
    embeddings_key: str = field(default="", repr=False)
    ingest_items_per_s: int = INGEST_ITEMS_PER_S_DEFAULT
    ingest_bytes_per_day: int = INGEST_BYTES_PER_DAY_DEFAULT
    shared_ids: frozenset[str] = frozenset()
    sources: tuple[tuple[str, str], ...]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server; a proxy that names people stands there for others, by whatever host it asks."""
        return self.host in LOOPBACK_HOSTS and not self.allowed_hosts and not self.proxy_header

    @property
    def lake_folder(self) -> Path:
        """Folder of the Delta tables and the write-ahead log."""
        return self.home / "lake"

    @property
    def runs_folder(self) -> Path:
        """Folder of the run log and of the keys of its content."""
        return self.home / "runs"

    @property
    def keys_folder(self) -> Path:
        """Folder of the keys of the audit log, readable by this user only."""
        return self.home / "keys"

    @property
    def feedback_key_file(self) -> Path:
        """File of the key with which feedback is sent, readable by this user only."""
        return self.home / "feedback.key"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy address of the ledger."""
        return self.ledger or f"sqlite:///{quote(str(self.home / 'ledger.sqlite'))}"


def load_settings(
    environment: Mapping[str, str] | None = None,
    *,
    home: Path | None = None,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    """Settle every value: option over environment over default.

    Args:
        environment: Variables to read; the process environment when None.
        home: Data folder from an option, or None.
        host: Address from an option, or None.
        port: Port from an option, or None.

    Returns:
        Settings that name the source of each value.

    Raises:
        UsageError: The port is no number in 0..65535, a quota no whole number, the data folder no path.

    Example:
        >>> load_settings({"PILOTHOUSE_HOME": "/tmp/x"}).sources[0]
        ('home', 'environment')
    """
    env = os.environ if environment is None else environment
    sources: list[tuple[str, str]] = []

    def settle(name: str, option: object | None, variable: str, default: object) -> str:
        if option is not None and str(option) != env.get(
            variable
        ):  # the command line hands a variable on too
            sources.append((name, "option"))
            return str(option)
        if env.get(variable):
            sources.append((name, "environment"))
            return env[variable]
        sources.append((name, "default"))
        return str(default)

    home_value = _data_folder(settle("home", home, "PILOTHOUSE_HOME", "~/.pilothouse"))
    host_value = settle("host", host, "PILOTHOUSE_HOST", "127.0.0.1")
    port_value = settle("port", port, "PILOTHOUSE_PORT", PORT_DEFAULT)
    try:
        port_number = int(port_value)
    except ValueError:
        port_number = -1
    if not 0 <= port_number <= PORT_MAX:
        raise UsageError(
            f"port {port_value!r} is no number from 0 to {PORT_MAX}",
            remedy=f"Give --port {PORT_DEFAULT}.",
            subject="port",
        )
    quotas = [
        _whole_number(name, settle(name, None, f"PILOTHOUSE_{name.upper()}", default))
        for name, default in (
            ("ingest_items_per_s", INGEST_ITEMS_PER_S_DEFAULT),
            ("ingest_bytes_per_day", INGEST_BYTES_PER_DAY_DEFAULT),
        )
    ]
    ledger = settle("ledger", None, "PILOTHOUSE_LEDGER", "")
    hosts = settle("allowed_hosts", None, "PILOTHOUSE_ALLOWED_HOSTS", "")
    shared = settle("shared_ids", None, "PILOTHOUSE_SHARED_IDS", "")
    header = settle("proxy_header", None, "PILOTHOUSE_PROXY_HEADER", "").strip().lower()
    secret = env.get("PILOTHOUSE_PROXY_SECRET", "")
    if header and len(secret) < PROXY_SECRET_CHARS_MIN:
        raise UsageError(
            f"a proxy may name people only with a secret of {PROXY_SECRET_CHARS_MIN} characters or more",
            remedy="Set PILOTHOUSE_PROXY_SECRET, and let the proxy send it as `x-pilothouse-proxy`.",
            subject="proxy_header",
        )
    return Settings(
        home=home_value,
        host=host_value,
        port=port_number,
        ledger=ledger,
        allowed_hosts=tuple(name.strip() for name in hosts.split(",") if name.strip()),
        proxy_header=header,
        proxy_secret=secret,
        embeddings=settle("embeddings", None, "PILOTHOUSE_EMBEDDINGS", ""),
        embeddings_key=env.get("PILOTHOUSE_EMBEDDINGS_KEY", ""),
        ingest_items_per_s=quotas[0],
        ingest_bytes_per_day=quotas[1],
        shared_ids=frozenset(one.strip() for one in shared.split(",") if one.strip()),
        sources=tuple(sources),
    )


def _data_folder(text: str) -> Path:
    """Return the absolute path of the data folder.

    Raises:
        UsageError: `~` leads nowhere, as in a container whose user has no account; or the path is no text in this
            locale, and the stores below it are told paths as UTF-8.
    """
    try:
        folder = Path(text).expanduser().absolute()
        str(folder).encode()
    except RuntimeError:
        raise UsageError(
            f"there is no data folder: nobody knows whose home {text} is in",
            remedy="Give --home FOLDER, or set PILOTHOUSE_HOME.",
            subject="home",
        ) from None
    except UnicodeEncodeError:
        raise UsageError(
            f"the path of the data folder, {text!r}, is no text in the locale of this process",
            remedy="Set LC_ALL=C.UTF-8, or give --home with a folder whose path is ASCII.",
            subject="home",
        ) from None
    return folder


def _whole_number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UsageError(
            f"{name} {text!r} is no whole number",
            remedy=f"Set PILOTHOUSE_{name.upper()}=0 for no bound.",
            subject=name,
        )
    return int(text)
