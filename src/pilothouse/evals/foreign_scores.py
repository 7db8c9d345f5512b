# SPDX-License-Identifier: Apache-2.0
"""Scores of another harness: Inspect logs (`.eval`, JSON) and plain score files, as cases with values."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pilothouse.errors import MalformedRecord, Place, UsageError

__all__ = ["ForeignRun", "ForeignScore", "read_foreign_scores"]

SAMPLES_MAX: Final = 200_000
"""Samples of one log; beyond it the log is no evaluation set."""

SAMPLE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A sample holds whole conversations; a larger one is broken or an attack."""

LETTERS: Final = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Correct, incorrect, partial, no answer: as the library itself turns them into numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignScore:
    """One scored case.

    Attributes:
        case_id: Id in its dataset; repeats share it.
        repeat: Number of the repeat, from 0.
        task_type: Task type, or `task`.
        stratum: Free tag, or `all`.
        cluster: What makes it depend on others; its own id when the file names none.
        value: Goodness in [0, 1], or None without a score.
    """

    case_id: str
    repeat: int = 0
    task_type: str = "task"
    stratum: str = "all"
    cluster: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRun:
    """The scores of one file.

    Attributes:
        path: The file.
        harness: What wrote it: `inspect` or `scores`.
        scorer: Whose values they are.
        model: Model as the file names it, or None.
        scores: Scored cases, in file order.
    """

    path: Path
    harness: str
    scorer: str
    model: str | None
    scores: tuple[ForeignScore, ...]


def read_foreign_scores(path: Path, *, scorer: str | None = None) -> ForeignRun:
    """Read a file of another harness.

    Args:
        path: `.eval` or `.json` of Inspect, or JSON lines of `{"id", "value"}` with, if known, `repeat`,
            `task_type`, `stratum` and `cluster`.
        scorer: Which of its scorers, when it has several.

    Raises:
        UsageError: There is no such file, or it has several scorers and none was named.
        MalformedRecord: It is none of these.
    """
    if not path.is_file():
        raise UsageError(f"no file {str(path)!r}.", remedy="Give an Inspect log or a file of scores.")
    if path.suffix == ".eval":
        return _from_inspect(path, *_read_archive(path), scorer)
    if path.suffix == ".json":
        log = _parsed(path, path.read_bytes())
        samples = log.get("samples")
        if not isinstance(samples, list) or "eval" not in log:
            raise _malformed(path, "it has no `eval` and no `samples`, so it is no Inspect log")
        return _from_inspect(path, log, iter(samples), scorer)
    return _from_lines(path, scorer or "value")


def _read_archive(path: Path) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    try:
        archive = zipfile.ZipFile(path)
        names = [one for one in archive.namelist() if one.startswith("samples/") and one.endswith(".json")]
        header = _parsed(path, _member(archive, "header.json"))
    except (zipfile.BadZipFile, KeyError, NotImplementedError) as error:
        raise _malformed(path, f"it is no finished Inspect log ({error})") from error

    def samples() -> Iterator[dict[str, Any]]:
        with archive:
            for name in sorted(names):
                try:
                    yield _parsed(path, _member(archive, name))
                except (NotImplementedError, zipfile.BadZipFile) as error:
                    raise _malformed(path, f"{name} cannot be unpacked ({error})") from error

    return header, samples()


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > SAMPLE_BYTES_MAX:
        raise zipfile.BadZipFile(f"{name} is larger than {SAMPLE_BYTES_MAX} bytes")
    return archive.read(name)


