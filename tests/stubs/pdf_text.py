# SPDX-License-Identifier: Apache-2.0
"""Reads the text of a PDF that typst wrote: what a screen reader and a search find in it, in the order of the page."""

from __future__ import annotations

import re
import zlib

_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_PROPERTIES = re.compile(rb"<<[^<>]*(?:\((?:\\.|[^\\()])*\)|<[0-9A-Fa-f]*>)[^<>]*>>\s*BDC", re.DOTALL)
"""Names of a marked piece of text, such as what a reader says in its place: not what is shown."""

_INSIDE = rb"(?:\\.|[^\\()]|\((?:\\.|[^\\()]|\((?:\\.|[^\\()])*\))*\))*"
"""What stands between the brackets of a string: escapes, bytes, and brackets that are balanced."""

_SHOWN = re.compile(rb"/(f\d+) [\d.]+ Tf|\((" + _INSIDE + rb")\)|<([0-9A-Fa-f]+)>|(ET)", re.DOTALL)


def pdf_text(made: bytes) -> str:
    """Return the text of all pages; pieces that are set apart are parted by a space."""
    objects = {int(one[1]): one[2] for one in re.finditer(rb"(\d+) 0 obj(.*?)endobj", made, re.DOTALL)}
    pages = [body for body in objects.values() if re.search(rb"/Type/Page\b", body)]
    return " ".join(
        _read(_stream(objects[_number(rb"Contents", page)]), _fonts(objects, page)) for page in pages
    )


def _number(name: bytes, body: bytes) -> int:
    return int(re.search(rb"/" + name + rb" (\d+) 0 R", body)[1])


def _fonts(objects: dict[int, bytes], page: bytes) -> dict[bytes, dict[int, str]]:
    """Return the fonts of a page by the names it gives them: another page may name them otherwise."""
    resources = objects[_number(rb"Resources", page)]
    return {
        name: _letters(_stream(objects[_number(rb"ToUnicode", objects[int(number)])]))
        for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", resources)
    }


def _stream(body: bytes) -> bytes:
    return zlib.decompress(body.partition(b"stream")[2].lstrip(b"\r\n"))


def _letters(cmap: bytes) -> dict[int, str]:
    pairs = re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>\n", cmap)
    return {int(code, 16): bytes.fromhex(text.decode()).decode("utf-16-be") for code, text in pairs}


def _read(content: bytes, fonts: dict[bytes, dict[int, str]]) -> str:
    letters: dict[int, str] = {}
    parts = []
    for font, quoted, hexed, ends in _SHOWN.findall(_PROPERTIES.sub(b"", content)):
        if font:
            letters = fonts[font]
        elif ends:
            parts.append(" ")
        else:
            codes = bytes.fromhex(hexed.decode()) if hexed else _ESCAPE.sub(_unescaped, quoted)
            parts += [letters.get(int.from_bytes(codes[at : at + 2]), "") for at in range(0, len(codes), 2)]
    return "".join(parts)


def _unescaped(found: re.Match[bytes]) -> bytes:
    said = found[1]
    return bytes([int(said, 8)]) if said.isdigit() else _NAMED.get(said, said)
