# SPDX-License-Identifier: Apache-2.0
"""Pages as PDF/UA-1 by typst: equal pages give equal bytes, so the digest of a sheet can be kept."""

from __future__ import annotations

import tempfile
from importlib.resources import files

from pilothouse.errors import UsageError
from pilothouse.reports.executive import ExecutivePage

__all__ = ["render_pdf"]


def render_pdf(page: ExecutivePage) -> bytes:
    """Return the executive page as a tagged PDF of one sheet and its sources.

    The text goes in as data and the compiler sees an empty folder and its own fonts only: no name in a charter can
    be a program, and no font of a machine can change the bytes.

    Args:
        page: The view model.

    Raises:
        UsageError: The extra `pdf` is not installed.
    """
    try:
        import typst  # noqa: PLC0415 - an extra: only whoever wants a PDF needs it
    except ImportError as error:
        raise UsageError(
            "PDFs need the extra `pdf`, which is not installed",
            remedy="Install it: `pip install 'pilothouse[pdf]'`, or write HTML: `pilothouse report executive --out SHEET.html`.",
        ) from error
    source = files("pilothouse.reports").joinpath("templates", "executive.typ").read_bytes()
    at = page.as_of.at
    with tempfile.TemporaryDirectory(prefix="pilothouse-pdf-") as empty:
        compiler = typst.Compiler(
            source,
            root=empty,
            ignore_system_fonts=True,
            sys_inputs={
                "page": page.model_dump_json(),
                "year": str(at.year),
                "month": str(at.month),
                "day": str(at.day),
            },
        )
        made = compiler.compile(format="pdf", pdf_standards=["ua-1"], timestamp=int(at.timestamp()))
    if not isinstance(made, bytes):  # pragma: no cover - one document in, one out
        raise TypeError(type(made).__name__)
    return made
