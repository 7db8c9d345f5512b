# SPDX-License-Identifier: Apache-2.0
"""Put on record which connections of agents were refused: one small file of the start-up hook each, read once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.launcher import REFUSALS_FOLDER

__all__ = ["REFUSALS_EVERY_S", "RefusedConnection", "record_refusal", "refused_destinations", "take_refusals"]

REFUSALS_EVERY_S = 10.0
"""How soon a running server knows; a look at an empty folder is one system call."""

KIND = "egress.refused"

FILES_MAX = 1_000
"""Files of one look; the next look takes the rest."""

FILE_BYTES_MAX = 4_096
DECISIONS_MAX = 1_000
NAME_CHARACTERS_MAX = 300
ID_CHARACTERS_MAX = 64
PORT_MAX = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedConnection:
    """A connection that a process of an agent asked for and did not get.

    Attributes:
        agent: Agent id.
        host: Where it wanted to connect to.
        port: Its port, or None for what has none.
        version: Version digest, or None where nobody said it.
    """

    agent: str
    host: str
    port: int | None
    version: str | None


def take_refusals(runs: Path, ledger: Ledger, now: datetime) -> int:
    """Record what start-up hooks have refused since the last look; return how many were new.

    Args:
        runs: Folder of recorded runs.
        ledger: Where it is put on record.
        now: The moment, aware UTC.
    """
    folder, count = runs / REFUSALS_FOLDER, 0
    for file in sorted(folder.glob("*.json"))[:FILES_MAX] if folder.is_dir() else []:
        refused = _read(file)
        if refused is not None:
            record_refusal(ledger, refused, actor="pilothouse run", at=now)
            count += 1
        file.unlink(missing_ok=True)
    return count


def record_refusal(ledger: Ledger, refused: RefusedConnection, *, actor: str, at: datetime) -> None:
    """Put on record that a connection was refused.

    Args:
        ledger: Where it is put on record.
        refused: Who wanted to connect to what.
        actor: What refused it.
        at: When, aware UTC.
    """
    document = canonical_json({"host": refused.host, "port": refused.port, "version": refused.version})
    ledger.record(kind=KIND, agent=refused.agent, at=at, actor=actor, document=document)


def refused_destinations(ledger: Ledger, agent: str, since: datetime) -> dict[str, int]:
    """Return where processes of an agent were kept from connecting to, with the number of processes.

    Args:
        ledger: Where it is on record.
        agent: Agent id.
        since: How far back.
    """
    found: Counter[str] = Counter()
    for one in ledger.decisions(agent, kind=KIND, limit=DECISIONS_MAX):
        if one.at >= since:
            said = json.loads(one.document)
            found[f"{said['host']}:{said['port']}" if said["port"] else said["host"]] += 1
    return dict(found.most_common(20))


def _read(file: Path) -> RefusedConnection | None:
    """Return what a file says; None for one that no hook wrote, because an agent may write there too."""
    try:
        said = json.loads(file.read_bytes()[:FILE_BYTES_MAX])
        port, version = said["port"], said["version"]
        refused = RefusedConnection(
            agent=_text(said["agent"], ID_CHARACTERS_MAX),
            host=_text(said["host"], NAME_CHARACTERS_MAX),
            port=None if port is None else int(port),
            version=None if version is None else _text(version, ID_CHARACTERS_MAX),
        )
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None
    return refused if refused.port is None or 0 <= refused.port <= PORT_MAX else None


def _text(value: Any, most: int) -> str:
    """Return a value as text that a ledger can store: half a surrogate pair is none."""
    return str(value)[:most].encode("utf-8", "replace").decode()
