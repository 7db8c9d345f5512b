# SPDX-License-Identifier: Apache-2.0
"""Settings of every test: true or false but never too slow, one worker to a shared fixture, no leak unseen."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import long_lane
import longest_first
import no_pandas
import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


NAMED_CHARACTERS_MAX = 80
"""A longer value of a parameter is named by its size: a body of 65 MB as its own name is 260 MB to each worker."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name what is too long to be a name, and bytes that may hold a clock or a draw: each worker must call a test the same."""
    is_made = isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable())
    if is_made or (isinstance(val, str | bytes) and len(val) > NAMED_CHARACTERS_MAX):
        return f"{argname}-of-{len(val)}"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--note-longest` writes down what takes long."""
    parser.addoption(
        "--note-longest",
        action="store_true",
        help="write down what takes long, for the order of the next run",
    )


class DoctestsWhereOneIs:
    """Collects no examples where none is: each worker would import and search 800 modules for those of 270."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Iterator[None]:
        """Leave out the collector of examples of a file without one."""
        found = yield
        if file_path.suffix != ".py" or b">>>" in file_path.read_bytes():
            return found
        return [one for one in found if not one.__class__.__module__.endswith("doctest")]


def pytest_configure(config: pytest.Config) -> None:
    """Only who sees the results of all workers measures."""
    config.pluginmanager.register(DoctestsWhereOneIs())
    if config.getoption("--note-longest") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(longest_first.Noting())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one worker run all tests that share a module's fixture: a server or a demo is then started once, not twice.

    A module that marks a test with a group of its own knows better. Between several workers the longest come first.
    """
    long_lane.leave_out(config, items)
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        if fixtures is None or item.get_closest_marker("xdist_group"):
            continue
        if any(made.scope == "module" for given in fixtures.name2fixturedefs.values() for made in given):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    if getattr(config.option, "loadgroup", False):
        longest_first.order(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say it when groups are not heard: some versions of the two plugins disagree on the name of a test, silently.

    Only who runs tests collects: what is hidden from their processes is not hidden from a worker.
    """
    no_pandas.hide_from_children()
    if getattr(session.config.option, "loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                message = "this pytest-xdist does not hear groups under this pytest: each worker would make every fixture"
                raise pytest.UsageError(message)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure no branch of a test marked `no_cover`, also in a worker.

    pytest-cov measures twice there, and pausing one measurement lets the other go on: four times the time for nothing.
    """
    traced = sys.gettrace()
    if item.get_closest_marker("no_cover") is None or traced is None:
        return (yield)
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(traced)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Collect garbage at the end of each module: a socket left open is reported there, not at a stranger's door.

    Warnings are errors here, and a connection that nobody closed warns when it is collected, which may be any number
    of tests later. What survives is put aside, so that each module pays for its own garbage alone.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def pytest_sessionfinish() -> None:
    """What was put aside may go when all is over."""
    gc.unfreeze()
