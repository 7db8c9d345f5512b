# SPDX-License-Identifier: Apache-2.0
"""Computes a verdict's numbers and statuses again from the records, by a second implementation of the rules.

What it cannot compute from one record, such as a bound that holds for endless looks, it counts and says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pilothouse_verify.canonical import canonical
from pilothouse_verify.rates import bad_without_largest, counts_of, jeffreys_lower, jeffreys_upper, worth_of
from pilothouse_verify.shown import ends_soon, other_dates, other_numbers
from pilothouse_verify.terms import bound_of, life_of, number_of

__all__ = ["Recomputed", "recompute", "record_digest"]

LEVEL = 0.95
TOLERANCE = 1e-9
"""Bounds of two programs differ in the last digits."""

MEAN_CASES_MIN, QUANTILE_CASES, ZERO_CEILING_CASES = 100, 59, 59
UNPRICED_SHARE_MAX = 0.01
MARGIN_WARNED = 0.5
"""Share of the accepted drop that a comparison may show without a warning."""
VOLUME_TIMES = 10
"""Times the pilot's volume of a comparison that does not say."""

PROBLEMS_MAX = 50

_ORDER = ("breached", "no_evidence", "at_risk", "holds")
_NUMBERED = ("1", "2", "3")
"""Gates of the phases: each asks for what those before it ask for."""

_STANDING = frozenset({"holds", "at_risk"})

Json = Mapping[str, Any]


