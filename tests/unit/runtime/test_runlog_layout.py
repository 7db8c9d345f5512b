# SPDX-License-Identifier: Apache-2.0
"""How the run log lies in its file: an older file is laid out anew, what is forgotten is found, lines are written one way."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.runtime.test_runlog import RUN, SECRET, conversation, record

from pilothouse.core.evidence.run_log import Draw, ModelRequest, Replayable, RunOpened, RunState
from pilothouse.errors import StorageUnavailable
from pilothouse.runtime.runlog import bodies
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.store import chained
from pilothouse.runtime.runlog.vault import addresses_in

KEYS_BEFORE = """
ATTACH 'RUNS' AS log;
INSERT INTO subject_key (subject, key) SELECT run, run_key.key FROM log.run JOIN run_key ON run_key.number = log.run.key;
DROP TABLE run_key;
"""
"""Turns the keys into what every version before would have written."""

BEFORE = """
CREATE TABLE before_run (run TEXT PRIMARY KEY, agent TEXT NOT NULL, version TEXT, identity TEXT NOT NULL,
    state TEXT NOT NULL, opened_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, events INTEGER NOT NULL,
    calls INTEGER NOT NULL, bodies INTEGER NOT NULL, lost INTEGER NOT NULL, draws INTEGER NOT NULL,
    taps TEXT NOT NULL, subject TEXT NOT NULL, head TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE before_event (run TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at_ns INTEGER NOT NULL,
    mono_ns INTEGER NOT NULL, tap TEXT NOT NULL, call TEXT NOT NULL, digest TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE before_piece (run TEXT NOT NULL, address BLOB NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (run, address)) WITHOUT ROWID;
INSERT INTO before_run SELECT run, agent, version, identity, state, opened_ns, last_ns, events, calls, bodies, lost,
    draws, taps, subject, head FROM run;
INSERT INTO before_event SELECT run, seq, kind, at_ns, mono_ns, tap, call, digest, data FROM event JOIN run USING (id);
INSERT INTO before_piece SELECT run, address, content FROM piece JOIN run USING (id);
DROP TABLE run; DROP TABLE event; DROP TABLE piece;
ALTER TABLE before_run RENAME TO run; ALTER TABLE before_event RENAME TO event; ALTER TABLE before_piece RENAME TO piece;
CREATE INDEX run_opened ON run (opened_ns);
CREATE INDEX run_subject ON run (subject);
PRAGMA user_version = 0;
"""
"""Turns a file into what the version before would have written."""


def laid_out_as_before(folder, script):
    """Turn the files of a closed log into older ones."""
    for name, text in (
        ("keys", KEYS_BEFORE.replace("RUNS", str(folder / "runs.sqlite"))),
        ("runs", script),
    ):
        connection = sqlite3.connect(folder / f"{name}.sqlite")
        connection.executescript(text)
        connection.close()


def bodies_of(recorded):
    return [one.event.body for one in recorded.events if isinstance(one.event, ModelRequest)]


def test_a_file_of_the_layout_before_keeps_every_run_and_goes_on(tmp_path):
    first, second = conversation(3), conversation(5)
    with Recorder(tmp_path / "runs") as log:
        record(log, first, run="6f" * 16, subject="customer-7")
        record(log, second[:2])
        before = log.read(RUN)
    laid_out_as_before(tmp_path / "runs", BEFORE)
    with Recorder(tmp_path / "runs") as log:
        assert log.read(RUN) == before
        record(log, second[2:])
        assert (bodies_of(log.read(RUN)), log.read(RUN).damage) == (second, None)
        assert [one.run for one in log.runs()] == [RUN, "6f" * 16]
        assert log.erase("customer-7") == 1
        assert set(bodies_of(log.read("6f" * 16))) == {b""}
    with Recorder(tmp_path / "runs") as log:
        assert bodies_of(log.read(RUN)) == second


@pytest.mark.parametrize(
    "script", ["PRAGMA user_version = 3", "DROP INDEX run_open; PRAGMA user_version = 2"]
)
def test_a_file_without_numbers_of_keys_gets_them_for_its_next_runs(tmp_path, script):
    said = conversation(3)
    with Recorder(tmp_path / "runs") as log:
        record(log, said[:2])
        before = log.read(RUN)
    laid_out_as_before(tmp_path / "runs", f"ALTER TABLE run DROP COLUMN key; {script}")
    with Recorder(tmp_path / "runs") as log:
        assert log.read(RUN) == before
        record(log, said[2:])
        record(log, said, run="6f" * 16)
        assert [bodies_of(log.read(run)) for run in (RUN, "6f" * 16)] == [said, said]
        assert [log.erase(run) for run in (RUN, "6f" * 16)] == [1, 1]
        assert [log.read(run).summary.replayable for run in (RUN, "6f" * 16)] == [Replayable.ERASED] * 2
    keys = sqlite3.connect(tmp_path / "runs" / "keys.sqlite")
    assert keys.execute("SELECT count(*) FROM subject_key WHERE key IS NULL AND erased").fetchone() == (1,)
    assert keys.execute("SELECT key, erased FROM run_key").fetchall() == [(None, 1)]
    keys.close()


def test_a_file_without_the_index_of_open_runs_gets_it_and_is_swept(tmp_path):
    with Recorder(tmp_path / "runs") as log:
        record(log, conversation(2))
        at = log.read(RUN).summary.last_ns
    script = "ALTER TABLE run DROP COLUMN key; DROP INDEX run_open; PRAGMA user_version = 2;"
    laid_out_as_before(tmp_path / "runs", script)
    with Recorder(tmp_path / "runs") as log:
        log.sweep(at + 2 * 3_600 * 10**9, keep_days=30)
        log.flush()
        assert log.read(RUN).summary.state is RunState.ABANDONED
        log.append(RUN, Draw(source="clock.time", site="agent.py:1", ordinal=0, value="1.0"))
        log.flush()
        assert log.read(RUN).summary.state is RunState.OPEN, "and found again by the next sweep"
        log.sweep(at + 40 * 86_400 * 10**9, keep_days=90)
        log.flush()
        assert log.read(RUN).summary.state is RunState.ABANDONED


def test_a_run_that_was_forgotten_stores_no_piece_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "RUNS_CACHED_MAX", 1)
    said = conversation(8)
    with Recorder(tmp_path / "runs") as log:
        for body in said:
            record(log, [body])
            record(log, [body], run="6f" * 16)
        assert bodies_of(log.read(RUN)) == said
    with closing(sqlite3.connect(tmp_path / "runs" / "runs.sqlite")) as connection, connection:
        rows = connection.execute("SELECT id, address FROM piece").fetchall()
    pieces = [(run, address) for run, joined in rows for address in addresses_in(joined)]
    assert len(pieces) > len(rows), "those that came together lie in one row"
    assert len(set(pieces)) == len(pieces)


def test_what_comes_after_an_erasure_is_stored_whole_under_the_new_key(tmp_path):
    said = conversation(2)
    with Recorder(tmp_path / "runs") as log:
        record(log, said[:1], subject="customer-7")
        log.erase("customer-7")
        record(log, said, run="6f" * 16, subject="customer-7")
        assert bodies_of(log.read("6f" * 16)) == said


def test_a_secret_in_a_later_message_is_found_when_the_earlier_ones_are_known_to_be_clean(tmp_path):
    clean = {"messages": [{"role": "system", "content": "You triage invoices. " * 30}]}
    tainted = {"messages": [*clean["messages"], {"role": "user", "content": f"my key is {SECRET}"}]}
    with Recorder(tmp_path / "runs") as log:
        record(log, [json.dumps(clean).encode()])
        record(log, [json.dumps(tainted).encode()], run="6f" * 16)
        (kept,) = bodies_of(log.read("6f" * 16))
        assert kept == log.redaction.apply(json.dumps(tainted).encode()) != json.dumps(tainted).encode()
    assert all(SECRET.encode() not in file.read_bytes() for file in (tmp_path / "runs").iterdir())


@pytest.mark.parametrize("odd", [f"my key is {SECRET}".encode(), b"\xff\xfe no text", b""])
def test_of_a_group_each_body_is_kept_as_if_it_had_come_alone(tmp_path, odd):
    said = [*conversation(3), odd, *conversation(2)]
    with Recorder(tmp_path / "runs") as log:
        record(log, said)
        assert bodies_of(log.read(RUN)) == [log.redaction.apply(body) for body in said]
    assert all(SECRET.encode() not in file.read_bytes() for file in (tmp_path / "runs").iterdir())


@given(st.lists(st.text(st.characters()) | st.integers(-(2**63), 2**64 - 1)))
def test_the_chain_is_over_the_same_bytes_whichever_encoder_writes_them(parts):
    line = json.dumps(["", *parts], ensure_ascii=False, separators=(",", ":"))
    assert chained("", *parts) == hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


def test_text_that_one_encoder_cannot_write_comes_back_all_the_same(tmp_path):
    drawn = Draw(source="random", site="a.py:1", ordinal=0, value="half \ud83d")
    with Recorder(tmp_path / "runs") as log:
        log.append(RUN, RunOpened(agent="triage"))
        log.append(RUN, drawn)
        log.flush()
        assert [one.event for one in log.read(RUN).events][1:] == [drawn]


@given(st.text(alphabet="tokens_=:'\" abcdefgh123456789AK sk-xoxb", max_size=80))
def test_what_is_clean_is_what_nothing_is_replaced_in(text):
    redaction = Redaction(b"k" * 32)
    if redaction.is_clean(text.encode()):
        assert redaction.apply(text.encode()) == text.encode()


def test_an_event_that_cannot_be_written_costs_its_group_and_never_the_log(tmp_path):
    with Recorder(tmp_path / "runs") as log:
        log.append(RUN, RunOpened(agent="triage", environment={"A": object()}))
        with pytest.raises(StorageUnavailable, match="TypeError"):
            log.flush()
        record(log, conversation(1))
        assert log.health().lost == 1
        assert log.read(RUN).summary.replayable is Replayable.NO
