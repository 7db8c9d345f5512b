# SPDX-License-Identifier: Apache-2.0
"""Exports change whole, the journal of trials is searched, and what an erasure leaves is said."""

from __future__ import annotations

import json
from contextlib import nullcontext
from itertools import count
from pathlib import Path

import page_site
import page_world as world
import pytest
from review_world import add_labels, curation_desk

from pilothouse.errors import Conflict
from pilothouse.evals.case import Case
from pilothouse.evals.journal import INLINE_BYTES_MAX, Journal
from pilothouse.evals.journal_rows import RunRow
from pilothouse.evals.score import Score
from pilothouse.evals.trial import Reply, Result, TrialStatus
from pilothouse.workflows.curation.erasure import traces_saying
from pilothouse.workflows.curation.training_folder import FILES, PROVENANCE, erase_from_export

AGENT, NOW = world.AGENT, world.NOW
SUBJECT = "kim@customer.example"


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def desk(site):
    return curation_desk(site)


class Killed(BaseException):
    """The process ends here."""


def killed_at(monkeypatch, method, number):
    """Let the process end at the n-th call of a method of paths."""
    calls, real = count(1), getattr(Path, method)

    def call(self, *arguments, **options):
        if next(calls) == number:
            raise Killed
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, method, call)


@pytest.mark.parametrize("number", [1, 2, 3, 4, None])
def test_an_erasure_that_is_killed_is_finished_by_the_next(site, desk, tmp_path, monkeypatch, number):
    """Rows and provenance speak of one another before and after, whichever file was written last."""
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="invoice {n} of customer K-4711-{n} about topic {n}")
    desk.export(AGENT, tmp_path / "out", "contract")
    told = json.loads((tmp_path / "out" / PROVENANCE).read_text())["rows"]
    gone = next(row["item"] for row in told if row["file"] == "train")
    with monkeypatch.context() as patched:
        if number is not None:
            killed_at(patched, "replace", number)
        with nullcontext() if number is None or number > 3 else pytest.raises(Killed):
            erase_from_export(tmp_path / "out", {gone}, "of customer K-4711-3 ")
    erase_from_export(tmp_path / "out", {gone}, "of customer K-4711-3 ")
    about = json.loads((tmp_path / "out" / PROVENANCE).read_text())
    asked = {one.item.item_id: one.item.input for one in site.queue.items(AGENT)}
    lines = {name: (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines() for name in FILES}
    assert len(about["rows"]) == sum(map(len, lines.values())) == len(told) - 2
    assert gone not in {row["item"] for row in about["rows"]}
    assert all(asked[row["item"]] in lines[row["file"]][row["line"] - 1] for row in about["rows"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        PROVENANCE,
        "train.jsonl",
        "validation.jsonl",
    ]


def test_an_export_appears_whole_and_a_killed_one_is_made_again(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24)
    with monkeypatch.context() as patched:
        killed_at(patched, "write_text", 1)
        with pytest.raises(Killed):
            desk.export(AGENT, tmp_path / "out", "contract")
    assert list(tmp_path.glob("*out*")) == [], "what could still be taken away was"
    (tmp_path / ".out.part").mkdir()  # of one that could take nothing away any more
    (tmp_path / ".out.part" / "train.jsonl").write_text("half\n")
    made = desk.export(AGENT, tmp_path / "out", "contract")
    about = json.loads((tmp_path / "out" / PROVENANCE).read_text())
    assert len(about["rows"]) == made.train + made.validation
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out"]


def test_rows_that_were_changed_by_hand_are_said_to_be(site, desk, tmp_path, monkeypatch):
    """Line numbers speak of other rows then: what says the subject goes, and the rest is named."""
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="invoice {n} of customer K-4711-{n} about topic {n}")
    desk.export(AGENT, tmp_path / "out", "contract")
    train = tmp_path / "out" / "train.jsonl"
    rows = train.read_text().splitlines()
    train.write_text("".join(f"{line}\n" for line in reversed(rows)))
    said = next(line for line in rows if "K-4711-7 " in line)
    done = desk.erase("K-4711-7 ", [], actor="test")
    assert done["untraced"] == [str((tmp_path / "out").resolve())]
    assert done["exported"] == {str((tmp_path / "out").resolve()): 1}
    assert train.read_text().splitlines() == [line for line in reversed(rows) if line != said]


def test_a_name_that_stands_escaped_in_a_message_is_found(site, desk, tmp_path, monkeypatch):
    """What agents are asked is mostly JSON; nobody with an umlaut was found in the queue, the datasets and the exports."""
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="said J\\u00fcrgen-{n}-x about topic {n}")
    desk.export(AGENT, tmp_path / "out", "contract")
    plain = tmp_path / "cases.jsonl"
    case = Case(id="says", task_type="po_invoice", input='{"said": "J\\\\u00fcrgen-7-x"}', expected="x")
    plain.write_text(f"{case.model_dump_json()}\n")
    done = desk.erase("Jürgen-7-x", [plain], actor="test")
    assert done["cases"] == 1
    assert done["exported"] == {str((tmp_path / "out").resolve()): 1}
    left = [one.item.input for one in site.queue.items(AGENT) if "gen-" in one.item.input]
    assert len(left) == 23
    assert not any("gen-7-x" in one for one in left)


