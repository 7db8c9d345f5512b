# SPDX-License-Identifier: Apache-2.0
"""Parse a stored record of evidence without validating it again: it was validated when it was written."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from pilothouse.core.evidence.evidence import Basis, Binding, Evidence, Scope, Source

__all__ = ["parse_document"]


class _Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str | None = None
    section: str | None = None
    section_digest: str | None = None
    contract: str | None = None
    dataset: str | None = None
    judge: str | None = None
    person: str | None = None


class _Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    task_type: str | None = None
    integration: str | None = None
    tool: str | None = None
    duty: str | None = None
    phase: str | None = None
    part: str | None = None


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    command: str
    run_id: str = ""
    node: str = ""


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `Evidence`, in its order; a test holds the two together."""

    kind: str
    agent: str
    window_from: datetime
    window_to: datetime
    n: int
    source: _Source
    recorded_at: datetime
    binds: _Binding = msgspec.field(default_factory=_Binding)
    scope: _Scope = msgspec.field(default_factory=_Scope)
    good: int | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    passed: bool | None = None
    detail: str = ""
    items: tuple[str, ...] = ()
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    basis: str = Basis.MEASURED.value
    signer: str | None = None


_read = msgspec.json.Decoder(_Record).decode
_BASES = {one.value: one for one in Basis}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLANK = Evidence(
    kind="blank",
    agent="",
    window_from=_EPOCH,
    window_to=_EPOCH,
    n=1,
    source=Source(command=""),
    recorded_at=_EPOCH,
)
"""What every record is made from: filling in a copy costs a third of making one field by field."""

PARTS_KEPT = 4_096
"""Scopes, bindings and sources that are kept: the same few hundred stand in all records of an agent."""


def parse_document(text: str, written: int | None = None) -> Evidence:
    """Parse a record; an invalid text raises as any other malformed record does.

    Args:
        text: What `Evidence.model_dump_json` wrote.
        written: Its place in the order of writing, which stands beside it.
    """
    try:
        read = _read(text)
        basis = _BASES[read.basis]
    except (msgspec.MsgspecError, KeyError):
        read_slowly = Evidence.model_validate_json(text)  # says what is wrong with it
        return read_slowly.model_copy(update={"written": written})
    fields = msgspec.structs.asdict(read)
    fields |= {
        "binds": _binding(read.binds),
        "scope": _scope(read.scope),
        "source": _source(read.source),
        "basis": basis,
        "written": written,
    }
    return _BLANK.model_copy(update=fields)


@lru_cache(maxsize=PARTS_KEPT)
def _binding(read: _Binding) -> Binding:
    return Binding.model_construct(**msgspec.structs.asdict(read))


@lru_cache(maxsize=PARTS_KEPT)
def _scope(read: _Scope) -> Scope:
    return Scope.model_construct(**msgspec.structs.asdict(read))


@lru_cache(maxsize=PARTS_KEPT)
def _source(read: _Source) -> Source:
    return Source.model_construct(**msgspec.structs.asdict(read))
