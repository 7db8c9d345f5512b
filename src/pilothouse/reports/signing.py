# SPDX-License-Identifier: Apache-2.0
"""The Signing page: the exact text, who must sign it, and whether that was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.signing import Asked, SignatureState, section_text
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.view_models import (
    ActionOffer,
    Frozen,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)

__all__ = ["SignatureRow", "SignedText", "SigningPage", "build_signing"]

_WORDS = {
    SignatureState.SIGNED: ("Signed", Status.HOLDS),
    SignatureState.MISSING: ("Not signed", Status.NO_EVIDENCE),
    SignatureState.CHANGED: ("Signed another text", Status.NO_EVIDENCE),
    SignatureState.LAPSED: ("Lapsed", Status.NO_EVIDENCE),
}


class SignatureRow(Frozen):
    """One signature.

    Attributes:
        mark: Whether it stands.
        requirement: Requirement id.
        asks: What the requirement asks for.
        what: The part it is about.
        who: Name of who must sign.
        signed: Who signed and when, in words, or empty.
        lapses: When it ends, or None.
        key: Digest of what a form signs; empty when the visitor may not sign it.
    """

    mark: StatusMark
    requirement: str
    asks: str
    what: str
    who: str
    signed: str
    lapses: Moment | None
    key: str


class SignedText(Frozen):
    """The text of one section, with the signatures asked over it.

    Attributes:
        section: Name of the section.
        digest: Its digest, short.
        text: The text itself, escaped where it is shown.
        rows: The signatures.
        items: Requirements that the visitor can sign here, one form each.
    """

    section: str
    digest: str
    text: str
    rows: tuple[SignatureRow, ...]
    items: tuple[str, ...]


class SigningPage(Page):
    """What people must sign.

    Attributes:
        visitor: Name of who looks at it, or empty.
        texts: Sections, those with something for the visitor first.
    """

    visitor: str
    texts: tuple[SignedText, ...]


def build_signing(
    charter: Charter,
    asked: Sequence[Asked],
    now: datetime,
    *,
    mine: frozenset[str],
    visitor: str = "",
    person: str = "",
) -> SigningPage:
    """Build the page.

    Args:
        charter: The charter in force.
        asked: Signatures that are asked for.
        now: The moment.
        mine: Keys of those that the visitor may give.
        visitor: The visitor's name, or empty.
        person: The visitor's person id; what is asked of others may be signed as their substitute, and waits for them.
    """
    names = person_names(charter)
    by_section: dict[str, list[Asked]] = {}
    for one in asked:
        by_section.setdefault(one.section or "", []).append(one)
    texts = [
        _text(charter, section, found, names, now=now, mine=mine) for section, found in by_section.items()
    ]
    texts.sort(key=lambda one: not one.items)
    waiting = [one for one in asked if one.state is not SignatureState.SIGNED]
    own = sum(one.person == person for one in waiting)
    others = sum(one.key in mine for one in waiting) - own
    plain = f"{len(asked) - len(waiting)} of {len(asked)} signatures stand"
    plain += f"; {own} {'waits' if own == 1 else 'wait'} for you" if own else ""
    plain += f"; {others} more you may give as a substitute." if others else "."
    return SigningPage(
        name="signing",
        title=f"Signatures · {charter.agent}",
        heading="Signatures",
        agent=charter.agent,
        as_of=page_moment(now),
        sentence=Sentence(plain=plain),
        action=_action(asked, mine, names, person),
        visitor=visitor,
        texts=tuple(texts),
    )


def _action(
    asked: Sequence[Asked], mine: frozenset[str], names: dict[str, str], person: str
) -> ActionOffer | None:
    """Offer the visitor's own first signature, then one as a substitute, else name who must give the first that is open."""
    mine_open = [one for one in asked if one.state is not SignatureState.SIGNED and one.key in mine]
    own = next((one for one in mine_open if one.person == person), next(iter(mine_open), None))
    if own is not None:
        place = own.section or "requirement"
        return ActionOffer(label=f"Read {place} and sign {own.requirement}.", href=f"#{place}")
    waits = next((one for one in asked if one.state is not SignatureState.SIGNED), None)
    if waits is None:
        return None
    return ActionOffer(
        label=f"{waits.requirement} waits for a signature over {waits.section or 'the requirement'}.",
        command=f"pilothouse evidence attest {waits.requirement}",
        href=f"#{waits.section or 'requirement'}",
        who=(names.get(waits.person, waits.person),),
    )


def _text(
    charter: Charter,
    section: str,
    asked: Sequence[Asked],
    names: dict[str, str],
    *,
    now: datetime,
    mine: frozenset[str],
) -> SignedText:
    rows = []
    for one in asked:
        word, status = _WORDS[one.state]
        signed = ""
        if one.signer and one.signed_at:
            signed = f"by {names.get(one.signer, one.signer)}, {day(one.signed_at)}"
        rows.append(
            SignatureRow(
                mark=mark_of(status, word=word),
                requirement=one.requirement,
                asks=one.asks,
                what=shown_text(one.scope.label),
                who=names.get(one.person, one.person),
                signed=signed,
                lapses=moment(one.lapses_at, now) if one.lapses_at else None,
                key=one.key if one.key in mine else "",
            )
        )
    return SignedText(
        section=section or "requirement",
        digest=(asked[0].binds.section_digest or "")[:12],
        text=section_text(
            charter, section or None, next((one.binds.dataset for one in asked if one.binds.dataset), None)
        ),
        rows=tuple(rows),
        items=tuple(dict.fromkeys(row.requirement for row in rows if row.key)),
    )
