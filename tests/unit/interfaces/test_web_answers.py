# SPDX-License-Identifier: Apache-2.0
"""What each address answers: pages, JSON, caches, headers, and errors that say what to do."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import page_site
import page_world as world
import pytest
from json_texts import strings_in
from starlette.testclient import TestClient

from pilothouse.errors import StorageUnavailable, UnknownName
from pilothouse.interfaces.web.frame import CONTENT_POLICY
from pilothouse.interfaces.web.pages import web_app
from pilothouse.reports.next_step import next_step
from pilothouse.workflows.reports import show
from pilothouse.workflows.reports.show import Shows

BASE = f"/agents/{world.AGENT}"
TASK = world.make_tasks()[0]
PAGES = (
    "/",
    "/health",
    f"{BASE}/agent",
    f"{BASE}/readiness",
    f"{BASE}/tasks",
    f"{BASE}/tasks/{TASK.trace_id}",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return TestClient(page_site.make_site(tmp_path_factory.mktemp("home")), raise_server_exceptions=False)


def json_of(path):
    return "/fleet.json" if path == "/" else f"{path}.json"


@pytest.mark.parametrize("path", PAGES)
def test_page_and_json_show_one_view_model(client, path):
    page, data = client.get(path), client.get(json_of(path))
    assert page.status_code == data.status_code == 200
    document = data.json()
    assert document["digest"][:12] in page.text
    assert f'href="{json_of(path)}"' in page.text
    assert document["view_version"] == 1
    assert document["sentence"]["plain"].split()[0] in page.text


@pytest.mark.parametrize("path", PAGES)
def test_each_number_on_a_page_stands_in_its_view_model(client, path):
    body = client.get(path).text.partition("<main")[2].partition("</main>")[0]
    pictures = re.sub(r"<(svg)\b.*?</\1>", " ", body, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", pictures))
    known = " ".join(strings_in(client.get(json_of(path)).json()))
    numbers = set(re.findall(r"\d[\d.,]*\d|\d", text))
    assert numbers
    assert not {number for number in numbers if number not in known}


@pytest.mark.parametrize("path", [*PAGES, "/static/none", "/nowhere", f"{BASE}/readiness.json"])
def test_every_answer_has_the_strict_headers(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in CONTENT_POLICY


@pytest.mark.parametrize("path", PAGES)
def test_nothing_on_a_page_is_inline_or_from_elsewhere(client, path):
    text = client.get(path).text
    assert "<style" not in text
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son[a-z]+=", text)
    assert not re.search(r"<script(?! src=\"/static/)", text)
    assert not re.search(r'(?:href|src|action)="(?:https?:)?//', text)


def test_an_equal_page_is_not_sent_again(client):
    first = client.get(f"{BASE}/agent")
    again = client.get(f"{BASE}/agent", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert client.get(f"{BASE}/agent", headers={"if-none-match": 'W/"other"'}).status_code == 200


def test_static_files_carry_their_digest_and_never_change(client):
    names = re.findall(r'"(/static/[^"]+)"', client.get("/").text)
    assert len(set(names)) == 5
    for name in names:
        answer = client.get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert re.search(r"\.[0-9a-f]{12}\.", name)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_reading_is_all_a_page_does(client, method):
    answer = getattr(client, method)(f"{BASE}/agent")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_answers_like_get_without_a_body(client):
    answer = client.head(f"{BASE}/agent")
    assert answer.status_code == 200
    assert answer.content == b""


def test_readiness_of_a_past_day_is_judged_as_of_its_end_and_its_links_stay_there(client):
    day = (world.NOW - timedelta(days=3)).date()
    path = f"{BASE}/readiness?show=no_evidence&as_of={day}"
    page = client.get(path)
    assert f"Judged as of {day}" not in client.get(f"{BASE}/readiness").text
    assert page.status_code == 200
    document = client.get(path.replace("?", ".json?")).json()
    assert document["as_of"]["at"].startswith(f"{day}T23:59:59")
    assert any(note.startswith("Judged as of ") for note in document["notices"])
    assert document["notices"][0] in html.unescape(page.text)
    assert document["action"] is None
    links = [one["href"] for one in document["filters"] if one["href"]]
    rows = [one["href"] for section in document["domains"] for one in section["requirements"]]
    assert rows
    assert [one for one in links + rows if f"as_of={day}" not in one] == ["?"], (
        "but for the one that leads back"
    )
    assert client.get(f"{path}&open=all").status_code == 200


def test_few_past_moments_are_judged_at_once(client, monkeypatch):
    """Nothing is kept of them, so whoever may read could keep the server at work."""
    asked = f"{BASE}/readiness?as_of={world.NOW.date() - timedelta(days=3)}"
    judge, meanwhile = show.assess, []

    def judged(*given, **named):
        meanwhile.append(client.get(asked).status_code)
        return judge(*given, **named)

    monkeypatch.setattr(show, "assess", judged)
    assert client.get(asked).status_code == 200
    assert meanwhile == [422, 200], "a third at once is refused"
    monkeypatch.setattr(show, "assess", judge)
    assert client.get(asked).status_code == 200


@pytest.mark.parametrize("path", [one for one in PAGES if "readiness" not in one])
def test_a_page_of_the_present_is_not_taken_for_one_of_the_past(client, path):
    answer = client.get(f"{path}?as_of=2026-01-01")
    assert answer.status_code == 422
    assert "/readiness?as_of=" in answer.text


def test_a_misspelt_agent_gets_the_nearest_name_and_the_list(client):
    answer = client.get("/agents/ap-invoce-triage/agent")
    assert answer.status_code == 404
    assert "Did you mean ap-invoice-triage?" in answer.text
    assert f'href="{BASE}/agent"' in answer.text
    record = client.get("/agents/ap-invoce-triage/agent.json").json()["error"]
    assert record["code"] == "unknown-name"


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE}/readiness?show=fine",
        f"{BASE}/readiness?as_of=2999-01-01",
        f"{BASE}/readiness?as_of=0001-01-01",
        f"{BASE}/readiness?as_of=0001-01-01T00:00%2B14:00",
        f"{BASE}/readiness.pdf?as_of=yesterday",
        f"{BASE}/tasks?result=great",
        f"{BASE}/tasks?before=yesterday",
        f"{BASE}/tasks?before=99999999999999999999-{'0' * 32}",
        f"{BASE}/tasks?before=9999999999999999999-{'0' * 32}",
        f"{BASE}/tasks?text={'x' * 501}",
        f"{BASE}/tasks?text=resutl:failed",
    ],
)
def test_a_question_without_an_answer_is_422_with_an_example(client, path):
    answer = client.get(path)
    assert answer.status_code == 422
    # A query line stays beside what is wrong with it.
    assert ("What to do" if "/readiness" in path else '<p class="note">') in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        f"{BASE}/tasks/xyz",
        f"{BASE}/tasks/{'f' * 32}",
        "/agents/none/tasks",
        "/agents/none/readiness",
    ],
)
def test_what_is_not_there_is_404_and_leads_on(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert BASE in answer.text


def test_an_agent_without_a_charter_has_tasks_and_is_told_how_to_get_more(client):
    name = "stray%20%3Cb%3Eagent%3C%2Fb%3E"
    page = client.get(f"/agents/{name}/tasks")
    assert page.status_code == 200
    assert "<b>agent" not in page.text
    assert "stray &lt;b&gt;agent&lt;/b&gt;" in page.text
    refused = client.get(f"/agents/{name}/readiness")
    assert refused.status_code == 404
    assert "pilothouse init" in refused.text
    assert f"{name}/tasks" in client.get("/").text


def test_hostile_text_in_a_query_is_escaped_where_it_is_shown_again(client):
    page = client.get(f"{BASE}/tasks", params={"text": '"><script>alert(1)</script>"'})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&#34;&gt;&lt;script&gt;" in page.text


def test_tasks_can_be_walked_to_the_end_without_seeing_one_twice(client):
    seen, path = [], f"{BASE}/tasks.json"
    while path:
        document = client.get(path).json()
        seen += [row["link"]["href"] for row in document["rows"]]
        older = document["older"]
        path = older["href"].replace("/tasks?", "/tasks.json?") if older else None
    assert len(seen) == len(set(seen)) == len(world.make_tasks())


def test_the_whole_text_of_a_span_is_a_download_and_never_a_page(client):
    answer = client.get(f"{BASE}/tasks/{TASK.trace_id}/{4:016x}/output.txt")
    assert len(answer.text) == 1_000_000
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert client.get(f"{BASE}/tasks/{TASK.trace_id}/{4:016x}/name.txt").status_code == 404


def test_narrowed_readiness_keeps_its_query_in_the_json_link(client):
    assert f'href="{BASE}/readiness.json?show=breached"' in client.get(f"{BASE}/readiness?show=breached").text


class Broken:
    """A site whose sources do not answer."""

    def __init__(self, error):
        self.error = error

    def __getattr__(self, name):
        def fail(*_args, **_options):
            raise self.error

        return fail


def test_a_source_that_does_not_answer_is_503_with_its_remedy():
    error = StorageUnavailable("the lake cannot be read", remedy="Run `pilothouse doctor`.")
    client = TestClient(web_app(Broken(error)), raise_server_exceptions=False)
    answer = client.get("/")
    assert answer.status_code == 503
    assert "pilothouse doctor" in answer.text


def test_a_bug_shows_an_id_and_nothing_of_its_cause(caplog):
    client = TestClient(web_app(Broken(RuntimeError("secret /etc/path"))), raise_server_exceptions=False)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    ident = re.search(r"Its id is ([0-9a-f]{8})", answer.text)[1]
    assert any(ident in record.getMessage() for record in caplog.records)
    assert client.get("/fleet.json").json()["error"]["code"] == "bug"


def test_a_lake_that_is_away_leaves_the_fleet_with_a_notice(tmp_path):
    installation = page_site.make_installation(tmp_path)
    shows = Shows(installation)
    shows.fleet()

    def away():
        raise StorageUnavailable("the lake cannot be read", remedy="Run `pilothouse doctor`.")

    installation.lake.agents = away
    page = shows.fleet()
    assert page.notices == ("Telemetry did not answer: the lake cannot be read.",)
    assert len(page.rows) == 1


def test_the_first_run_shows_the_way(tmp_path):
    client = TestClient(page_site.make_site(tmp_path, empty=True))
    assert "pilothouse demo" in client.get("/").text


def test_an_agent_is_judged_once_a_minute_however_many_pages_ask(tmp_path):
    installation = page_site.make_installation(tmp_path)
    asked = []

    def judge(place, agent, now):
        asked.append(now)
        return page_site.judge(place, agent, now)

    shows = Shows(installation, judge)
    for _ in range(3):
        shows.readiness(world.AGENT)
        shows.agent(world.AGENT)
    shows.fleet()
    assert len(asked) == 1
    installation.clock.advance(page_site.MINUTE)
    shows.readiness(world.AGENT)
    assert len(asked) == 2


def test_json_is_one_line_that_reads_back(client):
    text = client.get(f"{BASE}/readiness.json").text
    assert "\n" not in text
    assert json.loads(text)["name"] == "readiness"


def test_the_fleet_reads_a_young_frozen_verdict_and_judges_an_old_one_again(tmp_path):
    installation = page_site.make_installation(tmp_path)
    page_site.assess(installation, world.AGENT, world.NOW)
    asked = []

    def judge(place, agent, now):
        asked.append(now)
        return page_site.judge(place, agent, now)

    shows = Shows(installation, judge)
    assert shows.fleet().rows[0].mark.word == "Breached"
    assert asked == []
    installation.clock.advance(11 * page_site.MINUTE)
    shows.fleet()
    assert len(asked) == 1


def test_a_page_read_from_tasks_is_made_once_a_minute_and_anew_when_somebody_acted(tmp_path):
    installation = page_site.make_installation(tmp_path)
    shows, made = Shows(installation, page_site.judge), []

    def make(_place, found):
        made.append(found.verdict.as_of)
        return shows.readiness(world.AGENT)

    first = shows.page(world.AGENT, "value", make)
    assert shows.page(world.AGENT, "value", make) is first
    assert len(made) == 1
    shows.forget(world.AGENT)
    shows.page(world.AGENT, "value", make)
    installation.clock.advance(page_site.MINUTE)
    shows.page(world.AGENT, "value", make)
    assert len(made) == 3
    with pytest.raises(UnknownName):
        shows.page("nobody", "value", make)


def test_the_fleet_works_out_the_next_step_of_one_verdict_once(tmp_path, monkeypatch):
    installation, asked = page_site.make_installation(tmp_path), []

    def step(verdict, charter):
        asked.append(verdict.as_of)
        return next_step(verdict, charter)

    monkeypatch.setattr("pilothouse.workflows.reports.show.next_step", step)
    shows = Shows(installation, page_site.judge)
    assert shows.fleet().action == shows.fleet().action
    assert len(asked) == 1


@pytest.mark.parametrize("bad", ["text=cost%3Aabc", "result=nope", "version=v&before=x"])
def test_a_query_that_cannot_be_read_stays_in_its_fields(client, bad):
    """The page of the error had no field, so whoever mistyped one word typed all of them again."""
    address = f"/agents/{world.AGENT}/tasks"
    page = client.get(f"{address}?type=invoice&{bad}")
    assert page.status_code == 422
    assert "etag" not in page.headers
    assert '<form class="query"' in page.text
    if bad.startswith("text"):
        assert 'value="cost:abc"' in page.text
        assert "Cannot read" in page.text
        assert "cost:&gt;0.05" in page.text
    refused = client.get(f"{address}.json?{bad}")
    assert (refused.status_code, set(refused.json())) == (422, {"error"})
