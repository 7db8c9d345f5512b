# SPDX-License-Identifier: Apache-2.0
"""Put on record which connections of agents were refused: one small file of the start-up hook each, read once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.ledger import Ledger
from pilothouse.runtime.launcher import REFUSALS_FOLDER

__all__ = ["REFUSALS_EVERY_S", "record_refusal", "refused_destinations", "take_refusals"]

REFUSALS_EVERY_S = 10.0
"""How soon a running server knows; a look at an empty folder is one system call."""

KIND = "egress.refused"

FILES_MAX = 1_000
"""Files of one look; the next look takes the rest."""

FILE_BYTES_MAX = 4_096
DECISIONS_MAX = 1_000
NAME_CHARACTERS_MAX = 300


def take_refusals(runs: Path, ledger: Ledger, now: datetime) -> int:
    """Record what start-up hooks have refused since the last look; return how many were new.

    Args:
        runs: Folder of recorded runs.
        ledger: Where it is put on record.
        now: The moment, aware UTC.
    """
    folder, count = runs / REFUSALS_FOLDER, 0
    for file in sorted(folder.glob("*.json"))[:FILES_MAX] if folder.is_dir() else []:
        said = _read(file)
        if said is not None:
            record_refusal(ledger, said, actor="pilothouse run", at=now)
            count += 1
        file.unlink(missing_ok=True)
    return count


def record_refusal(ledger: Ledger, said: Mapping[str, str | int | None], *, actor: str, at: datetime) -> None:
    """Put on record that a connection was refused.

    Args:
        ledger: Where it is put on record.
        said: `agent`, `version`, `host` and `port`.
        actor: What refused it.
        at: When, aware UTC.
    """
    document = canonical_json({key: said[key] for key in ("host", "port", "version")})
    ledger.record(kind=KIND, agent=str(said["agent"]), at=at, actor=actor, document=document)


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


def _read(file: Path) -> dict[str, str | int | None] | None:
    """Return what a file says; None for one that no hook wrote, because an agent may write there too."""
    try:
        said = json.loads(file.read_bytes()[:FILE_BYTES_MAX])
        port = said["port"]
        return {
            "agent": str(said["agent"])[:64],
            "version": None if said["version"] is None else str(said["version"])[:64],
            "host": str(said["host"])[:NAME_CHARACTERS_MAX],
            "port": None if port is None else int(port),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
