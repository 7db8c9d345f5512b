# SPDX-License-Identifier: Apache-2.0
"""What `ports.ThingOwners` promises, on a SQLite file and on a PostgreSQL server alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.errors import LimitExceeded, PilothouseError
from pilothouse.ledger.conversations import SqlThingOwners
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import ThingOwners

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request, tmp_path):
    url = (
        fresh_postgres_url(request)
        if request.param == "postgres"
        else f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    )
    with open_ledger(url) as ledger:
        yield ledger.database


def test_a_conversation_is_whose_it_was_first(database):
    owners = SqlThingOwners(database)
    assert isinstance(owners, ThingOwners)
    assert owners.owners(["conv_1"]) == {}
    assert owners.claim("conv_1", "triage", NOW) == "triage"
    assert owners.claim("conv_1", "other", NOW) == "triage"
    assert owners.owners(["conv_1", "conv_2"]) == {"conv_1": "triage"}
    assert owners.claim("x" * 100_000 + "\0\ud800", "other", NOW) == "other"


def test_one_agent_takes_nobody_elses_room(database):
    owners = SqlThingOwners(database, things_max=1)
    owners.claim("conv_1", "triage", NOW)
    with pytest.raises(LimitExceeded, match="has used 1 conversations"):
        owners.claim("conv_2", "triage", NOW)
    assert owners.claim("conv_1", "triage", NOW) == "triage"
    assert owners.claim("conv_2", "other", NOW) == "other"


def test_of_many_that_claim_at_once_one_has_it(database):
    owners = SqlThingOwners(database)

    def claim(number):
        try:
            return owners.claim("conv_1", f"agent-{number % 3}", NOW)
        except PilothouseError:  # one server lets two insert, and one of them fails
            return owners.owners(["conv_1"])["conv_1"]

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(claim, range(24)))) == 1
