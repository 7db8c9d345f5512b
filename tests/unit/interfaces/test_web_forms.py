# SPDX-License-Identifier: Apache-2.0
"""Every form of every page is a plain one that a browser sends without script, and each action leaves its record."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import desk_world
import page_site
import page_world as world
import pytest
from page_visitor import enter, send

from pilothouse.core.evidence.review import ReviewItem, ReviewSource

BASE = f"/agents/{world.AGENT}"
ITEM = "0a" * 16
AGENT_PAGES = (
    "agent readiness tasks runs evals watch integrations ownership controls rollout value sign reviews"
)
PAGES = (
    *("/", "/review", f"/review/{ITEM}", "/incidents", "/incidents/1", "/audit", "/settings", "/tour"),
    *(f"{BASE}/{name}" for name in AGENT_PAGES.split()),
    *(f"{BASE}/controls?do=pause", f"{BASE}/controls?do=rollback", f"{BASE}/waivers?item=MON-7"),
    f"{BASE}/runs/{desk_world.RUN}",
    "/sign-in",
)
PEOPLE = ("sam", "dana", "lee", "vp")
ACTIONS = {
    "sign-out", "query", "settings", "controls", "controls/answer", "waivers", "rollout/request",
    "incidents/1", "reviews", "sign", f"runs/{desk_world.RUN}", f"runs/{desk_world.RUN}/replay", "review/next", f"review/{ITEM}",
}  # fmt: skip
"""What can be done on the pages of this world; a phase that its gate let pass can be approved and left."""


@dataclass
class Form:
    """A form as it stands in the page."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    sends: int = 0


class Forms(HTMLParser):
    """Reads the forms of a page without running anything."""

    def __init__(self, text):
        super().__init__()
        self.found, self._labels = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.found.append(Form(given.get("method", "get"), given.get("action", "")))
            self._open = True
        elif tag == "label":
            self._labels += 1
        elif tag in {"input", "select", "textarea", "button"} and self.found and self._open:
            self._control(tag, given)

    def _control(self, tag, given):
        form = self.found[-1]
        if tag == "button":
            form.sends += given.get("type", "submit") == "submit"
            return
        if not given.get("name"):
            form.unnamed.append(str(given))
            return
        form.fields[given["name"]] = given.get("value", "")
        if given.get("type") != "hidden" and not self._labels and "aria-label" not in given:
            form.unlabelled.append(given["name"])

    def handle_endtag(self, tag):
        if tag == "label":
            self._labels -= 1
        elif tag == "form":
            self._open = False


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        desk_world.fill(opened)
        desk_world.fire(opened)
        opened.queue.add(
            [
                ReviewItem(
                    item_id=ITEM, agent=world.AGENT, task_type="po_invoice", trace_id=ITEM,
                    source=ReviewSource.SAMPLED, why="drawn", input="invoice 7", proposal="team-1",
                    call_digest="7" * 64, error_cost=400.0, created_at=world.NOW, due_at=world.NOW,
                )
            ]
        )  # fmt: skip
        yield opened


@pytest.fixture(scope="module")
def people(site):
    entered = {who: enter(site, who) for who in PEOPLE}
    assert send(entered["lee"], "/review/next").headers["location"] == f"/review/{ITEM}"
    return entered


@pytest.fixture(scope="module")
def forms(people):
    """Every form that each person finds, with the page it stands on."""
    found = []
    for client in people.values():
        for path in PAGES:
            answer = client.get(path)
            if answer.status_code == 200:
                found += [(path, one) for one in Forms(answer.text).found]
    return found


def test_every_form_can_be_filled_in_and_sent_without_script(site, forms):
    assert len(forms) > 60
    for path, form in forms:
        assert form.sends, path
        assert not form.unnamed, (path, form.unnamed)
        assert not form.unlabelled, (path, form.unlabelled)


def test_every_form_that_changes_something_is_a_post_with_a_token_to_an_address_that_takes_it(site, forms):
    takers = [route for route in site.app.routes if route.declared.writes]
    for path, form in forms:
        if form.method == "get":
            assert set(form.fields) <= {"type", "result", "version", "text", "as_of"}, path
            continue
        assert form.fields.get("form_token"), path
        scope = {"type": "http", "path": form.action, "method": "POST"}
        assert any(route.matches(scope)[0].name == "FULL" for route in takers), (path, form.action)


def test_the_pages_offer_what_can_be_done_and_nothing_that_this_list_forgot(forms):
    offered = {form.action.removeprefix(f"{BASE}/").removeprefix("/") or "query" for _, form in forms}
    assert offered == ACTIONS


DONE = [
    ("sam", "controls", {"do": "pause", "reason": "wrong payee"}, "agent.paused"),
    ("sam", "controls", {"do": "resume", "reason": "mended"}, "agent.resumed"),
    ("sam", "controls", {"do": "rollback", "reason": "worse", "version": world.OLD_VERSION}, "agent.rolled_back"),
    ("sam", "controls", {"do": "undo", "reason": "better"}, "agent.rollback_ended"),
    ("dana", "controls/answer", {"do": "deny", "approval": desk_world.CALL, "reason": "who?"}, "approval.answered"),
    ("vp", "waivers", {"do": "waive", "item": "MON-7", "days": "7", "reason": "vendor"}, "waiver.signed"),
    ("sam", "rollout/request", {"phase": "1"}, "phase.looked"),
    ("sam", "rollout/back", {"reason": "worse", "confirm": world.AGENT, "seen": "pilot"}, "phase.moved"),
    ("sam", "incidents/1", {"to": "acknowledged", "seen": "open"}, "incident.acknowledged"),
    ("sam", "incidents/1", {"to": "hand-over", "person": "dana"}, "incident.acknowledged"),
    ("dana", "reviews", {"item": ITEM, "to": "lee"}, "review.assigned"),
    ("lee", f"/review/{ITEM}", {"answer": "correct", "correction": "team-2"}, "review.answered"),
]  # fmt: skip


SHOWN_ON = {"controls": "controls", "rollout/back": "rollout", "waivers": "waivers?item=MON-7"}
"""Pages whose form says what state of things it was shown with."""


def shown(client, path):
    """Return the fields by which a form says what was shown."""
    if path not in SHOWN_ON:
        return {}
    return dict(
        re.findall(r'name="(seen|since)" value="([^"]+)"', client.get(f"{BASE}/{SHOWN_ON[path]}").text)
    )


@pytest.mark.usefixtures("forms")
@pytest.mark.parametrize("done", DONE, ids=lambda done: f"{done[3]}-{done[0]}")
def test_each_action_leaves_a_record_in_the_audit_log_that_names_who_did_it(site, people, done):
    who, path, fields, kind = done
    log = site.desk.boundary.log
    before = {one.position for one in log.search(agent=world.AGENT, limit=1_000)}
    fields = {**shown(people[who], path), **fields}
    answer = send(people[who], path if path.startswith("/") else f"{BASE}/{path}", **fields)
    assert answer.status_code == 303, answer.text
    new = [one for one in log.search(agent=world.AGENT, limit=1_000) if one.position not in before]
    assert kind in [one.kind for one in new]
    record = next(one for one in new if one.kind == kind)
    assert who in json.loads(record.text)["actor"]
    listed = people[who].get(f"/audit.json?kind={kind}").json()["sections"][0]["rows"]
    assert str(record.position) in [row["cells"][0]["text"].replace(",", "") for row in listed]
