# SPDX-License-Identifier: Apache-2.0
"""A person in front of the pages: signs in by a link, and sends forms as a browser does."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

SAME = {"sec-fetch-site": "same-origin", "origin": "http://localhost"}


def enter(site, who):
    client = TestClient(site.app, base_url="http://localhost", follow_redirects=False)
    client.post("/sign-in", data={"link": site.link(who).removeprefix("/sign-in/")}, headers=SAME)
    client.token = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/sign-in").text)[1]
    return client


def send(client, path, **fields):
    return client.post(path, data={"form_token": client.token, **fields}, headers=SAME)
