# SPDX-License-Identifier: Apache-2.0
"""Style, scripts and icon under names with their digest, so that browsers can cache them for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from pilothouse.reports.design import stylesheet

__all__ = ["STATIC_AGE_S", "StaticFile", "static_files"]

STATIC_AGE_S = 31_536_000
"""A year: a changed file has another name."""

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file that never changes under its name."""

    name: str
    media_type: str
    body: bytes


def _named(stem: str, ending: str, body: bytes) -> StaticFile:
    digest = hashlib.sha256(body).hexdigest()[:12]
    return StaticFile(name=f"{stem}.{digest}.{ending}", media_type=_TYPES[ending], body=body)


def static_files() -> Mapping[str, StaticFile]:
    """Return the static files by role: `css`, `script`, `more` and `fresh` (loaded on demand), `review` (for its form), `icon`."""
    folder = files("pilothouse.interfaces.web") / "static"
    return {
        "css": _named("pilothouse", "css", stylesheet().encode()),
        "script": _named("pilothouse", "js", (folder / "pilothouse.js").read_bytes()),
        "more": _named("palette", "js", (folder / "palette.js").read_bytes()),
        "fresh": _named("fresh", "js", (folder / "fresh.js").read_bytes()),
        "review": _named("review", "js", (folder / "review.js").read_bytes()),
        "icon": _named("icon", "svg", (folder / "icon.svg").read_bytes()),
    }
