# SPDX-License-Identifier: Apache-2.0
"""Claims, conversations, attributes, requests that were set aside: an erasure reaches them, or says where it does not."""

from __future__ import annotations

import gzip
import json
import time

import page_world as world
import pytest
from fresh_ledger import ledger_url
from home_in_force import home_in_force
from otlp_bodies import PROTOBUF, request, run_spans
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.app.boundary import open_boundary
from pilothouse.app.opening import SystemClock, open_intake
from pilothouse.app.people import open_curation
from pilothouse.core.evidence.claim import ERASED_CLAIM
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.errors import LimitExceeded
from pilothouse.lake.node import open_node
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.wal_record import WalRecord
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import Signal
from pilothouse.testing import MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.curation.erasure import carry_out_erasures, traces_saying
from pilothouse.workflows.reports.audit import verify_log

AGENT, SUBJECT = world.AGENT, "Jürgen.4711@customer.example"
NOW_NS = time.time_ns() // 1_000 * 1_000 - 3_600 * 10**9
TRACES = {
    name: f"{number:032x}"
    for number, name in enumerate(("claim", "talk", "note", "shadow", "other"), start=1)
}


def spans_of(name, number):
    spans = run_spans(number, start=NOW_NS)
    about = {
        "claim": {
            "pilothouse.task.claim": json.dumps({"paid": SUBJECT}),
            "pilothouse.task.result": "completed",
        },
        "talk": {"gen_ai.conversation.id": SUBJECT},
        "note": {"note": f"about {SUBJECT}"},
        "shadow": {"note": f"about {SUBJECT}"},
        "other": {"pilothouse.task.claim": '{"paid": "somebody"}', "gen_ai.conversation.id": "c-1"},
    }[name]
    for span in spans:
        span["attributes"] |= {"pilothouse.agent": AGENT}
    spans[0 if name in {"note", "shadow"} else -1]["attributes"] |= about
    return spans


@pytest.fixture
def settings(tmp_path):
    found = home_in_force(tmp_path / "home")
    with open_ledger(ledger_url(found.home)) as ledger:
        ledger.save_outcomes(
            [outcome("claim", json.dumps({"paid": SUBJECT})), outcome("other", '{"paid": "somebody"}')]
        )
    with open_intake(found) as intake:
        for number, name in enumerate(TRACES, start=1):
            resource = {"deployment.environment.name": "shadow"} if name == "shadow" else {}
            body = request(
                spans_of(name, number), **({"resource": resource} if resource else {})
            ).SerializeToString()
            intake.accept(
                Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests"
            )
    return found


def outcome(name, claim):
    return Outcome(
        trace_id=TRACES[name], agent=AGENT, task_type="po_invoice", version_digest=None, task_start_ns=NOW_NS,
        claim=claim, status=OutcomeStatus.VERIFIED, found=f"paid by {SUBJECT}" if name == "claim" else "paid",
        critical=None, verifier="erp@1", verified_at=SystemClock().now(),
    )  # fmt: skip


def erased(settings, subject=SUBJECT):
    with open_curation(settings) as desk:
        return desk.erase(subject, [], actor="test")


def test_claims_conversations_and_attributes_lose_a_subject_and_others_keep_theirs(settings):
    done = erased(settings)
    assert set(done["traces"]) == {TRACES[name] for name in ("claim", "talk", "note", "shadow")}
    assert done["outcomes"] == 1
    assert erased(settings)["traces"] == ()
    with open_curation(settings) as desk:
        tasks = {name: desk.lake.trace(trace).task for name, trace in TRACES.items()}
        assert tasks["claim"].claim == ERASED_CLAIM
        assert tasks["other"].claim == '{"paid": "somebody"}'
        mine, other = (desk.ledger.outcomes_of([TRACES[name]])[TRACES[name]] for name in ("claim", "other"))
    assert (mine.claim, mine.found, mine.status) == (ERASED_CLAIM, "", OutcomeStatus.VERIFIED)
    assert (other.claim, other.found) == ('{"paid": "somebody"}', "paid")
    assert standing_outcome(tasks["claim"], mine) is not None, "what was true of the claim stays true"
    with open_boundary(settings) as room:
        assert verify_log(room, room.installation.clock.now()).problems == ()


def test_what_was_said_of_another_claim_says_nothing_of_the_erased_one(settings):
    with open_ledger(settings.ledger_url) as ledger:
        ledger.save_outcomes([outcome("claim", json.dumps({"draft": SUBJECT}))])
    erased(settings)
    with open_curation(settings) as desk:
        task, kept = desk.lake.trace(TRACES["claim"]).task, desk.ledger.outcomes_of([TRACES["claim"]])
    assert kept[TRACES["claim"]].claim not in {ERASED_CLAIM, json.dumps({"draft": SUBJECT})}
    assert standing_outcome(task, kept[TRACES["claim"]]) is None


