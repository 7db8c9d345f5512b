# SPDX-License-Identifier: Apache-2.0
"""All sentences of a verdict, computed from its numbers; the one place of its English."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import day
from pilothouse.core.evidence.binding import Mismatch, scope_names
from pilothouse.core.evidence.evidence import WARNINGS, Basis, Evidence, Scope
from pilothouse.core.evidence.kind import Form, Kind
from pilothouse.core.verdict.numbers import in_unit, interval, percent, short_digest
from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Census,
    Count,
    Fact,
    Floor,
    MeanMax,
    Quantile,
    Rule,
    Zero,
)
from pilothouse.core.verdict.rules import ZERO_CASES_MIN, Assessment
from pilothouse.core.verdict.verdict import (
    ItemVerdict,
    PartWaiverMark,
    RequirementVerdict,
    Status,
    WaiverMark,
)

_PROVED = ", proved at 95 % confidence"

__all__ = ["Voice", "at_risk_sentence", "first_sentence", "person_names", "rule_in_words", "waiver_sentence"]


def rule_in_words(rule: Rule, bound: float | None, kind: Kind, currency: str) -> str:
    """Return a rule with its bound, as a page shows it.

    Args:
        rule: The rule.
        bound: Its bound, or None while the charter leaves it open.
        kind: Kind of evidence, for unit and noun.
        currency: ISO code.

    Example:
        >>> from pilothouse.core.evidence.kinds import kind_named
        >>> rule_in_words(Floor(bound=0.95), 0.95, kind_named("quality"), "USD")
        'at least 95 %, proved at 95 % confidence'
    """
    if isinstance(rule, Fact):
        return "the newest one passed"
    if isinstance(rule, Zero):
        return f"none in {rule.n:,} or more {kind.noun}" if rule.n > 1 else "none at all"
    if bound is None:
        return "a bound that the charter leaves open"
    shown = in_unit(bound, kind.unit, n=1, currency=currency, bound=None)
    if kind.unit == "rate":
        shown = f"{bound * 100:g} %"
    match rule:
        case Count():
            return f"{bound:,.0f} or more {kind.noun}"
        case Floor():
            return f"at least {shown}{_PROVED}"
        case Ceiling():
            return f"at most {shown}{_PROVED}" if bound else f"none in {ZERO_CASES_MIN} or more {kind.noun}"
        case Census():
            besides = f" and {rule.least:,.0f}" if isinstance(rule.least, (int, float)) else ""
            return f"at least {shown}{besides}, counted"
        case Quantile():
            return f"95 % quantile at most {shown}{_PROVED}"
        case MeanMax():
            return f"mean at most {shown}{_PROVED}"
        case AtLeast():
            return f"{'more than' if rule.beyond else 'at least'} {shown}{_PROVED}"
        case _:
            return f"not worse by more than {shown}{_PROVED}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The inputs of a sentence about one item.

    Attributes:
        title: Statement of the requirement, for items that have no record.
        kind: Kind of evidence.
        rule: The rule.
        bound: Its bound, or None.
        scope: The part of the agent.
        currency: ISO code.
        person: Person it is about, or None.
        names: Person id → name.
    """

    title: str
    kind: Kind
    rule: Rule
    bound: float | None
    scope: Scope
    currency: str
    person: str | None
    names: Mapping[str, str]

    def _on(self) -> str:
        label = self.scope.task_type or self.scope.integration or self.scope.tool or self.scope.duty
        if label is None and self.scope.part is not None:
            label = self.scope.part
        phase = f" for phase {self.scope.phase}" if self.scope.phase else ""
        return (f" on {label}" if label else "") + phase

    def _filled(self, path: str) -> str:
        """Return a path of the charter with the names of this item in it."""
        names = scope_names(self.scope, self.person)
        return ".".join(str(names[step[1:-1]]) if step[0] == "{" else step for step in path.split("."))

    def _measured(self, found: Assessment) -> str:
        if found.value is None:
            return f"{self.kind.title}{self._on()}: not known"
        if isinstance(self.rule, Count):
            return f"{self.kind.title}{self._on()}: {found.n:,}"
        counted = self.kind.counted(found.n)
        if isinstance(self.rule, Zero):
            bad = round(found.value * found.n)
            return f"{self.kind.title}{self._on()}: {bad:,} in {counted}"
        shown = in_unit(found.value, self.kind.unit, n=found.n, currency=self.currency, bound=self.bound)
        ends = ""
        if found.low is not None and found.high is not None and found.low < found.high:
            ends = " " + interval(found.low, found.high, self.kind.unit, n=found.n, currency=self.currency)
        return f"{self.kind.title}{self._on()}: {shown}{ends} ({counted})"

    def _committed(self) -> str:
        words = rule_in_words(self.rule, self.bound, self.kind, self.currency)
        return f"committed: {words.removesuffix(_PROVED)}"

    def missing(self) -> str:
        """Nothing matches."""
        if self.kind.form is Form.SIGNATURE:
            text = (self.scope.part or "").rpartition(" by ")[0]
            signed = f"{text!r}" if text else f"the duty {self.scope.duty!r}"
            phase = f" for phase {self.scope.phase}" if self.scope.phase else ""
            who = self.names.get(self.person or "", self.person)
            return f"{who} has not signed {signed}{phase} as it is in force."
        if isinstance(self.rule, Fact):
            what = self.kind.what.rstrip(".")
            return f"{self.kind.title}{self._on()}: nobody has shown {what[0].lower()}{what[1:]}."
        asked = rule_in_words(self.rule, self.bound, self.kind, self.currency)
        return f"{self.kind.title}{self._on()}: never measured; asked for is {asked}."

    def unanswered(self, path: str) -> str:
        """The charter leaves open what is asked for."""
        return f"The charter leaves {path} open, so nothing can decide this: {self.title.lower()}."

    def stale_binding(self, mismatch: Mismatch) -> str:
        """There is a record, and it is bound to something else."""
        if mismatch.what == "terms":
            paths = dict.fromkeys((*self.kind.terms, *self.kind.contents))
            said = ", ".join(f"`{self._filled(path)}`" for path in paths)
            if mismatch.found is None:  # to name a change here sends people to look for one that nobody made
                return (
                    f"{self.kind.title}{self._on()}: the record does not say under which {said} it was made (by an older"
                    " Pilothouse, or before a charter was in force), so it does not count."
                )
            return (
                f"{self.kind.title}{self._on()}: nothing is known under the charter as it is now;"
                f" something changed in {said}, and what was known before does not count."
            )
        found, now = short_digest(mismatch.found), short_digest(mismatch.in_force)
        if mismatch.what == "person":
            found, now = mismatch.found or "nobody", mismatch.in_force or "nobody"
        return (
            f"{self.kind.title}{self._on()}: known for {mismatch.what} {found} only;"
            f" in force is {now}, and nothing of the one counts for the other."
        )

    def stale_age(self, record: Evidence, lapsed_at: datetime) -> str:
        """There is a record, and it is too old."""
        said = f"{self.kind.title}{self._on()} of {day(record.window_to)}"
        return f"{said} lapsed on {day(lapsed_at)}; nothing newer is known."

    def imported(self) -> str:
        """There is a record from a file, and nobody can say what it was measured on."""
        return (
            f"{self.kind.title}{self._on()}: imported from a file of unknown identity, which proves nothing."
        )

    def insufficient(self, found: Assessment) -> str:
        """There is a record, and it is too little."""
        why = f" {found.why[0].upper()}{found.why[1:]}." if found.why else ""
        if isinstance(self.rule, Fact):
            return f"{self.kind.title}{self._on()}: not known.{why}"
        if found.n_needed is not None and found.n_needed > found.n:
            return (
                f"{found.n:,} of about {found.n_needed:,} {self.kind.noun} needed:"
                f" {self._measured(found)}; {self._committed()}.{why}"
            )
        if self._looks_breached(found):
            tail = " It looks breached; a breach is said when it is proved however often one looks, which takes more cases."
        else:
            hopeless = isinstance(self.rule, (Floor, Ceiling)) and not found.why
            tail = " No number of cases at this level would prove it." if hopeless else ""
        return f"{self._measured(found)}; {self._committed()}.{why}{tail}"

    def _looks_breached(self, found: Assessment) -> bool:
        """Return whether the whole interval that is shown, which is one of a single look, lies beyond the bound."""
        bound, low, high = self.bound, found.low, found.high
        if isinstance(self.rule, Ceiling):
            return bound is not None and low is not None and low > bound
        return isinstance(self.rule, Floor) and bound is not None and high is not None and high < bound

    def breached(self, found: Assessment, record: Evidence) -> str:
        """A record proves that the rule does not hold."""
        told = record.detail.rstrip(".")
        if isinstance(self.rule, Fact):
            return f"{self.kind.title}{self._on()} failed on {day(record.window_to)}{f': {told}' if told else ''}."
        detail = f" {told}." if told else ""
        if found.share_lost == math.inf and found.value is not None and record.detail:
            bad = round(found.value * found.n)
            seen = f"{self.kind.title}{self._on()}: {bad:,} in {self.kind.counted(found.n)}, committed: none."
            return seen + detail
        return f"{self._measured(found)}; {self._committed()}.{detail}"

    def holds(self, found: Assessment, record: Evidence, lapses_at: datetime | None) -> str:
        """A record proves that the rule holds."""
        until = f", counts until {day(lapses_at)}" if lapses_at else ""
        if record.basis is Basis.ATTESTED:
            signer = self.names.get(record.signer or "", record.signer or "")
            return f"{self.kind.title}{self._on()}: attested by {signer} on {day(record.window_to)}{until}."
        if isinstance(self.rule, Fact):
            seen = (
                f": {record.detail.rstrip('.')}" if record.detail and not record.counts.get(WARNINGS) else ""
            )
            return f"{self.kind.title}{self._on()} passed on {day(record.window_to)}{until}{seen}."
        if isinstance(self.rule, Zero) and found.high is not None:
            return f"{self._measured(found)}, so under {percent(found.high, 100)} at 95 % confidence; {self._committed()}."
        return f"{self._measured(found)}; {self._committed()}."

    def warned(self, holding: str, record: Evidence) -> str:
        """It holds, and its record warns of something."""
        return f"{holding} Warning: {record.detail.rstrip('.')}."


