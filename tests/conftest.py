# SPDX-License-Identifier: Apache-2.0
"""Settings of every test: a property is true or false, never too slow; a leak fails the module that leaks."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Collect garbage at the end of each module: a socket left open is reported there, not at a stranger's door.

    Warnings are errors here, and a connection that nobody closed warns when it is collected, which may be any number
    of tests later.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
