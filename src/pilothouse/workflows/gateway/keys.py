# SPDX-License-Identifier: Apache-2.0
"""Make, list and revoke virtual keys, and say where providers are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pilothouse.core.charter.models_known import MODEL_ALIASES
from pilothouse.errors import UnknownName, UsageError
from pilothouse.ports.gateway import REPLAY_ENVIRONMENT, GatewayStore, Provider, VirtualKey, WireProtocol
from pilothouse.ports.runlog import RecordMode
from pilothouse.runtime.gateway.keys import make_key

__all__ = ["NewKey", "add_key", "add_provider", "lent_replay_key", "replay_key", "revoke_key"]

AGENT_CHARACTERS_MAX = 64
REPLAY_LIFE = timedelta(hours=12)
"""A week of runs is asked again in a night; the command ends its key itself."""

KNOWN_AFTER_S = 1.2
"""A running gateway knows a new key within a second."""

LIFE_DEFAULT = timedelta(days=90)
"""A key that nobody renews is a key that nobody remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made.

    Attributes:
        key: The key itself; nothing can show it again.
        kept: What is kept of it.
    """

    key: str
    kept: VirtualKey


def add_key(
    store: GatewayStore,
    agent: str,
    *,
    environment: str | None,
    models: Sequence[str],
    spans: bool,
    life: timedelta | None,
    actor: str,
    now: datetime,
    version: str | None = None,
    record: RecordMode | None = None,
) -> NewKey:
    """Make a key for an agent.

    Args:
        store: Where it is kept.
        agent: Agent that it stands for.
        environment: Deployment environment, or None.
        models: Exact models it may ask for; empty for those that the charter pins.
        spans: Whether the gateway writes a span for each call.
        life: How long it works; None for `LIFE_DEFAULT`.
        actor: Who asks.
        now: The moment, aware UTC.
        version: Version that calls with it, or None for what the files beside the charter say.
        record: Whether its calls must be recorded, or None for what is usual.

    Raises:
        UsageError: A model is an alias, or the agent's name cannot be one.
    """
    if not agent or len(agent) > AGENT_CHARACTERS_MAX or not agent.isprintable() or agent != agent.strip():
        raise UsageError(
            f"{agent[:80]!r} is no name of an agent",
            remedy="Give the one that its charter says, for example `pilothouse key add invoice-triage`.",
            subject="agent",
        )
    for model in models:
        exact = MODEL_ALIASES.get(model)
        if exact or model.endswith("latest"):
            raise UsageError(
                f"{model!r} is an alias: what answers can change without a word",
                remedy=f"Name the exact one: `--model {exact[0] if exact else 'MODEL-YYYY-MM-DD'}`.",
                subject=model,
            )
    key, prefix, digest = make_key()
    kept = VirtualKey(
        prefix=prefix,
        digest=digest,
        agent=agent,
        environment=environment,
        models=tuple(models),
        spans=spans,
        created_at=now,
        created_by=actor,
        expires_at=now + (LIFE_DEFAULT if life is None else life),
        version=version,
        record=record,
    )
    store.add_key(kept)
    return NewKey(key=key, kept=kept)


def replay_key(store: GatewayStore, agent: str, *, models: Sequence[str], now: datetime) -> NewKey:
    """Make a key by which one command asks again what was recorded.

    Args:
        store: Where it is kept.
        agent: Agent that it stands for.
        models: Exact models it may ask for; empty for those that the charter pins.
        now: The moment, aware UTC.
    """
    return add_key(
        store,
        agent,
        environment=REPLAY_ENVIRONMENT,
        models=models,
        spans=False,
        life=REPLAY_LIFE,
        actor="pilothouse replay",
        now=now,
    )


@contextmanager
def lent_replay_key(
    store: GatewayStore, agent: str, *, models: Sequence[str], now: Callable[[], datetime]
) -> Iterator[str]:
    """Give a key by which something recorded is asked again, once the running gateway knows it; it ends with the block.

    Args:
        store: Where it is kept.
        agent: Agent that it stands for.
        models: Exact models it may ask for; empty for those that the charter pins.
        now: Tells the moment, aware UTC.
    """
    made = replay_key(store, agent, models=models, now=now())
    try:
        time.sleep(KNOWN_AFTER_S)
        yield made.key
    finally:
        revoke_key(store, made.kept.prefix, actor=made.kept.created_by, now=now())


def revoke_key(store: GatewayStore, prefix: str, *, actor: str, now: datetime) -> VirtualKey:
    """Stop a key for good; the running gateway refuses it within two seconds.

    Args:
        store: Where it is kept.
        prefix: Its prefix, or the whole key.
        actor: Who asks.
        now: The moment, aware UTC.

    Raises:
        UnknownName: No key has that prefix.
    """
    bare = prefix.removeprefix("ph_").partition("_")[0]
    revoked = store.revoke_key(bare, now, actor=actor)
    if revoked is None:
        raise UnknownName.among(
            "key", bare, [key.prefix for key in store.list_keys()], remedy="List them: `pilothouse key list`."
        )
    return revoked


def add_provider(
    store: GatewayStore,
    name: str,
    url: str,
    *,
    protocol: WireProtocol,
    credential_variable: str | None,
    credential_file: Path | None,
    region: str | None,
    actor: str,
    now: datetime,
) -> Provider:
    """Say where a provider is and where its credential stands.

    Args:
        store: Where that is kept.
        name: As charters say it.
        url: Base address.
        protocol: What it speaks.
        credential_variable: Variable of the server's environment, or None.
        credential_file: File, or None.
        region: Where it answers, or None.
        actor: Who says so.
        now: The moment.

    Raises:
        UsageError: The address is none, holds a password, or two places were named.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"{url!r} is no base address",
            remedy=f"For example `pilothouse provider add {name} https://api.example.com/v1`.",
            subject="url",
        )
    if parts.username or parts.password:
        raise UsageError(
            "the address holds a user or password, and addresses are shown",
            remedy="Put the credential into a variable: `--credential-env NAME`.",
            subject="url",
        )
    if credential_variable is not None and credential_file is not None:
        raise UsageError(
            "two places for one credential",
            remedy="Give `--credential-env` or `--credential-file`, not both.",
            subject="credential",
        )
    provider = Provider(
        name=name,
        url=url.rstrip("/"),
        protocol=protocol,
        credential_variable=credential_variable,
        credential_file=None if credential_file is None else credential_file.expanduser().absolute(),
        region=region,
    )
    store.save_provider(provider, at=now, actor=actor)
    return provider
