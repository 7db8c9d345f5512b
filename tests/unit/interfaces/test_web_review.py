# SPDX-License-Identifier: Apache-2.0
"""The review form without a browser: what is hidden before the answer, and what is told after it."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import page_site
import page_world as world
import pytest
from starlette.testclient import TestClient

from pilothouse.core.evidence.review import Answer, ReviewItem, ReviewSource
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.feedback import SqlFeedback
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ports.curation import Edge
from pilothouse.ports.holds import HeldOutput, HoldState
from pilothouse.ports.review import CLAIM_LIFE
from pilothouse.workflows.review.strata import JUDGED
from pilothouse.workflows.traces.feedback import Desk

SAME = {"sec-fetch-site": "same-origin"}


def item(n, **fields):
    base = {
        "item_id": f"{n:032x}",
        "agent": world.AGENT,
        "task_type": "po_invoice",
        "trace_id": f"{n:032x}",
        "source": ReviewSource.SAMPLED,
        "why": "drawn from unknown tasks with probability 0.050",
        "input": f"invoice {n} of Acme",
        "proposal": f"team-{n}",
        "call_digest": f"{n:064x}",
        "confidence": 0.61,
        "error_cost": 400.0,
        "created_at": world.NOW,
        "due_at": world.NOW + timedelta(hours=n + 1),
    }
    return ReviewItem(**base | fields)


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


class Reviewer:
    """A browser of one person."""

    def __init__(self, site, who):
        self.client = TestClient(site.app, base_url="http://localhost")
        link = site.link(who).removeprefix("/sign-in/")
        self.client.post("/sign-in", data={"link": link, "next": "/review"}, headers=SAME)
        self.page = self.client.get("/review")

    @property
    def item_id(self):
        return self.page.url.path.rpartition("/")[2]

    def post(self, path, **fields):
        token = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.client.get("/sign-in").text)[1]
        self.page = self.client.post(path, data={"form_token": token, **fields}, headers=SAME)
        return self.page

    def start(self):
        return self.post("/review/next")

    def undo(self, page=None):
        self.undone = re.search(r'name="item" value="([^"]+)"', (page or self.page).text)[1]
        return self.post("/review/undo", item=self.undone)

    def answer(self, answer, **fields):
        return self.post(f"/review/{self.item_id}", answer=answer, **fields)


def test_before_the_answer_nothing_tells_why_and_after_it_everything_does(site):
    site.queue.add([item(1), item(2)])
    lee = Reviewer(site, "lee")
    assert "2 items wait for you" in lee.page.text
    shown = lee.start().text
    assert "USD 400" in shown
    assert "Reject what would be: routed to foreign entity, paid twice." in shown
    for hidden in ("0.61", "drawn", "sampled", "0.050"):
        assert hidden not in shown
    after = lee.answer("accept").text
    assert "The last item was accepted" in after
    assert "drawn from unknown tasks with probability 0.050" in after
    assert "confidence 0.61" in after
    assert "invoice 2 of Acme" in after, "the next item is there already"


@pytest.mark.parametrize("verdict", JUDGED)
def test_what_the_judge_said_is_not_told_while_the_answer_can_be_given_anew(site, verdict):
    site.queue.add([item(1, why=f"drawn from {verdict} tasks with probability 0.270"), item(2)])
    lee = Reviewer(site, "lee")
    lee.start()
    after = lee.answer("accept").text
    assert "drawn from tasks that the judge scored" in after
    for told in (f"from {verdict} tasks", "0.270"):
        assert told not in after


def test_line_ends_of_a_browser_alone_are_no_correction(site):
    site.queue.add([item(1, proposal="team A\r\nberth 4\r\n")])
    lee = Reviewer(site, "lee")
    lee.start()
    assert "equal to the proposal" in lee.answer("correct", correction="team A\r\nberth 4").text
    assert "was corrected" in lee.answer("correct", correction="team A\r\nberth 5").text


def test_held_and_drawn_items_look_the_same(site):
    held = HeldOutput(
        agent=world.AGENT,
        task_type="po_invoice",
        trace_id="1" * 32,
        call_digest="1" * 64,
        input="same",
        proposal="same",
        reason="confidence 0.61 below 0.78",
        confidence=0.61,
        error_cost=400.0,
        held_at=world.NOW,
        deadline=world.NOW + timedelta(hours=1),
    )
    SqlHolds(site.ledger.database).hold(held)
    drawn = item(7, input="same", proposal="same", due_at=held.deadline)
    lee = Reviewer(site, "lee")
    pages = [lee.start().text]
    lee.answer("reject")
    site.queue.add([drawn])
    lee.page = lee.client.get("/review")
    pages.append(lee.start().text)

    def bare(text):
        return re.sub(r"[0-9a-f]{12,64}|<aside.*?</aside>", "", text, flags=re.DOTALL)

    assert bare(pages[0]) == bare(pages[1])


def test_a_held_output_goes_out_as_corrected_once_it_can_no_longer_be_undone(site):
    holds = SqlHolds(site.ledger.database)
    held = holds.hold(
        HeldOutput(
            agent=world.AGENT,
            task_type="po_invoice",
            trace_id="1" * 32,
            call_digest="1" * 64,
            input="in",
            proposal="line 1\nline 2",
            reason="low",
            held_at=world.NOW,
            deadline=world.NOW + timedelta(hours=1),
        )
    )
    lee = Reviewer(site, "lee")
    assert "unknown" in lee.start().text
    after = lee.answer("correct", correction="line 1\r\nline two")
    assert "+line two" in after.text
    site.clock.move(seconds=11)
    done = holds.read(held.hold_id, site.clock.now())
    assert (done.state, done.output) == (HoldState.CORRECTED, "line 1\nline two")
    late = lee.undo(after)
    assert late.status_code == 409
    assert "10 seconds" in late.text


def test_a_step_back_opens_the_item_again(site):
    site.queue.add([item(1)])
    lee = Reviewer(site, "lee")
    lee.start()
    opened = lee.item_id
    lee.answer("reject")
    lee.undo()
    assert lee.item_id == opened
    assert site.queue.labels(world.AGENT) == ()


def test_a_step_back_gives_back_what_was_written(site):
    site.queue.add([item(1), item(2)])
    lee = Reviewer(site, "lee")
    lee.start()
    lee.answer("correct", correction="a careful correction", note="because of the date")
    again = lee.undo().text
    assert re.search(r'value="correct"[^>]* checked', again)
    assert ">a careful correction</textarea>" in again
    assert ">because of the date</textarea>" in again


def test_an_answer_that_is_refused_is_kept_and_its_page_leads_back_to_it(site):
    site.queue.add([item(1)])
    lee = Reviewer(site, "lee")
    lee.start()
    refused = lee.answer("correct", correction="team-1 ", note="half a thought")
    assert refused.status_code == 422
    address = f"/review/{item(1).item_id}"
    assert f'What you wrote is kept: <a href="{address}">{address}</a>' in refused.text
    assert ">half a thought</textarea>" in lee.client.get(address).text


def test_a_step_back_that_is_pressed_twice_takes_one_answer_back(site):
    site.queue.add([item(1), item(2)])
    lee = Reviewer(site, "lee")
    lee.start()
    lee.answer("reject")
    site.clock.move(seconds=2)
    lee.answer("accept")
    last = lee.undo()
    assert last.status_code == 200
    twice = lee.post("/review/undo", item=lee.undone)
    assert twice.status_code == 409
    assert len(site.queue.labels(world.AGENT)) == 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"answer": ""}, "no answer was chosen"),
        ({"answer": "maybe"}, "no answer was chosen"),
        ({"answer": "correct", "correction": "team-1 "}, "equal to the proposal"),
        ({"answer": "correct", "correction": " "}, "equal to the proposal"),
    ],
)
def test_an_answer_that_says_nothing_is_refused_and_the_text_comes_back(site, fields, why):
    site.queue.add([item(1)])
    lee = Reviewer(site, "lee")
    lee.start()
    answer = lee.answer(**fields, note="a long thought")
    assert answer.status_code == 422
    assert why in answer.text.lower()
    assert "a long thought" in answer.text
    assert site.queue.labels(world.AGENT) == ()


def test_an_item_that_went_to_another_person_is_not_answered_by_the_first(site):
    site.queue.add([item(1)])
    lee = Reviewer(site, "lee")
    lee.start()
    opened = lee.item_id
    site.clock.move(seconds=CLAIM_LIFE.total_seconds())
    dana = Reviewer(site, "dana")
    dana.start()
    dana.answer("accept")
    answer = lee.post(f"/review/{opened}", answer="reject", note="kept")
    assert answer.status_code == 409
    assert "accepted already by oidc:dana@corp.example" in answer.text
    assert "kept" in answer.text
    assert lee.client.get(f"/review/{opened}").status_code == 409


def test_nobody_who_is_not_signed_in_sees_an_item(site):
    site.queue.add([item(1)])
    nobody = TestClient(site.app, base_url="http://localhost")
    assert nobody.get("/review").status_code == 403
    assert nobody.post("/review/next", data={"x": "y"}, headers=SAME).status_code == 403


def test_past_decisions_of_similar_items_stand_beside_and_never_the_item_itself(site):
    site.queue.add(
        [
            item(1, input="invoice from Acme about steel pipes"),
            item(2, input="invoice from Acme about steel beams"),
            item(3, input="invoice from Acme about steel pipes", pair_of="f" * 32, proposal="other"),
        ]
    )
    lee = Reviewer(site, "lee")
    lee.start()
    lee.answer("correct", correction="team-metal")
    assert "team-metal" in lee.page.text.split("Similar decisions")[1]
    lee.answer("accept")
    assert "steel beams" in lee.page.text.split("Similar decisions")[1]
    assert "team-metal" not in lee.page.text.split("Similar decisions")[1]


def test_a_week_tells_own_consistency_to_that_person_only(site):
    site.queue.add([item(1)])
    lee = Reviewer(site, "lee")
    lee.start()
    lee.answer("accept")
    site.clock.move(days=3)
    made = (f"item:{1:032x}", "case:a"), (f"item:{1:032x}", "few-shot:b"), (f"item:{9:032x}", "case:other")
    SqlCuration(site.ledger.database).link(
        [Edge(agent=world.AGENT, parent=parent, child=child, at=site.clock.now()) for parent, child in made]
    )
    again = item(2, input="invoice 1 of Acme", proposal="team-1", source=ReviewSource.CANARY)
    site.queue.add(
        [
            ReviewItem(
                **{name: getattr(again, name) for name in ReviewItem.__slots__}
                | {
                    "pair_of": f"{1:032x}",
                    "only_for": "oidc:lee@corp.example",
                    "due_at": site.clock.now() + timedelta(days=1),
                }
            )
        ]
    )
    lee = Reviewer(site, "lee")
    lee.start()
    lee.answer("reject")
    text = lee.client.get("/review").text
    assert "0 of 1 hidden repetitions" in text
    assert "Your answers became 1 case and 1 example" in text
    assert "hidden repetitions" not in Reviewer(site, "dana").page.text


def test_what_was_typed_is_kept_by_the_page(site):
    site.queue.add([item(1)])
    lee = Reviewer(site, "lee")
    lee.start()
    path = lee.page.url.path
    kept = lee.post(f"{path}/draft", answer="correct", correction="half <b>")
    assert (kept.status_code, kept.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert kept.text.splitlines() == ["-team-1", "+half <b>"]
    assert lee.post(f"{path}/draft", answer="correct", correction="team-1").text == ""
    lee.post(f"{path}/draft", answer="correct", correction="half")
    shown = lee.client.get(path).text
    assert ">half</textarea>" in shown
    assert "-team-1\n+half</pre>" in shown
    assert re.search(r'value="correct"[^>]* checked', shown)


def test_every_answer_counts_as_what_it_is(site):
    site.queue.add([item(n) for n in range(4)])
    lee = Reviewer(site, "lee")
    lee.start()
    for answer in ("accept", "reject", "unsure", "hand_back"):
        lee.answer(answer)
    assert "Nothing waits for you" not in lee.page.text or "2 items wait" in lee.page.text
    assert sorted(one.answer for one in site.queue.labels(world.AGENT)) == sorted(
        (Answer.ACCEPT, Answer.REJECT, Answer.UNSURE, Answer.HAND_BACK)
    )


def test_what_a_user_says_over_http_is_text_before_the_reviewer(site):
    words = "=CALL()<script>alert(1)</script><img src=x onerror=alert(2)>\u202etxt.exe\x1b[31mred"
    database = site.ledger.database
    desk = Desk(
        "key",
        SqlFeedback(database),
        site.queue,
        site.installation.lake,
        site.sign_in.directory,
        clock=site.clock,
    )
    task = world.make_tasks()[0]
    body = {"task_id": task.trace_id, "kind": "complaint", "text": words}
    assert desk.hand_in(json.dumps(body).encode(), bearer="key", sender="127.0.0.1")["status"] == "kept"
    lee = Reviewer(site, "lee")
    lee.start()
    shown = lee.answer("accept").text
    assert "=CALL()&lt;script&gt;" in shown
    assert "⟨U+202E⟩" in shown
    assert not re.search("<script>alert|<img src=x|[\u202e\x1b]", shown)
