# SPDX-License-Identifier: Apache-2.0
"""Settings of every test: a property is true or false, never too slow."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")
