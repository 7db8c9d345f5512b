# SPDX-License-Identifier: Apache-2.0
"""Tells one person who is written in several ways: by the charter's id, by sign-in identity, by mail address, by name."""

from __future__ import annotations

import unicodedata

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter

__all__ = ["forms_of", "mailbox_of", "names_of"]


def forms_of(said: str) -> frozenset[str]:
    """Return the forms by which what one system calls a person is found in another.

    Args:
        said: An id, an identity with or without its scheme, a mail address, or a name.

    Example:
        >>> sorted(forms_of("oidc:Dana+test@Corp.example"))
        ['dana@corp.example', 'oidc:dana+test@corp.example']
        >>> sorted(forms_of(" D. Ruiz "))
        ['d. ruiz']
    """
    written = _plain(said)
    return frozenset({written, mailbox_of(said)} - {""})


def mailbox_of(said: str) -> str:
    """Return an identity without its scheme and without what stands behind a plus sign: one mailbox has many such addresses.

    Example:
        >>> mailbox_of("oidc:Dana+test@corp.example"), mailbox_of("ana")
        ('dana@corp.example', 'ana')
    """
    written = _plain(said)
    scheme, colon, rest = written.partition(":")
    bare = rest if colon and scheme.isalnum() else written
    local, at, domain = bare.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}" if at else bare


def names_of(charter: Charter, person: str) -> frozenset[str]:
    """Return every form by which a person of a charter may be called."""
    entry = charter.people.get(person)
    said = (person, known(entry.identity), known(entry.name)) if entry else (person,)
    return frozenset().union(*(forms_of(one) for one in said if one is not None))


def _plain(said: str) -> str:
    return unicodedata.normalize("NFKC", said).casefold().strip()
