# SPDX-License-Identifier: Apache-2.0
"""The report is one file that asks for nothing, and its numbers are those of its view models."""

from __future__ import annotations

import base64
import hashlib
import re

import page_world as world

from pilothouse.reports.html import environment, render_report
from pilothouse.reports.readiness import build_readiness


def report():
    tasks = world.make_tasks()
    verdict = world.make_verdict(world.make_evidence(tasks, world.make_outcomes(tasks)))
    return render_report((world.make_agent_page(), build_readiness(verdict, world.charter())))


def test_it_asks_for_nothing_from_anywhere():
    text = report()
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "@import" not in text
    assert "url(" not in text
    assert "<script" not in text
    assert "style=" not in text


def test_its_policy_allows_exactly_its_own_style():
    text = report()
    css = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in text or f"style-src 'sha256-{digest}'" in text


def test_it_is_the_same_text_for_the_same_pages():
    assert report() == report()


def test_links_inside_it_lead_somewhere():
    text = report()
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', text))


def test_what_can_be_typed_is_set_as_such_and_everything_is_still_escaped():
    typed = environment().filters["typed"]
    assert typed("run `pilothouse <x>` & wait") == "run <code>pilothouse &lt;x&gt;</code> &amp; wait"
    assert typed("one ` alone <b>") == "one ` alone &lt;b&gt;"