def test_a_subject_leaves_the_journal_of_trials(site, desk, tmp_path):
    journal, plain = tmp_path / "evals.db", tmp_path / "cases.jsonl"
    cases = [
        Case(id="says", task_type="po_invoice", input=f"about {SUBJECT}", expected="x"),
        Case(id="other", task_type="po_invoice", input="somebody else", expected="x"),
    ]
    plain.write_text("".join(f"{one.model_dump_json()}\n" for one in cases))
    long = f"{'x' * INLINE_BYTES_MAX} for {SUBJECT}"
    answers = {"asked": (cases[0].input_hash, "a plain answer"), "large": ("1" * 64, long), "kept": ("2" * 64, "fine"),
               "judged": ("3" * 64, "fine")}  # fmt: skip
    with Journal(journal) as trials:
        trials.put_run(
            RunRow(run_id="r", dataset="d", candidate="c", document=f'{{"case": "{SUBJECT}"}}', at="now")
        )
        for key, (asked, output) in answers.items():
            trials.put_started(key, config="c", case_id=key, input_hash=asked, index=0)
            reply = Reply(output=output)
            trials.put_result(key, Result(status=TrialStatus.DONE, reply=reply, latency_s=0.1), run_id="r")
            reason = f"names {SUBJECT}" if key == "judged" else ""
            score = Score(value=1.0, reason=reason)
            trials.put_score(key, case_hash="h", name="exact", version="1", score=score)
    assert desk.erase(SUBJECT, [plain], actor="test", journal=journal)["trials"] == 3
    with Journal(journal) as trials:
        assert [one.key for one in trials.trials(answers)] == ["kept"]
        assert [one.key for one in trials.scores(answers)] == ["kept"]
        (run,) = trials.runs_on("d")
        assert run.document == '{"case": "[erased]"}'
    kept = b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "evals" in path.name
    )
    assert SUBJECT.encode() not in kept
    assert list((tmp_path / "blobs").iterdir()) == []
    assert desk.erase(SUBJECT, [], actor="test", journal=tmp_path / "none.db")["trials"] is None


def test_nothing_is_erased_while_a_run_writes_the_journal(site, desk, tmp_path):
    plain = tmp_path / "cases.jsonl"
    plain.write_text(Case(id="1", task_type="po_invoice", input=SUBJECT, expected="x").model_dump_json())
    with Journal(tmp_path / "evals.db"), pytest.raises(Conflict, match="another process writes"):
        desk.erase(SUBJECT, [plain], actor="test", journal=tmp_path / "evals.db")
    assert SUBJECT in plain.read_text()


def test_more_traces_than_one_erasure_looks_for_are_said_and_found_by_the_next(site, desk, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.erasure.TRACES_MAX", 3)
    said = traces_saying(desk.lake, desk.ledger, "invoice", NOW)
    assert (len(said.traces), said.is_cut) == (3, True)
    monkeypatch.setattr("pilothouse.workflows.curation.erasure.TRACES_MAX", 10_000)
    everything = traces_saying(desk.lake, desk.ledger, "invoice", NOW)
    assert (len(everything.traces) > 3, everything.is_cut) == (True, False)
    assert not desk.erase(SUBJECT, [], actor="test")["is_cut"]
