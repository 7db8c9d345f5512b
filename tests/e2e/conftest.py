# SPDX-License-Identifier: Apache-2.0
"""What tests in a browser share: one chromium, and one running server that has something of everything."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import ROOT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # One process for all windows; else chromium forks one more for each page that is opened, a fifth of what a page costs.
    "--process-per-site",
    "--renderer-process-limit=1",
]
SHOTS = ROOT / "artifacts"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep what the windows of a failed test show: a picture costs a second and a half, and nobody looks at the others."""
    report = yield
    if call.when == "call" and report.failed and "browser" in item.funcargs:
        shoot_windows(item.funcargs["browser"], re.sub(r"[^\w-]+", "-", item.name))
    return report


def shoot_windows(chromium, name):
    """Take a picture of every open window; one that shows nothing any more is left out."""
    from playwright.sync_api import Error  # noqa: PLC0415 - most end-to-end tests need it not

    SHOTS.mkdir(exist_ok=True)
    for number, page in enumerate(page for context in chromium.contexts for page in context.pages):
        with contextlib.suppress(Error):
            page.screenshot(path=SHOTS / f"{name}-{number}.png", full_page=True)


@pytest.fixture(scope="module")
def browser():
    """One chromium for a file: while playwright is open, this thread has a running loop, and no other test may start one."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed; `apt-get install chromium` puts it there")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - most end-to-end tests need neither

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """`pilothouse up` over a scripted model, with a charter that switches edits of the context on."""
    import recording_server  # noqa: PLC0415 - most end-to-end tests need it not

    with recording_server.recording_server(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """The demo as a newcomer runs it, once for everything in the group `demo`: its home, and the finished process."""
    home = tmp_path_factory.mktemp("demo-home")
    command = [sys.executable, "-m", "pilothouse", "demo", "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1_500, check=False)
    assert done.returncode == 0, done.stderr
    return home, done


@pytest.fixture(scope="session")
def filled_site(tmp_path_factory):
    """A site of people with one of everything, and the address it is served at."""
    import desk_world  # noqa: PLC0415 - most end-to-end tests need neither
    import page_site  # noqa: PLC0415 - most end-to-end tests need neither

    with page_site.people_site(tmp_path_factory.mktemp("home")) as site:
        desk_world.fill(site)
        desk_world.fire(site)
        with page_site.running(site.app) as url:
            yield site, url
