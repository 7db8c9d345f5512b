# SPDX-License-Identifier: Apache-2.0
"""The page of a run says what was asked and answered, what was taken out of its requests, and shows it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from recorded_runs import RUN, conversation, record

from pilothouse.core.evidence.run_log import ContextEdited, ModelRequest, RunClosed, RunState
from pilothouse.errors import UnknownName
from pilothouse.reports.run_page import CallPair, ReplayOffer, RunDifference, build_run
from pilothouse.runtime.context.document import readable_of
from pilothouse.runtime.replay import exchange
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.gateway.context_recall import recall_result
from pilothouse.workflows.shows.played_again import answers_apart
from pilothouse.workflows.shows.runs import RUNS_SHOWN, show_run, show_runs

NOW = datetime(2026, 11, 20, tzinfo=UTC)
GONE = "order 7 is in <b>Lyon</b>"
DIGEST = hashlib.sha256(GONE.encode()).hexdigest()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with Recorder(tmp_path_factory.mktemp("runs")) as made:
        record(made, conversation(3))
        entry = {
            "path": "$.messages[3]",
            "call_id": "c",
            "digest": DIGEST,
            "characters": 23,
            "tokens": 6,
            "reason": "old",
        }
        for call in ("1", "2"):
            edited = ContextEdited(
                policy="context.keep_last", ledger=(entry,), removed=json.dumps([GONE]).encode()
            )
            made.append(RUN, edited, call=call)
        made.flush()
        yield made


def sections(page):
    return {one.anchor: one for one in page.sections}


def test_the_timeline_says_what_was_asked_and_answered(log):
    rows = sections(show_run(log, "orders", RUN, NOW))["events"].rows
    says = [(row.cells[2].text, row.cells[4].small) for row in rows]
    assert says[1:3] == [("model.request", "Where is 7?"), ("model.response", 'look_up({"order":"7"})')]
    assert says[-3] == ("model.response", "It is in Lyon.")


def test_what_was_taken_out_stands_once_with_a_link_to_read_it(log):
    found = sections(show_run(log, "orders", RUN, NOW))
    (row,) = found["edits"].rows
    assert (row.cells[0].small, row.cells[1].text, row.cells[2].text) == (
        "in 2 requests",
        "it is old",
        "$.messages[3]",
    )
    assert "1 result of tools taken out, about 6 tokens" in found["events"].rows[-1].cells[4].text
    assert "removed" not in found
    page = show_run(log, "orders", RUN, NOW, removed=DIGEST[:16])
    (shown,) = sections(page)["removed"].rows
    assert shown.cells[0].text == GONE
    ident = shown.cells[0].command.rsplit(" ", 1)[1]
    assert recall_result(log, ident) == GONE


def test_what_was_not_taken_out_of_this_run_is_not_found(log):
    for digest in ("0" * 16, "x", DIGEST[:3]):
        with pytest.raises(UnknownName, match="nothing was taken out"):
            show_run(log, "orders", RUN, NOW, removed=digest)
    with pytest.raises(UnknownName, match="nothing is kept"):
        recall_result(log, f"{RUN}-{DIGEST[:16]}", agent="another")
    with pytest.raises(UnknownName, match="nothing is kept"):
        recall_result(log, f"{'0' * 32}-{DIGEST[:16]}")


def test_two_long_answers_are_shown_where_they_part_and_calls_that_differ_stand_first(log):
    """Both cells held the same first 400 characters, beside the word Differs."""
    same = "The order is in Lyon. " * 40
    here, there = answers_apart(f"{same}Ship it.", f"{same}Hold it.")
    pairs = (
        CallPair(number=1, asked="", here="equal", there="equal"),
        CallPair(number=2, asked="", here=here, there=there),
    )
    recorded = log.read(RUN)
    page = build_run(recorded, NOW, difference=RunDifference(other="the replay", calls=pairs))
    rows = sections(page)["difference"].rows
    assert [one.cells[1].text for one in rows] == ["2", "1"]
    assert ("Ship it." in rows[0].cells[3].text, "Hold it." in rows[0].cells[4].text) == (True, True)
    assert answers_apart(None, same) == (None, same)
    assert answers_apart(same, same) == (same, same)


def test_the_page_of_a_run_says_what_a_replay_is_and_leads_to_it(log):
    page = show_run(log, "orders", RUN, NOW, replay=ReplayOffer(may_play=False))
    assert "recorded answers are given back, so nothing outside is touched" in page.sentence.plain
    assert (page.action.label, page.action.href) == ("Replay it here", "#again")
    assert sections(page)["again"].empty.missing == "Whoever operates the agent signs in to replay it here."


def test_a_run_whose_gateway_was_killed_says_that_it_may_be_shorter(tmp_path):
    with Recorder(tmp_path / "runs") as cut:
        record(cut, conversation(2))
        assert "may be shorter" not in show_run(cut, "orders", RUN, NOW).sentence.plain
        cut.append(RUN, RunClosed(state=RunState.CUT))
        cut.flush()
        page = show_run(cut, "orders", RUN, NOW)
        assert "It may be shorter than what happened: its gateway was killed" in page.sentence.plain
        (row,) = sections(show_runs(cut, "orders", NOW))["runs"].rows
    assert "Cut" in str(row.cells)


class LongLog:
    """A run log that only lists: runs one nanosecond apart, and five of one moment about where a page ends."""

    def __init__(self, summary):
        opened = [1_000 - number if not 97 <= number < 102 else 903 for number in range(RUNS_SHOWN * 2 + 5)]
        self.all = [replace(summary, run=f"{n:032x}", opened_ns=ns) for n, ns in enumerate(opened)]

    def runs(self, *, agent, until_ns, limit):
        assert agent == "orders"
        return [one for one in self.all if until_ns is None or one.opened_ns < until_ns][:limit]


def test_a_long_list_of_runs_is_read_page_by_page_and_no_figure_is_said_of_the_rest(log):
    long = LongLog(log.runs(agent="orders")[0])
    seen, before_ns = [], None
    for _ in range(3):
        page = show_runs(long, "orders", NOW, before_ns=before_ns)
        (listed,) = page.sections
        seen += [row.cells[1].href.rpartition("/")[2] for row in listed.rows]
        assert "shown here can be replayed" in page.sentence.plain
        ways = {link.text: link.href for link in listed.more}
        before_ns = int(ways.get("Older", "=0").partition("=")[2])
    assert seen == [one.run for one in long.all]
    assert ways == {"Newest of all": "/agents/orders/runs"}
    assert show_runs(long, "orders", NOW, before_ns=1).sentence.plain == "No run was opened before that."


def test_a_short_list_of_runs_leads_nowhere_else(log):
    page = show_runs(log, "orders", NOW)
    assert page.sections[0].more == ()
    assert "shown here" not in page.sentence.plain


def test_the_page_of_a_run_parses_each_request_once_and_of_an_equal_run_none(log, monkeypatch):
    """Each request of a conversation carries all before it: read twice, a long one kept its page for seconds."""
    read = []
    monkeypatch.setattr(exchange, "readable_of", lambda body: read.append(body) or readable_of(body))
    monkeypatch.setattr(exchange, "request_key", lambda *_: pytest.fail("no page asks for the key of a call"))
    show_run(log, "orders", RUN, NOW, replay=ReplayOffer(may_play=True), against=RUN)
    asked = [one.event.body for one in log.read(RUN).events if isinstance(one.event, ModelRequest)]
    assert len(asked) > 1
    assert [body for body in read if body in asked] == asked