def at_risk_sentence(holding: str, left: timedelta) -> str:
    """Return the sentence of an item that holds and whose evidence ends soon."""
    hours = int(left / timedelta(hours=1))
    span = f"in {hours} hours" if hours < 48 else f"in {left.days} days"
    return f"{holding} Its evidence lapses {'within the hour' if hours < 1 else 'in 1 hour' if hours == 1 else span}."


def waiver_sentence(mark: WaiverMark, names: Mapping[str, str]) -> str:
    """Return the addition to the sentence of a waived requirement, which never replaces it."""
    signer = names.get(mark.signer, mark.signer)
    said = f"Waived until {day(mark.until)} by {signer}: '{mark.reason.rstrip('.')}'."
    return f"{said} What is not known now it does not cover." if isinstance(mark, PartWaiverMark) else said


def first_sentence(
    deciding: RequirementVerdict,
    tightest: ItemVerdict,
    *,
    needed: Sequence[RequirementVerdict],
    phase: str,
    nothing_known: bool,
    next_lapse_at: datetime | None,
    names: Mapping[str, str],
) -> str:
    """Return the sentence on which every page about an agent opens.

    Args:
        deciding: The deciding requirement.
        tightest: The item with the least margin left, when everything holds.
        needed: Requirements that the gate in force asks for.
        phase: Phase the agent is in.
        nothing_known: Whether no record counts at all.
        next_lapse_at: Earliest lapse, or None.
        names: Person id → name.
    """
    if nothing_known:
        text = f"Nothing has been measured or signed yet; {len(needed)} requirements wait for evidence."
    elif deciding.status is Status.HOLDS:
        lapse = f" First lapse: {day(next_lapse_at)}." if next_lapse_at else ""
        return f"All {len(needed)} requirements hold. The tightest: {_with_id(tightest.sentence, tightest.requirement)}{lapse}"
    else:
        text = _with_id(deciding.deciding.sentence, deciding.requirement)
    if not nothing_known and _has_only_conditions(needed):
        text = f"{_conditions(needed, phase, names)} {text}"
        if sum(one.waiver is not None for one in needed) > 1:
            return text  # who waived and until when is said of all; why, beside each
    mark = deciding.waiver or deciding.part_waiver
    return f"{text} {waiver_sentence(mark, names)}" if mark else text


