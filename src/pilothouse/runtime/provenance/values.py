# SPDX-License-Identifier: Apache-2.0
"""Parses values of the closed set of types to one canonical form, and finds such values in a text.

Two values are the same when their canonical forms of the same type are equal; nothing is ever compared
as a part of something. The same parser reads the request and the call.
"""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import islice
from string import ascii_uppercase
from typing import Any

from pilothouse.core.charter.policy_types import NUMERIC, scaled, type_name, type_parameter
from pilothouse.runtime.provenance.money import is_other_money
from pilothouse.schemas.weight import ends_soon

__all__ = [
    "ID_CHARACTERS_USUAL",
    "NUMBER",
    "PIECE_MAX",
    "ValueType",
    "clean",
    "is_looked_through",
    "pattern_problem",
    "quoted_texts",
    "read_number",
    "value_type",
]

PIECE_MAX = 200_000
"""Characters of a text that are searched for values; what lies beyond proves nothing."""

ID_CHARACTERS_USUAL = 60
"""Of an id that has a pattern: as long as this it can be held against it at once, or the pattern is refused."""

ID_CHARACTERS_FOUND = 128
"""Of an id that is looked for by a pattern in a long text. A search without an end would try each way to divide a text of one long word,
which takes minutes for two repeats in a row; a longer id is none that anybody types."""

SEARCH_CPU_S = 0.25
"""For ids by a pattern in one text, a hundred times what usual patterns take for 200,000 characters. Where parts of a pattern take blanks, each
way to divide a text of words is tried. What is not found in time was not typed, so it needs an approval."""

VALUES_MAX = 10_000
"""Values of one type found in one text."""

EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}(?![\w-])")
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
URL = re.compile(
    r"(?<![\w@.-])(?:(https?)://)?((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})(:[0-9]{1,5})?(/[^\s<>\"'`]*)?",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"(?<![\w.,-])-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![\w])|(?<![\w.,-])-?[0-9]+(?:\.[0-9]+)?(?![\w])"
)
GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
DATE = re.compile(r"(?<![0-9-])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9-])")
DATETIME = re.compile(r"(?<![0-9-])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?![0-9:])")
SHORT_NUMBER = re.compile(r"[#№]?[0-9.,:/-]{1,9}")
CALLED_ID = re.compile(
    r"""(?:(?<!\w)(?:id|nr|no|number)s?\b[\s.:=#]{0,3}["'`]?|[#№])([0-9]{1,9})(?![\w-])|["'`“]([0-9]{1,9})["'`”]""",
    re.IGNORECASE,
)
TOKEN = re.compile(r"\S+")
BETWEEN = re.compile(r"""[\s,;"'(){}\[\]<>|/=&?]""")
"""Where a word may end, also in a list or an address that has no blanks."""

QUOTED = re.compile(
    r"\"([^\"]{1,5000})\"|“([^“”]{1,5000})”|(?<!\w)'([^']{1,5000})'(?!\w)|`([^`]{1,5000})`|«([^«»]{1,5000})»"
)
"""No mark stands within its pair: a text of nothing but opening ones would be looked through once for each of them."""

EDGE = "\"'`“”‘’«»()[]{}<>,;:!?"
"""Marks around a word that do not belong to it."""


_IBAN_DIGITS = str.maketrans({letter: str(10 + at) for at, letter in enumerate(ascii_uppercase)})
"""What stands for each letter while the checksum is taken (ISO 13616)."""


def clean(text: str) -> str:
    r"""Return a text normalised for comparison: NFKC, without invisible characters.

    Example:
        >>> clean("a\u200bb\u202e c")
        'ab c'
    """
    if text.isascii():  # its own form, and without signs that nobody sees
        return text
    folded = unicodedata.normalize("NFKC", text)
    return "".join(sign for sign in folded if unicodedata.category(sign) not in _UNSEEN)


def is_looked_through(text: str) -> bool:
    """Return whether a search for addresses, accounts and links in a text comes to its end.

    Args:
        text: A text as `clean` returns it.

    Example:
        >>> is_looked_through("to ana@corp.example"), is_looked_through("ana@corp.example " * (VALUES_MAX + 1))
        (True, False)
    """
    return len(text) <= PIECE_MAX and not any(
        next(islice(pattern.finditer(text), VALUES_MAX, None), None) for pattern in (EMAIL, IBAN, URL)
    )


