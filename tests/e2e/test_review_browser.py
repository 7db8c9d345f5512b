# SPDX-License-Identifier: Apache-2.0
"""A reviewer's day in a real browser: keyboard alone, two at once, a restart in the middle, and axe."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import page_site
import page_world as world
import pytest
from page_inspection import DESK, PHONE, findings_by_mode

from pilothouse.core.evidence.review import Answer, ReviewItem, ReviewSource
from pilothouse.ledger.review_queue import SqlReviewQueue

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CASES = 20


def item(n):
    return ReviewItem(
        item_id=f"{n:032x}",
        agent=world.AGENT,
        task_type="po_invoice",
        trace_id=f"{n:032x}",
        source=ReviewSource.SAMPLED,
        why="drawn from unknown tasks with probability 0.050",
        input=f"invoice {n} of Acme & Söhne over 1,{n:03} EUR",
        proposal=f'{{"team": "accounts-payable", "invoice": {n}}}',
        used=(f"erp.lookup: PO-{n}",),
        call_digest=f"{n:064x}",
        confidence=0.61,
        error_cost=400.0,
        created_at=world.NOW,
        due_at=world.NOW + timedelta(hours=n + 1),
    )


@pytest.fixture
def cases(request):
    return getattr(request, "param", CASES)


@pytest.fixture
def site(tmp_path, cases):
    with page_site.people_site(tmp_path) as opened:
        SqlReviewQueue(opened.ledger.database).add([item(n) for n in range(cases)])
        yield opened


def enter(browser, address, site, who, **options):
    page = browser.new_context(viewport={"width": 1280, "height": 900}, **options).new_page()
    page.set_default_timeout(20_000)
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("console", lambda said: page.troubles.append(said.text) if "olicy" in said.text else None)
    page.goto(address + site.link(who))
    page.get_by_role("button", name="Sign in as").press("Enter")
    page.wait_for_url(f"{address}/")
    page.goto(f"{address}/review")
    return page


def labels(site):
    return SqlReviewQueue(site.ledger.database).labels(world.AGENT)


@pytest.mark.parametrize("cases", [6, pytest.param(CASES, marks=pytest.mark.long)], indirect=True)
def test_cases_by_keyboard_alone(browser, site, cases):
    """Six have each answer and what comes after it; twenty are a reviewer's day."""
    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        page.keyboard.press("Enter")
        for n in range(cases):
            page.wait_for_selector(f"text=invoice {n} of Acme & Söhne")
            shown = page.content()
            assert "0.61" not in shown.split("Your answer")[1], "no confidence before the answer"
            if n % 5 == 1:
                page.keyboard.press("c")
                page.keyboard.press("ControlOrMeta+a")
                page.keyboard.type(f"right {n}")
                page.wait_for_selector(f".changes:has-text('+right {n}')")
            else:
                page.keyboard.press("1" if n % 5 else "3")
            page.keyboard.press("Control+Enter")
            page.wait_for_selector("text=The last item was")
            assert "confidence 0.61" in page.content()
        page.wait_for_selector("text=Nothing waits for you")
        assert page.troubles == []
    found = labels(site)
    assert len(found) == cases
    assert sorted(one.correction for one in found if one.answer is Answer.CORRECT) == sorted(
        f"right {n}" for n in range(cases) if n % 5 == 1
    )


def test_nothing_typed_is_lost_by_leaving_by_undo_or_by_an_answer_that_is_refused(browser, site):
    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your answer")
        opened = page.url
        page.keyboard.press("n")
        page.keyboard.type("in a hurry")
        page.goto(f"{address}/incidents")
        page.goto(opened)
        assert page.locator("textarea[name=note]").input_value() == "in a hurry"
        page.keyboard.press("2")
        page.keyboard.press("Control+Enter")
        said = page.locator("#said:has-text('equal to the proposal')")
        said.wait_for()
        assert said.get_attribute("role") == "status"
        assert page.url == opened
        assert page.locator("textarea[name=note]").input_value() == "in a hurry"
        assert page.locator("textarea[name=correction]").get_attribute("aria-describedby") == "said"
        page.keyboard.type("right: ")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=The last item was corrected")
        page.keyboard.press("u")
        page.wait_for_url(opened)
        assert page.locator("textarea[name=correction]").input_value().startswith("right: ")
        assert page.locator("input[value=correct]").is_checked()
        assert page.troubles == []
    assert labels(site) == ()


