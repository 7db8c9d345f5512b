# SPDX-License-Identifier: Apache-2.0
"""Readiness, Value and incidents as PDF: the numbers of page, JSON, terminal and PDF of one moment, and hostile text."""

from __future__ import annotations

import html
import io
import json
import re
from datetime import date

import desk_world
import page_site
import page_world as world
import pytest
from json_texts import strings_in
from pdf_text import pdf_text
from rich.console import Console
from starlette.testclient import TestClient

from pilothouse.reports.pdf import render_pdf
from pilothouse.reports.readiness import build_readiness
from pilothouse.reports.terminal import render_verdict
from pilothouse.reports.terminal_sections import render_sections
from pilothouse.reports.view_models import page_json
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.reports.report import show_executive
from pilothouse.workflows.reports.sprint import show_sprint
from pilothouse.workflows.verdict.assess import assess

BASE = f"/agents/{world.AGENT}"
ON_PAPER = {
    "executive": f"{BASE}/executive",
    "incident": "/incidents/1",
    "readiness": f"{BASE}/readiness",
    "sprint": f"{BASE}/sprint",
    "value": f"{BASE}/value",
}
FORMULA = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        desk_world.fill(opened)
        said = f"fell by 7.3 points {FORMULA} #read(1) {world.HOSTILE}{'x' * 3_000}"
        firing = Firing(agent=world.AGENT, metric="completion", sentence=said, traces=("a" * 32,))
        raise_alert(opened.desk.control_room, firing, opened.clock.now())
        yield opened


@pytest.fixture(scope="module")
def client(site):
    return TestClient(site.app, base_url="http://localhost")


@pytest.fixture(scope="module")
def papers(client):
    """Text of each PDF, places for a line break left out."""
    return {
        name: pdf_text(client.get(f"{path}.pdf").content).replace("\u200b", "")
        for name, path in ON_PAPER.items()
    }


def squeezed(text):
    return re.sub(r"\s+", "", text)


def numbers_in(text):
    return set(re.findall(r"\d[\d.,]*\d|\d", text))


@pytest.mark.parametrize("name", ON_PAPER)
def test_every_number_of_the_paper_stands_in_the_json_of_the_same_moment(client, papers, name):
    data = client.get(f"{ON_PAPER[name]}.json").json()
    known = " ".join((*strings_in(data), json.dumps(data)))
    sheets = {str(number) for number in range(1, 20)}
    found = numbers_in(papers[name])
    assert len(found) > 8
    assert not {one for one in found - sheets if one not in known}
    assert squeezed(data["sentence"]["plain"])[:200] in squeezed(papers[name])
    assert data["digest"][:12] in papers[name]


def test_readiness_says_of_each_requirement_what_page_and_terminal_say(site, client, papers):
    data = client.get(f"{BASE}/readiness.json").json()
    found = page_site.judge(site.installation, world.AGENT, site.clock.now())
    page = client.get(f"{BASE}/readiness?open=all").text
    out = io.StringIO()
    shown = build_readiness(found.verdict, found.charter)
    render_verdict(shown, Console(file=out, width=2_000, color_system=None), full=True)
    rows = [row for domain in data["domains"] for row in (*domain["requirements"], *domain["later"])]
    assert len(rows) > 40
    measured = [row for row in rows if row["deciding"]["measured"]]
    assert len(measured) > 3
    for row in rows:
        assert squeezed(row["id"] + row["statement"]) in squeezed(papers["readiness"])
    for row in measured:
        value = row["deciding"]["measured"]["shown"]
        assert squeezed(value) in squeezed(papers["readiness"])
        assert value in page
        assert value in out.getvalue()


def test_value_and_incident_say_their_ranges_facts_and_events(client, papers):
    value = client.get(f"{BASE}/value.json").json()
    for one in value["numbers"]:
        assert squeezed(one["value"]["shown"]) in squeezed(papers["value"])
    incident = client.get("/incidents/1.json").json()
    for said in (
        *incident["facts"],
        *((one["when"]["absolute"], one["text"][:200]) for one in incident["events"]),
    ):
        for text in said:
            assert squeezed(text) in squeezed(papers["incident"])


