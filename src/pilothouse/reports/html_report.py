# SPDX-License-Identifier: Apache-2.0
"""Pages as one HTML file that needs no server, no network and no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from pilothouse.reports.design import stylesheet
from pilothouse.reports.html import environment, render_body
from pilothouse.reports.view_models import Page

__all__ = ["render_report"]


def render_report(pages: Page | Sequence[Page]) -> str:
    """Return pages as one self-contained HTML document.

    Its own content policy allows its one style block, by digest, and nothing else.

    Args:
        pages: One page or several, in reading order.
    """
    chosen: tuple[Page, ...] = (pages,) if isinstance(pages, Page) else tuple(pages)
    css = stylesheet()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        environment()
        .get_template("report.html")
        .render(
            first=chosen[0],
            css=Markup(css),  # noqa: S704 - a file of ours
            policy=f"default-src 'none'; style-src 'sha256-{digest}'",
            parts=[(page, render_body(page, links=False)) for page in chosen],
        )
    )