def test_a_session_that_ends_in_the_middle_of_an_answer_loses_nothing_and_the_answer_goes_on(browser, site):
    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your answer")
        opened = page.url
        page.keyboard.press("3")
        page.keyboard.press("n")
        page.keyboard.type("an hour of work")
        page.wait_for_selector("#said:has-text('Kept')")
        page.context.clear_cookies()
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#said:has-text('your session ended')", state="attached")
        assert page.locator("textarea[name=note]").input_value() == "an hour of work"
        other = page.context.new_page()
        other.goto(opened)
        other.goto(address + site.link("lee"))
        other.get_by_role("button", name="Sign in as").press("Enter")
        other.wait_for_url(opened)
        assert other.locator("textarea[name=note]").input_value() == "an hour of work"
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=The last item was rejected")
        assert page.troubles == []
    (label,) = labels(site)
    assert label.note == "an hour of work"


def test_the_list_of_keys_names_every_key_of_the_form_and_nothing_that_was_typed(browser, site):
    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your answer")
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=The last item was")
        page.keyboard.press("?")
        page.wait_for_selector("dialog")
        keys = dict(
            line.split("\t")
            for line in page.locator("dialog dl div").evaluate_all(
                "(all) => all.map((one) => [...one.children].map((part) => part.textContent.trim()).join('\\t'))"
            )
        )
        assert keys["1"] == "Accept"
        assert keys["c"] == "What would be right, for Correct"
        assert keys["u"] == "Undo"
        assert keys["Ctrl Enter"] == "Send"


def test_two_at_once_never_see_the_same_item(browser, site):
    with page_site.running(site.app) as address:
        pages = [enter(browser, address, site, who) for who in ("lee", "dana")]
        for page in pages:
            page.keyboard.press("Enter")
        for _ in range(4):
            addresses = []
            for page in pages:
                page.wait_for_selector("text=Your answer")
                addresses.append(page.url.partition("?")[0])
            assert addresses[0] != addresses[1]
            for page, shown in zip(pages, addresses, strict=True):
                page.keyboard.press("1")
                page.keyboard.press("Control+Enter")
                page.wait_for_url(lambda url, shown=shown: url.partition("?")[0] != shown)
    found = labels(site)
    assert len({one.item_id for one in found}) == len(found)


def test_a_restart_in_the_middle_loses_nothing_that_was_typed(browser, site, tmp_path):
    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your answer")
        opened = page.url.removeprefix(address)
        page.keyboard.press("c")
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type("half a correction")
        page.wait_for_selector("text=Kept")
        cookies = [
            {name: one[name] for name in ("name", "value", "domain", "path")}
            for one in page.context.cookies()
        ]
    with page_site.people_site(tmp_path) as again, page_site.running(again.app) as address:
        context = browser.new_context()
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(address + opened)
        assert page.locator("textarea[name=correction]").input_value() == "half a correction"
        assert page.locator("input[value=correct]").is_checked()
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=The last item was corrected")
        page.keyboard.press("u")
        page.wait_for_url(address + opened)
        assert labels(again) == ()


@pytest.mark.parametrize("every_text", [False, pytest.param(True, marks=pytest.mark.long)])
def test_axe_finds_nothing_and_the_pages_fit(browser, site, every_text):
    measured = set()

    def inspect(name):
        modes = ("light", "dark", "phone", "dark phone")
        found = findings_by_mode(page, *modes, measured=measured, every_text=every_text)
        assert not any(found.values()), f"{name}: {found}"
        for size in (PHONE, DESK):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name

    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        inspect("queue")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your answer")
        inspect("item")
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=The last item was")
        inspect("after")
        page.goto(f"{address}/agents/{world.AGENT}/sign")
        inspect("sign")


def test_it_works_without_script(browser, site):
    with page_site.running(site.app) as address:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(address + site.link("lee"))
        page.get_by_role("button", name="Sign in as").click()
        page.goto(f"{address}/review")
        page.get_by_role("button", name="Start reviewing").click()
        page.get_by_role("button", name="Send").click()
        assert "Your answer" in page.content(), "the browser asks for a choice"
        page.get_by_label("Accept").check()
        page.get_by_role("button", name="Send").click()
        assert "The last item was accepted" in page.content()
    assert [one.answer for one in labels(site)] == [Answer.ACCEPT]


def test_what_a_user_sent_cannot_run(browser, site):
    hostile = dataclasses.replace(
        item(99),
        input=world.HOSTILE,
        proposal="</textarea><script>document.title='pwned'</script>",
        due_at=world.NOW + timedelta(minutes=1),
    )
    SqlReviewQueue(site.ledger.database).add([hostile])
    with page_site.running(site.app) as address:
        page = enter(browser, address, site, "lee")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your answer")
        assert "pwned" not in page.title()
        assert "\u202e" not in page.locator("pre").first.inner_text()
        assert page.locator("textarea[name=correction]").input_value() == hostile.proposal
        assert page.troubles == []
