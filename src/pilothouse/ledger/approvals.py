# SPDX-License-Identifier: Apache-2.0
"""Approvals: `pending → approved, rejected or expired`, `approved → used or void`; each step in one transaction."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.same_person import forms_of
from pilothouse.errors import Conflict, Denied, UnknownName
from pilothouse.ledger.approval_tables import approval_votes, approvals
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.row_log import fresh_salt, log_rows, logged_change
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ledger.steady_clock import SteadyClock
from pilothouse.ports.approvals import APPROVALS_OPEN_MAX, Approval, ApproverRecord, ShownArgument, Vote
from pilothouse.ports.audit import AuditEntry

__all__ = [
    "SqlApprovals",
    "expire",
    "forget_requester",
    "insert_approval",
    "newest_for_call",
    "put_state",
]

FORGOTTEN = "erased"
"""What stands where a person's name and arguments stood."""

_AT_ONCE = 500
"""Approvals changed by one statement, well below SQLite's 32,766 variables."""


class SqlApprovals:
    """`ports.Approvals` on the ledger.

    Args:
        log: Where answers are recorded, in the transaction that keeps them.
        clock: The time, which never goes back.
        names_of: Gives every form by which a person of an agent's charter may be called, by agent and person id: a calling
            service names its requester by the identity that they signed in with.
    """

    def __init__(
        self,
        log: SqlAuditLog,
        clock: SteadyClock,
        names_of: Callable[[str, str], frozenset[str]] = lambda _agent, person: forms_of(person),
    ) -> None:
        self._log = log
        self._clock = clock
        self._names_of = names_of

    def waiting(self, agent: str | None = None) -> Sequence[Approval]:
        """Return the pending approvals, oldest first."""
        query = select(approvals).where(
            approvals.c.state == "pending", approvals.c.expires_us > to_micros(self._clock.now())
        )
        if agent is not None:
            query = query.where(approvals.c.agent == agent)
        with self._log.database.read() as connection:
            rows = connection.execute(query.order_by(approvals.c.asked_us).limit(APPROVALS_OPEN_MAX)).all()
            return tuple(_approval(connection, row, self._clock.now()) for row in rows)

    def find(self, approval: str) -> Approval | None:
        """Return one approval by its id or a unique prefix of it."""
        with self._log.database.read() as connection:
            row = _row(connection, approval)
            return None if row is None else _approval(connection, row, self._clock.now())

    def vote(self, approval: str, *, actor: str, allows: bool, reason: str) -> Approval:
        """Record a person's vote, and its audit record with it.

        Raises:
            Denied: They may not answer this one.
            Conflict: It does not wait any more.
            UnknownName: There is none with this id.
        """
        found = self.find(approval)
        names = self._names_of(found.agent, actor) if found else frozenset[str]()
        voted: list[Approval] = []

        def decide(connection: Connection) -> AuditEntry:
            voted.clear()
            now = self._clock.now()
            row = _row(connection, approval)
            if row is None:
                raise UnknownName(
                    f"no approval {approval!r}",
                    remedy="List them: `pilothouse approve list`.",
                    subject=approval,
                )
            asked = _approval(connection, row, now)
            _check_voter(asked, actor, names)
            vote = {"approval": asked.id, "actor": actor, "allows": int(allows), "at_us": to_micros(now)}
            connection.execute(insert(approval_votes).values(**vote))
            log_rows(connection, approval_votes.name, added=[vote], at=now, actor=actor)
            agreed = sum(vote.allows for vote in asked.votes) + allows
            state = "rejected" if not allows else "approved" if agreed >= asked.needs else "pending"
            if asked.is_canary and state == "approved":
                state = "void"  # nobody made this call; approving it is what is measured
            put_state(connection, approvals.c.id == asked.id, state, at=now, actor=actor)
            voted.append(_approval(connection, _row(connection, asked.id), now))
            return AuditEntry(
                kind="approval.answered",
                agent=asked.agent,
                actor=actor,
                at=now,
                document={
                    "approval": asked.id,
                    "tool": asked.tool,
                    "allows": allows,
                    "reason": reason[:400],
                    "state": state,
                    "policy": asked.policy,
                    "canary": asked.is_canary,
                },
            )

        self._log.commit(decide)
        return voted[-1]

    def approvers(self, agent: str) -> Sequence[ApproverRecord]:
        """Return how each approver of an agent has voted so far."""
        query = (
            select(approval_votes, approvals.c.asked_us, approvals.c.canary)
            .join(approvals, approvals.c.id == approval_votes.c.approval)
            .where(approvals.c.agent == agent)
            .order_by(approval_votes.c.at_us.desc())
            .limit(100_000)
        )
        by_actor: dict[str, list[Row[Any]]] = defaultdict(list)
        with self._log.database.read() as connection:
            for row in connection.execute(query):
                by_actor[row.actor].append(row)
        return tuple(_record(actor, rows) for actor, rows in sorted(by_actor.items()))


