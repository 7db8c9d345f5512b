# SPDX-License-Identifier: Apache-2.0
"""A module that is imported when a test uses it: each worker collects every file, and few run those of the heavy clients."""

from __future__ import annotations

import importlib


class LateModule:
    """Has what a module has, and imports it for the first of it.

    Args:
        name: The name of the module.
    """

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        if attribute.startswith(
            "__"
        ):  # pytest asks everything that a file of tests holds whether it is a test
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
