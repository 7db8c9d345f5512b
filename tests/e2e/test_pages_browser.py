# SPDX-License-Identifier: Apache-2.0
"""Every page in a real browser: small, alone, accessible in light and dark, readable without script.

Each page is visited once with script and once without; what was seen then is asserted by many tests.
"""

from __future__ import annotations

import re
from functools import cache

import desk_world
import page_site
import page_world as world
import pytest
from axe_playwright_python.sync_playwright import DEFAULT_OPTIONS, Axe

from pilothouse.workflows.reports.show import report_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIRE_BYTES_MAX = 60_000
REQUESTS_MAX = 5
BASE = f"/agents/{world.AGENT}"
TASKS = world.make_tasks()
PAGES = {
    "fleet": "/",
    "agent": f"{BASE}/agent",
    "audit": "/audit",
    "controls": f"{BASE}/controls",
    "compliance": f"{BASE}/compliance",
    "evals": f"{BASE}/evals",
    "executive": f"{BASE}/executive",
    "health": "/health",
    "incident": "/incidents/1",
    "incidents": "/incidents",
    "integrations": f"{BASE}/integrations",
    "missing": "/agents/ap-invoce-triage/agent",
    "ownership": f"{BASE}/ownership",
    "readiness": f"{BASE}/readiness",
    "readiness_part": f"{BASE}/readiness?show=breached&open=MON-7",
    "reviews": f"{BASE}/reviews",
    "rollout": f"{BASE}/rollout",
    "run": f"{BASE}/runs/{desk_world.RUN}?against={desk_world.OTHER_RUN}",
    "runs": f"{BASE}/runs",
    "settings": "/settings",
    "sign": f"{BASE}/sign",
    "sign_in": "/sign-in",
    "sprint": f"{BASE}/sprint",
    "tasks": f"{BASE}/tasks",
    "tour": "/tour",
    "trace": f"{BASE}/tasks/{next(iter(world.make_outcomes(TASKS)))}",
    "value": f"{BASE}/value",
    "waivers": f"{BASE}/waivers",
    "watch": f"{BASE}/watch",
}
EACH_PAGE = [pytest.param(name, marks=pytest.mark.xdist_group(f"page {name}")) for name in PAGES]
"""What is asked of one page is asked by one worker, which visits it once."""
PROSE_CHARS = 60
"""A cell with more is read as sentences."""
PROSE_WIDTH_MIN = 200
"""Pixels of such a cell on a telephone: some 25 characters a line. A wide table scrolls in its own box instead."""
SQUEEZED = """([chars, least]) => [...document.querySelectorAll(".scroll td")]
  .filter((cell) => cell.innerText.length > chars && cell.getBoundingClientRect().width < least)
  .map((cell) => cell.innerText)"""
COLOURS_ONLY = {**DEFAULT_OPTIONS, "runOnly": ["color-contrast", "link-in-text-block"]}
"""The rules that look at colours: the others have seen the same document in light already."""


@pytest.fixture(scope="module")
def address(filled_site):
    return filled_site[1]


@pytest.fixture
def open_page(browser, address):
    contexts = []

    def open_at(name, *, width=1280, script=True):
        context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        page.goto(address + PAGES[name])
        return page

    yield open_at
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def visit(browser, address):
    return cache(lambda name: inspect(browser, address, name))


def inspect(browser, address, name):
    """Visit a page once in each mode and return what was seen."""
    seen = {"troubles": [], "wire": [], "addresses": []}
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: seen["wire"].append(event["encodedDataLength"]))
    page.on("request", lambda request: seen["addresses"].append(request.url))
    page.on("pageerror", lambda error: seen["troubles"].append(str(error)))
    page.on("console", lambda said: seen["troubles"].append(said.text) if "olicy" in said.text else None)
    page.goto(address + PAGES[name], wait_until="load")
    page.wait_for_timeout(50)
    seen["h1"] = page.locator("h1").count()
    seen["words"] = set(re.findall(r"\w{3,}", page.locator("main").inner_text())) - {"Copy"}
    widths = {1280: page.evaluate("document.documentElement.scrollWidth")}
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    seen["light"] = Axe().run(page)
    page.emulate_media(color_scheme="dark")
    seen["dark"] = Axe().run(page, options=COLOURS_ONLY)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 360, "height": 900})
    widths[360] = page.evaluate("document.documentElement.scrollWidth")
    seen["phone"] = Axe().run(page)
    seen["squeezed"] = page.evaluate(SQUEEZED, [PROSE_CHARS, PROSE_WIDTH_MIN])
    seen["widths"] = widths
    context.close()
    plain = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
    page = plain.new_page()
    page.goto(address + PAGES[name])
    seen["plain_words"] = set(re.findall(r"\w{3,}", page.locator("main").inner_text()))
    plain.close()
    return seen


@pytest.mark.parametrize("name", EACH_PAGE)
def test_the_page_fits_its_width_and_breaks_no_policy(visit, name):
    seen = visit(name)
    assert all(found <= width for width, found in seen["widths"].items())
    assert seen["h1"] == 1
    assert seen["troubles"] == []


