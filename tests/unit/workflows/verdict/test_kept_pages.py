# SPDX-License-Identifier: Apache-2.0
"""Pages made ahead: who looks never waits, sees what was judged last, and what somebody decided stands at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import desk_world
import page_site
import page_world as world
import pytest

from pilothouse.errors import StorageUnavailable
from pilothouse.ports.lake import TaskFilter
from pilothouse.workflows.ground.agents import SeenAgents
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.shows.ahead import AHEAD_LIFE, PagesAhead
from pilothouse.workflows.verdict import kept_pages
from pilothouse.workflows.verdict.kept_pages import OneReading

AGENT = world.AGENT


class CountedLake:
    """A lake that counts how often a window is read."""

    def __init__(self, lake):
        self._lake = lake
        self.read = []

    def window(self, wanted):
        self.read.append(wanted)
        return self._lake.window(wanted)

    def __getattr__(self, name):
        return getattr(self._lake, name)


@pytest.fixture
def site(tmp_path):
    with page_site.people_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def judged():
    return []


@pytest.fixture
def shows(site, judged):
    def judge(place, agent, now):
        judged.append(now)
        return page_site.judge(place, agent, now)

    return Shows(site.installation, judge, life=AHEAD_LIFE)


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(kept_pages, "AT_ONCE_S", -1.0)


@pytest.mark.usefixtures("slow")
def test_what_takes_long_is_made_ahead_and_nobody_waits(site, shows, judged):
    ahead = PagesAhead(site.installation, shows, site.desk)
    ahead.run(site.clock.now())
    assert len(judged) == 1
    first = shows.agent(AGENT)
    site.clock.move(minutes=2)
    assert shows.agent(AGENT) is first
    assert shows.readiness(AGENT).as_of == first.as_of
    assert len(judged) == 1
    assert shows.renew(AGENT, {})
    assert shows.agent(AGENT).as_of.at == first.as_of.at + timedelta(minutes=2)
    assert len(judged) == 2


@pytest.mark.usefixtures("slow")
def test_an_incident_stands_at_once_on_a_page_that_was_made_ahead(site, shows):
    """What waits for people is no part of the assessment that the rest of the page is kept with."""
    before = shows.agent(AGENT)
    desk_world.fire(site)
    now = shows.agent(AGENT)
    (incident,) = (one for one in now.standing if one.name == "Incidents")
    assert incident.link.text == "INC-1, sev2, in nobody's hands"
    assert incident.link.href == "/incidents/1"
    assert now.as_of == before.as_of
    assert now.digest != before.digest


@pytest.mark.usefixtures("slow")
def test_a_round_is_followed_by_a_rest_twenty_times_as_long(site, shows, judged):
    ahead = PagesAhead(site.installation, shows, site.desk)
    for _ in range(3):
        ahead.run(site.clock.now())
    assert len(judged) == 1


@pytest.mark.usefixtures("slow")
def test_when_rounds_fail_whoever_looks_judges_again(site, shows, judged):
    shows.renew(AGENT, {})
    site.clock.move(minutes=AHEAD_LIFE.seconds // 60)
    shows.agent(AGENT)
    assert len(judged) == 2


@pytest.mark.usefixtures("slow")
def test_a_decision_made_while_a_round_runs_is_not_overwritten_by_it(site, shows, judged):
    shows.renew(AGENT, {})
    site.clock.move(minutes=1)

    def decide(_place, found):
        shows.forget(AGENT)
        return shows.readiness(AGENT)

    shows.renew(AGENT, {"decision": decide})
    assert len(judged) == 3
    shows.agent(AGENT)
    assert len(judged) == 3, "the page shows what was judged after the decision, not the round's"


def test_what_is_judged_at_once_is_left_to_whoever_looks(site, shows, judged, monkeypatch):
    monkeypatch.setattr(kept_pages, "AT_ONCE_S", 60.0)
    assert not shows.renew(AGENT, {})
    shows.agent(AGENT)
    site.clock.move(minutes=1)
    shows.agent(AGENT)
    assert len(judged) == 3


@pytest.mark.usefixtures("slow")
def test_a_round_reads_the_weeks_once_for_all_pages(site):
    lake = CountedLake(site.installation.lake)
    shows = Shows(replace(site.installation, lake=lake), life=AHEAD_LIFE)
    PagesAhead(site.installation, shows, site.desk).run(site.clock.now())
    whole = [wanted for wanted in lake.read if wanted == replace(lake.read[0], to_ns=wanted.to_ns)]
    assert len(whole) == 1
    assert all(wanted.task_type is not None or wanted in whole for wanted in lake.read)


@pytest.mark.usefixtures("slow")
def test_one_agent_that_cannot_be_judged_leaves_the_others_their_pages(site, judged):
    def judge(place, agent, now):
        judged.append(agent)
        raise StorageUnavailable("the lake cannot be read", remedy="Run `pilothouse doctor`.")

    shows = Shows(site.installation, judge, life=AHEAD_LIFE)
    with pytest.raises(StorageUnavailable):
        PagesAhead(site.installation, shows, site.desk).run(site.clock.now())
    assert judged == [AGENT]


def test_a_window_within_one_that_was_read_is_cut_out_of_it():
    lake = world.PageLake()
    lake.add(world.make_tasks())
    counted = CountedLake(lake)
    once = OneReading(counted)
    end = world.ns(world.NOW)
    wide = world_filter(end - 14 * DAY_NS, end)
    for days in (14, 7, 3):
        wanted = world_filter(end - days * DAY_NS, end)
        assert list(once.window(wanted)) == list(lake.window(wanted))
    assert counted.read == [wide]
    older = world_filter(end - 20 * DAY_NS, end)
    assert list(once.window(older)) == list(lake.window(older))
    assert counted.read == [wide, older]


DAY_NS = 86_400 * 1_000_000_000


def world_filter(start, end):
    return TaskFilter(agent=AGENT, from_ns=start, to_ns=end)


def test_agents_are_counted_again_when_a_hundred_times_the_cost_has_passed():
    class Slow:
        asked = 0

        def agents(self):
            self.asked += 1
            moment[0] += 0.05
            return (self.asked,)

    moment, lake = [0.0], Slow()
    seen = SeenAgents(lake, lambda: moment[0])
    assert seen.read() == seen.read() == (1,)
    moment[0] += 4.9
    assert seen.read() == (1,)
    moment[0] += 0.2
    assert seen.read() == (2,)
