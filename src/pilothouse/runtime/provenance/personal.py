# SPDX-License-Identifier: Apache-2.0
"""Which kinds of personal data a text holds, each by a checksum or a strict form, so that few other words are taken for one. Pure.

Names, places and what somebody says of their health have no form, and nobody finds them here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from types import MappingProxyType

from pilothouse.runtime.provenance.values import clean, value_type

__all__ = ["personal_kinds"]

_CARD = re.compile(
    r"(?<![0-9A-Za-z.+-])(?=([2-6](?:[0-9]{12,18}"
    r"|[0-9]{3}(?:(?: [0-9]{4}){3}(?: [0-9]{3})?|(?:-[0-9]{4}){3}(?:-[0-9]{3})?|[ -][0-9]{6}[ -][0-9]{4,5})))(?![0-9A-Za-z]|[.-][0-9]))"
)
"""In one piece, or in the groups that are printed on cards: other numbers stand beside each other too. Each beginning is looked at, so that
no number before it hides one."""

_ISSUED = re.compile(
    r"4(?:[0-9]{15}|[0-9]{18})"  # Visa; of 13 digits there are none any more, and the numbers of goods have as many
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|220[0-4][0-9]{12,15}"  # Mir
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11,16}"  # Diners Club
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    r"|(?:50|5[6-8]|6[0-9])[0-9]{14,17}"  # Maestro, Discover, UnionPay
)
"""How cards begin, and how long they are. By its check digit alone each tenth number of an invoice, of goods or of a moment
(20261130123456) would be one."""

_PHONE = re.compile(r"(?<![0-9A-Za-z+])(\+[1-9](?:[ ./()-]{0,2}[0-9]){7,14})(?![0-9A-Za-z]|,[0-9])")
"""What has decimals behind a comma is an amount."""

_SOCIAL_SECURITY = re.compile(
    r"(?<![0-9A-Za-z-])((?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4})(?![0-9A-Za-z-])"
)
_IP = re.compile(
    r"(?<![0-9A-Za-z.:])([0-9]{1,3}(?:\.[0-9]{1,3}){3}"
    r"|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?)(?![0-9A-Za-z:]|\.[0-9])"
)

_PARTS_OF_A_VERSION = 32
"""Four parts below this are a version or a chapter (`2.14.3.1`): so is one in 4,096 of the addresses that there may be."""

_OF_NOBODY = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""Every house has a machine of these addresses, so that outside of it they name none."""

_OF_SOMEBODY = ipaddress.IPv6Network("2000::/3")
"""All that the world reaches; `fe80::1` is in every house, and `abc::def` is a name in a program."""


_BREAK = re.compile(r"\\[nrt]")
"""How JSON writes the end of a line, whose letter would be the first of the number behind it: texts of agents are mostly JSON."""


def _any(pattern: re.Pattern[str], is_one: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: any(is_one(found[1]) for found in pattern.finditer(text))


def _is_card(written: str) -> bool:
    """Whether somebody issues such cards, and the last digit is the check digit of the others (Luhn, ISO/IEC 7812-1)."""
    packed = written.replace(" ", "").replace("-", "")
    digits = [int(sign) for sign in reversed(packed)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    is_checked = (sum(digits[::2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1
    return is_checked and _ISSUED.fullmatch(packed) is not None


def _is_address(written: str) -> bool:
    """Whether it is the address of one machine in the world, and no version, no mask and not that of every house."""
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return address in _OF_SOMEBODY
        address = address.ipv4_mapped
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_reserved:
        return False
    return max(address.packed) >= _PARTS_OF_A_VERSION and not any(
        address in network for network in _OF_NOBODY
    )


_KINDS: MappingProxyType[str, Callable[[str], bool]] = MappingProxyType(
    {
        "e-mail address": lambda text: bool(value_type("email").find(text)),
        "IBAN": lambda text: bool(value_type("iban").find(text)),
        "card number": _any(_CARD, _is_card),
        "phone number": _any(_PHONE, lambda _: True),
        "US social security number": _any(_SOCIAL_SECURITY, lambda _: True),
        "IP address": _any(_IP, _is_address),
    }
)


def personal_kinds(value: object) -> tuple[str, ...]:
    """Return the kinds of personal data that a value holds, in words for a person.

    Args:
        value: Any text; signs that nobody sees, and other forms of a digit, hide nothing. A number is read as it is written.

    Example:
        >>> personal_kinds("Card 4111 1111 1111 1111, call +49 30 901820"), personal_kinds("Order 4111 1111 1111 1112")
        (('card number', 'phone number'), ())
    """
    shown = _BREAK.sub(" ", clean(f"{value:.0f}" if isinstance(value, float) else str(value)))
    return tuple(kind for kind, holds in _KINDS.items() if holds(shown))
