# SPDX-License-Identifier: Apache-2.0
"""Answers of an agent that people label: the input, the answer, and the verdicts and labels on it.

They are stored beside a dataset, outside its hash: a label never invalidates a trial.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pilothouse.core.charter.digest import canonical_digest
from pilothouse.durable_file import replace_file
from pilothouse.errors import MalformedRecord, Place

__all__ = [
    "ANSWERS_MAX",
    "Answer",
    "answer_id",
    "answers_file",
    "change_answers",
    "forget_answers",
    "labelling_order",
    "merge_answers",
    "read_answers",
]

ANSWERS_MAX: Final = 20_000
"""Answers of one file: a card needs 200 labels, drawn from what a release run answers."""


class Answer(BaseModel):
    """One answer with its labels and verdicts.

    Attributes:
        id: Digest of what was asked and what came back.
        case_id: Case it answers, or a trace id.
        task_type: Task type.
        input: What was asked.
        expected: What the case expects, or None.
        output: What came back.
        version: Version that answered, or empty.
        good: What the person said, or None before.
        by: Person id, with a label.
        at: When it was labelled.
        verdicts: What each judge said, by its identity; never shown to who labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    case_id: str
    task_type: str
    input: Any
    expected: Any = None
    output: Any
    version: str = ""
    good: bool | None = None
    by: str | None = None
    at: AwareDatetime | None = None
    verdicts: dict[str, bool] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill_id(cls, fields: Any) -> Any:
        """Compute the id of a row written by hand."""
        if isinstance(fields, dict) and "id" not in fields and {"input", "output"} <= set(fields):
            fields = {"case_id": "", "task_type": "task", **fields}
            fields["id"] = answer_id(fields["input"], fields["output"])
        return fields

    @model_validator(mode="after")
    def _check(self) -> Answer:
        if self.good is not None and not (self.by and self.at):
            raise ValueError("a label names who gave it (`by`) and when (`at`)")
        return self


def answer_id(asked: Any, output: Any) -> str:
    """Return the id of an answer, so that the same answer to the same input is labelled once.

    Example:
        >>> answer_id(1, "a") == answer_id(1, "a"), answer_id(1, "a") == answer_id(1, "b")
        (True, False)
    """
    return canonical_digest({"input": asked, "output": output})[:16]


def answers_file(dataset: Path) -> Path:
    """Return the path of a dataset's answers: inside its folder, or next to its file.

    Example:
        >>> answers_file(Path("cases.jsonl")).name
        'cases.answers.jsonl'
    """
    if dataset.suffix == ".jsonl":
        return dataset.with_name(f"{dataset.stem}.answers.jsonl")
    return dataset / "labels" / "answers.jsonl"


def read_answers(path: Path) -> tuple[Answer, ...]:
    """Read a file of answers; a missing file holds none.

    Args:
        path: JSON-lines file.

    Raises:
        MalformedRecord: A line is no answer, or there are too many.
    """
    if not path.is_file():
        return ()
    found: list[Answer] = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found.append(Answer.model_validate(json.loads(line)))
            except (ValidationError, ValueError) as error:
                first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
                raise MalformedRecord(
                    f"no answer: {first}.",
                    remedy='Write {"input": ..., "output": ..., "good": true, "by": "PERSON", "at": "TIME"}.',
                    place=Place(str(path), number),
                ) from error
            if len(found) > ANSWERS_MAX:
                raise MalformedRecord(
                    f"more than {ANSWERS_MAX} answers.",
                    remedy="Keep a random part of them; a card needs 200 labels.",
                    place=Place(str(path), number),
                )
    return tuple(found)


def change_answers(path: Path, changed: Iterable[Answer]) -> tuple[Answer, ...]:
    """Merge answers into a file under its lock; labels and verdicts that others added meanwhile are kept.

    Args:
        path: JSON-lines file; its folder is made.
        changed: New answers, and those with a new label or verdict.

    Returns:
        What the file holds now.
    """
    with _alone_with(path):
        found = {one.id: one for one in read_answers(path)}
        for one in changed:
            found[one.id] = _joined(found[one.id], one) if one.id in found else one
        _write(path, found.values())
    return tuple(found.values())


def forget_answers(path: Path, is_meant: Callable[[Answer], bool]) -> int:
    """Remove answers from a file and return how many there were; a missing file holds none."""
    if not path.is_file():
        return 0
    with _alone_with(path):
        found = read_answers(path)
        kept = [one for one in found if not is_meant(one)]
        if len(kept) < len(found):
            _write(path, kept)
    return len(found) - len(kept)


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Lock the file exclusively; the kernel releases the lock of a process that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _joined(known: Answer, changed: Answer) -> Answer:
    """Return an answer with the verdicts of both, and with the newer label."""
    newer = max((known, changed), key=lambda one: one.at.timestamp() if one.at is not None else 0.0)
    label = {name: getattr(newer, name) for name in ("good", "by", "at")}
    return known.model_copy(update={**label, "verdicts": {**known.verdicts, **changed.verdicts}})


def _write(path: Path, answers: Iterable[Answer]) -> None:
    """Replace a file of answers atomically, so that a killed session loses no earlier label."""
    rows = (one.model_dump(mode="json", exclude_defaults=True) for one in answers)
    replace_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def merge_answers(known: Sequence[Answer], fresh: Iterable[Answer]) -> tuple[Answer, ...]:
    """Merge answers: existing labels and verdicts stay, and new verdicts are added."""
    by_id = {one.id: one for one in known}
    for one in fresh:
        by_id[one.id] = _joined(by_id[one.id], one) if one.id in by_id else one
    return tuple(by_id.values())


def labelling_order(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Order the unlabelled answers at random, with failed and passed verdicts equally likely to come next.

    Among 200 random answers of good quality are a dozen bad ones, which say almost nothing about how many a
    judge catches. Which side is next is drawn too: in turns, each place would tell the verdict.

    Args:
        answers: Answers on file; the verdicts are those of the judge that judged most of them.
    """
    names = [name for one in answers for name in one.verdicts]
    identity = max(sorted(set(names)), key=names.count, default=None)
    drawn = sorted(
        (one for one in answers if one.good is None),
        key=lambda one: hashlib.sha256(b"label:" + one.id.encode()).digest(),
    )
    failed = [one for one in drawn if identity and one.verdicts.get(identity) is False]
    others = [one for one in drawn if not (identity and one.verdicts.get(identity) is False)]
    mixed: list[Answer] = []
    while failed and others:
        ids = f"side:{failed[0].id}{others[0].id}"
        side = failed if hashlib.sha256(ids.encode()).digest()[0] % 2 else others
        mixed.append(side.pop(0))
    return (*mixed, *failed, *others)