def test_who_asked_before_an_erasure_and_answers_after_it_brings_nobody_back(settings):
    erased(settings)
    with open_ledger(settings.ledger_url) as ledger:
        ledger.save_outcomes([outcome("claim", json.dumps({"paid": SUBJECT}))])
        assert ledger.outcomes_of([TRACES["claim"]])[TRACES["claim"]].claim == ERASED_CLAIM


def test_an_erasure_that_is_killed_between_outcomes_and_tasks_is_done_again(settings, monkeypatch):
    clock = SystemClock()
    node = open_node(settings.lake_folder, clock)
    try:
        erased(settings)
        with open_ledger(settings.ledger_url) as ledger:
            with monkeypatch.context() as patched:
                patched.setattr(node._writer, "erase", lambda _traces: 1 // 0)
                with pytest.raises(ZeroDivisionError):
                    carry_out_erasures(node, ledger, clock.now())
            assert carry_out_erasures(node, ledger, clock.now()) > 0
            kept = ledger.outcomes_of([TRACES["claim"]])[TRACES["claim"]]
        assert kept.claim == node.trace(TRACES["claim"]).task.claim == ERASED_CLAIM
    finally:
        node.stop()


def record(seq, body, *, is_gzip=False):
    return b"".join(
        WalRecord(
            seq=seq, signal=Signal.TRACES, encoding=Encoding.PROTOBUF, is_gzip=is_gzip, source="tests",
            received_ns=NOW_NS, items=1, rejected=0, body=body,
        ).to_bytes()
    )  # fmt: skip


def test_what_was_set_aside_is_looked_through_and_what_cannot_be_is_named(settings):
    (node,) = (settings.lake_folder / "wal").iterdir()
    aside = node / "quarantine"
    aside.mkdir(exist_ok=True)
    body = request(spans_of("claim", 1)).SerializeToString()
    held = {
        "00000000000000000001.record": record(1, body),
        "00000000000000000002.record": record(2, gzip.compress(body), is_gzip=True),
        "00000000000000000003.record": record(3, b"trace " + bytes.fromhex(TRACES["talk"])),
        "000.wal.torn": record(4, b"nothing") + record(5, f"for {SUBJECT}, as asked".encode())[:-1],
    }
    kept = {
        "00000000000000000006.record": record(6, b"about somebody"),
        "00000000000000000007.record": record(7, b"no gzip", is_gzip=True),
        "001.wal.crc": record(8, gzip.compress(b"somebody"), is_gzip=True)[:-1],
    }
    for name, content in (held | kept).items():
        (aside / name).write_bytes(content)
        if name.endswith(".record"):
            (aside / name).with_suffix(".txt").write_text("ValueError")
    (aside / "00000000000000000006.txt").write_text("ValueError: somebody")
    done = erased(settings)
    assert sorted(done["set_aside"]) == [str(aside / name) for name in sorted(held)]
    assert sorted(done["unread"]) == [str(aside / name) for name in sorted(kept)[1:]]
    left = {path.name for path in aside.iterdir()}
    assert left == {*kept, "00000000000000000006.txt", "00000000000000000007.txt"}


def test_what_an_erasure_leaves_is_counted_and_named(settings):
    with open_ledger(settings.ledger_url) as ledger:
        ledger.record(
            kind="phase.moved", agent=AGENT, at=SystemClock().now(), actor="dana",
            document=json.dumps({"why": f"asked by {SUBJECT}"}),
        )  # fmt: skip
    assert erased(settings)["left"] == {"audit_records": 1, "decisions": 1}
    said = CliRunner().invoke(command_tree(), ["erase", SUBJECT, "--home", str(settings.home)])
    assert "decisions: 1 rows hold this and stay" in said.output
    assert "outcomes: 0 keep their status" in said.output


def test_a_window_with_more_than_one_query_may_take_is_looked_through_in_halves():
    asked = []

    class Slow(MemoryLake):
        def tasks(self, wanted, *, limit=100, before=None):
            if wanted.said is not None:
                asked.append(wanted.to_ns - wanted.from_ns)
                if asked[-1] > 86_400 * 10**9:
                    raise LimitExceeded("too long", remedy="Ask for a shorter window.", subject="lake")
            return super().tasks(wanted, limit=limit, before=before)

    lake, now = Slow(), SystemClock().now()
    start = unix_ns(now) - 3 * 86_400 * 10**9
    lake.add([example_task(start_ns=start, end_ns=start + 1, output_preview=f"for {SUBJECT}")])
    assert len(traces_saying(lake, MemoryLedger(), SUBJECT, now).traces) == 1
    assert min(asked) > 40_000 * 10**9

    class Stuck(Slow):
        def tasks(self, wanted, *, limit=100, before=None):
            if wanted.said is None:
                return super().tasks(wanted, limit=limit, before=before)
            raise LimitExceeded("too long", remedy="Ask for a shorter window.", subject="lake")

    with pytest.raises(LimitExceeded):
        traces_saying(Stuck(), MemoryLedger(), SUBJECT, now)
