# SPDX-License-Identifier: Apache-2.0
"""Agents of real frameworks, recorded through the gateway with a base URL only, replayed with the upstream stopped."""

from __future__ import annotations

import asyncio
import random

import pytest
from framework_agents import CONFIGURATIONS, MODEL, run_many, script
from replay_mutations import play
from tests.stubs.gateway_site import GatewaySite

from pilothouse.demo.model_server import ModelServer
from pilothouse.interfaces.http.replay import ReplayServer
from pilothouse.runtime.replay.divergence import DivergenceKind
from pilothouse.runtime.replay.exchange import exchanges
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.session import ReplaySession
from pilothouse.runtime.runlog.recorder import Recorder

RUNS = 3


def record(log, configuration, runs):
    """Record runs that say no run id, and return what each did."""
    with (
        ModelServer(script) as server,
        GatewaySite({"acme": server.base_url}, key_models=(MODEL,), log=log) as site,
    ):
        did = asyncio.run(run_many(configuration, lambda _: site.origin, site.key, range(runs)))
    log.flush()
    return did


def sessions_of(log, mode):
    """Return a session for each recorded run, by the number in its question."""
    found = {}
    for summary in log.runs():
        calls = exchanges(log.read(summary.run))
        text = calls[0].body.decode()
        number = int(text.split("Where is order ")[1].split("?")[0])
        assert number not in found, "a run was split or merged"
        found[number] = (summary.run, ReplaySession(calls, mode, log.redaction))
    return found


def mutations(log, seeds):
    """Mutate recorded requests, a run for each seed, and return what the replay named."""
    runs = [exchanges(log.read(summary.run)) for summary in log.runs()]
    return [play(runs[seed % len(runs)], log.redaction, random.Random(seed)) for seed in seeds]


def replay(configuration, sessions, runs, change=None):
    with ReplayServer(dict(sessions.values())) as server:
        return asyncio.run(
            run_many(
                configuration,
                lambda number: f"{server.origin}/gw/r/{sessions[number][0]}",
                "x",
                range(runs),
                change=change,
            )
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("configuration", CONFIGURATIONS[::3], ids=lambda each: "-".join(map(str, each)))
def test_recorded_runs_replay_equal_and_a_changed_tool_is_found(tmp_path, configuration):
    with Recorder(tmp_path) as log:
        did = record(log, configuration, RUNS)
        sessions = sessions_of(log, ReplayMode.STRICT)
        assert len(sessions) == RUNS
        assert replay(configuration, sessions, RUNS) == did
        assert [session.first_divergence() for _, session in sessions.values()] == [None] * RUNS
        assert all(session.counts.served == 3 for _, session in sessions.values())

        found = mutations(log, range(24))
        assert [one for one in found if not one.is_placed or not one.is_classified] == []

        changed = sessions_of(log, ReplayMode.STRICT)
        replay(configuration, changed, RUNS, change=lambda result: result.replace("-c is in", "-c was in"))
        for _, session in changed.values():
            found = session.first_divergence()
            assert (found.call, found.kind, found.tool) == (3, DivergenceKind.TOOL_RESULT, "look_up")
