# SPDX-License-Identifier: Apache-2.0
"""Labels of people in the small world of the pages, and the desk that curates them."""

from __future__ import annotations

from datetime import timedelta

import page_world as world

from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.feedback import SqlFeedback
from pilothouse.ledger.few_shot_index import FewShotIndex
from pilothouse.workflows.curation.curation_desk import CurationDesk
from pilothouse.workflows.curation.erasure import Forgotten
from pilothouse.workflows.review.queue import rubric_of

QUESTION = "question number {n} about topic {n} and supplier {n}"
SHADES = ("steel", "paper", "travel", "rent")


def add_items(queue, count, *, text=QUESTION, output="team {n}", name="i", source=ReviewSource.SAMPLED):
    """Add items whose texts are made from their number."""
    queue.add(
        [
            ReviewItem(
                item_id=f"{name}{n}",
                agent=world.AGENT,
                task_type="po_invoice",
                trace_id=f"{n:032x}",
                source=source,
                why="drawn",
                input=text.format(n=n, shade=SHADES[n % 4]),
                proposal=output.format(n=n, shade=SHADES[n % 4]),
                call_digest="c",
                created_at=world.NOW,
                due_at=world.NOW + timedelta(days=5),
            )
            for n in range(count)
        ]
    )


def add_labels(site, count, *, answer=Answer.ACCEPT, correction=None, name="i", by="lee", **texts):
    """Add items that one person has answered by the rubric in force."""
    rubric = rubric_of(site.sign_in.directory.charter(world.AGENT), "po_invoice").digest
    add_items(site.queue, count, name=name, **texts)
    for n in range(count):
        site.queue.answer(
            Label(
                item_id=f"{name}{n}",
                agent=world.AGENT,
                reviewer=by,
                answer=answer,
                correction=None if correction is None else correction.format(n=n),
                rubric=rubric,
                at=world.NOW,
            )
        )


def curation_desk(site):
    """Return the desk over a site's ledger."""
    database = site.ledger.database
    return CurationDesk(
        queue=site.queue,
        store=SqlCuration(database),
        index=FewShotIndex,
        said=SqlFeedback(database),
        ledger=site.ledger,
        directory=site.sign_in.directory,
        clock=site.clock,
        lake=site.installation.lake,
        forget=lambda _subject, traces, _actor: Forgotten(rows=len(traces), runs=0, results=0),
    )
