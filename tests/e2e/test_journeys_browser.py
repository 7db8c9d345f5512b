# SPDX-License-Identifier: Apache-2.0
"""The five journeys of the people who open these pages, in a real browser."""

from __future__ import annotations

import re

import desk_world
import page_world as world
import pytest

from pilothouse.core.evidence.review import ReviewItem, ReviewSource
from pilothouse.workflows.controls.controls import pause_agent, resume_agent

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BASE = f"/agents/{world.AGENT}"


@pytest.fixture
def walk(browser, filled_site):
    site, address = filled_site
    contexts = []

    def begin(who=None, **options):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.base = address
        if who:
            page.goto(address + site.link(who))
            page.get_by_role("button", name="Sign in as").click()
            page.wait_for_url(f"{address}/")
        return page

    yield begin
    for context in contexts:
        context.close()


def test_an_engineer_finds_what_decides_and_the_task_behind_it(walk):
    page = walk()
    page.goto(f"{page.base}/")
    page.get_by_role("link", name=world.AGENT, exact=True).first.click()
    sentence = page.locator(".sentence").inner_text().removesuffix(" Proof")
    assert page.locator(".do .cmd code").inner_text().startswith("pilothouse ")
    page.locator(".sentence").get_by_role("link", name="Proof").click()
    page.wait_for_url(re.compile(r"/readiness#"))
    target = page.locator(f"#{page.url.partition('#')[2]}")
    assert target.is_visible()
    assert sentence.split(":")[0] in target.inner_text() or target.locator(".cmd").count()
    page.get_by_role("link", name="Tasks").click()
    page.locator("input[name=text]").fill("result:failed")
    page.get_by_role("button", name="Show").click()
    assert page.locator("tbody tr").count() >= 1
    assert all(
        text.startswith("failed") for text in page.locator("tbody tr td:nth-child(5)").all_inner_texts()
    )
    page.locator("tbody th a").first.click()
    page.locator(".spans summary").nth(3).click()
    assert page.locator(".spans details").nth(3).locator("pre").first.is_visible()


def test_an_owner_on_a_phone_pauses_and_lets_it_act_again(walk, filled_site):
    site, _ = filled_site
    page = walk("dana")
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(f"{page.base}{BASE}/agent")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("link", name="Controls").click()
    page.get_by_role("button", name=f"Pause {world.AGENT} …").click()
    warning = page.locator(".warning").first
    assert world.AGENT in warning.inner_text()
    assert world.VERSION[:7] in warning.inner_text()
    page.get_by_label("Why, one sentence").first.fill("wrong payee in three cases")
    page.get_by_role("button", name=f"Pause {world.AGENT} now").click()
    page.locator(".verdict", has_text="Paused").wait_for()
    assert site.desk.control_room.controls.read().pause_of(world.AGENT).actor == "dana"
    page.get_by_label("Why, one sentence").first.fill("the payee is mended")
    page.get_by_role("button", name=f"Let {world.AGENT} act again").click()
    page.locator(".verdict", has_text="Waiting").wait_for()
    assert not site.desk.control_room.controls.read().pauses


def test_an_owner_answers_for_a_call_without_script(walk, filled_site):
    site, _ = filled_site
    ident = "beef" * 15
    desk_world.ask(site, ident=ident)
    page = walk("dana", java_script_enabled=False)
    page.goto(f"{page.base}{BASE}/controls#call-{ident[:12]}")
    form = page.locator(f"#call-{ident[:12]}")
    assert "mail.body" in form.inner_text()
    form.get_by_label("Why, one sentence").fill("nobody knows this queue")
    form.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{page.base}{BASE}/controls")
    assert site.desk.boundary.approvals.find(ident).state == "rejected"


