# SPDX-License-Identifier: Apache-2.0
"""Signing in, and the door of every form: who, from where, with which token, allowed to do what."""

from __future__ import annotations

import html
import re

import page_site
import page_world as world
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from pilothouse.core.charter.powers import Action
from pilothouse.errors import Conflict, UnknownName
from pilothouse.interfaces.web.pages import web_app
from pilothouse.interfaces.web.routing import PageRoute
from pilothouse.workflows.people.sign_in import Proxy
from pilothouse.workflows.reports.show import Shows

SAME = {"sec-fetch-site": "same-origin"}
SECRET = "s" * 32


class FormRoom:
    """A form that answers with what it was given, for operators of the agent."""

    def routes(self, frame):
        def answer(visit):
            return PlainTextResponse(f"{visit.person.person(world.AGENT)} {visit.form.get('text', '')}")

        return (
            PageRoute(path="/agents/{agent}/try", answer=answer, action=Action.OPERATE, writes=True),
            PageRoute(path="/review-only", answer=answer, action=Action.REVIEW),
        )


TRY = f"/agents/{world.AGENT}/try"


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


def client_of(site, **options):
    app = web_app(Shows(site.installation), sign_in=site.sign_in, rooms=(FormRoom(),))
    return TestClient(app, base_url="http://localhost", follow_redirects=False, **options)


@pytest.fixture
def client(site):
    return client_of(site)


def enter(client, site, who="sam", **form):
    link = site.link(who).removeprefix("/sign-in/")
    return client.post("/sign-in", data={"link": link, **form}, headers=SAME)


def token_of(client):
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)
    return found[1] if found else ""


def send(client, text="hello", *, headers=SAME, token=None):
    data = {"text": text, "form_token": token_of(client) if token is None else token}
    return client.post(TRY, data=data, headers=headers)


def test_a_link_shows_whom_it_signs_in_and_works_once(client, site):
    link = site.link("sam")
    for _ in range(2):  # scanners of mail open links
        assert "Sign in as S. Ortega" in client.get(link).text
    answer = client.post("/sign-in", data={"link": link.removeprefix("/sign-in/")}, headers=SAME)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "S. Ortega" in client.get("/sign-in").text
    assert client.get(link).status_code == 404
    again = client_of(site).post("/sign-in", data={"link": link.removeprefix("/sign-in/")}, headers=SAME)
    assert again.status_code == 403
    assert "it was used" in again.text


def test_the_cookie_can_be_read_by_no_script_and_is_sent_by_no_other_site(client, site):
    cookie = enter(client, site).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=43200" in cookie


def test_links_and_sessions_are_kept_as_hashes_only(client, site, tmp_path):
    link = site.link("sam").removeprefix("/sign-in/")
    enter(client, site)
    session = client.cookies["pilothouse_session"]
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    assert link.encode() not in stored
    assert session.encode() not in stored


@pytest.mark.parametrize(("minutes", "status"), [(14, 303), (15, 403)])
def test_a_link_lives_a_quarter_of_an_hour(client, site, minutes, status):
    link = site.link("sam").removeprefix("/sign-in/")
    site.clock.move(minutes=minutes)
    assert client.post("/sign-in", data={"link": link}, headers=SAME).status_code == status


@pytest.mark.parametrize("steps", [[121], [100] * 8])
def test_a_session_ends_when_it_is_idle_and_after_a_day_of_work_in_any_case(client, site, steps):
    enter(client, site)
    for minutes in steps[:-1]:
        site.clock.move(minutes=minutes)
        assert "S. Ortega" in client.get("/sign-in").text
    site.clock.move(minutes=steps[-1])
    assert "S. Ortega" not in client.get("/sign-in").text


def test_signing_in_again_changes_the_secret_and_signing_out_ends_it(client, site):
    enter(client, site)
    first = client.cookies["pilothouse_session"]
    enter(client, site, "kim")
    assert site.sign_in.visitor(first) is None
    second = client.cookies["pilothouse_session"]
    client.post("/sign-out", data={"form_token": token_of(client)}, headers=SAME)
    assert site.sign_in.visitor(second) is None
    kinds = [one.kind for one in site.ledger.decisions("pilothouse")]
    assert kinds.count("person.signed_in") == 2
    assert "person.signed_out" in kinds


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil"])
def test_signing_in_leads_to_a_page_of_ours_only(client, site, wanted):
    assert enter(client, site, next=wanted).headers["location"] == "/"


def test_a_link_leads_to_the_page_it_was_for(client, site):
    link = site.link("sam")
    shown = client.get(f"{link}?next=/incidents/7%3Fpart=%22a").text
    assert 'name="next" value="/incidents/7?part=&#34;a"' in shown
    assert enter(client, site, next="/incidents/7").headers["location"] == "/incidents/7"


def test_signing_in_leads_back_to_the_page_that_somebody_was_turned_away_from_once(client, site):
    client.get("/review-only?after=1")
    assert 'value="/review-only?after=1"' in client.get(site.link("sam")).text
    enter(client, site)
    assert 'name="next"' not in client.get(site.link("kim")).text