def insert_approval(connection: Connection, asked: Approval) -> None:
    """Store a new approval request."""
    row = {
        "id": asked.id,
        "call_digest": asked.call_digest,
        "agent": asked.agent,
        "tool": asked.tool,
        "run": asked.run,
        "requester": asked.requester,
        "state": asked.state,
        "policy": asked.policy,
        "needs": asked.needs,
        "canary": int(asked.is_canary),
        "asked_us": to_micros(asked.asked_at),
        "expires_us": to_micros(asked.expires_at),
        "document": _document(asked),
        "salt": fresh_salt(),
    }
    connection.execute(insert(approvals).values(**row))
    log_rows(connection, approvals.name, added=[row], at=asked.asked_at, actor="pilothouse")


def _document(asked: Approval) -> str:
    """Return the document that an approver is shown."""
    return canonical_json(
        {
            "task_type": asked.task_type,
            "effect": asked.effect,
            "failed": list(asked.failed),
            "tainted": asked.tainted,
            "approvers": list(asked.approvers),
            "arguments": [
                {
                    "name": one.name,
                    "value": one.value,
                    "role": one.role,
                    "origins": list(one.origins),
                    "source": one.source,
                    "personal": list(one.personal),
                }
                for one in asked.arguments
            ],
        }
    )


def newest_for_call(connection: Connection, call_digest: str, now: datetime) -> Approval | None:
    """Return the newest approval request for exactly this call, or None."""
    row = connection.execute(
        select(approvals)
        .where(approvals.c.call_digest == call_digest, approvals.c.canary == 0)
        .order_by(approvals.c.asked_us.desc())
        .limit(1)
    ).first()
    return None if row is None else _approval(connection, row, now)


def expire(connection: Connection, now: datetime) -> int:
    """Mark lapsed approvals as expired, and return how many there were."""
    lapsed = approvals.c.state.in_(("pending", "approved")) & (approvals.c.expires_us <= to_micros(now))
    return put_state(connection, lapsed, "expired", at=now, actor="pilothouse")


def put_state(
    connection: Connection, which: ColumnElement[bool], state: str, *, at: datetime, actor: str
) -> int:
    """Move the selected approvals to a state, with an audit record, and return how many."""
    ids = connection.execute(select(approvals.c.id).where(which)).scalars().all()
    for start in range(0, len(ids), _AT_ONCE):
        here = approvals.c.id.in_(ids[start : start + _AT_ONCE])
        with logged_change(connection, approvals, here, at=at, actor=actor):
            connection.execute(update(approvals).where(here).values(state=state))
    return len(ids)


