# SPDX-License-Identifier: Apache-2.0
"""Tells whether a number in a text is money of another currency than a policy counts in.

`pay CHF 200` must not prove 200 euros. A code, a sign or an English name beside the number says whose money it is; what
says nothing is of the policy's own currency, because nobody types a currency where there is only one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

__all__ = ["is_other_money"]

BESIDE_MAX = 40
"""Characters beside a number in which its currency is looked for, blanks among them."""

SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
"""Currency of a sign by itself; any other sign of a currency is of another one, and so is one of these with letters before it."""

_ISO_4217 = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CLF CLP CNH CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR
LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK
PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND
TOP TRY TTD TWD TZS UAH UGX USD USN UYU UZS VES VND VUV WST XAF XAG XAU XCD XCG XOF XPD XPF XPT YER ZAR ZMW ZWG
BTC ETH USDT USDC
"""

CODES = frozenset(_ISO_4217.split())
"""Codes of currencies, and of coins that people pay with."""

WORDS_TOO = frozenset(
    {"ALL", "BAM", "BOB", "COP", "CUP", "GEL", "LAK", "MAD", "MOP", "PAB", "PEN", "RON", "SOS", "TOP", "TRY"}
)
"""Codes that are words or names as well: they count in capitals only."""

_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "TWD", "BBD", "BZD", "FJD", "JMD", "TTD"})
_CROWNS = frozenset({"SEK", "NOK", "DKK", "ISK", "CZK"})
_PESOS = frozenset({"MXN", "ARS", "CLP", "COP", "CUP", "DOP", "PHP", "UYU"})
_RIYALS = frozenset({"SAR", "QAR", "OMR", "YER", "IRR"})
_DINARS = frozenset({"KWD", "BHD", "JOD", "IQD", "DZD", "TND", "LYD", "RSD"})

NAMES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("dollar", "buck"), _DOLLARS),
    **dict.fromkeys(("euro", "eur"), frozenset({"EUR"})),
    **dict.fromkeys(("pound", "quid"), frozenset({"GBP", "EGP", "LBP"})),
    "yen": frozenset({"JPY"}),
    **dict.fromkeys(("yuan", "renminbi", "rmb"), frozenset({"CNY", "CNH"})),
    **dict.fromkeys(("franc", "franken"), frozenset({"CHF", "XOF", "XAF", "XPF"})),
    **dict.fromkeys(("rupee", "rs"), frozenset({"INR", "PKR", "LKR", "NPR", "MUR"})),
    **dict.fromkeys(("zloty", "złoty", "zł"), frozenset({"PLN"})),
    **dict.fromkeys(("forint", "ft"), frozenset({"HUF"})),
    **dict.fromkeys(("krona", "kronor", "krone", "kroner", "crown", "kr", "kč"), _CROWNS),
    "peso": _PESOS,
    "reai": frozenset({"BRL"}),
    "rand": frozenset({"ZAR"}),
    **dict.fromkeys(("ruble", "rouble"), frozenset({"RUB", "BYN"})),
    "hryvnia": frozenset({"UAH"}),
    "lira": frozenset({"TRY"}),
    "dirham": frozenset({"AED", "MAD"}),
    **dict.fromkeys(("riyal", "rial"), _RIYALS),
    "dinar": _DINARS,
    "shekel": frozenset({"ILS"}),
    "baht": frozenset({"THB"}),
    "ringgit": frozenset({"MYR"}),
    "rupiah": frozenset({"IDR"}),
    "bitcoin": frozenset({"BTC"}),
    **dict.fromkeys(("cent", "pence", "penny"), frozenset()),
}
"""Names of currencies without the `s` of many, with those that each may mean; none for a part of one."""

_GLUE = " \t\r\n\u00a0:=|()[]{}\"'`*~.,-–—"
"""What may stand between a number and its currency."""

_LAST_WORD, _FIRST_WORD = re.compile(r"[^\W\d_]+\Z"), re.compile(r"[^\W\d_]+")


def is_other_money(currency: str, text: str, start: int, end: int) -> bool:
    """Return whether what stands beside a number says that it is money of another currency.

    Args:
        currency: Code of the currency that the policy counts in.
        text: A clean text.
        start: Where the number begins in it.
        end: Where it ends.

    Example:
        >>> is_other_money("EUR", "pay CHF 200", 8, 11), is_other_money("EUR", "pay 200 euros", 4, 7)
        (True, False)
    """
    before = text[max(0, start - BESIDE_MAX) : start].rstrip(_GLUE)
    after = text[end : end + BESIDE_MAX].lstrip(_GLUE)
    for sign in (before[-1:], after[:1]):
        if sign and unicodedata.category(sign) == "Sc" and SIGNS.get(sign) != currency:
            return True
    if before[-1:] in SIGNS:  # `A$200` is no money of the United States, and `US$200` is
        letters = _LAST_WORD.search(before[:-1])
        return letters is not None and not currency.startswith(letters[0].upper())
    words = (_LAST_WORD.search(before), _FIRST_WORD.match(after))
    return any(_means_other(currency, word[0]) for word in words if word)


def _means_other(currency: str, word: str) -> bool:
    """Whether a word is the code or the name of a currency, and not of this one."""
    code = word.upper()
    if code in CODES and (word == code or code not in WORDS_TOO):
        return code != currency
    name = word.lower()
    meant = NAMES.get(name, NAMES.get(name.removesuffix("s")))
    return meant is not None and currency not in meant