_UNSEEN = ("Cf", "Co", "Cn")
"""Categories of characters that nobody sees, and of those that are none."""


def _seen_whole(value: Any) -> str | None:
    """Return a value as a tool would be given it, or None where more of it would be given than anybody sees.

    Blanks around it are everybody's. A character that nobody sees names another account to whoever keeps it, and the end of a
    line begins another field. Nothing is folded either: `acct-１` is another account than `acct-1`, and whoever wants to be paid
    can open it.
    """
    if not isinstance(value, str):
        return None
    if not value.isascii() and any(unicodedata.category(sign) in _UNSEEN for sign in value):
        return None
    return value.strip(" ")


def _small(text: str) -> str:
    """Return a text in small letters, where that makes of it what everybody makes of it: the sign for kelvin is no k."""
    return text.lower() if unicodedata.is_normalized("NFKC", text) else text


@dataclass(frozen=True, slots=True)
class ValueType:
    """One type with its parameter.

    Attributes:
        name: Name of the type.
        parse: Canonical form of a value, or None when it is not of the type.
        find: Canonical forms of every value of the type in a clean text.
    """

    name: str
    parse: Callable[[Any], str | None]
    find: Callable[[str], frozenset[str]]


@lru_cache(maxsize=1_024)
def value_type(written: str) -> ValueType:
    """Return the type that a policy writes, for example `amount(EUR)` or `id(INV-[0-9]+)`.

    Args:
        written: Type as written in a charter that was checked.

    Example:
        >>> value_type("email").parse("Ana@Example.COM")
        'ana@example.com'
        >>> sorted(value_type("id(INV-[0-9]+)").find("pay INV-7, not INV-8x"))
        ['INV-7']
    """
    name, parameter = type_name(written) or "text", type_parameter(written)
    if name == "email":
        return _by_pattern(name, EMAIL, _mailbox)
    if name == "iban":
        return _by_pattern(name, IBAN, _iban_at_start)
    if name == "url_host":
        return ValueType(
            name, _host, lambda text: frozenset(_found(URL, text, lambda m: _host(m[2] + (m[3] or ""))))
        )
    if name == "url":
        return ValueType(name, _url, _urls)
    if name in NUMERIC:
        return ValueType(
            name, lambda value: _number(written, value), lambda text: _numbers(written, parameter, text)
        )
    if name == "date":
        return _by_pattern(name, DATE, _date)
    if name == "datetime":
        return ValueType(
            name, _datetime, lambda text: frozenset(_found(DATETIME, text, lambda m: _datetime(m[0])))
        )
    if name == "bool":
        return ValueType(
            name, lambda value: str(value).lower() if isinstance(value, bool) else None, lambda _: frozenset()
        )
    if name == "id":
        return _identifier(parameter)
    if name == "name":
        return ValueType(name, _name, _words)
    if name == "enum":
        return ValueType(name, _text, _words)
    return ValueType(name, _text, lambda text: frozenset({_squeezed(text), *quoted_texts(text)}))


def pattern_problem(written: str) -> str | None:
    """Return why the pattern of an `id` cannot be used, or None; every call is matched against it.

    Args:
        written: Type as written in a charter.

    Example:
        >>> pattern_problem("id(INV-[0-9]+)"), pattern_problem("id((a+)+)")
        (None, 'may take for ever')
    """
    pattern = type_parameter(written) if type_name(written) == "id" else None
    if pattern is None:
        return None
    try:
        re.compile(pattern)
    except re.error as error:
        return f"cannot be read ({error.msg})"
    return (
        None
        if ends_soon(_schema_of(pattern), characters=ID_CHARACTERS_USUAL, values=1)
        else "may take for ever"
    )


def _schema_of(pattern: str) -> str:
    """Return the JSON Schema that says the same as the pattern of an id, to be weighed."""
    return json.dumps({"pattern": f"^(?:{pattern})$"})


def quoted_texts(text: str) -> frozenset[str]:
    """Return the quoted parts of a clean text.

    Example:
        >>> quoted_texts('write "see you" to Ana')
        frozenset({'see you'})
    """
    return frozenset(_found(QUOTED, text, lambda m: _squeezed(next(group for group in m.groups() if group))))