@dataclass
class Recomputed:
    """What was found: how many items were computed again, and what differs.

    Attributes:
        recomputed: Items that came out the same.
        only_digests: Items whose status no single record makes.
        undated: Whether the rules are of an older program and do not say how long evidence counts.
        problems: What differs.
    """

    recomputed: int = 0
    only_digests: int = 0
    undated: bool = False
    problems: list[str] = field(default_factory=list)

    def say(self, problem: str) -> None:
        """Note a problem; a bundle that is wrong throughout names the first fifty."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def record_digest(record: Json) -> str:
    """Return the digest by which a verdict names a record: of what was measured, not of where it was written.

    Args:
        record: The record as JSON.
    """
    kept = {name: value for name, value in record.items() if name != "recorded_at"}
    kept["source"] = {name: value for name, value in record["source"].items() if name != "node"}
    kept = _without_defaults(kept)
    for name in ("window_from", "window_to"):
        kept[name] = datetime.fromisoformat(record[name]).astimezone(UTC).isoformat()
    return hashlib.sha256(canonical(kept).encode()).hexdigest()


_DEFAULTS: Json = {
    "good": None,
    "value": None,
    "low": None,
    "high": None,
    "method": "",
    "passed": None,
    "detail": "",
    "items": [],
    "counts": {},
    "basis": "measured",
    "signer": None,
}


def _without_defaults(record: Json) -> dict[str, Any]:
    kept = {
        name: value for name, value in record.items() if name not in _DEFAULTS or value != _DEFAULTS[name]
    }
    for name in ("binds", "scope"):
        inner = {key: value for key, value in record[name].items() if value is not None and value != {}}
        if inner:
            kept[name] = inner
        else:
            kept.pop(name, None)
    kept["source"] = {key: value for key, value in kept["source"].items() if key == "command" or value != ""}
    return kept


def recompute(verdict: Json, records: list[Any], rules: list[Any], charter: Json) -> Recomputed:
    """Compute what a verdict says again.

    Args:
        verdict: The verdict as JSON.
        records: The records as JSON.
        rules: The rules as JSON: requirement, parts with kind, rule, bound and life, and what it is the worst of.
        charter: The charter as JSON, in which committed bounds and lives stand.

    Returns:
        What differs; an empty list says that the records make this verdict.
    """
    found = Recomputed(undated=not all("fresh" in part for one in rules for part in one["parts"]))
    by_digest = {record_digest(one): one for one in records}
    by_rule = {
        (one["requirement"], part["kind"]): [other for other in one["parts"] if other["kind"] == part["kind"]]
        for one in rules
        for part in one["parts"]
    }
    as_of = datetime.fromisoformat(verdict["as_of"])
    for requirement in verdict["requirements"]:
        for item in requirement["items"]:
            if item["evidence"] is not None:
                _item(item, by_digest, by_rule, _Terms(as_of, charter), found)
            elif item["status"] in _STANDING:
                found.say(f"{_name(item)} {item['status']} without a record")
    _sums(verdict, rules, found)
    _asked(verdict, rules, found)
    return found


def _name(item: Json) -> str:
    scope = " ".join(str(value) for value in item["scope"].values() if value)
    return f"{item['requirement']} {scope}".strip()


def _item(
    item: Json,
    by_digest: Mapping[str, Json],
    by_rule: Mapping[tuple[str, str], list[Any]],
    terms: _Terms,
    found: Recomputed,
) -> None:
    record = by_digest.get(item["evidence"])
    if record is None:
        found.say(f"{_name(item)} rests on record {item['evidence'][:12]}, which is not in the bundle")
        return
    if record["kind"] != item["kind"]:
        found.say(f"{_name(item)} is about {item['kind']} and its record about {record['kind']}")
        return
    parts = by_rule.get((item["requirement"], item["kind"]), [])
    if not parts:
        found.say(f"{_name(item)} has no rule for {item['kind']}")
        return
    said = [_differs(item, record, part, terms) for part in parts]
    if None in said:
        found.only_digests += 1
    elif "" in said:
        found.recomputed += 1
    else:
        found.say(f"{_name(item)}: {said[0]}")


@dataclass(frozen=True)
class _Terms:
    """The moment of the verdict, and the charter that judged."""

    as_of: datetime
    charter: Json


def _differs(item: Json, record: Json, part: Json, terms: _Terms) -> str | None:
    """Return what differs in words, the empty text for nothing, None where this rule cannot be computed here."""
    ends = None if item["lapses_at"] is None else datetime.fromisoformat(item["lapses_at"])
    differs, least = "", None
    if "fresh" in part:
        try:
            bound, life = bound_of(part, item, terms.charter), life_of(part, item, terms.charter)
            least = number_of(part["rule"].get("least"), part, item, terms.charter)
        except (LookupError, TypeError, ValueError):
            return "the charter does not say against what it is held, or how long it counts"
        end = datetime.fromisoformat(record["window_to"])
        ends = None if life is None else end + life
        differs = other_numbers(part["rule"], bound, item, record)
        differs = differs or other_dates(item, record, ends, terms.as_of)
        early = part.get("early", False)
        # Rules of an older program have no such key, and half a margin lost was no warning then.
        half = "early" in part and part["rule"]["name"] == "paired" and _is_half_lost(bound, record)
        if (
            item["status"] == "holds"
            and life is not None
            and ends_soon(end + life, life, terms.as_of, early=early)
        ):
            differs = differs or "it holds, and its evidence ends so soon that it is at risk"
        if item["status"] == "holds" and half:
            differs = differs or "it holds, and more than half of what may be lost is lost"
    if item["status"] in _STANDING and ends is not None and ends <= terms.as_of:
        return "it stands on evidence that had lapsed"
    return differs or _other_status(item, record, {**part["rule"], "least": least})


def _is_half_lost(bound: float | None, record: Json) -> bool:
    value = record["value"]
    return bool(bound and value is not None and -value / bound > MARGIN_WARNED)


def _other_status(item: Json, record: Json, rule: Json) -> str | None:
    proof = _proof(rule, item["bound"], record)
    status = item["status"]
    if status in _STANDING:
        if record["basis"] == "imported":
            return "it stands on a record that was imported and not measured"
        if proof == "unknown":
            return None
        if status == "holds" and rule["name"] == "fact" and record["counts"].get("warnings"):
            return "it holds, and its record warns of something, so it is at risk"
        return "" if proof == "proved" else f"the record does not prove it ({proof})"
    if status == "breached":
        if proof == "unknown":
            return None
        return "" if proof == "breached" else f"the record does not breach it ({proof})"
    if item["reason"] == "insufficient" and record["basis"] != "imported":
        if proof == "unknown":
            return None
        return "" if proof == "open" else f"the record is not open ({proof})"
    return _value(item, record)


def _value(item: Json, record: Json) -> str:
    if record["good"] is not None and item["value"] is not None:
        good, bad, _, _ = counts_of(record)
        told = good + bad
        rates = (good / told, bad / told) if told else ()
        if not any(abs(item["value"] - rate) < TOLERANCE for rate in rates):
            return f"it says {item['value']}, the record says {record['good']} of {record['n']}"
    return ""


def _proof(rule: Json, bound: float | None, record: Json) -> str:
    """Return `proved`, `breached`, `open`, or `unknown` where the rule cannot be computed from one record here."""
    name = rule["name"]
    if name in {"fact", "derived"}:
        if record["passed"] is None and record["counts"].get("unknown"):
            return "open"
        return "breached" if record["passed"] is False else "proved"
    if name == "zero":
        return _zero(record, rule["n"])
    if bound is None:
        return "unknown"
    if name == "floor":
        return _floor(record, bound, stream=rule["stream"])
    if name == "ceiling":
        return (
            _ceiling(record, bound, stream=rule["stream"]) if bound > 0 else _zero(record, ZERO_CEILING_CASES)
        )
    if name == "count":
        return "proved" if record["n"] >= math.ceil(bound) else "open"
    if name == "census":
        good = record["good"] or 0
        if good / record["n"] < bound:
            return "breached" if rule["harm"] else "open"
        return "open" if good < min(rule["least"] or 0, record["n"]) else "proved"
    return _amount(rule, bound, record)


def _zero(record: Json, least: int) -> str:
    good, bad, unknown, n = counts_of(record)
    if bad:
        return "breached"
    return "proved" if (good + bad) * worth_of(record) // n >= least and not unknown else "open"


def _bad_from(record: Json, bad: int) -> float:
    """Lower bound of the rate of bad cases: of all, or of those without the largest conversations."""
    worth = worth_of(record)
    whole = jeffreys_lower(bad * worth // record["n"], worth, LEVEL)
    return max(whole, bad_without_largest(record, LEVEL))


def _floor(record: Json, bound: float, *, stream: bool) -> str:
    good, bad, _, n = counts_of(record)
    if good + bad == 0:
        return "open"
    worth = worth_of(record)
    if jeffreys_lower(good * worth // n, worth, LEVEL) >= bound - TOLERANCE:
        return "proved"
    beyond = 1 - _bad_from(record, bad) < bound
    return ("unknown" if stream else "breached") if beyond else "open"


def _ceiling(record: Json, bound: float, *, stream: bool) -> str:
    good, bad, unknown, n = counts_of(record)
    if good + bad == 0:
        return "open"
    worth = worth_of(record)
    if jeffreys_upper(-(-(bad + unknown) * worth // n), worth, LEVEL) <= bound + TOLERANCE:
        return "proved"
    beyond = _bad_from(record, bad) > bound
    return ("unknown" if stream else "breached") if beyond else "open"


def _amount(rule: Json, bound: float, record: Json) -> str:
    low = -math.inf if record["low"] is None else record["low"]
    high = math.inf if record["high"] is None else record["high"]
    name = rule["name"]
    if name == "paired":
        enough = record["counts"].get("times", VOLUME_TIMES) >= (rule["least"] or 0)
        return "breached" if high < -bound else "proved" if low > -bound and enough else "open"
    if name == "atleast":
        enough = record["n"] >= rule["n"]
        if high < bound and rule["harm"] and enough:
            return "breached"
        # "beyond" is not in bundles from before the bound itself could be too little.
        reached = low > bound if rule.get("beyond") else low >= bound
        return "proved" if reached and enough else "open"
    if name not in {"quantile", "meanmax"}:
        return "unknown"
    counts = record["counts"]
    unpriced = counts.get("tokens_unpriced", 0)
    limited = unpriced > UNPRICED_SHARE_MAX * max(counts.get("tokens", 0), unpriced) or counts.get(
        "unmeasured", 0
    )
    enough = worth_of(record) >= (QUANTILE_CASES if name == "quantile" else MEAN_CASES_MIN)
    if low > bound and enough:
        return "breached"
    return "proved" if high <= bound and enough and not limited else "open"


def _sums(verdict: Json, rules: list[Any], found: Recomputed) -> None:
    """Hold each requirement against its items, the verdict against its gate, and its word against the statuses."""
    status = {one["requirement"]: one["status"] for one in verdict["requirements"]}
    of = {one["requirement"]: one["of"] for one in rules}
    for one in verdict["requirements"]:
        parts = [item["status"] for item in one["items"]]
        parts += [status[name] for name in of.get(one["requirement"], []) if name in status]
        if parts and min(parts, key=_ORDER.index) != one["status"]:
            found.say(f"{one['requirement']} is {one['status']} and the worst of its items is not")
    gate = verdict["gates"][0]
    for name, members in ((name, gate[name]) for name in _ORDER):
        for requirement in members:
            if status.get(requirement) != name:
                found.say(f"gate {gate['gate']} counts {requirement} as {name}")
    named = [(name, gate[name]) for name in _ORDER]
    worst = next((name for name, members in named if members), "no_evidence")
    if gate["status"] != worst or verdict["status"] != worst:
        found.say(f"the verdict is {verdict['status']} and its gate comes to {worst}")
    waived = {one["requirement"] for one in verdict["requirements"] if one["waiver"] is not None}
    _word(verdict, named, waived, found)


def _asked(verdict: Json, rules: list[Any], found: Recomputed) -> None:
    """Hold what each gate counts against what the rules ask of it: what was left out would let it open."""
    named = {one["requirement"]: one for one in verdict["requirements"]}
    for rule in rules:
        one = named.get(rule["requirement"])
        if one is None:
            found.say(f"{rule['requirement']} is not in the verdict")
        elif not one["items"]:
            found.say(f"{rule['requirement']} is {one['status']} without an item")
        elif one["gates"] != rule["gates"] and not _is_unasked(one):
            found.say(
                f"{rule['requirement']} is asked for by {', '.join(rule['gates']) or 'no gate'}, and the verdict says otherwise"
            )
        if one is not None:
            _phase_parts(one, rule, "1" if verdict["phase"] == "pilot" else verdict["phase"], found)
    for gate in verdict["gates"]:
        wanted = set(_NUMBERED[: int(gate["gate"])]) if gate["gate"] in _NUMBERED else {gate["gate"]}
        asked = {name for name, one in named.items() if wanted & set(one["gates"])}
        counted = [requirement for name in _ORDER for requirement in gate[name]]
        for requirement in sorted(asked.symmetric_difference(counted)):
            found.say(
                f"gate {gate['gate']} {'leaves out' if requirement in asked else 'does not ask for'} {requirement}"
            )


def _phase_parts(requirement: Json, rule: Json, phase: str, found: Recomputed) -> None:
    """Hold the items against what one phase asks for and another does not."""
    for part in rule["parts"]:
        own = [item for item in requirement["items"] if item["kind"] == part["kind"]]
        since = part.get("since")
        if since is not None and since <= phase and not own:
            found.say(f"{rule['requirement']} leaves out {part['kind']}, which phase {phase} asks for")
        for other in {item["scope"]["phase"] for item in own if part.get("each_phase")} - {phase}:
            found.say(f"{rule['requirement']} counts for phase {other} what phase {phase} asks for")


def _is_unasked(requirement: Json) -> bool:
    """Whether the charter declares nothing that it speaks of: one item without evidence, and no gate."""
    items = requirement["items"]
    return not requirement["gates"] and [(one["status"], one["reason"]) for one in items] == [
        ("no_evidence", "missing")
    ]


def _word(verdict: Json, named: list[tuple[str, list[str]]], waived: set[str], found: Recomputed) -> None:
    unwaived = [name for name, members in named if set(members) - waived]
    worst = unwaived[0] if unwaived else "holds"
    if worst == "holds" and any(set(members) & waived for _, members in named):
        worst = "at_risk"
    words = {
        "breached": "NO-GO",
        "no_evidence": "NOT ENOUGH EVIDENCE",
        "at_risk": "GO WITH CONDITIONS",
        "holds": "GO",
    }
    if verdict["word"] != words[worst]:
        found.say(f"the verdict says {verdict['word']} and its gate comes to {words[worst]}")