def test_a_reviewer_answers_and_the_next_item_opens(walk, filled_site):
    site, _ = filled_site
    site.queue.add(
        [
            ReviewItem(
                item_id=f"{number:032x}",
                agent=world.AGENT,
                task_type="po_invoice",
                trace_id=f"{number:032x}",
                source=ReviewSource.SAMPLED,
                why="drawn",
                input=f"invoice {number} {world.HOSTILE}",
                proposal='{"team": "accounts-payable"}',
                used=(),
                call_digest=f"{number:064x}",
                confidence=0.61,
                error_cost=400.0,
                created_at=world.NOW,
                due_at=world.NOW.replace(hour=12),
            )
            for number in (1, 2)
        ]
    )
    page = walk("lee")
    page.get_by_role("link", name="Review").click()
    page.get_by_role("button", name="Start reviewing").click()
    first = page.url
    assert "⟨U+202E⟩" in page.locator("pre").first.inner_text()
    page.locator("input[value=accept]").check()
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(lambda url: url != first)
    assert page.locator("form.review").count() == 1


def test_a_ciso_reads_permissions_and_record_and_how_to_verify_them(walk):
    page = walk()
    page.goto(f"{page.base}{BASE}/controls#permissions")
    table = page.locator("#permissions").inner_text()
    assert next(iter(world.charter().tools)) in table
    assert "allow" in table
    page.get_by_role("link", name="Audit").click()
    assert page.locator(".sentence").inner_text().startswith("Verified to record")
    page.locator("#records td a[href*='kind=']").first.click()
    page.wait_for_url(re.compile(r"/audit\?kind="))
    assert "pilothouse-verify audit.zip" in page.locator("#offline").inner_text()
    page.get_by_role("link", name="Settings").click()
    assert "pilothouse key add AGENT" in page.locator("#keys").inner_text()


def test_an_executive_prints_what_it_is_worth_and_signs(walk, filled_site):
    page = walk("vp")
    page.goto(f"{page.base}{BASE}/value")
    page.emulate_media(media="print")
    menus = page.locator("header.top nav").all()
    assert menus
    assert not any(menu.is_visible() for menu in menus)
    assert page.locator("header.top .of").is_visible()
    assert page.locator("h1").is_visible()
    assert page.pdf(format="A4").count(b"/Type /Page\n") <= 2
    page.emulate_media(media="screen")
    page.goto(f"{page.base}{BASE}/sign")
    button = page.get_by_role("button", name="Sign OWN-11 as")
    button.click()
    page.locator("tr", has_text="OWN-11").locator(".mark.holds").wait_for()


def test_the_page_of_controls_renews_itself_when_somebody_else_stops_the_agent(walk, filled_site):
    site, _ = filled_site
    room = site.desk.control_room
    page = walk()
    page.goto(f"{page.base}{BASE}/controls")
    words = {"tool": None, "reason": "stopped elsewhere", "actor": "sam", "now": site.clock.now()}
    pause_agent(room, world.AGENT, **words)
    try:
        page.locator(".verdict", has_text="Paused").wait_for()
    finally:
        resume_agent(room, world.AGENT, **words)


def test_what_was_typed_and_where_one_stood_outlive_a_page_that_renews_itself(walk, filled_site):
    """Who had typed a reason and gone on to the button lost both when somebody else did something."""
    site, _ = filled_site
    room = site.desk.control_room
    reader, writer = walk(), walk("sam")
    reader.goto(f"{reader.base}{BASE}/controls")
    reader.locator(".do a").first.focus()
    writer.goto(f"{writer.base}{BASE}/controls?do=pause")
    writer.get_by_label("Why, one sentence").first.fill("the ERP posts twice")
    writer.get_by_role("button", name=f"Pause {world.AGENT} now").focus()
    words = {"tool": "erp.route@1", "reason": "elsewhere", "actor": "kim", "now": site.clock.now()}
    pause_agent(room, world.AGENT, **words)
    try:
        reader.get_by_text("elsewhere").first.wait_for()
        assert reader.evaluate("document.activeElement.closest('.do') !== null")
        writer.wait_for_timeout(1_000)
        assert writer.get_by_label("Why, one sentence").first.input_value() == "the ERP posts twice"
        assert writer.evaluate("document.activeElement.textContent") == f"Pause {world.AGENT} now"
    finally:
        resume_agent(room, world.AGENT, **words)
