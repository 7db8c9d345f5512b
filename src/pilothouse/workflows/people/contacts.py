# SPDX-License-Identifier: Apache-2.0
"""Addresses of people: set, forgotten, tried out; who changed them is recorded, the address itself never."""

from __future__ import annotations

import secrets
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.people import CHANNELS
from pilothouse.core.dates import minute
from pilothouse.errors import UnknownName, UsageError
from pilothouse.ports.contacts import Contact, Message
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.people.people import Directory

__all__ = ["agents_of", "identity_of", "remove_contact", "set_contact", "try_contact"]

_MAIL = frozenset({"mailto", "mailtos", "ses", "sendgrid", "mailgun", "smtp2go", "sparkpost"})
_PHONE = frozenset({"voipms", "clicksend", "twilio", "sinch", "vonage", "nexmo", "plivo"})
_PAGER = frozenset({"pagerduty", "opsgenie", "pagertree", "spike", "splunk", "victorops", "signl4"})


def identity_of(room: ControlRoom, person: str) -> str:
    """Return the sign-in identity behind a person id of the charters, or an identity as it is.

    Args:
        room: Opened parts.
        person: Person id, or identity.

    Raises:
        UnknownName: No charter in force names the person.
        UsageError: Two charters mean two people by the same id.
    """
    found, names = set(), set()
    for charter in Directory(room.installation.ledger).charters().values():
        for name, one in charter.people.items():
            identity = known(one.identity)
            names.add(name)
            if identity is not None and person in {name, identity}:
                found.add(identity)
    if len(found) > 1:
        raise UsageError(
            f"{person!r} stands for {len(found)} people in the charters in force",
            remedy=f"Give the identity, for example `pilothouse contact set {min(found)} URL`.",
            subject=person,
        )
    if not found:
        raise UnknownName.among(
            "person",
            person,
            names,
            remedy="Persons stand under `people` of a charter in force; put yours into force: "
            "`pilothouse verdict --charter PATH/charter.yaml`.",
        )
    return found.pop()


def set_contact(
    room: ControlRoom, person: str, url: str, *, channel: str, zone: str, actor: str, now: datetime
) -> Contact:
    """Set where a person is reached by one channel.

    Args:
        room: Opened parts.
        person: Person id, or identity.
        url: Address of a service, with its credential.
        channel: One of `CHANNELS`; empty to tell it from the address.
        zone: Time zone for on-call hours.
        actor: Who sets it.
        now: The moment, aware UTC.

    Raises:
        UnknownName: No charter in force names the person.
        UsageError: The address, the channel or the time zone is none.
    """
    identity = identity_of(room, person)
    room.notifier.masked(url)
    chosen = channel or _channel_of(url)
    if chosen not in CHANNELS:
        raise UnknownName.among(
            "channel",
            chosen,
            CHANNELS,
            remedy=f"Give `--channel {CHANNELS[0]}`: one of {', '.join(CHANNELS)}.",
        )
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # `Europe` is a folder
        raise UsageError(
            f"{zone!r} is no time zone", remedy="Give for example `--zone Europe/Berlin`.", subject=zone
        ) from error
    contact = Contact(identity=identity, channel=chosen, url=url, zone=zone, actor=actor, at=now)
    room.contacts.put(contact)
    _record(room, "contact.set", identity, channel=chosen, actor=actor, now=now)
    return contact


def remove_contact(room: ControlRoom, person: str, *, channel: str, actor: str, now: datetime) -> int:
    """Forget one address of a person, or all; return how many there were.

    Args:
        room: Opened parts.
        person: Person id, or identity; also of somebody no charter names any more.
        channel: One of `CHANNELS`; empty for all.
        actor: Who asks.
        now: The moment, aware UTC.
    """
    identity = person if ":" in person else identity_of(room, person)
    ways = [one.channel for one in room.contacts.of(identity) if channel in {"", one.channel}]
    for way in ways:
        room.contacts.remove(identity, way, at=now, actor=actor)
        _record(room, "contact.removed", identity, channel=way, actor=actor, now=now)
    return len(ways)


def try_contact(room: ControlRoom, person: str, *, actor: str, now: datetime) -> dict[str, str]:
    """Send a test message by every channel of a person, and record who had it sent.

    Args:
        room: Opened parts.
        person: Person id, or identity.
        actor: Who asks.
        now: The moment, aware UTC.

    Returns:
        Channel → empty text when it was taken, else why not.

    Raises:
        UsageError: The person has no address.
    """
    identity = identity_of(room, person)
    addresses = room.contacts.of(identity)
    if not addresses:
        raise UsageError(
            f"{person} has no address", remedy=f"`pilothouse contact set {person} URL`", subject=person
        )
    message = Message(
        key=f"test/{secrets.token_hex(8)}",
        title=f"Pilothouse test message for {person}",
        body=f"Sent {minute(now)}. Nothing is wrong: somebody tries whether you can be reached.",
    )
    found = {one.channel: room.notifier.send(one.url, message) for one in addresses}
    for channel, refused in found.items():
        _record(room, "contact.tried", identity, channel=channel, actor=actor, now=now, taken=not refused)
    return found


def agents_of(room: ControlRoom, identity: str) -> frozenset[str]:
    """Return the agents whose charter in force names a person.

    Args:
        room: Opened parts.
        identity: The person's identity.
    """
    return frozenset(
        agent
        for agent, charter in Directory(room.installation.ledger).charters().items()
        if any(known(one.identity) == identity for one in charter.people.values())
    )


def _channel_of(url: str) -> str:
    scheme = urlsplit(url).scheme.lower()
    if scheme in _MAIL:
        return "mail"
    if scheme in _PAGER:
        return "pager"
    return "phone" if scheme in _PHONE else "chat"


def _record(
    room: ControlRoom, kind: str, identity: str, *, channel: str, actor: str, now: datetime, **said: bool
) -> None:
    document = canonical_json({"identity": identity, "channel": channel, **said})
    for agent in sorted(agents_of(room, identity)):
        room.installation.ledger.record(kind=kind, agent=agent, at=now, actor=actor, document=document)
