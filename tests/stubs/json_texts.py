# SPDX-License-Identifier: Apache-2.0
"""Every text in the JSON of a page, however deep it stands."""

from __future__ import annotations

from collections.abc import Iterator


def strings_in(value: object) -> Iterator[str]:
    """Yield the texts of a JSON value; names of fields are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings_in(part)
