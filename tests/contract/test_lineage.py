# SPDX-License-Identifier: Apache-2.0
"""What a ledger promises of lineage: each edge once, those of one name, and those of one agent from a moment on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fresh_ledger import ledger_url

from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.curation import Edge

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_edges_are_kept_once_and_found_by_name_agent_and_time(tmp_path):
    def edge(parent, child, agent="a", hours=0):
        return Edge(agent=agent, parent=parent, child=child, at=NOW + hours * HOUR)

    edges = [
        edge("p", "c"),
        edge("p", "d", hours=1),
        edge("q", "p", agent="b", hours=2),
        edge("x", "y", hours=2),
    ]
    with open_ledger(ledger_url(tmp_path)) as ledger:
        store = SqlCuration(ledger.database)
        store.link(edges)
        store.link([edge("p", "c", hours=9)])
        assert list(store.edges_of("p")) == edges[:3]
        assert list(store.edges_of("y")) == edges[3:]
        assert list(store.edges_since("a", NOW)) == [edges[0], edges[1], edges[3]]
        assert list(store.edges_since("a", NOW + HOUR)) == [edges[1], edges[3]]
        assert list(store.edges_since("b", NOW)) == [edges[2]]
