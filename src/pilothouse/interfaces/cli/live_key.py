# SPDX-License-Identifier: Apache-2.0
"""The key by which a command asks a live model again, for what is no production: a replay, a probe."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pilothouse.settings import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.settings import Settings

__all__ = ["KEY_VARIABLE", "live_key"]

KEY_VARIABLE = "PILOTHOUSE_KEY"
"""Key for a gateway that is not this installation's own."""


@contextmanager
def live_key(
    services: Services, settings: Settings, agent: str, upstream: str | None, models: Sequence[str] = ()
) -> Iterator[str | None]:
    """Give a key for a live model: the one in the environment, else one made for this command alone.

    Only this installation's own gateways take a made one. It ends with the command.

    Args:
        services: Opens the store of keys.
        settings: Values in force.
        agent: Agent that it stands for.
        upstream: Gateway that is asked, or None when nobody is.
        models: Exact models it may ask for; empty for those that the charter pins.
    """
    from pilothouse.connectors.own_server import gateway_addresses

    given = os.environ.get(KEY_VARIABLE)
    if (
        given
        or upstream is None
        or not any(_is_own(upstream, one) for one in gateway_addresses(settings.home))
    ):
        yield given
        return
    from pilothouse.workflows.gateway.keys import lent_replay_key

    with (
        services.open_gateway_store(settings) as store,
        lent_replay_key(store, agent, models=models, now=services.clock.now) as key,
    ):
        yield key


def _is_own(upstream: str, address: str) -> bool:
    asked, own = urlsplit(upstream), urlsplit(address)
    same_host = asked.hostname == own.hostname or {asked.hostname, own.hostname} <= {*LOOPBACK_HOSTS}
    return same_host and asked.port == own.port
