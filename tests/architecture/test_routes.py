# SPDX-License-Identifier: Apache-2.0
"""Every address says what it needs and whether it changes something; a page that is read never does."""

from __future__ import annotations

import page_site
from starlette.routing import Route

from pilothouse.core.charter.powers import Action
from pilothouse.interfaces.web.routing import DeclaredRoute

OPEN_TO_ALL = {"/static/{name}", "/sign-in", "/sign-in/{link}", "/sign-out"}
"""Addresses that need nobody: what everybody's browser loads, and the way in and out."""


def undeclared(routes):
    return [
        route.path
        for route in routes
        if not isinstance(route, DeclaredRoute)
        or (route.declared.action is None and route.path not in OPEN_TO_ALL)
        or (route.declared.writes and route.declared.action is Action.READ)
        or route.methods != ({"POST"} if route.declared.writes else {"GET", "HEAD"})
    ]


def test_every_route_declares_what_it_needs(tmp_path):
    with page_site.people_site(tmp_path) as site:
        assert undeclared(site.app.routes) == []
        assert any(route.declared.writes for route in site.app.routes)


def test_a_planted_route_is_found(tmp_path):
    async def endpoint(request):
        raise NotImplementedError

    assert undeclared([Route("/planted", endpoint)]) == ["/planted"]
