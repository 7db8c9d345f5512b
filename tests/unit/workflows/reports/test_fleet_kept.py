# SPDX-License-Identifier: Apache-2.0
"""Fleet over many agents: a verdict is read once, the page is made again only when something is new, and shows the same."""

from __future__ import annotations

from datetime import timedelta

import page_site
import page_world as world
import pytest

from pilothouse.reports.fleet import VALUE
from pilothouse.workflows.ground import in_force
from pilothouse.workflows.ground.in_force import newest_verdict
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.kept_pages import KeptVerdicts


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        assess(opened.installation, world.AGENT, opened.clock.now(), freeze=True)
        yield opened


def test_fleet_says_the_same_of_a_kept_verdict_as_of_a_whole_one(site):
    fleet = Shows(site.installation).fleet()
    whole = newest_verdict(site.ledger, world.AGENT)
    row = next(row for row in fleet.rows if row.agent.text == world.AGENT)
    value = next(one for one in whole.requirements if one.requirement == VALUE)
    assert (row.mark.status, row.word.text, row.sentence) == (whole.status, whole.word, whole.sentence)
    assert (row.value.status, row.value_text) == (value.status, value.deciding.sentence)
    judged = Shows(site.installation, page_site.judge)
    judged._frozen = type("None", (), {"newest": lambda _self, _agent: None})()
    assert judged.fleet().rows == fleet.rows
    assert judged.fleet().action == fleet.action


def test_a_verdict_is_parsed_once_and_again_when_it_is_another(site, monkeypatch):
    parsed = []
    monkeypatch.setattr(
        "pilothouse.workflows.verdict.kept_pages.verdict_of",
        lambda text: parsed.append(len(text)) or in_force.verdict_of(text),
    )
    kept = KeptVerdicts(site.ledger, shown=frozenset({VALUE}))
    first = kept.newest(world.AGENT)
    assert kept.newest(world.AGENT) is first
    assert len(parsed) == 1
    site.clock.move(minutes=5)
    assess(site.installation, world.AGENT, site.clock.now(), freeze=True)
    assert kept.newest(world.AGENT).as_of == site.clock.now()
    assert len(parsed) == 2
    assert kept.newest("nobody") is None


def test_the_page_is_made_again_when_somebody_wrote_or_a_minute_went_by(site):
    shows = Shows(site.installation, state=site.ledger.database.state)
    first = shows.fleet()
    assert shows.fleet() is first
    site.ledger.record(kind="note", agent=world.AGENT, at=site.clock.now(), actor="test", document="{}")
    second = shows.fleet()
    assert second is not first
    assert second.digest == first.digest
    site.clock.move(minutes=1)
    assert shows.fleet().as_of.at == first.as_of.at + timedelta(minutes=1)


def test_without_a_state_the_page_is_made_at_each_look(site):
    shows = Shows(site.installation)
    assert shows.fleet() is not shows.fleet()
