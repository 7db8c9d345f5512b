# SPDX-License-Identifier: Apache-2.0
"""A hostile charter, hostile telemetry and a megabyte of text reach every page and its JSON as text, bounded and visible."""

from __future__ import annotations

import gzip
import html
import json
import re
from dataclasses import replace

import desk_world
import page_site
import page_world as world
import pytest
from json_texts import strings_in
from starlette.testclient import TestClient

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.reports.html import render_report
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.reports.report import show_compliance, show_executive

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FORMULA = "=HYPERLINK(1,2)"
WORDS = rf"{FORMULA}{SCRIPT}\u202Etxt.exe\u200B\e[31mred\a [bold]b[/bold] {{{{ 7*7 }}}} #read(1) $x$"
MEGABYTE = f"{FORMULA}{SCRIPT}\u202e\x1b[31m" + "x" * 1_000_000
WIRE_BYTES_MAX = 60_000
BASE = f"/agents/{world.AGENT}"
TASK = world.make_tasks()[0]
OF_AGENT = "agent readiness tasks runs evals watch integrations ownership controls rollout value executive compliance sign sprint waivers"
PAGES = (
    *("/", "/incidents", "/incidents/1", "/audit", "/settings", "/tour"),
    *(f"{BASE}/{name}" for name in OF_AGENT.split()),
    f"{BASE}/readiness?open=all",
    f"{BASE}/tasks/{TASK.trace_id}",
    f"{BASE}/runs/{desk_world.RUN}?against={desk_world.OTHER_RUN}",
)
MARKUP_OF_OTHERS = re.compile(r"<script>alert|<img src=x|\sonerror=\S*alert\(2\)>(?!&)")
HIDDEN = re.compile("[\u202e\u200b\x1b\x07]")


def hostile_charter() -> str:
    """Return the golden charter with everything that people write in it replaced by hostile words."""
    text = world.charter_text().replace('"Invoice triage, accounts payable"', f'"{WORDS}"')
    for name in ("D. Ruiz", "V. Petrov", "S. Ortega"):
        text = text.replace(f"name: {name},", f'name: "{name[0]} {WORDS}",')
    return text


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with page_site.people_site(tmp_path_factory.mktemp("home")) as opened:
        desk_world.fill(opened)
        text = hostile_charter()
        charter = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)
        opened.ledger.accept_charter(
            agent=world.AGENT, digest=charter.digest, text=text, path="charter.yaml", at=opened.clock.now()
        )
        lake = opened.installation.lake
        lake.add([replace(TASK, input_preview=MEGABYTE, claim=MEGABYTE, models=(SCRIPT,), tools=(MEGABYTE,))])
        raise_alert(
            opened.desk.control_room,
            Firing(agent=world.AGENT, metric="completion", sentence=MEGABYTE, traces=("a" * 32,)),
            opened.clock.now(),
        )
        yield opened


@pytest.fixture(scope="module")
def client(site):
    return TestClient(site.app, base_url="http://localhost")


def visible(text):
    body = text.partition("<main")[2].partition("</main>")[0]
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_what_others_wrote_as_text_and_stays_small(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert not MARKUP_OF_OTHERS.search(answer.text)
    assert not HIDDEN.search(answer.text)
    limit = WIRE_BYTES_MAX * (3 if "open=all" in path else 1)
    assert len(gzip.compress(answer.content)) <= limit


@pytest.mark.parametrize("path", PAGES)
def test_every_json_carries_it_as_a_bounded_string(client, path):
    address, _, query = path.partition("?")
    answer = client.get("/fleet.json" if path == "/" else f"{address}.json?{query}")
    assert answer.headers["content-type"] == "application/json"
    texts = list(strings_in(json.loads(answer.text)))
    assert not any(HIDDEN.search(one) for one in texts)
    assert max(map(len, texts)) < 20_000


def test_the_hostile_words_are_there_to_be_read(client):
    for path in (
        "/",
        "/incidents",
        f"{BASE}/agent",
        f"{BASE}/ownership",
        f"{BASE}/sign",
    ):
        shown = visible(client.get(path).text)
        assert f"{FORMULA}{SCRIPT}" in shown or f"{FORMULA}<script>" in shown, path
        assert "⟨U+202E⟩" in shown, path


def test_the_report_file_shows_them_as_text_too(site):
    found = page_site.judge(site.installation, world.AGENT, site.clock.now())
    for page in (show_executive(site.installation, found), show_compliance(found)):
        text = render_report(page)
        assert not MARKUP_OF_OTHERS.search(text)
        assert not HIDDEN.search(text)


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30])
def test_an_incident_past_every_column_is_no_bug(client, number):
    assert client.get(f"/incidents/{number}").status_code == 404
