# SPDX-License-Identifier: Apache-2.0
"""Ask a verifier about a task, whatever it does: answer, raise, answer nonsense, or never return."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from pilothouse.core.charter.secrets import redacted, without_credentials
from pilothouse.core.evidence.outcome import Finding, OutcomeStatus
from pilothouse.core.evidence.task import Task

__all__ = ["ABANDONED_MAX", "Answer", "Asker", "abandoned_calls", "parse_finding"]

ABANDONED_MAX = 8
"""Calls of one verifier that may hang at the same time; a thread cannot be ended from outside, so beyond this it is not called
until one of them returns. Others are: a system that sends a byte now and then keeps its own claims waiting and no one else's."""

ABANDONED_IN_ALL_MAX = 64
"""Calls of one process that may hang at the same time."""

FOUND_CHARACTERS_MAX = 500
"""Length of what a finding says: one sentence, not the record itself."""

CRITICAL_CHARACTERS_MAX = 64
"""Length of a critical mistake's id, as the charter has it."""

THREAD = "pilothouse-verifier"
ABANDONED = "pilothouse-verifier-abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking once.

    Attributes:
        finding: What the verifier found, or None when it gave no usable answer.
        problem: Why there is none; empty when there is one.
        broken: Whether the verifier broke its contract (wrong type), which asking again will not cure.
        timed_out: Whether it hangs.
        refused: Whether it was not asked at all, because too many earlier calls hang.
    """

    finding: Finding | None
    problem: str = ""
    broken: bool = False
    timed_out: bool = False
    refused: bool = False


def parse_finding(value: object) -> Finding | None:
    """Read what a verifier returned.

    Args:
        value: A `Finding`, an `OutcomeStatus`, its name as text, or a bool (true means verified).

    Returns:
        The finding, with texts as a ledger can keep them and cut to their limits, or None when it is nothing of these.

    Example:
        >>> parse_finding(False).status.value, parse_finding("Verified").status.value, parse_finding(1)
        ('contradicted', 'verified', None)
    """
    if isinstance(value, bool):
        return Finding(status=OutcomeStatus.VERIFIED if value else OutcomeStatus.CONTRADICTED)
    if isinstance(value, str):
        names = {status.value: status for status in OutcomeStatus}
        status = names.get(value.strip().lower())
        return None if status is None else Finding(status=status)
    if not isinstance(value, Finding) or not isinstance(value.found, str):
        return None
    named = parse_finding(value.status) if isinstance(value.status, str) else None
    if named is None or not (value.critical is None or isinstance(value.critical, str)):
        return None
    return Finding(
        status=named.status,
        found=redacted(_keepable(value.found))[:FOUND_CHARACTERS_MAX],
        critical=_keepable(value.critical)[:CRITICAL_CHARACTERS_MAX] if value.critical else None,
    )


def _keepable(text: str) -> str:
    """Return a text that every ledger can keep: a record of fixed width ends in NULs, and JSON of others holds half characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def abandoned_calls(name: str | None = None) -> int:
    """Return how many calls of this process still hang.

    Args:
        name: Only those to the verifier of this name; None for all.
    """
    hanging = [thread.name for thread in threading.enumerate() if thread.name.startswith(ABANDONED)]
    return len(hanging) if name is None else hanging.count(f"{ABANDONED} {name}")


class Asker:
    """Asks one verifier, in a thread of its own so that a call that hangs can be left behind.

    All calls come from the same thread until one hangs, so a verifier may keep a connection.

    Args:
        ask: The verifier.
        timeout_s: How long one call may take, seconds.
        name: Whose calls that hang are counted with these.
    """

    def __init__(self, ask: Callable[[Task], object], timeout_s: float, *, name: str = "") -> None:
        self._ask = ask
        self._timeout_s = timeout_s
        self._name = name
        self._worker: _Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.end()

    def ask(self, task: Task) -> Answer:
        """Ask about one task; never raises what the verifier raises."""
        if self._worker is None:
            own, in_all = abandoned_calls(self._name), abandoned_calls()
            if own >= ABANDONED_MAX or in_all >= ABANDONED_IN_ALL_MAX:
                return Answer(
                    finding=None,
                    problem=f"{in_all if own < ABANDONED_MAX else own} earlier calls still hang; nothing more is asked",
                    refused=True,
                )
            self._worker = _Worker(self._ask)
        try:
            returned = self._worker.call(task, self._timeout_s)
        except Empty:
            self._worker.abandon(self._name)
            self._worker = None
            return Answer(finding=None, problem=f"no answer within {self._timeout_s:g} s", timed_out=True)
        if isinstance(returned, _Raised):
            return Answer(finding=None, problem=returned.text)
        finding = parse_finding(returned)
        if finding is None:
            return Answer(
                finding=None,
                problem=f"it returned {type(returned).__name__}, not a Finding",
                broken=True,
            )
        return Answer(finding=finding)


@dataclass(frozen=True, slots=True)
class _Raised:
    text: str


class _Worker:
    def __init__(self, ask: Callable[[Task], object]) -> None:
        self._ask = ask
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._answers: SimpleQueue[object] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=THREAD, daemon=True)
        self._thread.start()

    def call(self, task: Task, timeout_s: float) -> object:
        self._tasks.put(task)
        return self._answers.get(timeout=timeout_s)

    def end(self) -> None:
        self._tasks.put(None)

    def abandon(self, name: str) -> None:
        self._thread.name = f"{ABANDONED} {name}"
        self._tasks.put(None)

    def _loop(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                answer = self._ask(task)
            except BaseException as error:  # noqa: BLE001 - a verifier's SystemExit must not end the worker unnoticed
                answer = _Raised(f"{type(error).__name__}: {_first_line(error)}".rstrip(": "))
            self._answers.put(answer)


def _first_line(error: BaseException) -> str:
    """Return what may be shown of an error: a message may quote the record it was about, and the address with its key."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error whose words fail would end the thread, and look like a call that hangs
        return ""
    line = (text[: 2 * FOUND_CHARACTERS_MAX].splitlines() or [""])[0]
    return without_credentials(_keepable(line))[:FOUND_CHARACTERS_MAX]
