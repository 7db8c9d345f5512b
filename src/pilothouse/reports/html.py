# SPDX-License-Identifier: Apache-2.0
"""Pages as HTML: one template for each page, which computes nothing and escapes everything; and as one file that needs no server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports import svg
from pilothouse.reports.charts import BandChart
from pilothouse.reports.design import stylesheet
from pilothouse.reports.pictures import Picture, Spark
from pilothouse.reports.requirement_rows import DotInterval
from pilothouse.reports.view_models import Page, StatusMark

__all__ = ["environment", "render_body", "render_report"]

NAME_CHARS = 28
"""Characters of a name that stays on one line: what a column of names has room for beside the others."""


def _shape(mark: StatusMark) -> Markup:
    return Markup(svg.shape(mark.status))  # noqa: S704 - constant text of ours


def _named_shape(status: str) -> Markup:
    return Markup(svg.shape(Status(status)))  # noqa: S704 - constant text of ours


def _dots(dot: DotInterval) -> Markup:
    return Markup(svg.dot_interval(dot.low, dot.value, dot.high, dot.bound))  # noqa: S704 - numbers only


def _band(chart: BandChart) -> Markup:
    return Markup(svg.band_line(chart))  # noqa: S704 - escaped where it is made


def _share(shares: tuple[float, ...]) -> Markup:
    return Markup(svg.share_bar(shares))  # noqa: S704 - numbers only


def _draw(picture: Picture) -> Markup:
    return Markup(svg.draw(picture))  # noqa: S704 - escaped where it is made


def _spark(spark: Spark) -> Markup:
    return Markup(svg.sparkline(spark.places, spark.bound))  # noqa: S704 - numbers only


def _typed(text: str) -> Markup:
    """Set what stands between two backticks as something that can be typed."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _whole(text: str) -> Markup:
    """Return the attribute of a place whose text is one name that is not broken at its hyphens; empty for any other text."""
    is_name = len(text) <= NAME_CHARS and "-" in text and len(text.split()) == 1
    return Markup(' class="whole"') if is_name else Markup("")


def _bar(left: float, width: float, kind: str) -> Markup:
    return Markup(svg.span_bar(left, width, kind))  # noqa: S704 - numbers and words of ours


@cache
def environment() -> Environment:
    """Return the template environment: everything is escaped, and an unknown name is an error."""
    env = Environment(
        loader=PackageLoader("pilothouse.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        typed=_typed,
        shape=_shape,
        named_shape=_named_shape,
        dots=_dots,
        band=_band,
        share=_share,
        draw=_draw,
        spark=_spark,
        whole=_whole,
    )
    env.globals.update(bar=_bar)
    return env


def render_body(page: Page, **options: Any) -> Markup:
    """Return the content of a page, without the frame around it.

    Args:
        page: Any page; the template has its name.
        **options: `links` says whether links to other pages are drawn (default True); `token` goes into forms.
    """
    template = environment().get_template(f"{page.template or page.name}.html")
    return Markup(template.render(page=page, **{"links": True, "token": "", **options}))  # noqa: S704 - rendered with escaping


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
