# SPDX-License-Identifier: Apache-2.0
"""A versioned set of cases in a folder: `manifest.toml` and JSON lines, read with every problem named at once."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pilothouse.core.charter.digest import canonical_digest
from pilothouse.durable_file import replace_file
from pilothouse.errors import DigestMismatch, MalformedRecord, Place, UsageError
from pilothouse.evals.case import Case
from pilothouse.schemas.strict_json import strict_json

__all__ = [
    "MANIFEST",
    "Dataset",
    "DatasetDiff",
    "Manifest",
    "dataset_hash",
    "diff_datasets",
    "load_dataset",
    "read_cases",
    "read_manifest",
    "write_cases",
    "write_dataset",
]

MANIFEST: Final = "manifest.toml"
"""Name of the file that says what a dataset is."""
CASES: Final = "cases.jsonl"

FINDINGS_MAX = 10
"""Problems shown at once; who has more has one problem that repeats."""

LINE_BYTES_MAX = 4 * 1024 * 1024
"""A case with its expectation and label; the input itself is limited to 1 MiB."""

CASES_MAX = 1_000_000
"""Cases of one dataset that one process reads; no gate needs more."""

BARE_TASK_TYPE: Final = "task"
"""Task type of a case in a plain file that names none."""

Redaction = Literal["done", "not_needed", "unknown"]


class Manifest(BaseModel):
    """What a dataset says about itself.

    Attributes:
        name: Name of the dataset.
        version: Semantic version; a published one is never edited.
        sha256: Hash of the cases of this version.
        owner: Who answers for it.
        licence: Under what terms it may be used.
        population: In words, what the cases stand for.
        min_effective_n: Least effective number of cases by task type.
        canary: Text that must occur in no prompt and no few-shot library, or empty.
        redaction: Whether personal data were removed.
        redacted_by: By whom.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    owner: str = ""
    licence: str = ""
    population: str = ""
    min_effective_n: dict[str, int] = Field(default_factory=dict)
    canary: str = ""
    redaction: Redaction = "unknown"
    redacted_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A version of a set of cases, in file order.

    Attributes:
        path: Folder or file it was read from.
        manifest: What it says about itself.
        cases: Every case of every split.
    """

    path: Path
    manifest: Manifest
    cases: tuple[Case, ...]

    @property
    def digest(self) -> str:
        """Hash over ids, inputs and expectations; what evidence binds to."""
        return self.manifest.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDiff:
    """What changed from one version of a dataset to another, as case ids in order.

    Attributes:
        added: Only in the later one.
        removed: Only in the earlier one.
        input_changed: The agent must run again.
        expectation_changed: Stored outputs must be scored again.
        kept_share: Share of the earlier cases with the same input in the later one.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    input_changed: tuple[str, ...]
    expectation_changed: tuple[str, ...]
    kept_share: float


def dataset_hash(cases: Iterable[Case]) -> str:
    """Return the hash of a set of cases; the order of lines does not matter.

    Example:
        >>> one, two = (Case(id=i, task_type="t", input=i) for i in ("a", "b"))
        >>> dataset_hash([one, two]) == dataset_hash([two, one])
        True
    """
    lines = sorted(f"{case.id}:{case.case_hash}" for case in cases)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_cases(files: Sequence[Path], *, is_bare: bool, task_type: str = BARE_TASK_TYPE) -> tuple[Case, ...]:
    """Read case files and name every bad line at once.

    The same case in another file is the same case: whoever was killed while several files became one left both.

    Args:
        files: JSON-lines files.
        is_bare: Whether lines may leave out `id` (taken from the input's hash) and `task_type`.
        task_type: What a line is of that leaves its type out.

    Returns:
        Cases in file order.

    Raises:
        MalformedRecord: Lines that are no cases, or ids that occur twice; the first 10, with file and line.
    """
    findings: list[tuple[Place, str]] = []
    cases: list[Case] = []
    seen: dict[str, tuple[Place, Case]] = {}
    for path in files:
        with path.open("rb") as lines:
            for number, raw in enumerate(_bounded(lines), start=1):
                place = Place(str(path), number)
                if not raw.strip():
                    continue
                case = _parse_line(raw, is_bare=is_bare, task_type=task_type)
                if isinstance(case, str):
                    findings.append((place, case))
                elif case.id in seen:
                    first, known = seen[case.id]
                    if first.file == place.file or known != case:
                        findings.append((place, f"id {case.id!r} already stands at {first}"))
                else:
                    seen[case.id] = (place, case)
                    cases.append(case)
                if len(cases) > CASES_MAX:
                    raise MalformedRecord(
                        f"more than {CASES_MAX} cases", remedy="Split the dataset by task type.", place=place
                    )
    if findings:
        raise _all_at_once(findings)
    return tuple(cases)