def _from_inspect(
    path: Path, log: Mapping[str, Any], samples: Iterator[dict[str, Any]], scorer: str | None
) -> ForeignRun:
    about = log.get("eval")
    if not isinstance(about, dict):
        raise _malformed(path, "it has no `eval`, so it is no Inspect log")
    found: list[ForeignScore] = []
    chosen = scorer
    for sample in samples:
        if not isinstance(sample, dict):
            raise _malformed(path, "a sample is no JSON object")
        scores = sample.get("scores") or {}
        if not isinstance(scores, dict):
            raise _malformed(path, "the scores of a sample are no JSON object")
        if chosen is None and scores:
            if len(scores) > 1:
                raise UsageError(
                    f"the log has several scorers: {', '.join(sorted(scores))}.",
                    remedy="Say which: --metric NAME.",
                    subject=str(path),
                )
            chosen = next(iter(scores))
        score = scores.get(chosen) if chosen is not None else None
        found.append(
            ForeignScore(
                case_id=str(sample.get("id")),
                repeat=_repeat(path, sample.get("epoch", 1)) - 1,
                task_type=str(about.get("task", "task")),
                cluster=str(sample.get("id")),
                value=_goodness(path, score.get("value")) if isinstance(score, dict) else None,
            )
        )
        if len(found) > SAMPLES_MAX:
            raise _malformed(path, f"it has more than {SAMPLES_MAX} samples")
    model = about.get("model")
    return ForeignRun(
        path=path,
        harness="inspect",
        scorer=chosen or "",
        model=model if isinstance(model, str) else None,
        scores=_once(path, found),
    )


def _from_lines(path: Path, scorer: str) -> ForeignRun:
    found: list[ForeignScore] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        row = _parsed(path, line, number)
        if "id" not in row or scorer not in row:
            raise MalformedRecord(
                f"a row needs `id` and `{scorer}`.",
                remedy="Write one JSON object a line; null is a case without a score.",
                place=Place(str(path), number),
            )
        found.append(
            ForeignScore(
                case_id=str(row["id"]),
                repeat=_repeat(path, row.get("repeat", 0), number),
                task_type=str(row.get("task_type", "task")),
                stratum=str(row.get("stratum", "all")),
                cluster=str(row.get("cluster", row["id"])),
                value=_goodness(path, row[scorer], number),
            )
        )
        if len(found) > SAMPLES_MAX:
            raise _malformed(path, f"it has more than {SAMPLES_MAX} rows")
    return ForeignRun(path=path, harness="scores", scorer=scorer, model=None, scores=_once(path, found))


def _goodness(path: Path, value: Any, line: int | None = None) -> float | None:
    """Return a value in [0, 1]; anything else is no score, and never zero.

    A number beyond shows that the whole file is on another scale: of stars from 1 to 5, the worst would count as right.
    """
    if isinstance(value, str):
        return LETTERS.get(value)
    if not isinstance(value, bool | int | float) or (isinstance(value, float) and math.isnan(value)):
        return None
    if not 0.0 <= value <= 1.0:
        raise _malformed(path, f"value {value} is not from 0 to 1, so its values are on another scale", line)
    return float(value)


def _once(path: Path, scores: list[ForeignScore]) -> tuple[ForeignScore, ...]:
    """Return the scores, refusing a case that occurs twice with the same repeat."""
    seen: set[tuple[str, int]] = set()
    for one in scores:
        if (one.case_id, one.repeat) in seen:
            raise _malformed(path, f"case {one.case_id!r}, repeat {one.repeat}, stands in it twice")
        seen.add((one.case_id, one.repeat))
    return tuple(scores)


def _repeat(path: Path, value: Any, line: int | None = None) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _malformed(path, f"{value!r} is no number of a repeat", line) from error


def _parsed(path: Path, body: bytes, line: int | None = None) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, f"it is no JSON ({error})", line) from error
    if not isinstance(found, dict):
        raise _malformed(path, "it is no JSON object", line)
    return found


def _malformed(path: Path, problem: str, line: int | None = None) -> MalformedRecord:
    return MalformedRecord(
        f"{path.name}: {problem}.",
        remedy="Give an Inspect log (`inspect log convert --to json` unpacks one) or JSON lines of id and value.",
        place=Place(str(path), line or 1),
    )