def test_the_page_that_says_how_to_sign_in_keeps_where_somebody_came_from(client, site):
    page = client.get("/agents/ap-invoice-triage/readiness?show=breached").text
    way = re.search(r'<a class="who" href="([^"]+)">Sign in', page)[1]
    client.get(way)
    assert 'value="/agents/ap-invoice-triage/readiness?show=breached"' in client.get(site.link("sam")).text


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/fleet.json", "/" + "x" * 2_000]
)
def test_what_is_no_page_of_ours_is_not_kept(client, site, wanted):
    client.get("/sign-in", params={"next": wanted})
    assert 'name="next"' not in client.get(site.link("sam")).text


def test_a_person_with_the_duty_may_and_is_known_by_the_charters_id(client, site):
    enter(client, site, "kim")
    assert send(client).text == "kim hello"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site", "origin": "null"},
        {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
        {},
    ],
)
def test_a_form_from_another_site_or_from_no_browser_is_refused(client, site, headers):
    enter(client, site)
    answer = send(client, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text


@pytest.mark.parametrize(
    "headers", [{"origin": "http://localhost"}, {"sec-fetch-site": "same-origin", "origin": "null"}]
)
def test_the_origin_of_our_own_page_is_enough(client, site, headers):
    enter(client, site)
    assert send(client, headers=headers).status_code == 200


def test_a_form_without_the_sessions_token_is_refused_and_what_was_typed_comes_back(client, site):
    enter(client, site)
    answer = send(client, text="an hour of <b>work</b>", token="0" * 64)
    assert answer.status_code == 403
    assert "an hour of &lt;b&gt;work&lt;/b&gt;" in answer.text


WRITTEN = 'an hour of\n<b>work</b> & "\u05e9\u05e2\u05d4\u200f"'
"""With a line, markup, and a mark of direction, which is shown as a sign but sent as it is."""


def hidden_fields(page):
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.rpartition("<form")[2])
    return {name: html.unescape(text) for name, text in found}


def test_a_form_of_a_session_that_ended_is_sent_again_by_whoever_has_signed_in_since(client, site):
    enter(client, site)
    of_then = token_of(client)
    client.cookies.clear()
    refused = send(client, text=WRITTEN, token=of_then)
    assert hidden_fields(refused.text) == {"text": WRITTEN, "form_token": of_then}
    enter(client, site, "kim")
    shown = client.post(TRY, data=hidden_fields(refused.text), headers=SAME)
    assert shown.status_code == 403, "another person than the one who wrote it says so first"
    assert "Send it again as K. Adeyemi" in shown.text
    assert client.post(TRY, data=hidden_fields(shown.text), headers=SAME).text == f"kim {WRITTEN}"


def test_no_form_is_offered_again_to_whoever_may_not_send_it_or_for_another_site(client, site):
    enter(client, site, "vp")
    refused = send(client)
    assert refused.status_code == 403
    assert "Send it again" not in refused.text
    assert "Send it again" not in send(client, token="", headers={"sec-fetch-site": "cross-site"}).text


def test_an_error_keeps_the_visitor_and_the_menu_of_the_agent(client, site):
    address = f"/agents/{world.AGENT}/tasks/nothing"
    for name, offered in (("", "Sign in"), ("sam", "Sign out")):
        if name:
            enter(client, site, name)
        page = client.get(address).text
        assert offered in page
        assert "Did you mean" not in page, "the agent is not what is unknown"
        assert f'href="/agents/{world.AGENT}/readiness"' in page
    assert "Sign out" in client.get("/nowhere").text


def test_another_sessions_token_is_worth_nothing(site):
    first, second = client_of(site), client_of(site)
    enter(first, site)
    enter(second, site, "kim")
    assert send(second, token=token_of(first)).status_code == 403


def test_nobody_signed_in_is_told_how(client):
    answer = client.get("/review-only")
    assert answer.status_code == 403
    assert "pilothouse sign-in PERSON" in answer.text


def test_a_person_without_the_duty_is_told_who_has_it_and_it_is_recorded(client, site):
    enter(client, site, "vp")
    answer = send(client)
    assert answer.status_code == 403
    assert "V. Petrov may not operate" in answer.text
    assert "S. Ortega" in answer.text
    (denied,) = site.ledger.decisions(world.AGENT, kind="action.denied")
    assert denied.actor == "oidc:vp@corp.example"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=1", "text/plain", 422),
        (b"a=1", "application/json", 422),
        (b"a=%ff", "application/x-www-form-urlencoded", 422),
        (b"a=\xff", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a%d=1" % n for n in range(60)), "application/x-www-form-urlencoded", 422),
        (b"text=" + b"x" * 600_000, "application/x-www-form-urlencoded", 422),
    ],
)
def test_what_is_no_form_is_refused(client, site, body, kind, status):
    enter(client, site)
    assert client.post(TRY, content=body, headers={**SAME, "content-type": kind}).status_code == status