def _check_voter(asked: Approval, actor: str, names: frozenset[str]) -> None:
    if asked.state != "pending":
        raise Conflict(
            f"approval {asked.id[:12]} is {asked.state}, it does not wait any more",
            remedy="The agent asks again if it still wants the call: `pilothouse approve list`.",
            subject=asked.id,
        )
    if actor not in asked.approvers:
        raise Denied(
            f"{actor} is no approver of {asked.tool}",
            remedy=f"Ask {', '.join(asked.approvers) or 'the owner'}; `approvers` of the tool stands in the charter.",
            subject=asked.id,
        )
    if asked.effect == "irreversible" and not names.isdisjoint(forms_of(asked.requester)):
        raise Denied(
            f"{actor} asked for this call, and nobody approves an irreversible call of their own",
            remedy="Somebody else answers: `pilothouse approve list`.",
            subject=asked.id,
        )
    if any(vote.actor == actor for vote in asked.votes):
        raise Denied(
            f"{actor} has answered this one already, and two persons must agree",
            remedy="A second person answers: `pilothouse approve list`.",
            subject=asked.id,
        )


def forget_requester(connection: Connection, person: str, at: datetime, actor: str) -> int:
    """Erase a person's name and arguments from every approval that they requested, and return how many; pending ones become void.

    Args:
        connection: A transaction that writes.
        person: The person, as tasks name their requester.
        at: When.
        actor: Who erases.
    """
    rows = connection.execute(select(approvals).where(approvals.c.requester == person)).all()
    for row in rows:
        document = json.loads(row.document)
        document["arguments"] = [
            {**one, "value": f'"{FORGOTTEN}"', "source": None} for one in document["arguments"]
        ]
        state = "void" if row.state in ("pending", "approved") else row.state
        here = approvals.c.id == row.id
        with logged_change(connection, approvals, here, at=at, actor=actor):
            connection.execute(
                update(approvals)
                .where(here)
                .values(
                    requester=FORGOTTEN,
                    state=state,
                    document=canonical_json(document),
                    call_digest=f"{FORGOTTEN} {row.id}"[:64],
                    salt=fresh_salt(),
                )
            )
    return len(rows)


def _row(connection: Connection, approval: str) -> Row[Any] | None:
    if not approval or not all(sign in "0123456789abcdef" for sign in approval):
        return None
    rows = connection.execute(select(approvals).where(approvals.c.id.startswith(approval)).limit(2)).all()
    return rows[0] if len(rows) == 1 else None


def _approval(connection: Connection, row: Row[Any] | None, now: datetime) -> Approval:
    assert row is not None  # noqa: S101 - callers read it in the same transaction
    votes = connection.execute(
        select(approval_votes).where(approval_votes.c.approval == row.id).order_by(approval_votes.c.at_us)
    )
    document = json.loads(row.document)
    lapsed = row.state in ("pending", "approved") and row.expires_us <= to_micros(now)
    return Approval(
        id=row.id,
        call_digest=row.call_digest,
        agent=row.agent,
        tool=row.tool,
        run=row.run,
        task_type=document["task_type"],
        requester=row.requester,
        effect=document["effect"],
        arguments=tuple(
            ShownArgument(
                name=one["name"],
                value=one["value"],
                role=one["role"],
                origins=tuple(one["origins"]),
                source=one["source"],
                personal=tuple(one.get("personal", ())),  # none in a document of before
            )
            for one in document["arguments"]
        ),
        failed=tuple(document["failed"]),
        tainted=document["tainted"],
        policy=row.policy,
        approvers=tuple(document["approvers"]),
        needs=row.needs,
        state="expired" if lapsed else row.state,
        asked_at=from_micros(row.asked_us),
        expires_at=from_micros(row.expires_us),
        votes=tuple(
            Vote(actor=vote.actor, allows=bool(vote.allows), at=from_micros(vote.at_us)) for vote in votes
        ),
        is_canary=bool(row.canary),
    )


def _record(actor: str, rows: Sequence[Row[Any]]) -> ApproverRecord:
    times_s = [(row.at_us - row.asked_us) / 1e6 for row in rows]
    canaries = [row for row in rows if row.canary]
    return ApproverRecord(
        actor=actor,
        answered=len(rows),
        allowed=sum(row.allows for row in rows),
        median_s=statistics.median(times_s),
        under_3_s=sum(time_s < 3 for time_s in times_s),
        canaries=len(canaries),
        caught=sum(not row.allows for row in canaries),
    )
