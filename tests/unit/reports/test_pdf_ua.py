# SPDX-License-Identifier: Apache-2.0
"""PDF/UA-1 held against the bytes by a reader of our own, written from the clauses of ISO 14289-1 that a program can check.

typst refuses to build a file that breaks its own reading of the standard; this is a second reading. It stands on
nothing that made the file.
"""

from __future__ import annotations

import itertools
import re
import zlib
from datetime import timedelta

import pytest
from evidence_made import everything_holds, load_charter, replaced
from source_tree import ROOT

from pilothouse.reports.pdf import render_pdf
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.reports.report import show_executive
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

AGENT = "ap-invoice-triage"
CHARTER = ROOT / "tests" / "golden" / "charters" / "ap-invoice-triage.yaml"
STANDARD = frozenset(
    [
        "Document",
        "Part",
        "Sect",
        "Div",
        "P",
        "H1",
        "H2",
        "H3",
        "H4",
        "H5",
        "H6",
        "L",
        "LI",
        "Lbl",
        "LBody",
        "Table",
        "THead",
        "TBody",
        "TFoot",
        "TR",
        "TH",
        "TD",
        "Span",
        "Strong",
        "Em",
        "Link",
        "Figure",
        "Caption",
        "Note",
        "Reference",
        "Quote",
        "BlockQuote",
        "TOC",
        "TOCI",
        "Title",
    ]
)
SHOWS_TEXT = re.compile(rb"(?:^|[\s\])>])(?:Tj|TJ|'|\")(?=\s|$)")


def sheet_of(records):
    ledger = MemoryLedger()
    accept_file(ledger, CHARTER, EXAMPLE_NOW - timedelta(days=40), actor="test")
    ledger.add_evidence(records)
    home = load_settings({}, home=ROOT / "nowhere")
    place = Installation(settings=home, clock=FixedClock(), lake=MemoryLake(), ledger=ledger)
    return render_pdf(show_executive(place, assess(place, AGENT, EXAMPLE_NOW, freeze=False)))


@pytest.fixture(scope="module")
def records():
    return replaced(everything_holds(load_charter(), EXAMPLE_NOW), "hosts_observed", n=5_000, good=4_000)


@pytest.fixture(scope="module")
def pdf(records):
    return sheet_of(records)


@pytest.fixture(scope="module")
def objects(pdf):
    return {int(number): body for number, body in re.findall(rb"(\d+) 0 obj\s(.*?)\sendobj", pdf, re.DOTALL)}


@pytest.fixture(scope="module")
def catalog(objects):
    return next(body for body in objects.values() if b"/Type/Catalog" in body)


@pytest.fixture(scope="module")
def elements(objects):
    """The structure elements: type, parent, and the kids that are elements, by object number."""
    found = {}
    for number, body in objects.items():
        if b"/Type/StructElem" in body or (b"/P " in body and re.search(rb"/S/\w+", body) and b"/K" in body):
            kids = re.search(rb"/K ?(\[.*?\](?=/|>>|$)|\d+ 0 R)", body, re.DOTALL)
            found[number] = (
                re.search(rb"/S/(\w+)", body).group(1).decode(),
                int(re.search(rb"/P (\d+) 0 R", body).group(1)),
                [int(one) for one in re.findall(rb"(\d+) 0 R", kids.group(1))] if kids else [],
                body,
            )
    kept = {number: one for number, one in found.items() if one[0] != "Transparency"}
    return {
        number: (kind, parent, [kid for kid in kids if kid in kept], body)
        for number, (kind, parent, kids, body) in kept.items()
    }


def pages_of(objects):
    return [body for body in objects.values() if re.search(rb"/Type/Page\b(?!s)", body)]


def content_of(objects, page):
    number = int(re.search(rb"/Contents (\d+) 0 R", page).group(1))
    head, _, rest = objects[number].partition(b"stream\n")
    data = rest[: rest.rindex(b"endstream")].rstrip(b"\n")
    return zlib.decompress(data) if b"FlateDecode" in head else data


