# SPDX-License-Identifier: Apache-2.0
"""Pages of boundary, people, evals, runs, audit and settings: one view model on every face, and forms that act."""

from __future__ import annotations

import html
import io
import json
import re

import desk_world
import page_site
import page_world as world
import pytest
from json_texts import strings_in
from page_visitor import SAME, enter, send
from rich.console import Console
from sinks import web_sink
from starlette.testclient import TestClient

from pilothouse.reports.terminal_sections import render_sections
from pilothouse.workflows.people.contacts import set_contact

BASE = f"/agents/{world.AGENT}"
PAGES = {
    "/audit": ("audit", None),
    "/settings": ("settings", None),
    "/tour": ("tour", None),
    f"{BASE}/controls": ("controls", world.AGENT),
    f"{BASE}/evals": ("evals", world.AGENT),
    f"{BASE}/integrations": ("integrations", world.AGENT),
    f"{BASE}/ownership": ("ownership", world.AGENT),
    f"{BASE}/runs": ("runs", world.AGENT),
    f"{BASE}/waivers": ("waivers", world.AGENT),
    f"{BASE}/watch": ("watch", world.AGENT),
}
RUN = f"{BASE}/runs/{desk_world.RUN}"
OTHERS = tuple(
    f"{BASE}/{name}"
    for name in ("agent", "compliance", "executive", "readiness", "reviews", "rollout", "sprint", "value")
)
READ = (*PAGES, *OTHERS, RUN, f"{RUN}?against={desk_world.OTHER_RUN}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        desk_world.fill(opened)
        yield opened


@pytest.fixture(scope="module")
def reader(filled):
    return TestClient(filled.app, base_url="http://localhost")


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def numbers_in(text):
    return set(re.findall(r"\d[\d.,]*\d|\d", text))


def counts_in(value):
    """Yield the whole numbers of a JSON value: counts need no form of their own."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from counts_in(part)


def body_text(page):
    body = page.partition("<main")[2].partition("</main>")[0]
    body = re.sub(r"<(svg)\b.*?</\1>", " ", body, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


@pytest.mark.parametrize("path", READ)
def test_every_number_of_a_page_stands_in_its_json(reader, path):
    page = reader.get(path)
    address, _, query = path.partition("?")
    data = reader.get(f"{address}.json?{query}").json()
    assert page.status_code == 200
    assert data["digest"][:12] in page.text
    known = " ".join((*strings_in(data), *counts_in(data)))
    assert not {number for number in numbers_in(body_text(page.text)) if number not in known}


@pytest.mark.parametrize("path", PAGES)
def test_page_json_and_terminal_show_the_same_words_and_numbers(filled, reader, path):
    name, agent = PAGES[path]
    shown = filled.desk.show(name, agent)
    document = reader.get(f"{path}.json").json()
    assert document.pop("digest") == shown.digest
    out = io.StringIO()
    render_sections(shown, Console(file=out, width=2_000, color_system=None, force_terminal=False))
    printed, page = out.getvalue(), body_text(reader.get(path).text)
    assert shown.sentence.plain in printed
    assert shown.sentence.plain in html.unescape(page)
    cells = [
        cell["text"]
        for section in document["sections"]
        for row in section["rows"]
        for cell in row["cells"]
        if re.fullmatch(r"[\d.,$ %+-]+", cell["text"])
    ]
    for text in cells:
        assert text in printed
        assert text in page


@pytest.mark.parametrize("path", READ)
def test_foreign_text_is_shown_and_does_nothing(reader, path):
    text = reader.get(path).text
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert not re.search(r"\sstyle=|\son[a-z]+=", text)


def test_hostile_values_reach_the_pages_as_text(reader):
    for path in (f"{BASE}/controls", f"{BASE}/evals", f"{BASE}/ownership"):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩" in reader.get(path).text


def test_secrets_stay_where_they_are(reader):
    text = reader.get("/settings").text + reader.get("/settings.json").text
    assert "secret" not in text.replace("proxy_secret", "")


def test_the_menu_has_two_rows_and_marks_where_one_is(reader):
    text = reader.get(f"{BASE}/ownership").text
    assert re.findall(r'aria-current="page">([^<]+)<', text) == ["Ownership"]
    rows = re.findall(r"<nav[^>]*>(.*?)</nav>", text.partition("<main")[0], flags=re.DOTALL)
    assert [re.findall(r">([A-Z]\w+)</a>", row) for row in rows] == [
        ["Fleet", "Review", "Incidents", "Audit", "Settings"],
        [
            "Agent",
            "Readiness",
            "Tasks",
            "Runs",
            "Evals",
            "Watch",
            "Integrations",
            "Ownership",
            "Controls",
            "Rollout",
            "Value",
        ],
    ]


def test_the_gate_page_draws_the_paired_differences_worst_first(reader):
    data = reader.get(f"{BASE}/evals.json").json()
    picture = data["sections"][0]["picture"]
    assert [row["label"] for row in picture["rows"]] == ["not worse, non_po_invoice", "not worse, po_invoice"]
    assert picture["rows"][0]["value"] < picture["zero"]
    assert picture["rows"][0]["value"] < picture["margin"]
    assert data["sentence"]["plain"].startswith("The gate says BLOCK")
    assert 'role="img"' in reader.get(f"{BASE}/evals").text


def test_the_list_of_runs_is_asked_page_by_page(reader):
    assert (
        reader.get(f"{BASE}/runs.json?before=1").json()["sentence"]["plain"]
        == "No run was opened before that."
    )
    for bad in ("yesterday", "-1", "9" * 19):
        assert reader.get(f"{BASE}/runs?before={bad}").status_code == 422


def test_two_runs_part_where_the_request_differs(reader):
    same = reader.get(f"{RUN}.json?against={desk_world.RUN}").json()
    assert same["sentence"]["plain"] == f"Every call is the one of run {desk_world.RUN[:8]}."
    found = reader.get(f"{RUN}.json?against={desk_world.OTHER_RUN}").json()
    assert "at call 1: the request differs at $.messages[1].content" in found["sentence"]["plain"]
    assert reader.get(f"{BASE}/runs/{'0' * 32}").status_code == 404


def test_audit_narrows_to_a_kind_and_says_what_was_verified(reader):
    data = reader.get("/audit.json?kind=release").json()
    assert {row["cells"][3]["text"] for row in data["sections"][0]["rows"]} <= {"release"}
    assert data["sentence"]["plain"].startswith("Verified to record 2")
    assert reader.get("/audit?kind=" + "x" * 65).status_code == 422


def test_the_money_of_a_gate_with_trials_of_unknown_cost_is_a_least(reader):
    """The page said $0.00 of a gate none of whose trials had a price."""
    sections = reader.get(f"{BASE}/evals.json").json()["sections"]
    decided = next(one for one in sections if one["anchor"] == "decisions")
    assert [(row["cells"][5]["text"], row["cells"][5]["small"]) for row in decided["rows"]] == [
        ("at least $1.31", "2 trials without a price")
    ]


def test_an_auditor_walks_through_every_record_and_through_those_of_one_agent(reader):
    """Only the newest fifty were to be seen, and "newest 3 of 314" stood over three of a kind."""
    seen, href = [], "/audit"
    while href:
        section = reader.get(href.replace("/audit", "/audit.json")).json()["sections"][0]
        seen += [int(row["cells"][0]["text"].replace(",", "")) for row in section["rows"]]
        href = next((one["href"] for one in section["more"] if one["text"] == "Older"), "")
    assert seen == list(range(len(seen)))[::-1]
    assert len(seen) > 50
    first = reader.get("/audit.json").json()["sections"][0]
    assert first["note"] == f"newest 50 of {len(seen)}"
    assert 'href="/audit?before=' in reader.get("/audit").text
    narrowed = reader.get(f"/audit.json?agent={world.AGENT}&kind=release").json()["sections"][0]
    assert narrowed["note"] == f"only release of {world.AGENT}: 1; the log has {len(seen)}"
    assert [row["cells"][1]["when"]["shown"] for row in narrowed["rows"]] == ["21 Nov 2026, 06:12 UTC"]
    assert reader.get("/audit?before=x").status_code == 422


def test_nobody_stops_an_agent_without_signing_in(site):
    client = TestClient(site.app, base_url="http://localhost")
    assert 'value="ask-pause"' not in client.get(f"{BASE}/controls").text
    answer = client.post(f"{BASE}/controls", data={"do": "pause", "reason": "x"}, headers=SAME)
    assert answer.status_code == 403


def test_pausing_asks_first_and_names_agent_and_version_then_acts_and_is_recorded(site):
    sam = enter(site, "sam")
    asked = send(sam, f"{BASE}/controls", do="ask-pause")
    assert asked.headers["location"] == f"{BASE}/controls?do=pause"
    page = sam.get(asked.headers["location"]).text
    assert f"Pause {world.AGENT}, version {world.VERSION[:7]}?" in page
    assert not site.desk.control_room.controls.read().pauses
    assert send(sam, f"{BASE}/controls", do="pause", reason=" ").status_code == 422
    assert send(sam, f"{BASE}/controls", do="pause", reason="wrong payee").status_code == 303
    pause = site.desk.control_room.controls.read().pause_of(world.AGENT)
    assert (pause.reason, pause.actor) == ("wrong payee", "sam")
    shown = sam.get(f"{BASE}/controls").text
    assert "Paused" in shown
    assert "wrong payee" in shown
    assert site.ledger.decisions(world.AGENT, kind="agent.paused")
    since = re.search(r'name="since" value="([^"]+)"', shown)[1]
    resume = {"do": "resume", "reason": "payee mended", "since": since}
    assert send(sam, f"{BASE}/controls", **resume).status_code == 303
    assert not site.desk.control_room.controls.read().pauses
    assert send(sam, f"{BASE}/controls", do="explode", reason="x").status_code == 422


def test_a_rollback_that_is_pressed_twice_is_one_and_a_late_one_replaces_none(site):
    sam, dana, controls = enter(site, "sam"), enter(site, "dana"), site.desk.control_room.controls
    form = {"do": "rollback", "version": world.OLD_VERSION, "reason": "wrong payee"}
    for _ in range(2):
        assert send(sam, f"{BASE}/controls", **form).status_code == 303
        site.clock.move(seconds=1)
    assert len(site.ledger.decisions(world.AGENT, kind="agent.rolled_back")) == 1
    late = send(dana, f"{BASE}/controls", **{**form, "version": world.VERSION, "reason": "it is slow"})
    assert late.status_code == 409
    assert f"is rolled back to {world.OLD_VERSION[:7]} by now: wrong payee" in late.text
    assert "it is slow" in late.text, "what was typed is not lost"
    assert controls.read().rollback_of(world.AGENT).actor == "sam"


def test_a_page_that_was_gone_back_to_ends_no_pause_and_no_rollback_that_began_since(site):
    sam, dana, controls = enter(site, "sam"), enter(site, "dana"), site.desk.control_room.controls
    steps = (
        ({"do": "pause"}, {"do": "resume"}, lambda: controls.read().pause_of(world.AGENT)),
        (
            {"do": "rollback", "version": world.OLD_VERSION},
            {"do": "undo"},
            lambda: controls.read().rollback_of(world.AGENT),
        ),
    )
    for begin, end, in_force in steps:
        send(sam, f"{BASE}/controls", **begin, reason="wrong payee")
        old = re.search(r'name="since" value="([^"]+)"', sam.get(f"{BASE}/controls").text)[1]
        assert send(sam, f"{BASE}/controls", **end, reason="mended", since=old).status_code == 303
        site.clock.move(seconds=1)
        send(dana, f"{BASE}/controls", **begin, reason="paid twice")
        stale = send(sam, f"{BASE}/controls", **end, reason="mended", since=old)
        assert stale.status_code == 409
        assert "mended" in stale.text, "what was typed is not lost"
        assert in_force().reason == "paid twice"
        for unsaid in ("", "soon", "2026-01-01"):
            assert send(sam, f"{BASE}/controls", **end, reason="x", since=unsaid).status_code == 422
        new = re.search(r'name="since" value="([^"]+)"', sam.get(f"{BASE}/controls").text)[1]
        assert send(sam, f"{BASE}/controls", **end, reason="mended", since=new).status_code == 303
        assert in_force() is None


def test_the_sponsor_signs_and_may_not_pause(site):
    vp = enter(site, "vp")
    assert send(vp, f"{BASE}/controls", do="pause", reason="x").status_code == 403


def test_a_waiting_call_is_answered_once_by_who_is_asked(site):
    desk_world.ask(site)
    dana = enter(site, "dana")
    page = dana.get(f"{BASE}/controls").text
    assert "Allow this one call" in page
    assert "Comes from" in page
    refused = send(dana, f"{BASE}/controls/answer", do="perhaps", approval=desk_world.CALL, reason="x")
    assert refused.status_code == 422
    done = send(dana, f"{BASE}/controls/answer", do="deny", approval=desk_world.CALL, reason="unknown queue")
    assert done.status_code == 303
    again = send(
        dana, f"{BASE}/controls/answer", do="allow", approval=desk_world.CALL, reason="changed my mind"
    )
    assert again.status_code == 409
    twice = send(dana, f"{BASE}/controls/answer", do="deny", approval=desk_world.CALL, reason="unknown queue")
    assert twice.headers["location"] == f"{BASE}/controls", "nobody was first: it is her own answer"
    found = site.desk.boundary.approvals.find(desk_world.CALL)
    assert (found.state, len(found.votes)) == ("rejected", 1)
    assert send(dana, f"{BASE}/controls/answer", do="deny", approval="none", reason="x").status_code == 404


def test_only_pages_on_which_something_waits_renew_themselves(reader):
    assert 'data-live="1"' in reader.get(f"{BASE}/controls").text
    assert 'data-live="1"' in reader.get("/incidents").text
    assert 'data-live="1"' not in reader.get(f"{BASE}/evals").text


def test_json_of_a_page_parses_and_has_no_markup(reader):
    for path in PAGES:
        assert "<svg" not in json.dumps(reader.get(f"{path}.json").json())


def test_the_tour_says_what_each_page_says(reader):
    rows = [row["cells"] for one in reader.get("/tour.json").json()["sections"] for row in one["rows"]]
    told = [cells for cells in rows if cells[2]["text"]]
    assert len(told) >= 9
    for cells in told:
        address = cells[1]["href"]
        assert reader.get(f"{address}.json").json()["sentence"]["plain"] == cells[2]["text"]


def test_the_watch_says_how_soon_it_would_notice_what(reader):
    data = reader.get(f"{BASE}/watch.json").json()
    table = next(one for one in data["sections"] if one["anchor"] == "detectability")
    heads = [one["title"] for one in table["columns"]]
    assert heads == [
        "Detector",
        "3 points",
        "5 points",
        "7 points",
        "10 points",
        "Promised",
        "Kept",
        "False alarms a year, at most",
    ]
    assert any(row["cells"][heads.index("Promised")]["text"].endswith(" d") for row in table["rows"])


def test_detectors_that_wait_for_the_same_thing_are_one_row_with_the_command_that_ends_it(reader):
    data = reader.get(f"{BASE}/watch.json").json()
    table = next(one for one in data["sections"] if one["anchor"] == "detectors")
    waiting = [row["cells"] for row in table["rows"] if row["cells"][0]["mark"]["word"] == "Blind"]
    reasons = [cells[0]["small"] for cells in waiting]
    assert len(set(reasons)) == len(reasons)
    together = re.findall(r"(\d+) detectors", " ".join(cells[1]["text"] for cells in waiting))
    assert max(map(int, together)) > 20
    # One way out for each: in its words or as its command, never both and never none.
    ways = [("`" in cells[0]["small"], cells[6]["command"]) for cells in waiting]
    assert {way for way in ways if way[0]} == {(True, "")}
    assert {way for way in ways if not way[0]} == {(False, "pilothouse watch tick")}


def test_a_test_note_is_sent_from_settings_to_people_of_agents_that_the_visitor_operates(site):
    room, now = site.desk.control_room, site.clock.now()
    with web_sink() as web:
        set_contact(room, "kim", web.url, channel="", zone="UTC", actor="test", now=now)
        set_contact(
            room, "kim", "json://127.0.0.1:9/gone", channel="phone", zone="UTC", actor="test", now=now
        )
        identity = next(one.identity for one in room.contacts.all())
        operator, sponsor = enter(site, "sam"), enter(site, "vp")
        assert f'<option value="{identity}">' in operator.get("/settings").text
        answer = send(operator, "/settings", person=identity, do="try")
        assert answer.status_code == 200
        assert re.search(r'<p class="note">Test note to [^<]*: chat taken; phone not taken: ', answer.text)
        assert len(web.received) == 1
        assert "Send a test note" not in sponsor.get("/settings").text
        assert send(sponsor, "/settings", person=identity, do="try").status_code == 403
        assert send(operator, "/settings", person="oidc:eve@elsewhere.example", do="try").status_code == 404
        assert len(web.received) == 1
    tried = room.installation.ledger.decisions(world.AGENT, kind="contact.tried")
    assert {json.loads(one.document)["channel"]: json.loads(one.document)["taken"] for one in tried} == {
        "chat": True,
        "phone": False,
    }


def test_no_test_note_goes_to_somebody_of_another_agent_by_the_name_in_its_charter(site):
    room = site.desk.control_room
    text = world.charter_text().replace(f"agent: {world.AGENT}", "agent: other-agent")
    text = text.replace("kim", "zoe").replace("@corp.example", "@elsewhere.example")
    site.ledger.accept_charter(agent="other-agent", digest="d" * 64, text=text, path="c.yaml", at=world.NOW)
    with web_sink() as web:
        now = site.clock.now()
        set_contact(room, "zoe", web.url, channel="", zone="UTC", actor="test", now=now)
        assert (
            send(enter(site, "oidc:sam@corp.example"), "/settings", person="zoe", do="try").status_code == 403
        )
        assert not web.received
