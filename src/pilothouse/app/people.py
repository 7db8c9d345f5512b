# SPDX-License-Identifier: Apache-2.0
"""Composes what people use: sign-in, the review queue and held outputs, over one ledger."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pilothouse.app.erasure import forgetting
from pilothouse.app.example_search import example_index
from pilothouse.app.opening import SystemClock, open_stores
from pilothouse.errors import StorageUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    from pilothouse.interfaces.http.feedback import App as ApiApp
    from pilothouse.interfaces.web.routing import Room
    from pilothouse.ledger.ledger import SqlLedger
    from pilothouse.settings import Settings
    from pilothouse.workflows.curation.curation_desk import CurationDesk
    from pilothouse.workflows.curation.knowledge_gaps import GapRoom
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.people.people import Directory
    from pilothouse.workflows.people.sign_in import SignIn
    from pilothouse.workflows.review.queue import Workbench
    from pilothouse.workflows.traces.feedback import Desk

__all__ = [
    "feedback_key",
    "open_curation",
    "open_gaps",
    "open_sign_in",
    "open_workbench",
    "people_api",
    "people_rooms",
    "review_ticks",
    "sign_in_of",
]

HOLDS_EVERY_S = 5.0
"""How soon a late hold is ended for the page; who asks for it learns at once in any case."""

LABELS_EVERY_S = 300.0
"""Labels are due in days: five minutes are soon enough, and a look costs one query."""

LABEL_EVIDENCE_EVERY_S = 3_600.0
"""A record for each hour: fresh beside a window of days, and few enough to read."""


def sign_in_of(settings: Settings, ledger: SqlLedger) -> SignIn:
    """Return sign-in over an opened ledger.

    Args:
        settings: Values in force; pages can be read without signing in where only this machine reaches them.
        ledger: The opened ledger.
    """
    from pilothouse.ledger.sessions import SqlSessions
    from pilothouse.workflows.people.people import Directory
    from pilothouse.workflows.people.sign_in import Proxy, SignIn

    proxy = (
        Proxy(header=settings.proxy_header, secret=settings.proxy_secret) if settings.proxy_header else None
    )
    return SignIn(
        SqlSessions(ledger.database),
        Directory(ledger),
        ledger,
        SystemClock(),
        open_reading=settings.is_loopback,
        proxy=proxy,
    )


def people_rooms(ledger: SqlLedger, sign_in: SignIn) -> tuple[Room, ...]:
    """Return the rooms in which people sign and review."""
    from pilothouse.interfaces.web.hand_out import HandOutRoom
    from pilothouse.interfaces.web.review import ReviewRoom
    from pilothouse.interfaces.web.signing import SigningRoom
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.review.hand_out import HandOut

    clock, directory = SystemClock(), sign_in.directory
    return (
        SigningRoom(ledger, directory, clock),
        ReviewRoom(_workbench_of(ledger, directory), clock),
        HandOutRoom(HandOut(SqlReviewQueue(ledger.database), directory, ledger), clock),
    )


def _workbench_of(ledger: SqlLedger, directory: Directory) -> Workbench:
    """Return the workbench of reviewers."""
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.review.queue import Workbench

    database = ledger.database
    return Workbench(SqlReviewQueue(database), SqlCuration(database), directory, SystemClock())


def review_ticks(installation: Installation, ledger: SqlLedger, directory: Directory) -> tuple[Tick, ...]:
    """Return the recurring work of review: late holds end, labels are drawn, labels become evidence.

    Args:
        installation: Opened lake and ledger.
        ledger: The same ledger, as its class.
        directory: Who people are.
    """
    from pilothouse.ledger.holds import SqlHolds
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.ground.background import Tick
    from pilothouse.workflows.labels.label_evidence import record_label_evidence, record_queue_evidence
    from pilothouse.workflows.labels.review_upkeep import hand_to_substitutes, reopen_by_rubric
    from pilothouse.workflows.review.label_sampling import draw_for_labels
    from pilothouse.workflows.traces.evaluation_feedback import Evaluations

    holds, queue = SqlHolds(ledger.database), SqlReviewQueue(ledger.database)
    evaluations = Evaluations(installation.lake, _desk(installation, ledger, directory))

    def draw(now: datetime) -> None:
        draw_for_labels(installation, queue, directory, now)
        reopen_by_rubric(queue, directory, now)
        hand_to_substitutes(installation.ledger, queue, directory, now)
        record_queue_evidence(installation, queue, directory, now)
        evaluations.take(now)

    def record(now: datetime) -> None:
        record_label_evidence(installation, queue, directory, now)

    return (
        Tick(name="holds", every_s=HOLDS_EVERY_S, run=holds.expire),
        Tick(name="labels", every_s=LABELS_EVERY_S, run=draw),
        Tick(name="label-evidence", every_s=LABEL_EVIDENCE_EVERY_S, run=record),
    )


@contextmanager
def open_sign_in(settings: Settings) -> Iterator[SignIn]:
    """Open sign-in for the time of a command."""
    from pilothouse.ledger.ledger import open_ledger

    with open_ledger(settings.ledger_url) as ledger:
        yield sign_in_of(settings, ledger)


@contextmanager
def open_workbench(settings: Settings) -> Iterator[Workbench]:
    """Open the review queue for the time of a command."""
    from pilothouse.ledger.ledger import open_ledger
    from pilothouse.workflows.people.people import Directory

    with open_ledger(settings.ledger_url) as ledger:
        yield _workbench_of(ledger, Directory(ledger))


def feedback_key(settings: Settings) -> str:
    """Return the feedback key of an installation, made when it is first asked for; only its owner may read it.

    Raises:
        StorageUnavailable: The file is empty.
    """
    from pilothouse.durable_file import made_once, private_folder

    path = settings.feedback_key_file
    private_folder(path.parent)
    key = made_once(path, f"{secrets.token_urlsafe(32)}\n".encode()).decode("ascii", "replace").strip()
    if not key:  # who sends no key at all would hold it
        raise StorageUnavailable(
            f"the feedback key in {str(path)!r} is empty",
            remedy=f"Remove that file, and a new key is made: `rm {path}`.",
            subject=str(path),
        )
    return key


def people_api(installation: Installation, ledger: SqlLedger, directory: Directory) -> ApiApp:
    """Return the routes under /api: feedback, its widget, and few-shot examples.

    Args:
        installation: Opened lake and ledger.
        ledger: The same ledger, as its class.
        directory: Who people are.
    """
    from pilothouse.interfaces.http.feedback import api_app
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.workflows.curation.few_shots import FewShots

    few_shots = FewShots(SqlCuration(ledger.database), example_index(installation.settings), SystemClock())
    return api_app(_desk(installation, ledger, directory), few_shots)


def _desk(installation: Installation, ledger: SqlLedger, directory: Directory) -> Desk:
    from pilothouse.ledger.feedback import SqlFeedback
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.traces.feedback import Desk

    return Desk(
        feedback_key(installation.settings),
        SqlFeedback(ledger.database),
        SqlReviewQueue(ledger.database),
        installation.lake,
        directory,
        clock=SystemClock(),
    )


@contextmanager
def open_curation(settings: Settings) -> Iterator[CurationDesk]:
    """Open the parts for curation and erasure for the time of a command."""
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.ledger.feedback import SqlFeedback
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.curation.curation_desk import CurationDesk
    from pilothouse.workflows.people.people import Directory

    with open_stores(settings) as (installation, ledger):
        yield CurationDesk(
            queue=SqlReviewQueue(ledger.database),
            store=SqlCuration(ledger.database),
            index=example_index(settings),
            said=SqlFeedback(ledger.database),
            ledger=ledger,
            directory=Directory(ledger),
            clock=SystemClock(),
            lake=installation.lake,
            forget=forgetting(settings, ledger),
        )


@contextmanager
def open_gaps(settings: Settings) -> Iterator[GapRoom]:
    """Open the parts for the audit of knowledge gaps for the time of a command."""
    from pilothouse.ledger.curation import SqlCuration
    from pilothouse.ledger.feedback import SqlFeedback
    from pilothouse.ledger.review_queue import SqlReviewQueue
    from pilothouse.workflows.curation.knowledge_gaps import GapRoom
    from pilothouse.workflows.people.people import Directory

    with open_stores(settings) as (installation, ledger):
        yield GapRoom(
            installation=installation,
            queue=SqlReviewQueue(ledger.database),
            store=SqlCuration(ledger.database),
            said=SqlFeedback(ledger.database),
            directory=Directory(ledger),
        )
