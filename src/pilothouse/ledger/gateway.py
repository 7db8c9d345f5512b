# SPDX-License-Identifier: Apache-2.0
"""Virtual keys, providers and spending of the model gateway, as three tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.database import Repository
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.row_log import logged_change
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.gateway import KEYS_MAX, PROVIDERS_MAX, Provider, Spent, VirtualKey, WireProtocol
from pilothouse.ports.runlog import RecordMode

__all__ = ["SqlGatewayStore", "add_to_day", "gateway_keys", "gateway_providers", "gateway_spent"]

gateway_keys = Table(
    "gateway_keys",
    METADATA,
    Column("prefix", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("environment", String(64), nullable=True),
    Column("models", Text, nullable=False),
    Column("spans", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("expires_us", BigInteger, nullable=True),
    Column("revoked_us", BigInteger, nullable=True),
    Column("version", String(64), nullable=True),
    Column("record", String(16), nullable=True),
    Column("used_us", BigInteger, nullable=True),
)
"""Keys by their prefix; of the key itself only its digest is here. Models are one a line. When it was last used is no part
of the log, as it proves nothing: 0 for not yet, and empty for a key from before uses were noted."""

gateway_providers = Table(
    "gateway_providers",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("credential_variable", String(128), nullable=True),
    Column("credential_file", Text, nullable=True),
    Column("region", String(64), nullable=True),
)
"""Where models are served; a credential is named, never stored."""

gateway_spent = Table(
    "gateway_spent",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("usd_pico", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("estimated", Integer, nullable=False),
)
"""What each agent spent on each day, UTC."""


class SqlGatewayStore(Repository):
    """`ports.GatewayStore` on the ledger."""

    def add_key(self, key: VirtualKey) -> None:
        """Store a key; a prefix that is taken is a conflict."""
        with self.database.write() as connection:
            taken = connection.execute(select(gateway_keys.c.prefix)).scalars().all()
            if key.prefix in taken:
                raise Conflict(
                    f"a key {key.prefix!r} exists", remedy="Make another: `pilothouse key add AGENT`."
                )
            if len(taken) >= KEYS_MAX:
                raise LimitExceeded(
                    f"{KEYS_MAX:,} keys exist, and no more are kept",
                    remedy="List them with `pilothouse key list` and use one for each agent.",
                )
            named = gateway_keys.c.prefix == key.prefix
            with logged_change(connection, gateway_keys, named, at=key.created_at, actor=key.created_by):
                connection.execute(
                    insert(gateway_keys).values(
                        prefix=key.prefix,
                        digest=key.digest,
                        agent=key.agent,
                        environment=key.environment,
                        models="\n".join(key.models),
                        spans=key.spans,
                        created_us=to_micros(key.created_at),
                        created_by=key.created_by,
                        expires_us=None if key.expires_at is None else to_micros(key.expires_at),
                        version=key.version,
                        record=key.record,
                        used_us=0,
                    )
                )
            append_decision(
                connection,
                kind="key.added",
                agent=key.agent,
                at=key.created_at,
                actor=key.created_by,
                document={
                    "prefix": key.prefix,
                    "models": list(key.models),
                    **({} if key.record is None else {"record": key.record}),
                },
            )

    def list_keys(self) -> Sequence[VirtualKey]:
        """Return every key, revoked and expired ones too, by agent and creation."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(gateway_keys).order_by(gateway_keys.c.agent, gateway_keys.c.created_us)
            ).all()
        return tuple(_key(row) for row in rows)

    def revoke_key(self, prefix: str, at: datetime, *, actor: str) -> VirtualKey | None:
        """Revoke a key and return it; None when no key has that prefix."""
        named = gateway_keys.c.prefix == prefix
        with self.database.write() as connection:
            row = connection.execute(select(gateway_keys).where(named)).first()
            if row is None:
                return None
            if row.revoked_us is None:
                with logged_change(connection, gateway_keys, named, at=at, actor=actor):
                    connection.execute(update(gateway_keys).where(named).values(revoked_us=to_micros(at)))
                append_decision(
                    connection,
                    kind="key.revoked",
                    agent=row.agent,
                    at=at,
                    actor=actor,
                    document={"prefix": prefix},
                )
            return _key(connection.execute(select(gateway_keys).where(named)).one())

    def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """Keep when keys were last used, by prefix; an earlier moment than is kept changes nothing."""
        used_us = gateway_keys.c.used_us
        with self.database.write() as connection:
            for prefix, at in uses.items():
                older = (gateway_keys.c.prefix == prefix) & (func.coalesce(used_us, 0) < to_micros(at))
                connection.execute(update(gateway_keys).where(older).values(used_us=to_micros(at)))

    def save_provider(self, provider: Provider, *, at: datetime, actor: str) -> None:
        """Store a provider, replacing an earlier one of that name."""
        with self.database.write() as connection:
            others = (
                connection.execute(
                    select(gateway_providers.c.name).where(gateway_providers.c.name != provider.name)
                )
                .scalars()
                .all()
            )
            if len(others) >= PROVIDERS_MAX:
                raise LimitExceeded(
                    f"{PROVIDERS_MAX} providers exist, and no more are kept",
                    remedy="Remove one: `pilothouse provider remove NAME`.",
                )
            here = gateway_providers.c.name == provider.name
            with logged_change(connection, gateway_providers, here, at=at, actor=actor):
                connection.execute(delete(gateway_providers).where(here))
                connection.execute(
                    insert(gateway_providers).values(
                        name=provider.name,
                        url=provider.url,
                        protocol=provider.protocol.value,
                        credential_variable=provider.credential_variable,
                        credential_file=None
                        if provider.credential_file is None
                        else str(provider.credential_file),
                        region=provider.region,
                    )
                )

    def providers(self) -> Sequence[Provider]:
        """Return every provider, by name."""
        with self.database.read() as connection:
            rows = connection.execute(select(gateway_providers).order_by(gateway_providers.c.name)).all()
        return tuple(_provider(row) for row in rows)

    def remove_provider(self, name: str, *, at: datetime, actor: str) -> bool:
        """Delete a provider; return whether there was one."""
        with self.database.write() as connection:
            here = gateway_providers.c.name == name
            with logged_change(connection, gateway_providers, here, at=at, actor=actor):
                return bool(connection.execute(delete(gateway_providers).where(here)).rowcount)

    def add_spent(self, day: date, spent: Mapping[str, Spent]) -> None:
        """Add to what agents spent on a day."""
        with self.database.write() as connection:
            for agent, more in spent.items():
                add_to_day(connection, day, agent, more)

    def spent(self, day: date) -> Mapping[str, Spent]:
        """Return what each agent spent on a day."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(gateway_spent).where(gateway_spent.c.day == day.isoformat())
            ).all()
        return {
            row.agent: Spent(
                usd_pico=row.usd_pico, tokens=row.tokens, calls=row.calls, estimated=row.estimated
            )
            for row in rows
        }


def add_to_day(connection: Connection, day: date, agent: str, more: Spent) -> None:
    """Add to what an agent spent on a day, within a transaction.

    Args:
        connection: It writes.
        day: UTC.
        agent: Agent id.
        more: What is added; less than nothing where an estimate was too high.
    """
    here = (gateway_spent.c.agent == agent) & (gateway_spent.c.day == day.isoformat())
    changed = connection.execute(
        update(gateway_spent)
        .where(here)
        .values(
            usd_pico=gateway_spent.c.usd_pico + more.usd_pico,
            tokens=gateway_spent.c.tokens + more.tokens,
            calls=gateway_spent.c.calls + more.calls,
            estimated=gateway_spent.c.estimated + more.estimated,
        )
    )
    if not changed.rowcount:
        connection.execute(
            insert(gateway_spent).values(
                agent=agent,
                day=day.isoformat(),
                usd_pico=more.usd_pico,
                tokens=more.tokens,
                calls=more.calls,
                estimated=more.estimated,
            )
        )


def _key(row: Row[Any]) -> VirtualKey:
    return VirtualKey(
        prefix=row.prefix,
        digest=row.digest,
        agent=row.agent,
        environment=row.environment,
        models=tuple(row.models.split("\n")) if row.models else (),
        spans=row.spans,
        created_at=from_micros(row.created_us),
        created_by=row.created_by,
        expires_at=None if row.expires_us is None else from_micros(row.expires_us),
        revoked_at=None if row.revoked_us is None else from_micros(row.revoked_us),
        version=row.version,
        record=None if row.record is None else RecordMode(row.record),
        used_at=from_micros(row.used_us) if row.used_us else None,
        is_followed=row.used_us is not None,
    )


def _provider(row: Row[Any]) -> Provider:
    return Provider(
        name=row.name,
        url=row.url,
        protocol=WireProtocol(row.protocol),
        credential_variable=row.credential_variable,
        credential_file=None if row.credential_file is None else Path(row.credential_file),
        region=row.region,
    )
