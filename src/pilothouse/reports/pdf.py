# SPDX-License-Identifier: Apache-2.0
"""Pages as PDF/UA-1 by typst: equal pages give equal bytes, so the digest of a sheet can be kept."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from importlib.resources import files

from pilothouse.errors import UsageError
from pilothouse.reports.design import STATUS_COLOURS
from pilothouse.reports.executive import ExecutivePage
from pilothouse.reports.papers import paper_sections
from pilothouse.reports.view_models import Page

__all__ = ["render_pdf"]


def render_pdf(page: Page) -> bytes:
    """Return a page as a tagged PDF: the executive sheet with its sources, any other page as tables.

    The text goes in as data and the compiler sees an empty folder and its own fonts only: no name in a charter can
    be a program, and no font of a machine can change the bytes.

    Raises:
        UsageError: The extra `pdf` is not installed.
    """
    if isinstance(page, ExecutivePage):
        return _compiled("executive.typ", page, {})
    sections = [one.model_dump(mode="json") for one in paper_sections(page)]
    return _compiled("page.typ", page, {"sections": json.dumps(sections)})


def _compiled(template: str, page: Page, further: Mapping[str, str]) -> bytes:
    try:
        import typst  # noqa: PLC0415 - an extra: only whoever wants a PDF needs it
    except ImportError as error:
        raise UsageError(
            "PDFs need the extra `pdf`, which is not installed",
            remedy="Install it: `pip install 'pilothouse[pdf]'`, or write HTML: `pilothouse report executive --out SHEET.html`.",
        ) from error
    source = files("pilothouse.reports").joinpath("templates", template).read_bytes()
    at = page.as_of.at
    with tempfile.TemporaryDirectory(prefix="pilothouse-pdf-") as empty:
        compiler = typst.Compiler(
            source,
            root=empty,
            ignore_system_fonts=True,
            sys_inputs={
                "page": page.model_dump_json(),
                "digest": page.digest[:12],
                "year": str(at.year),
                "month": str(at.month),
                "day": str(at.day),
                "shades": json.dumps({status.value: pair.light for status, pair in STATUS_COLOURS.items()}),
                **further,
            },
        )
        made = compiler.compile(format="pdf", pdf_standards=["ua-1"], timestamp=int(at.timestamp()))
    if not isinstance(made, bytes):  # pragma: no cover - one document in, one out
        raise TypeError(type(made).__name__)
    return made
