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
from page_inspection import DESK, PHONE, axe_findings, findings_by_mode

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
MODES = ("light", "dark", "phone")
PROSE_CHARS = 60
"""A cell with more is read as sentences."""
PROSE_WIDTH_MIN = 200
"""Pixels of such a cell on a telephone: some 25 characters a line. A wide table scrolls in its own box instead."""
OPEN_ALL = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"
SQUEEZED = """([chars, least]) => [...document.querySelectorAll(".scroll td")]
  .filter((cell) => cell.innerText.length > chars && cell.getBoundingClientRect().width < least)
  .map((cell) => cell.innerText)"""


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
    """Visit each page once, all in one tab: chromium reads axe and our script once, not thirty times."""
    context = browser.new_context(viewport=DESK, color_scheme="light")
    visitor = Visitor(context)
    yield cache(lambda name: visitor.inspect(address + PAGES[name]))
    context.close()


@pytest.fixture(scope="module")
def every_text(browser, address):
    """Inspect each page by itself, each of its texts and every rule."""
    page = browser.new_context(viewport=DESK, color_scheme="light").new_page()

    def inspect(name):
        page.goto(address + PAGES[name], wait_until="load")
        page.evaluate(OPEN_ALL)
        return findings_by_mode(page, *MODES, every_text=True)

    yield cache(inspect)
    page.context.close()


