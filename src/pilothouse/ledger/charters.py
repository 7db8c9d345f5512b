# SPDX-License-Identifier: Apache-2.0
"""Charters in force and the history of what was in force before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.database import Repository
from pilothouse.ledger.schema import charters, from_micros, to_micros
from pilothouse.ports.ledger import CharterInForce

__all__ = ["SqlCharters"]


class SqlCharters(Repository):
    """The part of `ports.Ledger` that keeps charters."""

    def accept_charter(
        self,
        *,
        agent: str,
        digest: str,
        text: str,
        path: str,
        at: datetime,
        files: Mapping[str, str] | None = None,
    ) -> CharterInForce:
        """Put a charter into force; one that is in force already, with the same files, changes nothing."""
        beside = None if files is None else tuple(sorted(files.items()))
        with self.database.write() as connection:
            current = _newest(connection, agent)
            if current is not None and current.digest == digest and beside in {None, current.files}:
                return current
            accepted = CharterInForce(
                agent=agent,
                digest=digest,
                text=text,
                path=path,
                accepted_at=from_micros(to_micros(at)),
                number=1 if current is None else current.number + 1,
                files=beside,
            )
            append_record(
                connection,
                kind="charter.in_force",
                agent=agent,
                actor="pilothouse",
                at=at,
                document={
                    "number": accepted.number,
                    "digest": digest,
                    "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
                    **({} if beside is None else {"files": dict(beside)}),
                },
            )
            connection.execute(
                insert(charters).values(
                    agent=agent,
                    number=accepted.number,
                    digest=digest,
                    text=text,
                    path=path,
                    accepted_us=to_micros(at),
                    files=None if beside is None else canonical_json(dict(beside)),
                )
            )
        return accepted

    def charter(
        self, agent: str, *, at: datetime | None = None, number: int | None = None
    ) -> CharterInForce | None:
        """Return an agent's charter: the one in force now or at a moment, or the one with a number."""
        conditions = []
        if at is not None:
            conditions.append(charters.c.accepted_us <= to_micros(at))
        if number is not None:
            conditions.append(charters.c.number == number)
        with self.database.read() as connection:
            return _newest(connection, agent, *conditions)

    def charters(self) -> Sequence[CharterInForce]:
        """Return the charter in force of every agent, by agent."""
        newest = (
            select(charters.c.agent, func.max(charters.c.number).label("number"))
            .group_by(charters.c.agent)
            .subquery()
        )
        query = (
            select(charters)
            .join(newest, (charters.c.agent == newest.c.agent) & (charters.c.number == newest.c.number))
            .order_by(charters.c.agent)
        )
        with self.database.read() as connection:
            return tuple(_charter(row) for row in connection.execute(query))


def _newest(connection: Connection, agent: str, *conditions: ColumnElement[bool]) -> CharterInForce | None:
    query = select(charters).where(charters.c.agent == agent, *conditions)
    row = connection.execute(query.order_by(charters.c.number.desc()).limit(1)).first()
    return None if row is None else _charter(row)


def _charter(row: Row[Any]) -> CharterInForce:
    return CharterInForce(
        agent=row.agent,
        digest=row.digest,
        text=row.text,
        path=row.path,
        accepted_at=from_micros(row.accepted_us),
        number=row.number,
        files=None if row.files is None else tuple(sorted(json.loads(row.files).items())),
    )
