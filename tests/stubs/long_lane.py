# SPDX-License-Identifier: Apache-2.0
"""What is marked `long` runs when it is asked for: it proves at length what a shorter test of `make test` proves."""

from __future__ import annotations

__all__ = ["leave_out"]


def leave_out(config, items):
    """Leave out what is marked `long`, unless it is asked for by this mark or a test by its own name."""
    if "long" in config.option.markexpr or any("::" in one for one in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
