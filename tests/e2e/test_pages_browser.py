# SPDX-License-Identifier: Apache-2.0
"""Every page in a real browser: small, alone, accessible in light and dark, readable without script."""

from __future__ import annotations

import re
from pathlib import Path

import page_site
import page_world as world
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from pilothouse.workflows.show import report_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIRE_BYTES_MAX = 60_000
REQUESTS_MAX = 5
BASE = f"/agents/{world.AGENT}"
TASKS = world.make_tasks()
PAGES = {
    "fleet": "/",
    "agent": f"{BASE}/agent",
    "health": "/health",
    "readiness": f"{BASE}/readiness",
    "rollout": f"{BASE}/rollout",
    "value": f"{BASE}/value",
    "tasks": f"{BASE}/tasks",
    "trace": f"{BASE}/tasks/{next(iter(world.make_outcomes(TASKS)))}",
    "missing": "/agents/ap-invoce-triage/agent",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with page_site.running(page_site.make_site(tmp_path_factory.mktemp("home"))) as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed; `apt-get install chromium` puts it there")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, address):
    contexts = []

    def open_at(name, *, width=1280, scheme="light", script=True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on(
            "console", lambda message: page.troubles.append(message.text) if "olicy" in message.text else None
        )
        page.goto(address + PAGES[name])
        return page

    yield open_at
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_its_width_and_breaks_no_policy(open_page, name, width):
    page = open_page(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1
    assert page.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page, name, scheme):
    page = open_page(name, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_phone(open_page, name):
    found = Axe().run(open_page(name, width=360))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_small_and_asks_only_its_own_server(browser, address, name):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    bytes_on_the_wire, addresses = [], []
    session.on("Network.loadingFinished", lambda event: bytes_on_the_wire.append(event["encodedDataLength"]))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(address + PAGES[name], wait_until="networkidle")
    context.close()
    assert all(one.startswith(address) for one in addresses)
    assert len(addresses) <= REQUESTS_MAX
    assert 0 < sum(bytes_on_the_wire) <= WIRE_BYTES_MAX


@pytest.mark.parametrize("name", PAGES)
def test_without_script_everything_that_is_said_is_readable(open_page, name):
    plain, lively = open_page(name, script=False), open_page(name)
    words = set(re.findall(r"\w{3,}", lively.locator("main").inner_text())) - {"Copy"}
    assert words <= set(re.findall(r"\w{3,}", plain.locator("main").inner_text()))


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
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url(f"{address}{BASE}/readiness")


def test_a_link_to_a_folded_requirement_unfolds_it(open_page, address):
    page = open_page("readiness")
    folded = page.locator(".later .req").first.get_attribute("id")
    page.goto(f"{address}{BASE}/readiness#{folded}")
    page.locator(f"#{folded}").wait_for(state="visible")


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
