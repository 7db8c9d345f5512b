# SPDX-License-Identifier: Apache-2.0
"""From a user's flag to a case, an example and a training row, with lineage both ways, and out again."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import page_site
import page_world as world
import pytest
from review_world import add_labels, curation_desk
from starlette.testclient import TestClient

from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.core.evidence.score import Score
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import LimitExceeded, StorageUnavailable, UnknownName, UsageError
from pilothouse.evals.answers import Answer as GivenAnswer
from pilothouse.evals.answers import answers_file, change_answers, read_answers
from pilothouse.evals.case import Case, Split
from pilothouse.evals.dataset import load_dataset, write_cases
from pilothouse.interfaces.http.feedback import api_app
from pilothouse.ledger.few_shot_index import FewShotIndex
from pilothouse.ports.curation import Example
from pilothouse.workflows.curation import curation_desk as curation_desk_module
from pilothouse.workflows.curation.corrections_week import (
    CorrectionsWeek,
    corrections_in_words,
    corrections_week,
)
from pilothouse.workflows.curation.few_shots import FewShots
from pilothouse.workflows.curation.golden import keep_golden
from pilothouse.workflows.curation.replay_case import FIXTURES
from pilothouse.workflows.gate.datasets import add_cases
from pilothouse.workflows.review import label_sampling
from pilothouse.workflows.review.queue import rubric_of
from pilothouse.workflows.review.trusted_labels import trusted_labels
from pilothouse.workflows.traces import evaluation_feedback
from pilothouse.workflows.traces.evaluation_feedback import Evaluations, feedback_of
from pilothouse.workflows.traces.feedback import Desk, task_token
from pilothouse.workflows.verdict.assess import assess

AGENT, NOW, KEY = world.AGENT, world.NOW, "k" * 43
BEARER = {"authorization": f"Bearer {KEY}"}
SUBJECT = "kim@customer.example"
HALF = "\ud800"
"""Half a character, as JSON can write it."""


@pytest.fixture(autouse=True)
def texts_of_their_own(monkeypatch):
    monkeypatch.setattr(
        label_sampling,
        "task_texts",
        lambda _lake, task: (f"route {task.trace_id} for {SUBJECT}", "wrong team", ()),
    )


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def desk(site):
    return curation_desk(site)


@pytest.fixture
def api(site, desk):
    taker = Desk(KEY, desk.said, site.queue, site.installation.lake, site.sign_in.directory, clock=site.clock)
    return TestClient(
        api_app(taker, FewShots(desk.store, FewShotIndex, site.clock)), base_url="http://localhost"
    )


TASKS = world.make_tasks()
TRACE = TASKS[-1].trace_id


def say(api, **fields):
    headers = {"content-type": "application/json", **fields.pop("headers", BEARER)}
    body = json.dumps({"task_id": TRACE, "kind": "complaint", **fields})
    return api.post("/api/feedback", content=body, headers=headers)


def data4(site):
    verdict = assess(site.installation, AGENT, site.clock.now(), freeze=False).verdict
    return next(one.status for one in verdict.requirements if one.requirement == "DATA-4")


def test_a_flag_goes_the_whole_way_to_a_case_with_lineage_both_ways_and_out_again(site, desk, api, tmp_path):
    assert data4(site) is Status.NO_EVIDENCE
    assert say(api, text="this went to the wrong team").status_code == 202
    (flagged,) = site.queue.items(AGENT, sources=[ReviewSource.FLAGGED])
    item_id = flagged.item.item_id
    charter = site.sign_in.directory.charter(AGENT)
    site.queue.answer(
        Label(
            item_id=item_id, agent=AGENT, reviewer="lee", answer=Answer.CORRECT, correction="right team",
            rubric=rubric_of(charter, flagged.item.task_type).digest, at=NOW,
        )
    )  # fmt: skip
    made = desk.cases(AGENT, tmp_path / "labelled")
    (case,) = made.dataset.cases
    assert (case.expected, case.label.by, case.source) == ("right team", "lee", f"production:{TRACE}")
    assert data4(site) is Status.HOLDS

    forward = [(one.parent, one.child) for one in desk.lineage(f"trace:{TRACE}")]
    backward = [(one.parent, one.child) for one in desk.lineage(f"case:{case.id}")]
    assert (
        forward == backward == [(f"item:{item_id}", f"case:{case.id}"), (f"trace:{TRACE}", f"item:{item_id}")]
    )

    again = desk.cases(AGENT, tmp_path / "labelled")
    assert (again.added, again.dataset.manifest.version) == ((), made.dataset.manifest.version)

    say(api, kind="correction", text=f"write to {SUBJECT} instead")
    done = desk.erase(SUBJECT, [tmp_path / "labelled"], actor="test")
    assert done["traces"] == (TRACE,)
    assert done["cases"] == 1
    site.ledger.database.engine.dispose()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "labelled").iterdir())
    assert SUBJECT.encode() not in stored
    record = site.queue.record(item_id)
    assert (record.item.input, record.correction) == ("[erased]", "[erased]")
    assert SUBJECT not in "".join(one.text for one in desk.feedback(AGENT))


def test_what_met_a_fault_on_its_way_to_a_person_arrives_when_it_is_sent_again(site, api, monkeypatch):
    def away(items):
        raise StorageUnavailable("the disk is away", remedy="Wait.")

    with monkeypatch.context() as fault:
        fault.setattr(site.queue, "add", away)
        assert say(api).status_code >= 400
    assert say(api).json()["status"] == "known"
    assert len(site.queue.items(AGENT, sources=[ReviewSource.FLAGGED])) == 1


def test_a_subject_leaves_a_plain_file_and_a_set_of_golden_sequences(site, desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the charter lies, as far as its datasets are concerned
    charter = site.sign_in.directory.charter(AGENT)
    plain = tmp_path / "cases.jsonl"
    plain.write_text("".join(f'{{"input": "{who} asks"}}\n' for who in (SUBJECT, "somebody")))
    golden = Path(site.ledger.charter(AGENT).path).parent / charter.datasets.trajectories.path
    kept = Case(id="g", task_type="po_invoice", input=SUBJECT, trajectory={"steps": [{"tool": "read"}]})
    keep_golden(golden, kept)
    asked = GivenAnswer.model_validate({"input": "a question", "output": f"write to {SUBJECT}"})
    change_answers(answers_file(golden), [asked, GivenAnswer.model_validate({"input": "b", "output": "c"})])
    done = desk.erase(SUBJECT, [plain], actor="test")
    assert (done["cases"], done["answers"]) == (2, 1)
    assert len(read_answers(answers_file(golden))) == 1
    assert [one.input for one in load_dataset(plain).cases] == ["somebody asks"]
    assert load_dataset(golden).cases == ()


def test_a_subject_leaves_what_tools_answered_and_every_case_of_its_trace(site, desk, tmp_path):
    folder, trace = tmp_path / "labelled", TASKS[0].trace_id
    (folder / FIXTURES).mkdir(parents=True)
    for name, text in (("a" * 64, f"mail of {SUBJECT}"), ("b" * 64, "an order"), ("c" * 64, "a price")):
        (folder / FIXTURES / f"{name}.txt").write_text(text)
    some = [
        Case(id="said", task_type="t", input="one", fixtures={"find#1": "a" * 64, "find#2": "b" * 64}),
        Case(id="kept", task_type="t", input="two", fixtures={"find#1": "c" * 64}),
        Case(id="golden", task_type="t", input="three", source=f"production:{trace}"),
    ]
    write_cases(folder / "cases.jsonl", some)
    add_cases(folder, [])
    assert desk.erase(SUBJECT, [folder], actor="test")["cases"] == 1
    assert [path.stem for path in (folder / FIXTURES).iterdir()] == ["c" * 64]
    assert [case.id for case in load_dataset(folder).cases] == ["kept", "golden"]
    desk.erase(trace, [folder], actor="test")
    assert [case.id for case in load_dataset(folder).cases] == ["kept"]


def test_erasure_reaches_an_agent_whose_charter_cannot_be_read_any_more(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="invoice {n} of customer K-4711 about topic {n}")
    desk.cases(AGENT, tmp_path / "labelled")
    desk.export(AGENT, tmp_path / "out", "contract")
    with monkeypatch.context() as killed:
        killed.setattr(site.ledger, "record", lambda **_: None)
        desk.export(AGENT, tmp_path / "unnoted", "contract", layout="claude")
    later = NOW + timedelta(hours=1)
    site.ledger.accept_charter(agent=AGENT, digest="d" * 64, text="agent: 7\n", path="c.yaml", at=later)
    assert AGENT not in desk.directory.charters()
    done = desk.erase("K-4711", [], actor="test")
    assert done["cases"] > 0
    assert done["exported"][str((tmp_path / "out").resolve())] > 0
    assert [one.startswith("a place that is not on record") for one in done["gone"]] == [True]


def test_what_is_erased_must_be_somebody(desk):
    with pytest.raises(UsageError, match="4 characters"):
        desk.erase("abc", [], actor="test")
    assert desk.erase("50%_off", [], actor="test")["traces"] == (), "no sign is a wild card"


def test_examples_never_come_near_a_case_that_judges(site, desk, tmp_path):
    add_labels(site, 40)
    desk.cases(AGENT, tmp_path / "labelled")
    made = desk.few_shot(AGENT, [tmp_path / "labelled"])
    cases = load_dataset(tmp_path / "labelled").cases
    judging = {case.input for case in cases if case.split is Split.GATE}
    kept, examples = desk.store.examples(AGENT)
    assert kept == made.version
    assert made.examples == len(examples) > 0
    assert not judging & {one.input for one in examples}
    assert desk.few_shot(AGENT, [tmp_path / "labelled"]).version == made.version
    (record,) = [one for one in site.ledger.evidence(AGENT) if one.kind == "few_shot.examples"][:1]
    assert record.n == made.examples


def test_an_answer_by_another_rubric_or_disputed_is_not_trusted(site):
    add_labels(site, 3)
    charter = site.sign_in.directory.charter(AGENT)
    assert len(trusted_labels(site.queue, charter, NOW)) == 3
    (second,) = [
        ReviewItem(
            **{name: getattr(site.queue.record("i1").item, name) for name in ReviewItem.__slots__}
            | {"item_id": "s1", "pair_of": "i1"}
        )
    ]
    site.queue.add([second])
    site.queue.answer(Label(item_id="s1", agent=AGENT, reviewer="dana", answer=Answer.REJECT, at=NOW))
    assert {one.record.item.item_id for one in trusted_labels(site.queue, charter, NOW)} == {"i0", "i2"}
    other = charter.model_copy(update={"purpose": "Something else."})
    assert trusted_labels(site.queue, other, NOW) == ()


def test_training_rows_are_enough_with_a_ground_and_without_personal_data(site, desk, tmp_path):
    add_labels(site, 40)
    with pytest.raises(UsageError, match="on what ground"):
        desk.export(AGENT, tmp_path / "out", "")
    with pytest.raises(LimitExceeded, match="are missing"):
        desk.export(AGENT, tmp_path / "out", "contract")
    assert not (tmp_path / "out").exists()


def test_a_model_is_never_trained_on_what_judges_it(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 10)
    add_labels(site, 60)
    before = desk.export(AGENT, tmp_path / "before", "contract")
    charter = site.sign_in.directory.charter(AGENT)
    trained = [one for one in trusted_labels(site.queue, charter, NOW) if one.split is Split.DEV]
    sealed, own = (one.record.item for one in trained[:2])
    rows = [
        {"id": "s", "task_type": sealed.task_type, "input": f"  {sealed.input}\n", "split": "sealed"},
        {"id": "d", "task_type": own.task_type, "input": own.input, "split": "dev"},
    ]
    judging = tmp_path / "judging.jsonl"
    judging.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(curation_desk_module, "judging_folders", lambda _ledger, _charter: (judging,))
    made = desk.export(AGENT, tmp_path / "out", "contract")
    about = json.loads((tmp_path / "out" / "provenance.json").read_text())
    items = {row["item"] for row in about["rows"]}
    assert sealed.item_id not in items
    assert own.item_id in items
    assert (made.leaking, about["left_out_leaking"]) == (1, 1)
    assert made.train + made.validation == before.train + before.validation - 1


TEXTS = {
    "pay to DE89370400440532013000 about topic {n}": True,
    "seen from 81.2.69.142 about topic {n}": True,
    "number 078-05-1120 about topic {n}": True,
    "between 2026-11-30 2026-12-01, document 20261130123456 about topic {n}": False,
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_personal_in_a_training_row_is_what_is_personal_in_a_tool_call(
    site, desk, tmp_path, monkeypatch, text
):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 1)
    add_labels(site, 20)
    add_labels(site, 20, name="p", text=text)
    made = desk.export(AGENT, tmp_path / "out", "contract")
    assert (made.personal > 0) is TEXTS[text]
    written = "".join((tmp_path / "out" / f"{name}.jsonl").read_text() for name in ("train", "validation"))
    assert (text.split("{n}")[0] in written) is not TEXTS[text]


def test_training_rows_carry_where_they_come_from(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 10)
    add_labels(site, 60)
    add_labels(site, 20, name="p", text="write to {n}@customer.example about topic {n}")
    made = desk.export(AGENT, tmp_path / "out", "contract, section 4")
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == made.train
    assert [one["role"] for one in rows[0]["messages"]] == ["system", "user", "assistant"]
    assert made.personal > 0
    assert "@customer.example" not in (tmp_path / "out" / "train.jsonl").read_text()
    about = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert about["consent"] == "contract, section 4"
    assert len(about["rows"]) == made.train + made.validation
    assert any(one.child.startswith("export:") for one in desk.lineage(f"item:{about['rows'][0]['item']}"))
    for layout, asked, said in (
        ("claude", ("messages", 0, "content"), ("messages", 1, "content")),
        ("gemini", ("contents", 0, "parts", 0, "text"), ("contents", 1, "parts", 0, "text")),
    ):
        desk.export(AGENT, tmp_path / layout, "contract", layout=layout)
        (first, *_) = [
            json.loads(line) for line in (tmp_path / layout / "train.jsonl").read_text().splitlines()
        ]
        assert (inside(first, asked), inside(first, said)) == tuple(
            one["content"] for one in rows[0]["messages"][1:]
        )
    with pytest.raises(UnknownName, match="layout"):
        desk.export(AGENT, tmp_path / "none", "contract", layout="gemeni")


def inside(document, way):
    for step in way:
        document = document[step]
    return document


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"kind": "thumb", "value": -1}, 202),
        ({"kind": "thumb", "value": 1}, 202),
        ({"kind": "satisfaction", "value": 5}, 202),
        ({"kind": "override", "text": "did it by hand"}, 202),
        ({"kind": "thumb", "value": 2}, 422),
        ({"kind": "thumb", "value": True}, 422),
        ({"kind": "thumb"}, 422),
        ({"kind": "complaint", "value": 1}, 422),
        ({"kind": "praise"}, 422),
        ({"kind": "correction", "text": "  "}, 422),
        ({"text": "x" * 8_001}, 422),
        ({"text": 7}, 422),
        ({"task_id": "f" * 32}, 404),
        ({"task_id": "../../etc"}, 422),
        ({"extra": 1}, 422),
        ({"headers": {}}, 403),
        ({"headers": {"authorization": "Bearer guess"}}, 403),
        ({"headers": {}, "token": task_token(KEY, "f" * 32)}, 403),
        ({"headers": {}, "token": task_token(KEY, TRACE)}, 202),
        ({"kind": ["thumb"]}, 422),
        ({"headers": {}, "token": HALF}, 403),
        ({"headers": {"authorization": "Bearer guess"}, "agent": HALF}, 403),
    ],
)
def test_feedback_is_taken_from_whom_it_may_come_and_refused_otherwise(api, fields, status):
    assert say(api, **fields).status_code == status


def test_hostile_bodies_are_refused_or_neutralised(api, site):
    headers = {**BEARER, "content-type": "application/json"}
    for body in (b"x" * 1_000_000, b"[" * 20_000, b"{}", b"\xff", b"null", b'{"task_id": NaN}'):
        assert api.post("/api/feedback", content=body, headers=headers).status_code in {413, 422}
    text = r"<script>alert(1)</script> \ud800 \u202e"  # half a character, as JSON can write it
    body = f'{{"task_id": "{TRACE}", "kind": "complaint", "text": "{text}"}}'
    assert api.post("/api/feedback", content=body, headers=headers).status_code == 202
    client = TestClient(site.app, base_url="http://localhost")
    same = {"sec-fetch-site": "same-origin"}
    client.post("/sign-in", data={"link": site.link("lee").removeprefix("/sign-in/")}, headers=same)
    token = client.get("/sign-in").text.split('name="form_token" value="')[1][:64]
    client.post("/review/next", data={"form_token": token}, headers=same)
    (record,) = site.queue.items(AGENT, sources=[ReviewSource.FLAGGED])
    form = {"form_token": token, "answer": "accept"}
    after = client.post(f"/review/{record.item.item_id}", data=form, headers=same).text
    assert "&lt;script&gt;alert(1)" in after
    assert "<script>alert" not in after


def test_saying_it_again_is_not_saying_more_and_a_flood_is_stopped(api, site):
    assert say(api).status_code == 202
    assert say(api).json()["status"] == "known"
    statuses = [say(api, text=f"number {n}").status_code for n in range(70)]
    assert statuses.count(202) == 19, "twenty about one task"
    assert 422 in statuses
    assert statuses[-1] == 429
    assert say(api).headers["retry-after"] == "60"
    site.clock.move(minutes=1)
    assert say(api).status_code == 200
    assert len(site.queue.items(AGENT, sources=[ReviewSource.FLAGGED])) == 1


def test_the_widget_is_one_line_and_may_be_loaded_from_anywhere(api):
    script = api.get("/api/feedback/widget.js")
    assert script.headers["access-control-allow-origin"] == "*"
    assert "innerHTML" not in script.text
    assert api.options("/api/feedback").status_code == 204
    assert api.get("/api/feedback").status_code == 405
    assert api.get("/api/nothing").status_code == 404


def test_agents_are_served_examples_like_their_input(site, desk, api, tmp_path):
    add_labels(site, 40)
    desk.cases(AGENT, tmp_path / "labelled")
    desk.few_shot(AGENT, [tmp_path / "labelled"])
    _, examples = desk.store.examples(AGENT)
    wanted = examples[0]
    body = {"agent": AGENT, "input": wanted.input, "k": 3}
    answer = api.post("/api/few-shot", json=body, headers=BEARER).json()
    assert answer["examples"][0] == {
        "input": wanted.input,
        "output": wanted.output,
        "task_type": "po_invoice",
    }
    assert len(answer["examples"]) == 3
    assert api.post("/api/few-shot", json=body).status_code == 403
    assert api.post("/api/few-shot", json={"agent": AGENT}, headers=BEARER).status_code == 422
    assert api.post("/api/few-shot", json={**body, "agent": "other"}, headers=BEARER).json()["examples"] == []


def test_an_answer_is_never_shown_its_own_solution():
    index = FewShotIndex(
        [
            Example(
                example_id=str(n),
                agent="a",
                task_type="t",
                input=f"steel pipes {n}",
                output="o",
                item_id=f"i{n}",
            )
            for n in range(5)
        ]
    )
    assert index.find("steel pipes 3", k=1)[0].item_id == "i3"
    assert "i3" not in {one.item_id for one in index.find("steel pipes 3", k=5, without="i3")}
    assert index.find('") OR NEAR(*', k=5) == ()
    assert index.find("steel", task_type="other") == ()
    index.close()


def test_a_correction_becomes_case_example_and_training_row_with_lineage_both_ways_and_all_is_erased(
    site, desk, tmp_path, monkeypatch
):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    question = "invoice {n} of customer K-4711-{n} about topic {n}"
    add_labels(site, 24, answer=Answer.CORRECT, correction="right team {n}", text=question)
    desk.cases(AGENT, tmp_path / "labelled")
    desk.few_shot(AGENT, [])
    desk.export(AGENT, tmp_path / "out", "contract")
    _, examples = desk.store.examples(AGENT)
    week = desk.week(AGENT)
    assert (week.corrections, week.cases, week.examples, week.caught, week.lift) == (
        24,
        24,
        len(examples),
        0,
        None,
    )
    assert corrections_in_words(week) == f"24 corrections became 24 cases and {len(examples)} examples."
    item_id = examples[0].item_id
    forward = {
        edge.child.partition(":")[0]
        for edge in desk.lineage(f"trace:{site.queue.record(item_id).item.trace_id}")
    }
    assert forward == {"item", "case", "few-shot", "export"}
    export = next(edge.child for edge in desk.lineage(f"item:{item_id}") if edge.child.startswith("export:"))
    for name in (f"case:review:{item_id}", f"few-shot:{item_id}", export):
        back = [edge.parent for edge in desk.lineage(name)]
        assert f"item:{item_id}" in back, name
        assert any(parent.startswith("trace:") for parent in back), name

    subject = f"K-4711-{item_id[1:]} "
    rows = (tmp_path / "out" / "train.jsonl").read_text() + (
        tmp_path / "out" / "validation.jsonl"
    ).read_text()
    assert subject in rows
    done = desk.erase(subject, [tmp_path / "labelled"], actor="test")
    assert (done["cases"], done["exported"]) == (1, {str((tmp_path / "out").resolve()): 1})
    assert done["rows"]["few_shots"] == 1
    left = (tmp_path / "out" / "train.jsonl").read_text() + (
        tmp_path / "out" / "validation.jsonl"
    ).read_text()
    assert subject not in left
    about = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert len(about["rows"]) == len(left.splitlines())
    assert item_id not in {row["item"] for row in about["rows"]}
    assert item_id not in {one.item_id for one in desk.store.examples(AGENT)[1]}


def test_an_export_that_was_moved_is_named(site, desk, tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.curation.fine_tuning.ROWS_MIN", 5)
    add_labels(site, 24, text="invoice {n} of customer K-4711-{n} about topic {n}")
    desk.export(AGENT, tmp_path / "out", "contract")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert desk.erase("K-4711", [], actor="test")["gone"] == [str((tmp_path / "out").resolve())]


def event(name, **fields):
    base = {"value": None, "label": "", "explanation": "", "span_id": "", "source": "otlp:app"}
    return Score(trace_id=TRACE, name=name, at_ns=int(NOW.timestamp() * 1e9) - 10**9, **base | fields)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (event("user_feedback", value=-1.0), ("thumb", -1.0, "")),
        (event("user_feedback", label="correct"), ("thumb", 1.0, "")),
        (event("user_feedback", value=0.0, explanation="no"), ("thumb", -1.0, "no")),
        (event("thumb", label="perhaps"), None),
        (event("user_feedback", value=float("nan")), None),
        (event("satisfaction", value=2.0), ("satisfaction", 2.0, "")),
        (event("satisfaction", value=2.5), None),
        (event("correction", explanation="right team"), ("correction", None, "right team")),
        (event("correction"), None),
        (event("override", label="by hand"), ("override", None, "by hand")),
        (event("groundedness", value=0.1), None),
    ],
)
def test_evaluation_events_that_are_what_a_user_said_are_feedback(score, said):
    found = feedback_of(score, TASKS[-1])
    assert (None if found is None else (found.kind.value, found.value, found.text)) == said


def test_an_evaluation_event_reaches_the_queue_once_and_a_flood_is_cut(site, desk):
    events = [event("complaint", explanation=f"number {n}") for n in range(40)]
    strange = dataclasses.replace(event("complaint", explanation="x"), trace_id="f" * 32)
    site.installation.lake._scores = (*events, strange, event("user_feedback", value=1.0))
    taker = Desk(KEY, desk.said, site.queue, site.installation.lake, site.sign_in.directory, clock=site.clock)
    evaluations = Evaluations(site.installation.lake, taker)
    assert evaluations.take(NOW) == 20, "twenty about one task"
    assert evaluations.take(NOW) == 0
    assert {one.via for one in desk.feedback(AGENT)} == {"otel"}
    assert len(site.queue.items(AGENT, sources=[ReviewSource.FLAGGED])) == 1


def test_of_more_events_than_one_look_takes_none_is_left_for_good(site, desk, monkeypatch):
    """An agent whose users said more than 500 things in six hours lost some of them, and never noticed."""
    monkeypatch.setattr(evaluation_feedback, "TAKEN_MAX", 3)
    tasks = [task.trace_id for task in TASKS[-10:]]
    told = [dataclasses.replace(event("user_feedback", value=-1.0), trace_id=one) for one in tasks]
    strange = [dataclasses.replace(event("complaint"), trace_id=f"{n:032x}") for n in range(4)]
    site.installation.lake._scores = (*strange, *told)
    taker = Desk(KEY, desk.said, site.queue, site.installation.lake, site.sign_in.directory, clock=site.clock)
    evaluations = Evaluations(site.installation.lake, taker)
    assert sum(evaluations.take(NOW) for _ in range(5)) == 10
    assert {one.trace_id for one in desk.feedback(AGENT)} == set(tasks)
    again = Evaluations(site.installation.lake, taker)
    assert sum(again.take(NOW) for _ in range(5)) == 0


def test_a_week_counts_what_reviewed_cases_caught_and_what_examples_bring(site, desk):
    shared = {
        "agent": AGENT,
        "window_from": NOW,
        "window_to": NOW,
        "source": {"command": "test"},
        "recorded_at": NOW,
    }
    caught = {
        "kind": "release.verdict",
        "n": 9,
        "passed": False,
        "items": ("review:a", "review:b", "human:c"),
    }
    lift = {"kind": "few_shot.lift", "n": 80, "value": 0.05, "low": 0.01, "high": 0.09}
    site.ledger.add_evidence([Evidence.model_validate({**shared, **one}) for one in (caught, lift)])
    week = corrections_week(site.ledger, site.queue, desk.store, AGENT, NOW)
    assert (week.caught, week.lift) == (2, (0.05, 0.01, 0.09))
    assert "2 cases from reviews caught a wrong answer" in corrections_in_words(week)
    assert week.repeats == 0
    add_labels(site, 3)
    for n, (who, said) in enumerate((("lee", Answer.ACCEPT), ("dana", Answer.REJECT))):
        first = site.queue.record(f"i{n}").item
        again = dataclasses.replace(
            first, item_id=f"r{n}", source=ReviewSource.CANARY, only_for=who, pair_of=f"i{n}"
        )
        site.queue.add([again])
        site.queue.answer(Label(item_id=f"r{n}", agent=AGENT, reviewer=who, answer=said, at=NOW))
        week = corrections_week(site.ledger, site.queue, desk.store, AGENT, NOW)
        assert week.repeats == (0, 2)[n], "one person's consistency is nobody else's to know"
    assert week.repeats_equal == 1
    quiet = CorrectionsWeek(corrections=0, cases=0, examples=0, caught=0, lift=None)
    assert corrections_in_words(quiet).startswith("No output was corrected this week")


def test_no_correction_is_of_two_weeks_and_none_of_neither(site, desk):
    add_labels(site, 3)
    monday = site.queue.labels(AGENT)[0].at
    caught = {"kind": "release.verdict", "n": 9, "passed": False, "items": ("review:a",)}
    shared = {"agent": AGENT, "window_from": NOW, "window_to": NOW, "source": {"command": "test"}}
    for at in (monday - timedelta(days=7), monday - timedelta(days=6), monday, monday + timedelta(hours=1)):
        record = Evidence.model_validate(
            {
                **shared,
                **caught,
                "items": (f"review:{at}",),
                "window_to": at,
                "window_from": at,
                "recorded_at": at,
            }
        )
        site.ledger.add_evidence([record])
    weeks = [
        corrections_week(site.ledger, site.queue, desk.store, AGENT, monday + timedelta(days=7 * step))
        for step in range(-1, 3)
    ]
    assert [week.caught for week in weeks] == [1, 2, 1, 0]
    assert sum(week.corrections for week in weeks) == weeks[1].corrections