def test_the_plan_of_30_days_says_the_same_on_page_paper_terminal_and_in_json(site, client):
    asked = f"{BASE}/sprint{{}}?start=2026-11-09"
    data = client.get(asked.format(".json")).json()
    page = html.unescape(client.get(asked.format("")).text)
    paper = pdf_text(client.get(asked.format(".pdf")).content).replace("\u200b", "")
    out = io.StringIO()
    found = page_site.judge(site.installation, world.AGENT, site.clock.now())
    shown = show_sprint(site.installation, found, date(2026, 11, 9))
    render_sections(shown, Console(file=out, width=2_000, color_system=None))
    assert data["start"] == "2026-11-09"
    assert data["sections"] == json.loads(page_json(shown))["sections"]
    lines = [line["cells"] for week in data["sections"] for line in week["rows"]]
    assert len(lines) == 15
    for text in (
        data["sentence"]["plain"],
        *(said for line in lines for said in (line[1]["text"], line[3]["command"])),
    ):
        for face in (page, paper, out.getvalue()):
            assert squeezed(text) in squeezed(face), text
    for line in lines:
        for face in (re.sub("<[^>]+>", "", page), paper, out.getvalue()):
            assert squeezed(line[2]["text"]).replace("`", "") in squeezed(face).replace("`", ""), line[2][
                "text"
            ]
    assert '<a href="/agents/ap-invoice-triage/sprint.pdf?start=2026-11-09">PDF</a>' in page
    assert f'href="{BASE}/sprint"' in client.get(f"{BASE}/readiness").text


def test_a_first_day_that_is_none_says_how_to_write_it(client):
    answer = client.get(f"{BASE}/sprint?start=soon<b>{'x' * 5_000}")
    assert answer.status_code == 422
    assert "is no day" in answer.text
    assert "soon&lt;b&gt;" in answer.text
    assert "xxx" * 20 not in answer.text


def test_what_others_wrote_is_text_on_paper_too(papers):
    text = squeezed(papers["incident"])
    assert squeezed(FORMULA + " #read(1)") in text
    assert "<script>" in text
    assert "\u202e" not in text


def test_a_paper_is_tagged_the_same_each_time_and_a_file_to_keep(client):
    first, again = (client.get(f"{BASE}/readiness.pdf") for _ in range(2))
    assert first.content == again.content
    assert b"pdfuaid:part" in first.content
    assert first.headers["content-type"] == "application/pdf"
    assert first.headers["content-disposition"] == 'attachment; filename="readiness.pdf"'
    same = client.get(f"{BASE}/readiness.pdf", headers={"if-none-match": first.headers["etag"]})
    assert same.status_code == 304


def test_a_page_that_is_handed_on_names_its_file_and_every_such_address_answers(site, client):
    served = {route.path for route in site.app.routes if route.path.endswith(".pdf")}
    assert len(served) == len(ON_PAPER)
    for path in ON_PAPER.values():
        assert f'<a href="{path}.pdf">PDF</a>' in client.get(path).text
    assert ".pdf" not in client.get(f"{BASE}/agent").text


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_executive_sheet_says_above_everything_else_that_the_agent_is_stopped(site, count):
    """It stood on the last sheet, under the survey of the sector."""
    place = site.installation
    page = show_executive(place, assess(place, world.AGENT, world.NOW, freeze=False))
    notes = ("ap-x is paused.", "Counts apart: mail.", "The third note.")[:count]
    text = pdf_text(render_pdf(page.model_copy(update={"notices": notes}))).replace("\u200b", "")
    assert all(text.index(note) < text.index("Five domains") for note in notes[:2])
    assert all(text.index(note) > text.index("Further limits of this judgement") for note in notes[2:])
    assert ("Further limits" in text) is (count == 3)