class Visitor:
    """A tab that notes what came over the wire and what went wrong while a page was open."""

    def __init__(self, context):
        self.context, self.page = context, context.new_page()
        self.measured = set()
        self.session = context.new_cdp_session(self.page)
        self.session.send("Network.enable")
        self.session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        self.session.on("Network.loadingFinished", lambda event: self.wire.append(event["encodedDataLength"]))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on(
            "console", lambda said: self.troubles.append(said.text) if "olicy" in said.text else None
        )

    def inspect(self, url):
        """Visit a page as somebody new to it, once in each mode, and return what was seen."""
        page = self.page
        page.goto("about:blank")
        self.context.clear_cookies()
        self.troubles, self.wire, self.addresses = [], [], []
        page.goto(url, wait_until="load")
        page.wait_for_timeout(50)
        seen = {"h1": page.locator("h1").count(), "words": words_of(page) - {"Copy"}}
        widths = {1280: page.evaluate("document.documentElement.scrollWidth")}
        page.evaluate(OPEN_ALL)
        seen |= findings_by_mode(page, *MODES, measured=self.measured)
        page.set_viewport_size(PHONE)
        widths[360] = page.evaluate("document.documentElement.scrollWidth")
        seen["squeezed"] = page.evaluate(SQUEEZED, [PROSE_CHARS, PROSE_WIDTH_MIN])
        seen["widths"] = widths
        seen |= {"troubles": self.troubles, "wire": self.wire, "addresses": self.addresses}
        self.troubles, self.wire, self.addresses = [], [], []
        page.set_viewport_size(DESK)
        seen["plain_words"] = self.words_without_script(url)
        return seen

    def words_without_script(self, url):
        """Read the page again as a browser does that runs no script."""
        self.session.send("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.page.goto(url)
            return words_of(self.page)
        finally:
            self.session.send("Emulation.setScriptExecutionDisabled", {"value": False})


def words_of(page):
    return set(re.findall(r"\w{3,}", page.locator("main").inner_text()))


@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_its_width_and_breaks_no_policy(visit, name):
    seen = visit(name)
    assert all(found <= width for width, found in seen["widths"].items())
    assert seen["h1"] == 1
    assert seen["troubles"] == []


@pytest.mark.parametrize("name", PAGES)
def test_sentences_in_tables_are_not_squeezed_to_a_word_a_line_on_a_telephone(visit, name):
    assert visit(name)["squeezed"] == []


SPACED = "* {line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important}"
SPACE = "(text) => { const own = new CSSStyleSheet(); own.replaceSync(text); document.adoptedStyleSheets = [own]; }"


@pytest.mark.parametrize("name", ["agent", "rollout", "run", "readiness"])
def test_in_the_narrowest_window_a_page_is_whole_however_its_letters_are_spaced(open_page, name):
    """WCAG 1.4.10 and 1.4.12: 320 pixels, and the spacing that a reader may set."""
    page = open_page(name, width=320)
    for style in ("", SPACED):
        page.evaluate(SPACE, style)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        agent = page.locator(".top .of")
        assert agent.evaluate("(one) => one.scrollWidth <= one.clientWidth"), (
            "the name of the agent is not cut"
        )


def test_paper_says_when_and_not_how_long_ago(open_page):
    page = open_page("incidents")
    shown = page.locator("main time").first
    assert shown.evaluate("(one) => getComputedStyle(one, '::after').content") == "none"
    page.emulate_media(media="print")
    said = shown.evaluate("(one) => getComputedStyle(one, '::after').content").strip('"')
    assert said == shown.get_attribute("title")
    assert shown.evaluate("(one) => getComputedStyle(one).fontSize") == "0px"
    foot = page.locator(".foot time")
    assert foot.evaluate("(one) => getComputedStyle(one, '::after').content").strip('"') == foot.inner_text()
    assert not page.locator(".foot a").first.is_visible(), "no link of the frame on paper"


CUT_SHORT = (
    "[...document.querySelectorAll('pre')].filter((one) => one.scrollHeight > one.clientHeight + 1).length"
)


def test_paper_names_the_agent_has_no_menu_and_no_button_and_cuts_no_text_short(open_page):
    page = open_page("sign")
    assert page.evaluate(f"{OPEN_ALL}; {CUT_SHORT}") > 0, "on the screen a long text scrolls in its box"
    page.emulate_media(media="print")
    assert page.locator(".top .of").inner_text() == world.AGENT
    assert page.evaluate(CUT_SHORT) == 0
    seen = "[...document.querySelectorAll('nav, button, .who')].filter((one) => one.checkVisibility()).length"
    assert page.evaluate(seen) == 0


def test_paper_says_which_requirements_only_later_gates_ask_for(open_page):
    page = open_page("readiness")
    page.emulate_media(media="print")
    said = page.locator(".later > summary")
    assert said.count() > 0
    assert all(one.is_visible() for one in said.all())
    assert not page.locator("details:not(.later) > summary").first.is_visible()


AGES = """[...document.querySelectorAll(".req small")].filter((one) => / ago/.test(one.textContent)).map((one) => {
  const rest = one.cloneNode(true);
  rest.querySelectorAll("time").forEach((each) => each.remove());
  return rest.textContent;
})"""


def test_paper_says_on_which_day_evidence_ended(open_page):
    """A time of the page is a day on paper, and no age stands there without one."""
    ages = open_page("readiness").evaluate(AGES)
    assert ages
    assert not [rest for rest in ages if " ago" in rest]


def test_an_agent_of_three_hundred_letters_makes_no_page_wider(open_page):
    """Whoever sends telemetry chooses the name, and no charter bounds it."""
    page = open_page("tasks")
    page.evaluate("document.querySelector('.of').textContent = 'W'.repeat(300)")
    assert page.evaluate("document.documentElement.scrollWidth") <= DESK["width"]


def test_the_name_of_an_agent_is_not_broken_at_its_hyphens(open_page):
    name = open_page("fleet").get_by_role("link", name=world.AGENT, exact=True)
    assert name.bounding_box()["height"] < 30


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(visit, name, mode):
    assert visit(name)[mode] == ""


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_when_each_text_of_each_page_is_measured(every_text, name, mode):
    assert every_text(name)[mode] == ""


ROWS = """<!doctype html><html lang="en"><title>t</title><style>
td {{ color: #000; background: #fff }}
@media (prefers-color-scheme: dark) {{ td {{ color: #fff; background: #000 }} }}
{style}</style><main><h1>Rows</h1><table><tr><th>Names</th></tr>{rows}</table></main></html>"""
FAINT = {
    "light": ".odd { color: #ddd }",
    "dark": "@media (prefers-color-scheme: dark) { .odd { color: #222 } }",
    "phone": "@media (max-width: 400px) { .odd { color: #ddd } }",
}


@pytest.mark.parametrize("mode", MODES)
def test_one_faint_row_of_many_is_found_in_the_mode_in_which_it_is_faint(browser, mode):
    context = browser.new_context()
    page = context.new_page()
    rows = "".join(f'<tr><td class="{"odd" if n == 37 else "even"}">name {n}</td></tr>' for n in range(40))
    page.set_content(ROWS.format(style=FAINT[mode], rows=rows))
    found = findings_by_mode(page, *MODES)
    context.close()
    assert "color-contrast" in found[mode]
    assert mode == "light" or not found["light"]


def test_a_style_that_is_known_from_one_page_hides_no_faint_text_of_another(browser):
    context = browser.new_context()
    page, measured = context.new_page(), set()
    usual = '<tr><td class="even">name</td></tr>'
    found = []
    for rows in (usual, usual + '<tr><td class="odd">other</td></tr>'):
        page.set_content(ROWS.format(style=FAINT["light"], rows=rows))
        found.append(findings_by_mode(page, *MODES, measured=measured))
    context.close()
    assert found[0] == dict.fromkeys(MODES, "")
    assert "color-contrast" in found[1]["light"]


def test_what_stands_over_something_else_is_measured_wherever_it_is(browser):
    """Two positioned labels of one style, the second over a field of its own colour."""
    context = browser.new_context()
    page = context.new_page()
    body = """<!doctype html><html lang="en"><title>t</title><style>body { background: #fff; position: relative }
i { position: absolute; color: #000; background: transparent } @media (max-width: 400px) { i { color: #666 } }
b { position: absolute; top: 300px; left: 0; width: 200px; height: 90px; background: #888 }
</style><main><h1>Labels</h1><b></b><i style="top: 200px">one</i><i style="top: 320px">two</i></main></html>"""
    page.set_content(body)
    found = findings_by_mode(page, *MODES)
    context.close()
    assert found["light"] == ""
    assert "color-contrast" in found["phone"]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_small_and_asks_only_its_own_server(visit, address, name):
    seen = visit(name)
    assert all(one.startswith(address) for one in seen["addresses"])
    assert len(seen["addresses"]) <= REQUESTS_MAX
    assert 0 < sum(seen["wire"]) <= WIRE_BYTES_MAX


@pytest.mark.parametrize("name", PAGES)
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
    page.get_by_role("button", name=f"Copied {wanted}").wait_for()
    context.close()


def test_the_keyboard_goes_to_pages_rows_and_help_and_is_silent_in_fields(open_page, address):
    page = open_page("tasks")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator(".row").nth(1).locator("a:focus").count() == 1, (
        "seen without colours, heard without a screen"
    )
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
    assert page.locator(".row :focus").count() == 0
    page.keyboard.press("?")
    page.get_by_role("button", name="Switch single keys on").click()
    page.locator("dialog[open]").wait_for(state="detached")
    page.keyboard.press("j")
    page.locator(".row :focus").wait_for()
    page.keyboard.press("o")
    page.wait_for_url("**/tasks/*")


def test_the_palette_goes_anywhere_by_name_and_axe_likes_it(open_page, address):
    page = open_page("tasks")
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox", name="Go to").fill("owner")
    page.locator("dialog a").first.wait_for()
    assert axe_findings(page, context="dialog") == ""
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
    assert axe_findings(page) == ""
    context.close()


def test_a_long_name_of_an_agent_breaks_and_leaves_room_for_what_decides(open_page):
    page = open_page("fleet", width=1280)
    page.get_by_role("link", name=world.AGENT, exact=True).evaluate(
        "(one) => { one.parentElement.className = ''; one.textContent = 'x'.repeat(48); }"
    )
    box = page.locator(".scroll")
    assert box.evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_from_fleet_whoever_decides_is_one_click_from_the_sheet(open_page):
    page = open_page("fleet")
    page.get_by_role("link", name=f"the sheet of {world.AGENT}").click()
    page.wait_for_url("**/executive")
    word, status = page.locator(".verdict > span").all()
    assert word.inner_text() == "NO-GO"
    assert status.inner_text().split() == ["worst", "requirement:", "Breached"]
    assert word.evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)") > status.evaluate(
        "(one) => parseFloat(getComputedStyle(one).fontSize)"
    )