def _found(pattern: re.Pattern[str], text: str, read: Callable[[re.Match[str]], str | None]) -> Iterator[str]:
    for count, match in enumerate(pattern.finditer(text[:PIECE_MAX])):
        if count >= VALUES_MAX:
            return
        value = read(match)
        if value is not None:
            yield value


def _length_found(schema: str) -> int:
    """Return how long an id may be that is looked for: a pattern of many parts is tried on pieces of 64 characters."""
    length = ID_CHARACTERS_FOUND
    while length > 1 and not ends_soon(schema, characters=2 * length - 1, values=1):
        length //= 2
    return length


def _found_piecewise(pattern: re.Pattern[str], text: str, length: int) -> Iterator[str]:
    """Yield what a pattern finds that is no longer than a length, in one piece of the text after the other, until its time is over.

    A piece begins between words, so that no end of something longer counts. What has no place to begin at for too long is no word, and is
    passed over.
    """
    text, begin, found = text[:PIECE_MAX], 0, 0
    until = time.thread_time() + SEARCH_CPU_S
    while begin < len(text) and found < VALUES_MAX and time.thread_time() < until:
        end = begin + 2 * length
        places = [place.start() for place in BETWEEN.finditer(text, begin + 1, begin + length + 1)]
        after = places[-1] if places else len(text)
        if not places and end < len(text):
            place = BETWEEN.search(text, end)
            begin = len(text) if place is None else place.start()
            continue
        for match in pattern.finditer(text, begin, end):
            if match.start() >= after:
                break  # the next piece sees it whole
            if 0 < len(match[0]) <= length:
                found += 1
                yield match[0]
            after = max(after, match.end())
        begin = after


def _by_pattern(name: str, pattern: re.Pattern[str], read: Callable[[str], str | None]) -> ValueType:
    def parse(value: Any) -> str | None:
        text = _seen_whole(value)
        return read(text) if text and pattern.fullmatch(text) else None

    return ValueType(name, parse, lambda text: frozenset(_found(pattern, text, lambda match: read(match[0]))))