@pytest.mark.parametrize("name", EACH_PAGE)
def test_sentences_in_tables_are_not_squeezed_to_a_word_a_line_on_a_telephone(visit, name):
    assert visit(name)["squeezed"] == []


def test_paper_says_when_and_not_how_long_ago(open_page):
    page = open_page("incident")
    shown = page.locator("main time").first
    assert shown.evaluate("(one) => getComputedStyle(one, '::after').content") == "none"
    page.emulate_media(media="print")
    said = shown.evaluate("(one) => getComputedStyle(one, '::after').content").strip('"')
    assert said == shown.get_attribute("title")
    assert shown.evaluate("(one) => getComputedStyle(one).fontSize") == "0px"


def test_the_name_of_an_agent_is_not_broken_at_its_hyphens(open_page):
    name = open_page("fleet").get_by_role("link", name=world.AGENT, exact=True)
    assert name.bounding_box()["height"] < 30


@pytest.mark.parametrize("mode", ["light", "dark", "phone"])
@pytest.mark.parametrize("name", EACH_PAGE)
def test_axe_finds_nothing(visit, name, mode):
    found = visit(name)[mode]
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", EACH_PAGE)
def test_the_page_is_small_and_asks_only_its_own_server(visit, address, name):
    seen = visit(name)
    assert all(one.startswith(address) for one in seen["addresses"])
    assert len(seen["addresses"]) <= REQUESTS_MAX
    assert 0 < sum(seen["wire"]) <= WIRE_BYTES_MAX


@pytest.mark.parametrize("name", EACH_PAGE)
def test_without_script_everything_that_is_said_is_readable(visit, name):
    seen = visit(name)
    assert seen["words"] <= seen["plain_words"]


def test_a_span_opens_without_script(open_page):
    page = open_page("trace", script=False)
    page.locator(".spans summary").nth(1).click()
    assert page.locator(".spans details").nth(1).locator("pre").first.is_visible()


def test_commands_can_be_copied(browser, address):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(address + PAGES["agent"])
    wanted = page.locator(".do .cmd code").inner_text()
    page.locator(".do .copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == wanted
    context.close()


def test_the_keyboard_goes_to_pages_rows_and_help_and_is_silent_in_fields(open_page, address):
    page = open_page("tasks")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator(".row.at").count() == 1
    page.keyboard.press("/")
    page.keyboard.type("gr?")
    assert page.locator("input[name=text]").input_value() == "gr?"
    page.locator("h1").click()
    page.keyboard.press("?")
    page.locator("dialog").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url(f"{address}{BASE}/readiness")


def test_single_keys_can_be_switched_off(open_page):
    page = open_page("tasks")
    page.keyboard.press("?")
    page.get_by_role("button", name="Switch single keys off").click()
    page.keyboard.press("j")
    assert page.locator(".row.at").count() == 0
    page.keyboard.press("?")
    page.get_by_role("button", name="Switch single keys on").click()
    page.keyboard.press("j")
    assert page.locator(".row.at").count() == 1


def test_the_palette_goes_anywhere_by_name_and_axe_likes_it(open_page, address):
    page = open_page("tasks")
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox", name="Go to").fill("owner")
    page.locator("dialog a").first.wait_for()
    assert Axe().run(page, context="dialog").violations_count == 0
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}{BASE}/ownership")


def test_the_query_line_completes_its_last_word(open_page):
    page = open_page("tasks")
    words = "[...document.querySelector('#words').options].map((one) => one.value)"
    assert "result:failed" in page.evaluate(words)
    page.locator("input[name=text]").fill("result:failed si")
    assert "result:failed since:7d" in page.evaluate(words)


def test_a_link_to_a_folded_requirement_unfolds_it(open_page, address):
    page = open_page("readiness")
    folded = page.locator(".later .req").first.get_attribute("id")
    page.goto(f"{address}{BASE}/readiness#{folded}")
    page.locator(f"#{folded}").wait_for(state="visible")


@pytest.mark.parametrize("script", [True, False])
def test_the_parts_of_a_requirement_open_in_place_or_by_their_link(open_page, script):
    page = open_page("readiness", script=script)
    page.locator("#MON-7").get_by_role("link", name=re.compile("All [0-9]+ parts")).click()
    page.locator("#MON-7 details table").wait_for(state="visible")
    assert page.locator(".req details").count() == 1
    assert ("open=MON-7" in page.url) is not script


def test_the_report_file_opens_without_a_server(browser, tmp_path):
    installation = page_site.make_installation(tmp_path)
    found = page_site.judge(installation, world.AGENT, world.NOW)
    file = tmp_path / "report.html"
    file.write_text(report_of(installation, found), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    addresses, troubles = [], []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("console", lambda message: troubles.append(message.text))
    page.goto(file.as_uri())
    assert addresses == [file.as_uri()]
    assert troubles == []
    assert (
        page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        == "rgb(251, 251, 250)"
    )
    assert Axe().run(page).violations_count == 0
    context.close()
