# SPDX-License-Identifier: Apache-2.0
"""Every page of an agent is reached by links from Fleet: the compliance map was served and stood on no page."""

from __future__ import annotations

import re

import desk_world
import page_site
import page_world as world
from page_visitor import enter

CLICKS_MAX = 3
"""From Fleet to any page of an agent: the agent, its page in the menu, and one further page."""


def served(site):
    paths = {route.path for route in site.app.routes if "GET" in (getattr(route, "methods", None) or ())}
    own = {path for path in paths if re.fullmatch(r"/agents/\{agent\}/[a-z]+", path)}
    return {path.replace("{agent}", world.AGENT) for path in own}


def test_every_page_of_an_agent_is_three_clicks_from_fleet_at_most(tmp_path):
    with page_site.people_site(tmp_path) as site:
        desk_world.fill(site)
        dana = enter(site, "dana")
        seen, here = {"/"}, ["/"]
        for _ in range(CLICKS_MAX):
            found = {
                link
                for path in here
                for link in re.findall(r'href="(/[\w/-]*)', dana.get(path).text)
                if re.fullmatch(rf"/(agents/{world.AGENT}/[a-z]+|review)?", link)
            }
            here = sorted(found - seen)
            seen |= found
        wanted = served(site)
        assert len(wanted) > 12
        assert wanted <= seen
