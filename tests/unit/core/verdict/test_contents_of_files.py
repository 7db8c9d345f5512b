# SPDX-License-Identifier: Apache-2.0
"""What a person signs is the content of a file and not its path; so is what was measured on one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from evidence_made import everything_holds, load_charter

from pilothouse.core.charter.files import named_files
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.kinds import KINDS, kind_named
from pilothouse.core.verdict.expansion import expand
from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.signing import SignatureState, asked_signatures, section_text

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WRITTEN = load_charter()
FILES = {name: f"{number:064x}" for number, name in enumerate(named_files(WRITTEN.document))}
BEFORE = WRITTEN.with_files(FILES)
QUALITY, TRUTH = "runbooks/quality.md", "runbooks/truth.md"


def edited(*names):
    return WRITTEN.with_files({**FILES, **dict.fromkeys(names, "ff" * 32)})


def ended(after):
    """Return kind and part of each item that a record made before no longer fits."""
    found = set()
    for requirement in FRAMEWORK:
        for part in requirement.parts:
            for slot in expand(part, BEFORE, "3"):
                if slot.question is None:
                    before, now = (
                        binding_in_force(
                            kind_named(part.kind),
                            charter,
                            slot.scope,
                            InForce(),
                            section=slot.section,
                            person=slot.person,
                        )
                        for charter in (BEFORE, after)
                    )
                    if before != now:
                        found.add((part.kind, slot.scope.part))
    return found


def test_a_runbook_that_is_edited_ends_its_own_signatures_and_its_drill():
    found = ended(edited(QUALITY))
    assert {kind for kind, _ in found} == {"attested.mon-5", "drill.runbook"}
    assert all(part.startswith(QUALITY) for _, part in found)
    assert ("drill.runbook", QUALITY) in found


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        ("docs/change-plan.md", {"attested.own-11"}),
        ("docs/terms.yaml", {"attested.eval-5", "dataset.glossary"}),
        ("prompts/route.md", {"dataset.leak"}),
        ("contracts/erp.route.json", set()),  # a tool's contract counts by its manifest
    ],
)
def test_each_file_ends_what_was_signed_or_measured_of_it_and_nothing_else(file, kinds):
    assert file in FILES
    assert {kind for kind, _ in ended(edited(file))} == kinds


def test_a_file_that_is_gone_is_another_content():
    without = {name: digest for name, digest in FILES.items() if name != QUALITY}
    assert ("drill.runbook", QUALITY) in ended(WRITTEN.with_files(without))


def test_a_signature_says_that_what_was_signed_has_changed():
    records = everything_holds(BEFORE, NOW)

    def states(charter):
        found = asked_signatures(charter, records, NOW, "MON-5")
        return {(one.scope.part.split(" by ")[0], one.state) for one in found}

    assert {state for _, state in states(BEFORE)} == {SignatureState.SIGNED}
    after = edited(QUALITY)
    assert (QUALITY, SignatureState.CHANGED) in states(after)
    assert (TRUTH, SignatureState.SIGNED) in states(after)
    keys = [{one.key for one in asked_signatures(each, records, NOW, "MON-5")} for each in (BEFORE, after)]
    assert len(keys[0] - keys[1]) == len([one for one in asked_signatures(after, records, NOW, "MON-5") if one.state is SignatureState.CHANGED])  # fmt: skip
    found = decide(after, records, NOW, phase="1", version="1f" * 32)
    item = next(one for one in found.requirements if one.requirement == "MON-5").deciding
    assert (item.status, item.reason) == ("no_evidence", "stale")
    assert f"`{QUALITY}`" in item.sentence


def test_of_a_charter_that_an_older_program_accepted_no_contents_are_asked():
    for kind in KINDS.values():
        if kind.contents and kind.terms:
            whole = binding_in_force(
                kind, WRITTEN, expand_scope(kind), InForce(), section="alerts", person="dana"
            )
            assert whole.contract is not None
    assert WRITTEN.files is None
    assert WRITTEN.with_files(FILES) == WRITTEN  # what it says is the same
    assert WRITTEN.with_files(FILES).digest == WRITTEN.digest


def test_the_text_that_is_signed_names_the_content_of_its_files():
    lines = section_text(BEFORE, "identity").splitlines()
    assert f"content of docs/change-plan.md: sha256 {FILES['docs/change-plan.md']}" in lines
    assert "content of" not in section_text(WRITTEN, "identity")
    assert "content of" not in section_text(BEFORE, "raci")


def expand_scope(kind):
    slots = (
        slot
        for one in FRAMEWORK
        for part in one.parts
        if part.kind == kind.name
        for slot in expand(part, WRITTEN, "1")
    )
    return next(slots).scope