def load_dataset(path: Path) -> Dataset:
    """Read a dataset folder, or a plain JSON-lines file as an unpublished dataset.

    Args:
        path: Folder with a manifest, or one `.jsonl` file.

    Returns:
        The dataset, its hash recomputed from the cases.

    Raises:
        UsageError: Nothing is there.
        MalformedRecord: Bad lines or a bad manifest.
        DigestMismatch: Cases were edited under a published version.
    """
    if path.is_file():
        cases = read_cases([path], is_bare=True)
        manifest = Manifest(name=path.stem, version="0.0.0", sha256=dataset_hash(cases))
        return Dataset(path=path, manifest=manifest, cases=cases)
    if not (path / MANIFEST).is_file():
        raise UsageError(
            f"{str(path)!r} is a folder without {MANIFEST}"
            if path.is_dir()
            else f"there is no dataset {str(path)!r}",
            remedy=f"Make one: `pilothouse dataset add {path} CASES.jsonl`.",
            subject=str(path),
        )
    manifest = read_manifest(path / MANIFEST)
    cases = read_cases(sorted(path.glob("*.jsonl")), is_bare=False)
    found = dataset_hash(cases)
    if found != manifest.sha256:
        raise DigestMismatch(
            f"cases were edited under version {manifest.version}: published {manifest.sha256[:12]}, found {found[:12]}.",
            remedy=f"Publish the edit as a new version: `pilothouse dataset add {path}`.",
            subject=manifest.name,
            place=Place(str(path / MANIFEST)),
        )
    return Dataset(path=path, manifest=manifest, cases=cases)


def write_dataset(path: Path, manifest: Manifest, cases: Sequence[Case]) -> Dataset:
    """Write a folder with these cases under a manifest whose hash is recomputed.

    Args:
        path: Folder; made if it is missing. Its case files are replaced by one.
        manifest: Everything but the hash.
        cases: Cases in the order they should stand in.

    Returns:
        The dataset as it now stands on disk.
    """
    path.mkdir(parents=True, exist_ok=True)
    settled = manifest.model_copy(update={"sha256": dataset_hash(cases)})
    # The new file first: whenever this is killed, each case still stands in a file that is read.
    write_cases(path / CASES, cases)
    for old in path.glob("*.jsonl"):
        if old.name != CASES:
            old.unlink()
    replace_file(path / MANIFEST, _toml(settled).encode())
    return Dataset(path=path, manifest=settled, cases=tuple(cases))


def write_cases(path: Path, cases: Iterable[Case]) -> None:
    """Write cases as JSON lines.

    Args:
        path: File to write; an earlier one is replaced.
        cases: Cases in the order they should stand in.
    """
    replace_file(path, "".join(_line(case) for case in cases).encode())


def diff_datasets(before: Sequence[Case], after: Sequence[Case]) -> DatasetDiff:
    """Compare two versions case by case.

    Example:
        >>> a = Case(id="a", task_type="t", input=1, expected=1)
        >>> diff_datasets([a], [a.model_copy(update={"expected": 2})]).expectation_changed
        ('a',)
    """
    old = {case.id: case for case in before}
    new = {case.id: case for case in after}
    both = [name for name in old if name in new]
    same_input = {case.input_hash for case in after}
    kept = sum(case.input_hash in same_input for case in before)
    return DatasetDiff(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        input_changed=tuple(name for name in both if old[name].input_hash != new[name].input_hash),
        expectation_changed=tuple(
            name
            for name in both
            if old[name].input_hash == new[name].input_hash and old[name].case_hash != new[name].case_hash
        ),
        kept_share=kept / len(before) if before else 1.0,
    )


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long no more than shows it."""
    while raw := file.readline(LINE_BYTES_MAX + 1):
        yield raw
        while len(raw) > LINE_BYTES_MAX and not raw.endswith(b"\n"):
            raw = file.readline(LINE_BYTES_MAX + 1)


def _parse_line(raw: bytes, *, is_bare: bool, task_type: str) -> Case | str:
    """Return the case of one line, or what is wrong with it."""
    if len(raw) > LINE_BYTES_MAX:
        return f"line has more than {LINE_BYTES_MAX} bytes"
    try:
        fields = strict_json(raw.decode("utf-8-sig"))
        if not isinstance(fields, dict):
            return "line is no JSON object"
        if is_bare and "input" in fields:
            fields.setdefault("task_type", task_type)
            fields.setdefault("id", canonical_digest(fields["input"])[:16])
        case = Case.model_validate(fields)
        _ = case.case_hash  # hash now: a value without canonical form is a finding of this line
    except ValidationError as error:
        return "; ".join(_in_words(one) for one in error.errors())
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return case


def _in_words(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown field {where!r}"
    if error["type"] == "missing":
        return f"field {where!r} is missing"
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _all_at_once(findings: list[tuple[Place, str]]) -> MalformedRecord:
    shown = [f"\n  {place.file}:{place.line}: {text}" for place, text in findings[:FINDINGS_MAX]]
    more = f"\n  and {len(findings) - FINDINGS_MAX} more" if len(findings) > FINDINGS_MAX else ""
    count = f"{len(findings)} bad line{'s' if len(findings) > 1 else ''}; nothing was run."
    return MalformedRecord(
        count + "".join(shown) + more + "\n ",
        remedy="Correct them and run the same command again.",
        place=findings[0][0],
    )


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file.

    Raises:
        MalformedRecord: It is no manifest.
    """
    try:
        return Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = str(error)
    except ValidationError as error:
        problem = "; ".join(_in_words(one) for one in error.errors())
    raise MalformedRecord(
        f"bad manifest: {problem}.",
        remedy=f"Correct it, or remove it and publish the cases anew: `pilothouse dataset add {path.parent}`.",
        place=Place(str(path)),
    )


def _line(case: Case) -> str:
    fields = case.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(fields, ensure_ascii=False, sort_keys=False) + "\n"


def _toml(manifest: Manifest) -> str:
    """Write the manifest; JSON strings are TOML basic strings, and these are all the types it has."""
    fields = manifest.model_dump(mode="json")
    tables = {name: value for name, value in fields.items() if isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{json.dumps(key)} = {value}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