def _identifier(pattern: str | None) -> ValueType:
    """An id; without a pattern only words that hold a digit, since plain words stand in every request.

    A bare number of a few digits counts only where the request calls it an id (`#13`, `id 13`) or quotes it: "on
    June 13" must not prove the thirteenth file.
    """
    if pattern is not None:
        whole = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)")
        by_pattern = _by_pattern("id", whole, lambda text: text)
        schema = _schema_of(pattern)
        length = _length_found(schema)

        def fits(value: Any) -> str | None:
            is_short = isinstance(value, str) and ends_soon(schema, characters=len(value), values=1)
            return by_pattern.parse(value) if is_short else None

        return ValueType("id", fits, lambda text: frozenset(_found_piecewise(whole, text, length)))

    def find(text: str) -> frozenset[str]:
        return frozenset(
            word
            for word in _found(TOKEN, text, lambda m: _unedged(m[0]))
            if any(sign.isdigit() for sign in word) and not SHORT_NUMBER.fullmatch(word)
        ).union(_found(CALLED_ID, text, lambda m: m[1] or m[2]))

    def parse(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        text = _seen_whole(str(value))
        return text if text and not any(sign.isspace() for sign in text) else None

    return ValueType("id", parse, find)


def _unedged(word: str) -> str | None:
    return word.strip(EDGE).rstrip(".") or None


def _iban_at_start(text: str) -> str | None:
    """Return the longest prefix that is an IBAN with a valid checksum: words may follow directly."""
    groups = text.split(" ")
    tried = (" ".join(groups[:count]) for count in range(len(groups), 0, -1))
    return next((found for one in tried if (found := _iban(one)) is not None), None)


def _iban(text: str) -> str | None:
    packed = text.replace(" ", "").upper()
    if not 15 <= len(packed) <= 34:
        return None
    digits = (packed[4:] + packed[:4]).translate(_IBAN_DIGITS)
    return packed if int(digits) % 97 == 1 else None


def _mailbox(text: str) -> str:
    """An address in small letters, with its host in the form the network knows, where there is one."""
    name, _, domain = text.rpartition("@")
    return f"{_small(name)}@{_host(domain) or _small(domain)}"


def _network_label(label: str) -> str:
    """Return one label of a host as it is looked up.

    What became `ss` in the first version of the standard is a letter of its own in the second, which clients speak today:
    `faß.example` and `fass.example` have two owners.

    Raises:
        UnicodeError: It is none.
    """
    if any(sign in _LETTERS_OF_THEIR_OWN for sign in label):
        return "xn--" + label.encode("punycode").decode()
    return label.encode("idna").decode()


_LETTERS_OF_THEIR_OWN = "ßς"


def _host(value: Any) -> str | None:
    """A host in the form the network knows: look-alike letters become visible as `xn--`."""
    text = (_seen_whole(value) or "").lower().rstrip(".")
    name, _, port = text.partition(":")
    if "." not in name or any(sign in "/@?#" or sign.isspace() for sign in text):
        return None
    try:
        ascii_name = ".".join(map(_network_label, name.split(".")))
    except UnicodeError:
        return None
    return f"{ascii_name}:{port}" if port else ascii_name


def _url(value: Any) -> str | None:
    match = URL.fullmatch(_seen_whole(value) or "")
    return None if match is None else _joined(match, (match[1] or "").lower(), match[4])


def _urls(text: str) -> frozenset[str]:
    """Addresses in a text, each with the marks behind it and without; one without a scheme stands for itself and for both schemes."""
    found: set[str] = set()
    for count, match in enumerate(URL.finditer(text[:PIECE_MAX])):
        if count >= VALUES_MAX:
            break
        schemes = (match[1].lower(),) if match[1] else ("", "http", "https")
        paths = {match[4], (match[4] or "").rstrip(EDGE + ".")}
        found.update(one for scheme in schemes for path in paths if (one := _joined(match, scheme, path)))
    return frozenset(found)


def _joined(match: re.Match[str], scheme: str, path: str | None) -> str | None:
    """An address as it is compared. Of one in a call nothing is taken off its end: with `..` behind it, it is another page."""
    host, path = _host(match[2] + (match[3] or "")), path or "/"
    return None if host is None else f"{scheme}://{host}{path}" if scheme else f"{host}{path}"


def _number(written: str, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    number = read_number(value)
    if number is None:
        return None
    if not number.is_finite() or (type_name(written) == "int" and number != number.to_integral_value()):
        return None
    return str(scaled(written, number))


def read_number(value: Any) -> Decimal | None:
    """Return a number as it is written, or None; commas part thousands, and nothing else does, or two readers read two numbers.

    Example:
        >>> read_number("1,250.50"), read_number("1.250,50")
        (Decimal('1250.50'), None)
    """
    if isinstance(value, int):
        return Decimal(value)
    text = str(value).strip(" ")
    if ("," in text and not GROUPED.fullmatch(text)) or "_" in text or not text.isascii():
        return None
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None


def _numbers(written: str, currency: str | None, text: str) -> frozenset[str]:
    """Numbers in a text; one beside the code or sign of another currency is not of this one."""
    found: set[str] = set()
    for count, match in enumerate(NUMBER.finditer(text[:PIECE_MAX])):
        if count >= VALUES_MAX:
            break
        if currency is not None and is_other_money(currency, text, *match.span()):
            continue
        value = _number(written, match[0])
        if value is not None:
            found.add(value)
    return frozenset(found)


def _date(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _datetime(value: Any) -> str | None:
    text = _seen_whole(value)
    try:
        return datetime.fromisoformat(text).isoformat() if text else None
    except ValueError:
        return None


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _text(value: Any) -> str | None:
    return _squeezed(clean(value)) if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    """A name as a tool would be given it, but for blanks: it chooses an entry of its registry, so it is compared as an id is."""
    text = _seen_whole(value)
    return None if text is None or any(sign.isspace() and sign != " " for sign in text) else _squeezed(text)


def _words(text: str) -> frozenset[str]:
    """Words of a text, alone and quoted; a name of several words is looked for by whoever knows the names."""
    return frozenset({*(word for word in _found(TOKEN, text, lambda m: _unedged(m[0]))), *quoted_texts(text)})
