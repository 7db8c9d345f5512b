# SPDX-License-Identifier: Apache-2.0
"""The steps of the tour as a test walks them: who walks, what the tour promised, and what the page says."""

from __future__ import annotations

import re

from pilothouse.reports.tour import JOURNEYS

WHO = (None, "dana", "lee", None, "vp")
"""Who walks each journey: most pages are read without signing in."""

STEPS = [
    (number, step) for number, (_, steps) in enumerate(JOURNEYS.values(), 1) for step in range(len(steps))
]


def sentence_of(page):
    """Return the first sentence of the page that is open."""
    return page.locator(".sentence").first.inner_text().removesuffix("Proof").strip()


def steady(sentence):
    """Leave out how much came to the record since it was verified: each sign-in and each tick moves it."""
    return re.sub(r"[\d,]+ came since", "some came since", sentence)


def take_step(page, address, number, step):
    """Open a step from the tour's own link, from wherever the page stands; return what the tour promised."""
    if not page.url.startswith(address):
        page.goto(f"{address}/")
    page.get_by_role("link", name="Tour", exact=True).click()
    page.wait_for_url(lambda url: "/tour" in url)
    row = page.locator(f"#journey-{number} tbody tr").nth(step)
    promised = row.locator("td").last.inner_text().strip()
    row.get_by_role("link").click()
    page.wait_for_url(lambda url: "/tour" not in url)
    return promised
