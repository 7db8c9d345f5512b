# SPDX-License-Identifier: Apache-2.0
"""Write chat rows for fine-tuning from trusted answers, with where each comes from and on what ground."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import LimitExceeded, UnknownName, UsageError
from pilothouse.evals.case import Case, Split
from pilothouse.ports.curation import CurationStore
from pilothouse.ports.review import ReviewQueue
from pilothouse.runtime.provenance.personal import personal_kinds
from pilothouse.workflows.curation.few_shot_library import near_judging
from pilothouse.workflows.curation.lineage import link_made
from pilothouse.workflows.curation.training_folder import FILES, digest_of, prepared_export
from pilothouse.workflows.review.trusted_labels import trusted_labels

__all__ = ["LAYOUTS", "Export", "export_rows"]

ROWS_MIN, ROWS_MAX = 500, 2_000
"""Rows of a fine-tuning file: below, a tuned model learns the few rows by heart; above, it learns no more."""

VALIDATION_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was written.

    Attributes:
        digest: Names the export in the lineage.
        train: Rows to train.
        validation: Rows to validate.
        personal: Answers left out because they hold personal data.
        leaking: Answers left out because a case that judges is nearly the same; None where no dataset was there to look at.
        repeated: Answers left out because a newer one has nearly the same input.
    """

    digest: str
    train: int
    validation: int
    personal: int
    leaking: int | None
    repeated: int


def _openai(system: str, given: str, right: str) -> dict[str, Any]:
    turns = [("system", system), ("user", given), ("assistant", right)]
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def _claude(system: str, given: str, right: str) -> dict[str, Any]:
    turns = [("user", given), ("assistant", right)]
    return {"system": system, "messages": [{"role": role, "content": text} for role, text in turns]}


def _gemini(system: str, given: str, right: str) -> dict[str, Any]:
    def turn(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "parts": [{"text": text}]}

    return {
        "systemInstruction": turn("system", system),
        "contents": [turn("user", given), turn("model", right)],
    }


LAYOUTS: Mapping[str, Callable[[str, str, str], dict[str, Any]]] = {
    "openai": _openai,
    "claude": _claude,
    "gemini": _gemini,
}
"""How providers write a talk: OpenAI's lines, which Azure, Mistral, Together and most open trainers read too, Claude's on
Bedrock, and Gemini's."""


def export_rows(
    queue: ReviewQueue,
    store: CurationStore,
    charter: Charter,
    folder: Path,
    *,
    tested: Sequence[Case] | None,
    now: datetime,
    consent: str,
    layout: str = "openai",
) -> Export:
    """Write chat JSON lines for fine-tuning: train and validation apart, with where each row comes from.

    Args:
        queue: Items and answers.
        store: Keeps the lineage.
        charter: The charter in force.
        folder: New folder.
        tested: Cases that judge the agent, None where no dataset is there: a model that was trained on them would be judged
            by what it knows by heart.
        now: The moment.
        consent: On what ground these data may train a model; written beside them.
        layout: How the provider writes a talk, one of `LAYOUTS`.

    Raises:
        UsageError: No ground was given.
        UnknownName: No layout is called that.
        LimitExceeded: Fewer than 500 rows; says how many are missing.
    """
    if not consent.strip():
        raise UsageError(
            "on what ground may these data train a model?",
            remedy="Say it: `--consent 'contract of 2026-03-01, section 4'`; it is written beside the rows.",
        )
    if layout not in LAYOUTS:
        raise UnknownName.among("layout", layout, LAYOUTS, remedy="Leave `--layout` out for OpenAI's lines.")
    candidates = [
        one for one in trusted_labels(queue, charter, now) if one.has_input and one.split is Split.DEV
    ]
    candidates.sort(key=lambda one: one.label.at, reverse=True)
    leaking, repeated = near_judging(tested or (), [one.record.item.input for one in candidates])
    repeated -= leaking
    left_out = None if tested is None else len(leaking)
    learnable = [one for number, one in enumerate(candidates) if number not in leaking | repeated]
    clean = [one for one in learnable if not personal_kinds(f"{one.record.item.input}\n{one.output}")]
    personal = len(learnable) - len(clean)
    if len(clean) < ROWS_MIN:
        raise LimitExceeded(
            f"{len(clean):,} rows may be exported, {ROWS_MIN:,} are needed: {ROWS_MIN - len(clean):,} are missing "
            f"({personal:,} hold personal data, {len(leaking):,} are nearly cases that judge, {len(repeated):,} nearly repeat "
            "another, and labels of the gate are never trained on)",
            remedy="Label more outputs with `pilothouse review`; few-shot examples need 50: `pilothouse curate few-shot`.",
            subject=charter.agent,
        )
    chosen = clean[:ROWS_MAX]  # the newest
    system = known(charter.purpose) or charter.agent
    provenance = []
    files: dict[str, list[str]] = {name: [] for name in FILES}
    for one in chosen:
        item = one.record.item
        coin = hashlib.sha256(f"validation {item.input}".encode()).digest()[0] / 256
        name = "validation" if coin < VALIDATION_SHARE else "train"
        files[name].append(json.dumps(LAYOUTS[layout](system, item.input, one.output), ensure_ascii=False))
        provenance.append(
            {
                "file": name,
                "line": len(files[name]),
                "item": item.item_id,
                "trace": item.trace_id,
                "by": one.label.reviewer,
            }
        )
    about = {
        "agent": charter.agent,
        "made": now.isoformat(),
        "consent": consent.strip(),
        "layout": layout,
        "left_out_personal": personal,
        "left_out_leaking": left_out,
        "left_out_repeated": len(repeated),
    }
    with prepared_export(folder, files, {**about, "rows": provenance}) as text:
        digest = digest_of(text.encode())[:32]
        made = ((one.record.item.trace_id, one.record.item.item_id, f"export:{digest}") for one in chosen)
        # Rows that nobody can find again would be worse than a trail that ends before its rows.
        link_made(store, charter.agent, made, now)
    return Export(
        digest=digest,
        train=len(files["train"]),
        validation=len(files["validation"]),
        personal=personal,
        leaking=left_out,
        repeated=len(repeated),
    )
