# SPDX-License-Identifier: Apache-2.0
"""A replay of a week says when its change touched nothing, instead of proving that nothing changed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from recorded_runs import answer, conversation, record
from tests.stubs.provider_stub import Plan, ProviderStub

from pilothouse.core.evidence.review import Answer, ItemState, Label, ReviewItem, ReviewSource
from pilothouse.core.evidence.run_log import OutputHeld, RunClosed, RunState
from pilothouse.errors import UsageError
from pilothouse.ports.review import ItemRecord
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.substitution import Substitution
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.workflows.curation.replay_window import Versions, WindowReport, replay_window, write_pairs
from pilothouse.workflows.replay.run import ReplayRequest, replay_run
from pilothouse.workflows.review.trusted_labels import Trusted

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def played(log, request, labels=None, **options):
    return replay_window(
        log.runs(),
        lambda run: replay_run(log.read(run), log.redaction, request, None)[0],
        labels or {},
        agent="orders",
        since=NOW - timedelta(days=7),
        until=NOW,
        **options,
    )


def accepted(run, proposal="In Lyon.", item_id=None):
    said = {"input": "Where is it?", "proposal": proposal, "why": "", "call_digest": run}
    item = ReviewItem(
        item_id=item_id or run, agent="orders", task_type="t", trace_id=run, source=ReviewSource.SAMPLED, created_at=NOW, due_at=NOW,
        **said,
    )  # fmt: skip
    label = Label(item_id=run, agent="orders", reviewer="kim", answer=Answer.ACCEPT, at=NOW)
    return Trusted(record=ItemRecord(item=item, state=ItemState.ACCEPTED), label=label, output="In Lyon.")


def test_a_run_that_a_stand_in_answered_is_no_pair_of_the_version_in_force(tmp_path):
    """A candidate was proved not worse than what another model had answered in an outage."""
    own, other = "7d" * 16, "8e" * 16
    with Recorder(tmp_path) as log, ProviderStub() as stub:
        record(log, conversation(1), run=own, model="m-2026-01-01")
        record(log, conversation(1), run=other, model="s-2026-02-02")
        request = ReplayRequest(
            mode=ReplayMode.FORK, substitution=Substitution(model="m-2026-02-02"), live=stub.origin
        )
        labels = {run: accepted(run) for run in (own, other)}
        found = played(log, request, labels, stand_ins=frozenset({"s-2026-02-02"}))
    assert (found.runs, found.no_pairs) == (2, {"a stand-in of the pinned model answered them": 1})
    assert asdict(replace(found, pairs=()))["no_pairs"] == found.no_pairs  # as `--json` prints it
    assert [pair.case.trace_id for pair in found.pairs] == [own]


def test_what_another_version_did_or_a_killed_gateway_left_out_is_not_what_the_version_in_force_is_held_to(
    tmp_path,
):
    """After a release in mid-week a candidate was held against the version before, in the name of the one in force."""
    own, before, cut, unknown = (two * 16 for two in ("7d", "8e", "9f", "a0"))
    with Recorder(tmp_path) as log, ProviderStub() as stub:
        record(log, conversation(1), run=own, version="b" * 64)
        record(log, conversation(1), run=before, version="a" * 64)
        record(log, conversation(1), run=cut, version="b" * 64)
        log.append(cut, RunClosed(state=RunState.CUT))
        record(log, conversation(1), run=unknown)
        log.flush()
        request = ReplayRequest(
            mode=ReplayMode.FORK, substitution=Substitution(model="m-2026-02-02"), live=stub.origin
        )
        labels = {run: accepted(run) for run in (own, before, cut, unknown)}
        found = played(log, request, labels, version="b" * 64)
        old = played(log, request, {before: accepted(before)}, version="b" * 64)
    assert {pair.case.trace_id for pair in found.pairs} == {own, unknown}
    assert (found.runs, sum(found.no_pairs.values()), found.unjudgeable) == (4, 2, 1)
    with pytest.raises(
        UsageError, match="none of the judged runs is a pair: 1 because another version served them"
    ):
        write_pairs(old, tmp_path / "pairs", Versions(), judged=1)


def test_a_held_run_ended_with_what_its_model_said_and_not_with_what_its_client_was_told(tmp_path):
    """The version in force was credited with what a person had written, or blamed for "This answer waits for a person"."""
    asked, unasked, other = (two * 16 for two in ("7d", "8e", "9f"))
    with Recorder(tmp_path) as log, ProviderStub(default=Plan(text="In Kiel.")) as stub:
        for run in (asked, unasked, other):
            (request, _), told = (
                conversation(1)[0],
                answer({"role": "assistant", "content": "This answer waits."}),
            )
            record(log, [(request, told)], run=run)
            log.append(run, OutputHeld(hold=f"hold-{run}", reason="unsure"), call="0")
        record(log, conversation(1), run=asked)
        log.flush()
        change = ReplayRequest(
            mode=ReplayMode.FORK, substitution=Substitution(model="m-2026-02-02"), live=stub.origin
        )
        labels = {run: accepted(run, "In Kiel.", f"hold-{run}") for run in (asked, unasked)}
        found = played(log, change, labels | {other: accepted(other)})
    assert {pair.case.trace_id: (pair.before, pair.after) for pair in found.pairs} == {
        asked: ("In Kiel.", "In Kiel."),
        unasked: ("In Kiel.", "In Kiel."),
    }
    assert (found.same, found.changed, found.unjudgeable, sum(found.no_pairs.values())) == (2, 0, 1, 1)


@pytest.mark.parametrize("mode", [ReplayMode.STRICT, ReplayMode.COMPARE])
def test_a_change_that_is_only_compared_or_stops_the_replay_is_one(mode, tmp_path):
    with Recorder(tmp_path) as log, ProviderStub() as stub:
        record(log, conversation(1))
        other = Substitution(model="m-2026-02-02")
        found = played(log, ReplayRequest(mode=mode, substitution=other, live=stub.origin))
    assert (found.runs, found.same, found.unjudgeable) == (1, 0, int(mode is ReplayMode.STRICT))


@pytest.mark.parametrize("mode", [ReplayMode.FORK, ReplayMode.COMPARE])
def test_a_candidate_that_leaves_the_recorded_history_has_no_outcome(mode, tmp_path):
    """It answers at once where the record looks something up, and the last request carries what was looked up."""
    with Recorder(tmp_path) as log, ProviderStub() as stub:
        record(log, conversation(3))
        other = Substitution(model="m-2026-02-02")
        found = played(log, ReplayRequest(mode=mode, substitution=other, live=stub.origin))
    assert (found.runs, found.failed, found.blocked) == (1, 0, 0)
    assert (found.same, found.changed, found.unjudgeable) == (0, 0, 1)


LARGE = 1 << 60
"""As ids of chats and posts are, in the input of a tool."""


@pytest.mark.parametrize("nested", [LARGE, {"ids": [LARGE, {"id": LARGE}]}])
def test_a_candidate_is_asked_about_numbers_that_not_every_reader_keeps(nested, tmp_path):
    (asked, said), *_ = conversation(1)
    asked["messages"].insert(1, {"role": "user", "content": "hi", "about": nested})
    with Recorder(tmp_path) as log, ProviderStub() as stub:
        record(log, [(asked, said)])
        other = Substitution(model="m-2026-02-02")
        found = played(log, ReplayRequest(mode=ReplayMode.FORK, substitution=other, live=stub.origin))
        assert stub.seen[0].json == {**asked, "model": "m-2026-02-02"}
    assert (found.live, found.served, found.changed, found.unjudgeable) == (1, 0, 1, 0)


@pytest.mark.parametrize("depth", [300, 900])
def test_what_could_not_be_changed_is_not_what_a_candidate_ends_with(depth, tmp_path):
    """A request that was served as it was recorded was taken for one that the change does not touch."""
    (asked, said), *_ = conversation(1)
    asked["messages"].insert(1, {"role": "user", "content": json.loads("[" * depth + "]" * depth)})
    with Recorder(tmp_path) as log, ProviderStub() as stub:
        record(log, conversation(1, "8"), run="7d" * 16)
        record(log, [(asked, said)])
        other = Substitution(model="m-2026-02-02")
        found = played(log, ReplayRequest(mode=ReplayMode.FORK, substitution=other, live=stub.origin))
    assert (found.runs, found.same, found.changed, found.unjudgeable) == (2, 0, 1, 1)


def test_a_change_that_no_request_knows_is_no_counterfactual(tmp_path):
    request = ReplayRequest(
        mode=ReplayMode.FORK, substitution=Substitution(tool_results={"call_none": "lost"})
    )
    with Recorder(tmp_path) as log:
        record(log, conversation(2))
        with pytest.raises(UsageError, match="changes nothing in any request of 1 runs"):
            played(log, request)


def test_tasks_that_were_judged_and_never_recorded_are_told_apart_from_tasks_that_nobody_judged(tmp_path):
    """`pilothouse review` would bring no pair, however many answers people give."""
    counts = ("runs", "skipped", "served", "live", "failed", "blocked", "same", "changed", "unjudgeable")
    report = WindowReport(
        agent="triage", since=NOW, until=NOW, change="model=m", grain="calls", trouble="", pairs=(),
        **(dict.fromkeys(counts, 0) | {"runs": 326}),
    )  # fmt: skip
    with pytest.raises(UsageError, match="nobody has judged any of the 326"):
        write_pairs(report, tmp_path / "pairs", Versions(), judged=0)
    with pytest.raises(UsageError, match="none of them is one of the 326 replayed runs") as told:
        write_pairs(report, tmp_path / "pairs", Versions(), judged=40)
    assert "`traceparent`" in told.value.remedy
    assert not (tmp_path / "pairs").exists()
