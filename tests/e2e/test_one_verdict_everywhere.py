# SPDX-License-Identifier: Apache-2.0
"""One verdict on five faces: page, `--json`, terminal, report file and paper say every number and status of every requirement alike.

Each face is asked by its own way for one moment of the demo's agents: the page by its server, `--json` and the terminal by
the command, the file and the paper by what writes them. What is compared is read back from what came out.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cached_property

import pytest
from json_texts import strings_in
from pdf_text import pdf_text
from starlette.testclient import TestClient

from pilothouse.app import open_installation
from pilothouse.interfaces.web.pages import web_app
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock
from pilothouse.workflows.reports.show import Shows, report_of
from pilothouse.workflows.verdict.assess import assess

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]

COLUMNS = 4_000
"""Columns of the terminal: no cell is folded, so that a text can be looked for as it stands."""

NUMBER = re.compile(r"\d[\d.,]*\d|\d")
SHAPES = "●▲■○"


@dataclass(kw_only=True)
class Faces:
    """What came out for one agent, each as a reader has it."""

    document: dict
    page_document: dict
    page: str
    report: str
    terminal: str
    paper: str

    @cached_property
    def rows(self):
        return {row["id"]: row for row in rows_of(self.document)}

    @cached_property
    def on_page(self):
        return articles(self.page)

    @cached_property
    def in_file(self):
        return articles(self.report)

    @cached_property
    def in_terminal(self):
        return blocks(self.terminal, self.rows)


def rows_of(document):
    return [row for part in document["domains"] for row in (*part["requirements"], *part["later"])]


def spoken(mark):
    return f"{mark['word']} ({mark['reason']})" if mark["reason"] else mark["word"]


def amount(quantity):
    return f"{quantity['shown']} {quantity['shown_interval']}".strip() if quantity else ""


def squeezed(text):
    """The text as it is read: what is to be typed stands in other letters on a page, and between backticks elsewhere."""
    return re.sub(r"\s+", " ", text.replace("`", "")).strip()


def text_of(markup):
    """The text of a piece of a page as it is read: no tags, and nothing that only a mouse or a screen reader tells."""
    words = re.sub(
        r"<svg.*?</svg>|</?code>", lambda found: " " if "svg" in found[0] else "", markup, flags=re.DOTALL
    )
    return squeezed(html.unescape(re.sub(r"<[^>]+>", " ", words)))


def is_on_paper(text, paper):
    """Whether a text stands on the sheets: in one piece, or in two where its row goes on on the next sheet."""
    words = squeezed(text).split(" ")
    return any(
        all("".join(part) in paper for part in (words[:at], words[at:])) for at in range(len(words), 0, -1)
    )


def articles(markup):
    """The requirements of a page, by id: the markup of each."""
    found = re.findall(r'<article class="req row" id="([^"]+)">(.*?)</article>', markup, re.DOTALL)
    assert len(dict(found)) == len(found)
    return dict(found)


def blocks(terminal, ids):
    """The lines of each requirement in the terminal: from the one that names it to an empty one or the next that names another."""
    found, name = {}, ""
    for line in map(squeezed, terminal.splitlines()):
        words = line.split(" ")
        # A status is one or two words with its shape before them; what is missing stands below a heading that says so.
        begins = next((word for word in words[: 1 if line[:1] not in SHAPES else 4] if word in ids), "")
        name = (begins or name) if line else ""
        if name:
            found[name] = f"{found.get(name, '')}\n{line}"
    return found


def typed(home, agent, moment, *more):
    command = [
        sys.executable,
        "-m",
        "pilothouse",
        "verdict",
        agent,
        "--as-of",
        moment.isoformat(),
        "--home",
        str(home),
        *more,
    ]
    told = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=told)
    assert done.returncode in {0, 1, 3}, done.stderr
    return done.stdout


def faces_of(installation, home, agent, moment):
    at_moment = replace(installation, clock=FixedClock(moment))
    client = TestClient(web_app(Shows(at_moment)), base_url="http://localhost")
    address = f"/agents/{agent}/readiness"
    return Faces(
        document=json.loads(typed(home, agent, moment, "--json")),
        page_document=client.get(f"{address}.json").json(),
        page=client.get(f"{address}?open=all").text,
        report=report_of(at_moment, assess(at_moment, agent, moment, freeze=False)),
        terminal=typed(home, agent, moment, "--full"),
        paper=squeezed(pdf_text(client.get(f"{address}.pdf").content)),
    )


@pytest.fixture(scope="module")
def agents(demo_run):
    home = demo_run[0] / "demo"
    with open_installation(load_settings(home=home)) as installation:
        moment = installation.clock.now().replace(second=0, microsecond=0)
        names = [one.agent for one in installation.ledger.charters()]
        assert names
        yield {name: faces_of(installation, home, name, moment) for name in names}


@pytest.fixture(scope="module")
def faces(agents):
    return [*agents.values()]


def test_every_face_has_every_requirement_once(faces):
    for one in faces:
        ids = {*one.rows}
        assert len(ids) > 40
        assert len(rows_of(one.document)) == len(ids)
        assert {*one.on_page} == {*one.in_file} == ids
        assert {*one.in_terminal} == ids
        assert [row["id"] for row in rows_of(one.page_document)] == [*one.rows]


def test_the_page_and_its_command_are_one_document(faces):
    for one in faces:
        page, command = ({**document, "digest": ""} for document in (one.page_document, one.document))
        assert {name: command[name] for name in page} == page


def test_every_status_is_the_same(faces):
    for one in faces:
        on_page, in_file, in_terminal = (
            one.on_page,
            one.in_file,
            one.in_terminal,
        )
        for name, row in one.rows.items():
            mark = row["mark"]
            for markup in (on_page[name], in_file[name]):
                first = re.search(r'<p><span class="mark ([a-z_]+)">(.*?)</span></p>', markup, re.DOTALL)
                assert first[1] == mark["status"], name
                assert text_of(first[2]) == spoken(mark), name
            if mark["reason"] != "missing":  # those stand under one heading that says the status once
                assert in_terminal[name].strip().startswith(f"{mark['shape']} {mark['word']}"), name
                assert not mark["reason"] or f"({mark['reason']})" in in_terminal[name], name
            said = f"{spoken(mark)} {name} {row['statement']}"
            assert squeezed(said).replace(" ", "") in one.paper.replace(" ", ""), name


def texts_of(item):
    """What a reader is told of one item, wherever it stands: value, rule, cases and age."""
    age = item["age"] and item["age"]["shown"]
    return [text for text in (amount(item["measured"]), item["rule"], item["cases"], age) if text]


def test_every_number_of_the_row_is_said_by_page_file_terminal_and_paper(faces):
    for one in faces:
        on_page, in_file, in_terminal = (
            one.on_page,
            one.in_file,
            one.in_terminal,
        )
        paper = one.paper.replace(" ", "")
        for name, row in one.rows.items():
            item = row["deciding"]
            for text in (*texts_of(item), item["sentence"]):
                assert squeezed(text) in text_of(on_page[name]), (name, text)
                assert squeezed(text) in text_of(in_file[name]), (name, text)
                assert is_on_paper(text, paper), (name, text)
            shown = [] if row["mark"]["reason"] == "missing" else texts_of(item)
            assert not [text for text in shown if squeezed(text) not in in_terminal[name]], name


def test_every_part_of_a_requirement_is_said_with_its_numbers(faces):
    for one in faces:
        for markup in (one.on_page, one.in_file):
            for name, row in one.rows.items():
                rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", markup[name], re.DOTALL)
                items = row["items"] or [row["deciding"]]
                assert len(rows) == len(items), name
                for cells, item in zip(rows, items, strict=True):
                    said = text_of(cells)
                    assert spoken(item["mark"]) in said, (
                        name,
                        item["scope"],
                    )
                    assert not [text for text in texts_of(item) if squeezed(text) not in said], (
                        name,
                        item["scope"],
                    )


def test_no_face_says_a_number_that_the_command_does_not_say(faces):
    for one in faces:
        for name, row in one.rows.items():
            known = squeezed(" ".join(strings_in(row)))
            numbers = {
                number
                for markup in (one.on_page, one.in_file)
                for number in NUMBER.findall(text_of(markup[name]))
            }
            numbers |= {*NUMBER.findall(one.in_terminal[name])}
            assert not {number for number in numbers if number not in known}, name


def test_gates_counts_and_the_first_sentence_are_the_same(faces):
    for one in faces:
        head = text_of(one.page.partition("<main")[2])
        for face in (head, text_of(one.report), squeezed(one.terminal), one.paper):
            tight = face.replace(" ", "")
            for text in (
                one.document["sentence"]["plain"],
                one.document["word"],
                one.document["phase"],
                one.document["version"],
            ):
                assert squeezed(text).replace(" ", "") in tight, text
        for gate in one.document["gates"]:
            counts = ", ".join(
                f"{count['shown']} {count['mark']['word'].lower()}" for count in gate["counts"]
            )
            assert squeezed(
                f"{gate['mark']['shape']} {spoken(gate['mark'])} {gate['title']} {counts}"
            ) in squeezed(one.terminal)
            decided = f"decided by {gate['blocking']['text']}"
            for face in (head, text_of(one.report)):
                assert f"{spoken(gate['mark'])} {decided}" in face
            assert f"{spoken(gate['mark'])} {decided}".replace(" ", "") in one.paper.replace(" ", "")
        for count in one.document["counts"]:
            said = f"{count['shown']} {count['mark']['word'].lower()}"
            assert said in head
            assert said in text_of(one.report)
            assert said in one.paper


def test_fleet_agent_and_sheet_say_the_status_of_the_verdict(faces, agents, demo_run):
    with open_installation(load_settings(home=demo_run[0] / "demo")) as installation:
        for name, one in agents.items():
            moment = one.document["as_of"]["at"]
            at_moment = replace(
                installation, clock=FixedClock(type(installation.clock.now()).fromisoformat(moment))
            )
            client = TestClient(web_app(Shows(at_moment)), base_url="http://localhost")
            row = next(
                row for row in client.get("/fleet.json").json()["rows"] if row["agent"]["text"] == name
            )
            agent = client.get(f"/agents/{name}/agent.json").json()
            assert (row["mark"], row["word"]["text"]) == (one.document["mark"], one.document["word"])
            assert (agent["mark"], agent["sentence"]["plain"]) == (
                one.document["mark"],
                one.document["sentence"]["plain"],
            )
