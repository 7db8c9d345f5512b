# SPDX-License-Identifier: Apache-2.0
"""Who launches an agent may leave its calls unrecorded in the pilot, and not from phase 1 on."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from pilothouse.app.runs import can_replay
from pilothouse.core.evidence.run_log import Replayable
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.errors import UsageError
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.ports.runlog import RecordMode
from pilothouse.runtime.gateway.call import Call, Ending
from pilothouse.runtime.gateway.routes import find_place
from pilothouse.runtime.runlog.call_sink import RunLogSink
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.directory import DirectoryCache
from pilothouse.workflows.gateway.launch import launch_key
from pilothouse.workflows.gateway.recording import check_choice
from pilothouse.workflows.ground.phase_log import MOVED
from pilothouse.workflows.verdict.accept import accept_file

AGENT, NOW = "ap-invoice-triage", datetime(2026, 11, 20, tzinfo=UTC)
DEMO = Path(__file__).parents[4] / "src/pilothouse/demo/charter"
PROVIDER = Provider(name="other", url="http://127.0.0.1:9/v1", protocol=WireProtocol.OPENAI)
RUN = "5e" * 16


@pytest.fixture
def site(tmp_path):
    charter = shutil.copytree(DEMO, tmp_path / "charter") / "charter.yaml"
    with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        accept_file(ledger, charter, NOW, actor="test")
        store = SqlGatewayStore(ledger.database)
        store.save_provider(PROVIDER, at=NOW, actor="test")
        yield SimpleNamespace(ledger=ledger, store=store, charter=charter)


def enter(ledger, phase):
    event = PhaseEvent(move=PhaseMove.ENTERED, phase=phase, at=NOW, by=("dana",), reason="held")
    ledger.record(kind=MOVED, agent=AGENT, at=NOW, actor="dana", document=event.model_dump_json())


def call_of(site, record):
    """A call by a key that was launched so."""
    launch_key(site.store, AGENT, version=None, environment=None, now=NOW, record=record)
    directory = DirectoryCache(site.ledger, site.store, now=lambda: NOW).directory()
    key = max(directory.keys.values(), key=lambda one: (one.created_at, one.record == record))
    assert key.record is record
    return Call(
        run=RUN,
        route=find_place("POST", "/gw/v1/chat/completions", says_anthropic=False).route,
        key=key,
        policy=directory.policy_of(key),
        protocol=WireProtocol.OPENAI,
        identity="path",
        request=b'{"model": "m", "messages": []}',
        status=200,
        ending=Ending.DONE,
        response=b"{}",
        ended_ns=1,
    )


class Full:
    """A log that cannot be written."""

    def trouble(self):
        return "no space left"


def test_in_the_pilot_a_launch_chooses_and_from_phase_1_on_it_is_refused_with_the_reason(site):
    for chosen in RecordMode:
        check_choice(site.ledger, AGENT, chosen)
    sink = RunLogSink(Full())
    assert "no space left" in sink.problem(call_of(site, RecordMode.REQUIRED))
    assert "no space left" in sink.problem(call_of(site, None)), "what a charter usually asks for"
    assert sink.problem(call_of(site, RecordMode.BEST_EFFORT)) == ""
    enter(site.ledger, "1")
    check_choice(site.ledger, AGENT, RecordMode.REQUIRED)
    for chosen in (RecordMode.OFF, RecordMode.BEST_EFFORT):
        with pytest.raises(UsageError, match=rf"cannot be {chosen}: it is in phase 1, where every model"):
            check_choice(site.ledger, AGENT, chosen)


def test_a_key_of_the_pilot_does_not_switch_the_record_off_in_phase_1(site, tmp_path):
    """A key lives for a day, and the phase may begin meanwhile."""
    with Recorder(tmp_path / "runs") as log:
        RunLogSink(log).keep(call_of(site, RecordMode.OFF))
        log.flush()
        assert log.read(RUN).summary.replayable is Replayable.UNRECORDED
        assert [one.event.kind for one in log.read(RUN).events] == ["run.open"]
        enter(site.ledger, "1")
        later = call_of(site, RecordMode.OFF)
        assert "no space left" in RunLogSink(Full()).problem(later)
        later.run = "6f" * 16
        RunLogSink(log).keep(later)
        log.flush()
        assert log.read(later.run).summary.calls == 1
        assert log.read(later.run).summary.replayable is Replayable.MODEL_SIDE


def test_a_run_of_which_one_call_is_not_recorded_is_not_offered_as_a_whole_one(site, tmp_path):
    with Recorder(tmp_path / "runs") as log:
        sink = RunLogSink(log)
        sink.keep(call_of(site, None))
        log.flush()
        assert log.read(RUN).summary.replayable is Replayable.MODEL_SIDE
        assert (can_replay(log, RUN), can_replay(log, "6f" * 16)) == (True, False)
        sink.keep(call_of(site, RecordMode.OFF))
        log.flush()
        assert (log.read(RUN).summary.calls, log.read(RUN).summary.replayable) == (1, Replayable.UNRECORDED)
        assert not can_replay(log, RUN), "the page of its task offers nothing that would be refused"


def test_what_is_taken_out_of_requests_stands_in_the_record_alone_so_it_must_be_there(site):
    text = site.charter.read_text()
    changed = re.sub(
        r"(?m)^context:.*",
        "context: {policy: shorten_visibly, edits: {keep_last: 3}, probes: datasets/planted}",
        text,
    )
    assert changed != text
    site.charter.write_text(changed)
    accept_file(site.ledger, site.charter, NOW + timedelta(days=1), actor="test")
    with pytest.raises(UsageError, match="stands only in the record"):
        check_choice(site.ledger, AGENT, RecordMode.OFF)
    check_choice(site.ledger, "somebody-without-a-charter", RecordMode.OFF)