def test_the_document_says_that_it_is_tagged_in_which_language_and_shows_its_title(catalog):
    assert b"/MarkInfo<</Marked true" in catalog
    assert b"/Suspects true" not in catalog
    assert re.search(rb"/Lang\([a-z]{2}", catalog)
    assert b"/DisplayDocTitle true" in catalog
    assert b"/StructTreeRoot" in catalog


def test_its_metadata_claims_pdf_ua_1_and_names_the_title(pdf):
    said = re.search(rb"<x:xmpmeta.*?</x:xmpmeta>", pdf, re.DOTALL).group().decode()
    assert "<pdfuaid:part>1</pdfuaid:part>" in said
    assert re.search(r"<dc:title>.*ap-invoice-triage.*</dc:title>", said)
    assert "<dc:language>" in said


def test_every_page_is_read_in_the_order_of_its_structure(objects):
    pages = pages_of(objects)
    assert pages
    for page in pages:
        assert b"/Tabs/S" in page
        assert b"/StructParents" in page


def test_every_element_is_of_a_standard_type_and_known_to_its_parent(elements):
    assert {kind for kind, *_ in elements.values()} <= STANDARD
    for number, (_, parent, _, _) in elements.items():
        if parent in elements:
            assert number in elements[parent][2], number


def test_tables_and_lists_are_built_of_their_own_parts(elements):
    allowed = {
        "TR": {"Table", "THead", "TBody", "TFoot"}, "TD": {"TR"}, "TH": {"TR"}, "THead": {"Table"},
        "TBody": {"Table"}, "LI": {"L"}, "Lbl": {"LI"}, "LBody": {"LI"},
    }  # fmt: skip
    for kind, parent, _, _ in elements.values():
        if kind in allowed:
            assert elements[parent][0] in allowed[kind], kind
    heads = [body for kind, _, _, body in elements.values() if kind == "TH"]
    assert heads
    assert all(re.search(rb"/Scope/(Column|Row|Both)", body) for body in heads)


def test_headings_begin_at_one_and_leave_no_level_out(elements):
    root = next(number for number, (kind, parent, *_) in elements.items() if parent not in elements)

    def walk(number):
        kind, _, kids, _ = elements[number]
        yield kind
        for kid in kids:
            yield from walk(kid)

    levels = [int(kind[1]) for kind in walk(root) if re.fullmatch(r"H\d", kind)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_picture_has_words_in_its_place(elements):
    for kind, _, _, body in elements.values():
        if kind == "Figure":
            assert b"/Alt" in body


def test_every_shown_text_belongs_to_the_structure_or_is_marked_as_decoration(objects):
    for page in pages_of(objects):
        depth, shown = 0, 0
        for line in content_of(objects, page).split(b"\n"):
            opened = len(re.findall(rb"\b(?:BDC|BMC)\b", line))
            if SHOWS_TEXT.search(line):
                shown += 1
                assert depth + opened > 0, line
            depth += opened - len(re.findall(rb"\bEMC\b", line))
        assert depth == 0
        assert shown


def test_every_font_is_in_the_file_and_can_be_read_back_as_text(objects):
    described = [body for body in objects.values() if b"/Type/FontDescriptor" in body]
    assert described
    assert all(re.search(rb"/FontFile[23]? ", body) for body in described)
    composite = [body for body in objects.values() if b"/Subtype/Type0" in body]
    assert composite
    assert all(b"/ToUnicode" in body for body in composite)


def test_the_same_evidence_in_another_order_gives_the_same_bytes(pdf, records):
    assert sheet_of(tuple(reversed(records))) == pdf


def test_other_evidence_gives_other_bytes(pdf, records):
    assert sheet_of(replaced(records, "hosts_observed", n=5_000, good=5_000)) != pdf
