# SPDX-License-Identifier: Apache-2.0
"""The Settings page: values in force with where each came from, and who and what is known here; nothing secret."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.gateway import Provider, VirtualKey
from pilothouse.ports.upkeep import RetentionRule
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Cell, Field, FormOffer, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = ["KnownPerson", "SettingsFacts", "build_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPerson:
    """Somebody a charter names, with masked addresses by channel."""

    identity: str
    name: str
    agents: tuple[str, ...]
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFacts:
    """What is set.

    Attributes:
        values: Name, value and source of each setting; secrets are masked before.
        providers: Providers of models.
        keys: Virtual keys, revoked ones too.
        people: People of all charters.
        kept: Retention of each agent.
        prices: Prices known.
    """

    values: Sequence[tuple[str, str, str]]
    providers: Sequence[Provider]
    keys: Sequence[VirtualKey]
    people: Sequence[KnownPerson]
    kept: Sequence[RetentionRule]
    prices: int


def build_settings(
    facts: SettingsFacts, now: datetime, *, operated: Collection[str] = (), tried: str = ""
) -> SectionsPage:
    """Build the page.

    Args:
        facts: What is set.
        now: The moment, aware UTC.
        operated: Agents that the visitor operates: a test note can be sent to the people of these.
        tried: What came of a test note that was sent just now; empty without one.
    """
    silent = [one for one in facts.people if not one.ways]
    live = [one for one in facts.keys if _is_live(one, now)]
    plain = (
        f"{plural(len(facts.people), 'person', 'people')} known, {len(silent)} of them without an address; "
        f"{plural(len(live), 'key')} and {plural(len(facts.providers), 'provider')} in use."
    )
    action = None
    if silent:
        action = ActionOffer(
            label=f"Say how {silent[0].name} is reached",
            command=f"pilothouse contact set {silent[0].identity} URL",
        )
    return SectionsPage(
        name="settings",
        title="Settings",
        heading="Settings",
        as_of=page_moment(now),
        sentence=Sentence(plain=plain),
        action=action,
        notices=(shown_text(tried),) if tried else (),
        sections=(
            _values(facts),
            _people(facts, operated),
            _keys(facts, now),
            _providers(facts),
            _kept(facts),
        ),
    )


def _is_live(key: VirtualKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _values(facts: SettingsFacts) -> Section:
    return Section(
        anchor="values",
        title="Values in force",
        note=f"set by option, environment or default; {plural(facts.prices, 'price')} known, see `pilothouse price`",
        columns=columns("Setting", "Value", "Comes from"),
        rows=tuple(
            row(name, Cell(text=shown_text(value) or "none", is_code=bool(value)), source)
            for name, value, source in facts.values
        ),
    )


def _people(facts: SettingsFacts, operated: Collection[str]) -> Section:
    reached = tuple(
        (one.identity, f"{shown_text(one.name)}, {shown_text(one.identity)}")
        for one in facts.people
        if one.ways and not set(operated).isdisjoint(one.agents)
    )
    to = Field(name="person", label="To, by every channel", choices=reached)
    return Section(
        anchor="people",
        title="People",
        note="addresses are shown without their credentials",
        columns=columns("State", "Who", "Agents", "Reached by", "Next"),
        rows=tuple(
            row(
                mark_of(Status.HOLDS, word="Reachable")
                if one.ways
                else mark_of(Status.NO_EVIDENCE, word="No address"),
                Cell(text=shown_text(one.name), small=shown_text(one.identity)),
                ", ".join(one.agents),
                shown_text(", ".join(one.ways)),
                Cell(
                    command=f"pilothouse contact {'test' if one.ways else 'set'} {one.identity}"
                    + ("" if one.ways else " URL")
                ),
            )
            for one in facts.people
        ),
        forms=(FormOffer(href="/settings", fields=(to,), buttons=(("try", "Send a test note"),)),)
        if reached
        else (),
        empty=Empty(
            missing="No charter in force names anybody.", command="pilothouse verdict --charter charter.yaml"
        ),
    )


def _key_mark(key: VirtualKey, now: datetime) -> StatusMark:
    if key.revoked_at is not None:
        return mark_of(Status.NO_EVIDENCE, word="Revoked")
    if key.expires_at is not None and key.expires_at <= now:
        return mark_of(Status.NO_EVIDENCE, word="Lapsed")
    return mark_of(Status.HOLDS, word="In use")


def _where(key: VirtualKey) -> str:
    return ", ".join(filter(None, (key.environment, f"record {key.record}" if key.record else "")))


def _keys(facts: SettingsFacts, now: datetime) -> Section:
    return Section(
        anchor="keys",
        title="Virtual keys",
        note="what agents show to the model gateway; a key is shown once and kept nowhere",
        columns=columns("State", "Key", "Agent", "Made", "Last used", "Lapses", "Models"),
        rows=tuple(
            row(
                _key_mark(one, now),
                Cell(text=f"{one.prefix}…", is_code=True),
                Cell(text=one.agent, small=_where(one)),
                Cell(when=moment(one.created_at, now), small=shown_text(one.created_by)),
                moment(one.used_at, now) if one.used_at else "not yet" if one.is_followed else "unknown",
                moment(one.expires_at, now) if one.expires_at else "never",
                ", ".join(one.models) or "those the charter pins",
            )
            for one in facts.keys
        ),
        empty=Empty(
            missing="No agent has a key: model calls do not pass the gateway.",
            command="pilothouse key add AGENT",
        ),
    )


def _providers(facts: SettingsFacts) -> Section:
    return Section(
        anchor="providers",
        title="Providers",
        note="the credential itself is kept nowhere",
        columns=columns("Name", "Address", "Speaks", "Credential in", "Region"),
        rows=tuple(
            row(
                one.name,
                Cell(text=shown_text(one.url), is_code=True),
                one.protocol.value,
                one.credential_variable or str(one.credential_file or "nothing"),
                one.region or "unknown",
            )
            for one in facts.providers
        ),
        empty=Empty(missing="The gateway knows no provider.", command="pilothouse provider add --help"),
    )


def _kept(facts: SettingsFacts) -> Section:
    return Section(
        anchor="retention",
        title="Retention",
        note="from each charter's `retention`, never shorter than its regulations ask",
        columns=columns("Agent", "#Payloads", "#Spans", "#Tasks"),
        rows=tuple(
            row(one.agent, f"{one.payload_days:,} d", f"{one.spans_days:,} d", f"{one.tasks_days:,} d")
            for one in facts.kept
        ),
        empty=Empty(missing="No charter is in force.", command="pilothouse verdict --charter charter.yaml"),
    )
