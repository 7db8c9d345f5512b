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
    r"|[0-9]{3}(?:(?: [0-9]{4}){3}(?: [0-9]{3})?|(?:-[0-9]{4}){3}(?:-[0-9]{3})?|[ -][0-9]{6}[ -][0-9]{5})))(?![0-9A-Za-z]|[.-][0-9]))"
)
"""In one piece, or in the groups that are printed on cards: other numbers stand beside each other too. Each beginning is looked at, so that
no number before it hides one."""

_PHONE = re.compile(r"(?<![0-9A-Za-z+])(\+[1-9](?:[ ./()-]{0,2}[0-9]){7,14})(?![0-9A-Za-z])")
_SOCIAL_SECURITY = re.compile(
    r"(?<![0-9A-Za-z-])((?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4})(?![0-9A-Za-z-])"
)
_IP = re.compile(
    r"(?<![0-9A-Za-z.:])([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![0-9A-Za-z:]|\.[0-9])"
)


def _any(pattern: re.Pattern[str], is_one: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: any(is_one(found[1]) for found in pattern.finditer(text))


def _is_card(written: str) -> bool:
    """Whether the last digit is the check digit of the others (Luhn, ISO/IEC 7812-1)."""
    digits = [int(sign) for sign in reversed(written) if sign.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


def _is_address(written: str) -> bool:
    """Whether it is the address of a machine, and not of every one (`127.0.0.1`, `::`)."""
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


_KINDS: MappingProxyType[str, Callable[[str], bool]] = MappingProxyType(
    {
        "email": lambda text: bool(value_type("email").find(text)),
        "iban": lambda text: bool(value_type("iban").find(text)),
        "card": _any(_CARD, _is_card),
        "phone": _any(_PHONE, lambda _: True),
        "us_ssn": _any(_SOCIAL_SECURITY, lambda _: True),
        "ip": _any(_IP, _is_address),
    }
)


def personal_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds of personal data that a text holds.

    Args:
        text: Any text; signs that nobody sees, and other forms of a digit, hide nothing.

    Example:
        >>> personal_kinds("Card 4111 1111 1111 1111, call +49 30 901820"), personal_kinds("Order 4111 1111 1111 1112")
        (('card', 'phone'), ())
    """
    shown = clean(text)
    return tuple(kind for kind, holds in _KINDS.items() if holds(shown))