def _with_id(sentence: str, requirement: str) -> str:
    """Put the id where whoever looks it up finds it, behind the words that everybody reads."""
    return f"{sentence.removesuffix('.')} ({requirement})."


_GO_ON = {None, Status.HOLDS, Status.AT_RISK}


def _has_only_conditions(needed: Sequence[RequirementVerdict]) -> bool:
    """Whether all that does not hold is waived."""
    return all(one.unwaived_status in _GO_ON for one in needed)


def _conditions(needed: Sequence[RequirementVerdict], phase: str, names: Mapping[str, str]) -> str:
    """Return why an agent may go on although not all holds, and until when."""
    counts = [_in_words(status, sum(one.status is status for one in needed)) for status in _ORDER]
    said = [one for one in counts if one]
    listed = f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else said[0]
    goes = "enter phase 1" if phase == "pilot" else f"stay in phase {phase}"
    waived = [one.waiver for one in needed if one.waiver is not None]
    text = f"Of {len(needed)} requirements, {listed}"
    if not waived:
        return f"{text}; it may {goes} while these keep holding."
    signers = ", ".join(dict.fromkeys(names.get(mark.signer, mark.signer) for mark in waived))
    them = "it" if len(waived) == 1 else f"these {len(waived)}"
    until = day(min(mark.until for mark in waived))
    return f"{text}; {signers} waived {them}, so it may {goes} until {until}."


_ORDER = (Status.HOLDS, Status.AT_RISK, Status.BREACHED, Status.NO_EVIDENCE)


def _in_words(status: Status, count: int) -> str:
    if not count:
        return ""
    one, many = {
        Status.HOLDS: ("holds", "hold"),
        Status.AT_RISK: ("holds but is at risk", "hold but are at risk"),
        Status.BREACHED: ("is breached", "are breached"),
        Status.NO_EVIDENCE: ("has no evidence", "have no evidence"),
    }[status]
    return f"{count} {one if count == 1 else many}"


def person_names(charter: Charter) -> dict[str, str]:
    """Return the names of the charter's people by id, the id itself while a name is open."""
    return {person: charter.name_of(person) for person in charter.people}
