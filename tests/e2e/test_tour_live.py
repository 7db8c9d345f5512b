# SPDX-License-Identifier: Apache-2.0
"""The tour as a newcomer takes it: `pilothouse up --demo`, every link of it, and the five journeys to their end.

The server is the command in a process of its own over the demo's data, its recurring work included; people sign in
with links that the command line prints.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from started_server import started_server
from tour_walk import STEPS, WHO, sentence_of, steady, take_step

from pilothouse.demo.place import AGENT

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("demo"),
    pytest.mark.timeout(900),
]

BASE = f"/agents/{AGENT}"
READS = 3
"""How often a promise is compared: recurring work may write between the tour and the page it names."""


@pytest.fixture(scope="module")
def home(demo_run):
    return demo_run[0]


@pytest.fixture(scope="module")
def address(home):
    with started_server("--demo", "--home", str(home), "--grpc-port", "0") as base:
        yield base


@pytest.fixture(scope="module")
def walker(browser, home, address):
    """One window for each person, signed in with the link that the command prints."""
    opened = {}

    def enter(who):
        if who in opened:
            return opened[who]
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(30_000)
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("console", lambda said: page.troubles.append(said.text) if said.type == "error" else None)
        if who:
            page.goto(sign_in_link(home, who))
            page.get_by_role("button", name="Sign in as").click()
            page.wait_for_url(f"{address}/")
        opened[who] = page
        return page

    yield enter
    for page in opened.values():
        page.context.close()


def sign_in_link(home, who):
    command = [sys.executable, "-m", "pilothouse", "sign-in", who, "--home", str(home / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return re.search(r"http://\S+/sign-in/\S+", done.stdout + done.stderr)[0]


@pytest.mark.parametrize(("number", "step"), STEPS)
def test_each_step_opens_from_the_tour_and_says_what_it_promised(walker, address, number, step):
    page = walker(WHO[number - 1])
    for _ in range(READS):
        promised = take_step(page, address, number, step)
        said = sentence_of(page)
        if not promised or steady(promised) == steady(said):
            break
        time.sleep(1.0)
    else:
        pytest.fail(f"the tour promised {promised!r}, the page says {said!r}")
    assert said
    assert page.locator("h1").count() == 1
    assert page.troubles == []


def test_the_engineer_asks_for_failures_and_opens_a_span(walker, address):
    page = walker(None)
    page.goto(f"{address}{BASE}/tasks")
    page.keyboard.press("/")
    page.keyboard.type("result:failed")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("text=result"))
    if page.locator("tbody tr").count() == 0:
        assert "No task matches" in page.locator("main").inner_text()
        page.goto(f"{address}{BASE}/tasks")
    page.locator("tbody th a").first.click()
    page.locator(".spans summary").nth(1).click()
    assert page.locator(".spans details").nth(1).locator(".body").is_visible()


def test_the_owner_pauses_the_agent_after_a_second_question_and_lets_it_act_again(walker, address):
    page = walker("dana")
    page.goto(f"{address}{BASE}/controls")
    page.get_by_role("button", name=re.compile(f"^Pause {AGENT}")).first.click()
    assert AGENT in page.locator(".warning").first.inner_text()
    page.locator("form", has=page.locator(".warning")).get_by_label("Why, one sentence").fill(
        "a newcomer's tour"
    )
    page.get_by_role("button", name=f"Pause {AGENT} now").click()
    page.locator(".verdict", has_text="Paused").wait_for()
    again = page.locator("form", has=page.get_by_role("button", name=f"Let {AGENT} act again"))
    again.get_by_label("Why, one sentence").fill("seen enough")
    again.get_by_role("button").click()
    page.locator("main", has_text=f"Pause {AGENT}").wait_for()
    page.goto(f"{address}/audit")
    assert "agent.paused" in page.locator("#records").inner_text()


def test_the_reviewer_answers_what_waits_or_reads_that_nothing_does(walker, address):
    page = walker("lee")
    page.goto(f"{address}/review")
    start = page.get_by_role("button", name="Start reviewing")
    if start.count() == 0:
        assert "Nothing waits for you." in sentence_of(page)
        return
    start.click()
    page.locator("form.review").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("Control+Enter")
    page.locator("text=The last item was accepted").wait_for()


def test_the_ciso_narrows_the_record_and_is_told_how_to_verify_it_alone(walker, address):
    page = walker(None)
    page.goto(f"{address}/audit")
    page.locator("#records td a[href*='kind=']").first.click()
    page.wait_for_url(re.compile(r"/audit\?kind="))
    assert "pilothouse-verify audit.zip" in page.locator("#offline").inner_text()


def test_the_executive_takes_the_sheet_along(walker, address):
    page = walker("vp")
    page.goto(f"{address}{BASE}/executive")
    word = page.locator(".verdict .word").inner_text()
    assert word in {"GO", "GO WITH CONDITIONS", "NO-GO", "NOT ENOUGH EVIDENCE"}
    with page.expect_download() as taken:
        page.get_by_role("link", name="PDF").click()
    assert taken.value.path().read_bytes().startswith(b"%PDF")
    page.goto(f"{address}{BASE}/sign")
    assert sentence_of(page)
