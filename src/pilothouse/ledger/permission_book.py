# SPDX-License-Identifier: Apache-2.0
"""`ports.PermissionBook` on the ledger: budget, approval and audit record of a call in one transaction."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ledger.approval_tables import approvals
from pilothouse.ledger.approvals import expire, insert_approval, newest_for_call, put_state
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.schema import METADATA, decisions, from_micros, to_micros
from pilothouse.ledger.steady_clock import SteadyClock
from pilothouse.ledger.write_behind import WriteBehind
from pilothouse.ports.approvals import (
    APPROVALS_OPEN_MAX,
    BUDGET_DENIED,
    REFUSALS_TOLD_EVERY,
    Approval,
    CallProposal,
    ShownArgument,
    UsedSoFar,
)
from pilothouse.ports.audit import AuditEntry
from pilothouse.ports.permissions import PermissionDecision

__all__ = ["CANARY_EVERY", "SqlPermissionBook", "permission_uses"]

CANARY_EVERY = 50
"""One known-bad proposal among this many: enough to measure an approver, too few to wear them out."""

TASK_TYPE_CHARACTERS_MAX = 200

USES_KEPT = timedelta(days=3)
"""Counts of a day are of no use later; a task that runs longer begins a new count, which its day still bounds."""

permission_uses = Table(
    "permission_uses",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("tool", String(160), primary_key=True),
    Column("scope", String(80), primary_key=True),
    Column("what", String(64), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)
"""What was used of each budget: `run:ID` or `day:DATE`, calls (empty) or sums by argument."""


_Followed = tuple[CallProposal, PermissionDecision, datetime]
"""What a record that follows is made of."""


class SqlPermissionBook:
    """The book of one installation.

    Args:
        log: The audit log; its transaction carries everything else.
        clock: The time, which never goes back.
        canary_every: One known-bad proposal among this many; 0 for none.
    """

    def __init__(self, log: SqlAuditLog, clock: SteadyClock, *, canary_every: int = CANARY_EVERY) -> None:
        self._log = log
        self._clock = clock
        self._canary_every = canary_every
        self._forgot_on = date.min
        self._following: WriteBehind[_Followed] = WriteBehind(
            lambda group: log.append_all([_entry(*one) for one in group])
        )

    def settle(
        self, proposal: CallProposal, decide: Callable[[UsedSoFar], PermissionDecision]
    ) -> PermissionDecision:
        """Decide a call by what was used so far, consume budget or approval, and record the decision."""
        made: list[PermissionDecision] = []

        def work(connection: Connection) -> AuditEntry:
            made.clear()
            now = self._clock.now()
            decision = decide(_used(connection, proposal, now))
            if decision.decision == "ask":
                decision = self._asked(connection, proposal, decision, now)
            if decision.decision == "allow":
                _use(connection, proposal, now)
                self._forget_old_counts(connection, now)
            if decision.is_spent:
                _tell(connection, BUDGET_DENIED, proposal.call.agent, {"tool": proposal.call.tool}, now)
            made.append(decision)
            return _entry(proposal, decision, now)

        position = self._log.commit(work)
        return replace(made[-1], position=position)

    def follow(self, proposal: CallProposal, decision: PermissionDecision) -> bool:
        """Queue the record of an allowed read, which is written in the background within a second."""
        # The one text of a record that somebody else chooses freely; a record that is too long could not follow.
        if len(proposal.task_type) > TASK_TYPE_CHARACTERS_MAX:
            return False
        return self._following.take((proposal, decision, self._clock.now()))

    def close(self) -> None:
        """Write the queued records."""
        self._following.close()

    def note(self, kind: str, agent: str, document: Mapping[str, Any], *, tells: str | None = None) -> None:
        """Record an event that no call waits for; `tells` is the kind of the decision by which somebody is called."""

        def work(connection: Connection) -> AuditEntry:
            now = self._clock.now()
            if tells is not None:
                _tell(connection, tells, agent, document, now)
            return AuditEntry(kind=kind, agent=agent, actor="pilothouse", at=now, document=document)

        self._log.commit(work)

    def begin(self, agent: str, policy: str) -> None:
        """Void approvals that were asked for under another policy, and delete old counts."""

        def work(connection: Connection) -> AuditEntry:
            now = self._clock.now()
            lapsed = expire(connection, now)
            other = and_(
                approvals.c.agent == agent,
                approvals.c.state.in_(("pending", "approved")),
                approvals.c.policy != policy,
            )
            voided = put_state(connection, other, "void", at=now, actor="pilothouse")
            self._forget_old_counts(connection, now)
            return AuditEntry(
                kind="policy.in_force",
                agent=agent,
                actor="pilothouse",
                at=now,
                document={"policy": policy, "approvals_voided": voided, "approvals_expired": lapsed},
            )

        self._log.commit(work)

    def _forget_old_counts(self, connection: Connection, now: datetime) -> None:
        """Delete counts of past runs and days, once a day: a server runs for months, and every run leaves rows."""
        if self._forgot_on < now.date():
            connection.execute(
                delete(permission_uses).where(permission_uses.c.at_us < to_micros(now - USES_KEPT))
            )
            self._forgot_on = now.date()

    def _asked(
        self, connection: Connection, proposal: CallProposal, decision: PermissionDecision, now: datetime
    ) -> PermissionDecision:
        """Consume an approval of exactly this call, or ask for one."""
        known = newest_for_call(connection, proposal.call_digest, now)
        if known is not None and known.state == "approved":
            put_state(connection, approvals.c.id == known.id, "used", at=now, actor="pilothouse")
            return replace(
                decision, decision="allow", remedy="", approval=known.id, expires_at=known.expires_at
            )
        if known is not None and known.state == "pending":
            return replace(decision, approval=known.id, expires_at=known.expires_at)
        if known is not None and known.state == "rejected":
            return replace(
                decision,
                decision="deny",
                approval=known.id,
                remedy="A person refused this call. Do not repeat it; say what was refused.",
            )
        open_now = select(func.count()).where(
            approvals.c.state == "pending", approvals.c.expires_us > to_micros(now)
        )
        if (connection.execute(open_now).scalar() or 0) >= APPROVALS_OPEN_MAX:
            return replace(
                decision, decision="deny", remedy="Too many calls wait for people already. Try again later."
            )
        asked = _question(proposal, decision, now)
        insert_approval(connection, asked)
        if self._canary_every and secrets.randbelow(self._canary_every) == 0:
            canary = _canary_of(asked)
            if canary is not None:
                insert_approval(connection, canary)
        return replace(decision, approval=asked.id, expires_at=asked.expires_at)


def _tell(connection: Connection, kind: str, agent: str, document: Mapping[str, Any], now: datetime) -> None:
    """Put on record that a call was refused, unless the hour has such a record already."""
    newest = select(func.max(decisions.c.at_us)).where(decisions.c.agent == agent, decisions.c.kind == kind)
    at_us = connection.execute(newest).scalar()
    if at_us is None or now - from_micros(int(at_us)) >= REFUSALS_TOLD_EVERY:
        append_decision(connection, kind=kind, agent=agent, at=now, actor="pilothouse", document=document)


def _used(connection: Connection, proposal: CallProposal, now: datetime) -> UsedSoFar:
    run, day = _scopes(proposal, now)
    rows = connection.execute(
        select(permission_uses.c.scope, permission_uses.c.what, permission_uses.c.amount).where(
            permission_uses.c.agent == proposal.call.agent,
            permission_uses.c.tool == proposal.call.tool,
            permission_uses.c.scope.in_((run, day)),
        )
    )
    by_scope: dict[str, dict[str, int]] = {run: {}, day: {}}
    for row in rows:
        by_scope[row.scope][row.what] = row.amount
    return UsedSoFar(
        calls_task=by_scope[run].get("", 0),
        calls_day=by_scope[day].get("", 0),
        sums_task=by_scope[run],
        sums_day=by_scope[day],
    )


def _use(connection: Connection, proposal: CallProposal, now: datetime) -> None:
    call, at_us = proposal.call, to_micros(now)
    for scope in _scopes(proposal, now):
        for what, amount in (("", 1), *proposal.amounts.items()):
            key = (
                (permission_uses.c.agent == call.agent)
                & (permission_uses.c.tool == call.tool)
                & (permission_uses.c.scope == scope)
                & (permission_uses.c.what == what)
            )
            done = connection.execute(
                update(permission_uses)
                .where(key)
                .values(amount=permission_uses.c.amount + amount, at_us=at_us)
            )
            if not done.rowcount:
                connection.execute(
                    insert(permission_uses).values(
                        agent=call.agent, tool=call.tool, scope=scope, what=what, amount=amount, at_us=at_us
                    )
                )


def _scopes(proposal: CallProposal, now: datetime) -> tuple[str, str]:
    return f"run:{proposal.call.run}"[:80], f"day:{now:%Y-%m-%d}"


def _entry(proposal: CallProposal, decision: PermissionDecision, now: datetime) -> AuditEntry:
    call = proposal.call
    return AuditEntry(
        kind="call.decided",
        agent=call.agent,
        # Whose task it was is said by the subject of the payload, which can be erased; a record never can.
        actor="requester" if proposal.requester else "agent",
        at=now,
        document={
            "decision": decision.decision,
            "failed": list(decision.failed),
            "tool": call.tool,
            "effect": call.effect,
            "contract": call.contract,
            "version": call.version,
            "run": call.run,
            "span": call.span_id,
            "task_type": proposal.task_type,
            "opened_by": proposal.opened_by,
            "tainted": decision.tainted,
            "origins": {one.name: list(one.origins) for one in proposal.arguments},
            "approval": decision.approval,
            "policy": proposal.policy,
            "charter": proposal.charter,
        },
        # No digest of them stands in the document: few possible arguments can be guessed back from one.
        payloads={"arguments": canonical_json({one.name: one.value for one in proposal.arguments})},
        subject=proposal.requester or "unknown",
    )


def _question(proposal: CallProposal, decision: PermissionDecision, now: datetime) -> Approval:
    expires_at = now + timedelta(seconds=proposal.life_s)
    bound = canonical_json(
        {"call": proposal.call_digest, "expires": to_micros(expires_at), "nonce": secrets.token_hex(16)}
    )
    call = proposal.call
    return Approval(
        id=hashlib.sha256(bound.encode()).hexdigest(),
        call_digest=proposal.call_digest,
        agent=call.agent,
        tool=call.tool,
        run=call.run,
        task_type=proposal.task_type,
        requester=proposal.requester,
        effect=call.effect,
        arguments=proposal.arguments,
        failed=decision.failed,
        tainted=decision.tainted,
        policy=proposal.policy,
        approvers=proposal.approvers,
        needs=proposal.needs,
        state="pending",
        asked_at=now,
        expires_at=expires_at,
    )


def _canary_of(asked: Approval) -> Approval | None:
    """Return a known-bad variant of an approval request with an unknown target; None where the tool has no target."""
    target = next((one for one in asked.arguments if one.role == "target"), None)
    if target is None:
        return None
    strange = ShownArgument(
        name=target.name,
        value=_strange(target.value),
        role=target.role,
        origins=("field",),
        source=target.source or "result of the tool before",
    )
    ident = secrets.token_hex(32)
    return replace(
        asked,
        id=ident,
        call_digest=hashlib.sha256(ident.encode()).hexdigest(),
        run=secrets.token_hex(16),
        arguments=tuple(strange if one.name == target.name else one for one in asked.arguments),
        failed=(target.name,),
        tainted=True,
        is_canary=True,
    )


def _strange(value: str) -> str:
    """Return a different value of the same form: digits and letters shifted by one."""
    moved = {sign: chr(ord(sign) + 1) for sign in "abcdefghijklmnopqrstuvwxy012345678"}
    inside = value.strip('"')
    head, separator, tail = inside.partition("@")
    changed = "".join(moved.get(sign, sign) for sign in (tail or head))
    return f'"{head}{separator}{changed}"' if separator else f'"{changed}"'