def test_reading_never_changes_anything_and_writing_needs_post(client, site):
    enter(client, site)
    assert client.get(TRY).status_code in {404, 405}
    answer = client.post("/", headers=SAME)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_where_others_can_reach_it_reading_needs_a_person(tmp_path):
    with page_site.people_site(tmp_path, open_reading=False) as site:
        client = client_of(site)
        assert client.get("/").status_code == 403
        assert client.get("/sign-in").status_code == 200
        enter(client, site, "vp")
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({"x-forwarded-user": "sam@corp.example", "x-pilothouse-proxy": SECRET}, True),
        ({"x-forwarded-user": "oidc:sam@corp.example", "x-pilothouse-proxy": SECRET}, True),
        ({"x-forwarded-user": "sam@corp.example", "x-pilothouse-proxy": "guess"}, False),
        ({"x-forwarded-user": "sam@corp.example"}, False),
        ({"x-forwarded-user": "mallory@corp.example", "x-pilothouse-proxy": SECRET}, False),
    ],
)
def test_a_proxy_vouches_for_people_with_its_secret_only(tmp_path, headers, shown):
    with page_site.people_site(tmp_path, proxy=Proxy(header="x-forwarded-user", secret=SECRET)) as site:
        client = client_of(site, headers=headers)
        assert ("S. Ortega" in client.get("/sign-in").text) is shown
        if shown:
            assert send(client).text == "sam hello"


@pytest.mark.parametrize(
    ("named", "secret", "said"),
    [
        ([], SECRET, "Sign in first"),
        (["mallory@corp.example"], SECRET, "You are mallory@corp.example, whom no charter in force names"),
        (
            ["sam@corp.example"],
            "guess",
            "Whoever names you in x-forwarded-user is not our proxy",
        ),
        (
            ["vp@corp.example", "sam@corp.example"],
            SECRET,
            "The proxy sends x-forwarded-user 2 times",
        ),
    ],
)
def test_who_is_signed_in_at_the_proxy_is_told_why_that_is_not_enough(tmp_path, named, secret, said):
    proxy = Proxy(header="x-forwarded-user", secret=SECRET)
    with page_site.people_site(tmp_path, proxy=proxy, open_reading=False) as site:
        sent = [("x-forwarded-user", one) for one in named]
        answer = client_of(site).get("/", headers=[*sent, ("x-pilothouse-proxy", secret)])
        assert answer.status_code == 403
        assert said in answer.text


def test_a_proxy_that_names_nobody_vouches_for_nobody(tmp_path):
    with page_site.people_site(tmp_path, proxy=Proxy(header="x-forwarded-user", secret=SECRET)) as site:
        text = world.charter_text().replace("oidc:sam@corp.example", "sam")
        site.ledger.accept_charter(agent=world.AGENT, digest="d" * 64, text=text, path="c.yaml", at=world.NOW)
        sent = {"x-forwarded-user": "", "x-pilothouse-proxy": SECRET}
        assert "S. Ortega" not in client_of(site, headers=sent).get("/sign-in").text
        assert (
            "S. Ortega" in client_of(site, headers={**sent, "x-forwarded-user": "sam"}).get("/sign-in").text
        )


def test_an_unknown_person_gets_no_link(site):
    with pytest.raises(UnknownName, match="Did you mean 'dana'"):
        site.sign_in.issue_link("dna", actor="test")


def test_two_people_with_one_id_must_be_told_apart(site):
    text = (
        world.charter_text()
        .replace("agent: ap-invoice-triage", "agent: other-agent")
        .replace("oidc:sam@corp.example", "oidc:sam@elsewhere.example")
    )
    site.ledger.accept_charter(agent="other-agent", digest="d" * 64, text=text, path="c.yaml", at=world.NOW)
    with pytest.raises(Conflict, match="2 people"):
        site.sign_in.issue_link("sam", actor="test")
    visitor, _ = site.sign_in.issue_link("oidc:sam@elsewhere.example", actor="test")
    assert visitor.persons == {"other-agent": "sam"}


def test_of_two_identities_in_one_request_a_proxy_vouches_for_neither(tmp_path):
    with page_site.people_site(tmp_path, proxy=Proxy(header="x-forwarded-user", secret=SECRET)) as site:
        client = client_of(site)
        sent = [("x-forwarded-user", "vp@corp.example"), ("x-forwarded-user", "sam@corp.example")]
        page = client.get("/sign-in", headers=[*sent, ("x-pilothouse-proxy", SECRET)]).text
        assert "V. Petrov" not in page
        assert "S. Ortega" not in page


def test_behind_a_proxy_no_cookie_counts_that_a_neighbour_under_the_domain_could_set(tmp_path):
    with page_site.people_site(tmp_path, proxy=Proxy(header="x-forwarded-user", secret=SECRET)) as site:
        cookie = enter(client_of(site), site).cookies["__Host-pilothouse_session"]
        for name, shown in (("__Host-pilothouse_session", True), ("pilothouse_session", False)):
            page = client_of(site).get("/sign-in", headers={"cookie": f"{name}={cookie}"}).text
            assert ("S. Ortega" in page) is shown
