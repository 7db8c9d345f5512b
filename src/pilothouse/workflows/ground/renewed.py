# SPDX-License-Identifier: Apache-2.0
"""Something that stands in the ledger and must be known at once: kept in memory, renewed by a thread that nothing ends.

Pauses, keys and policies are asked about by every call. A ledger out of reach changes nothing of them: what held goes on
holding, and that it does is said once, because a person who pauses an agent meanwhile must hear that nobody obeys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pilothouse.errors import PilothouseError

__all__ = ["Renewed"]

T = TypeVar("T")

END_S = 10.0
"""How long a look that is under way may take when the thread is asked to end: a ledger's own patience ends it."""


class Renewed(Generic[T]):
    """A value in memory, at most a look old.

    Args:
        read: Reads it; called at once, and then in the thread.
        what: What it is, as a note says it, for example `pauses`.
        every_s: Pause between two looks, seconds.
        state: Returns a text that is another one once the ledger has changed; None to read at each look.
        is_due: Whether it must be read although the ledger is as it was.
        on_note: Told in one sentence when it cannot be read, and when it can again; must not raise.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        what: str,
        every_s: float,
        state: Callable[[], str] | None = None,
        is_due: Callable[[], bool] = lambda: False,
        on_note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._read_value = read
        self._what = what
        self._every_s = every_s
        self._ledger_state = state
        self._is_due = is_due
        self._on_note = on_note
        self._looking = threading.Lock()
        self._seen: str | None = None
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"pilothouse-{what}", daemon=True)
        self._value = read()

    @property
    def value(self) -> T:
        """What was read last."""
        return self._value

    @property
    def trouble(self) -> str:
        """Why it could not be read at the last look, or empty."""
        return self._trouble

    def refresh(self) -> None:
        """Look now, in whatever thread; a ledger that is as it was is not read unless that is due."""
        with self._looking:
            self._refresh()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=END_S)

    def _refresh(self) -> None:
        try:
            seen = None if self._ledger_state is None else self._ledger_state()
            if seen is None or seen != self._seen or self._is_due():
                self._value = self._read_value()
                self._seen = seen
        except Exception as error:  # noqa: BLE001 - a thread that ends would leave a revoked key valid for ever
            text = error.message if isinstance(error, PilothouseError) else f"{type(error).__name__}: {error}"
            self._say(text)
        else:
            self._say("")

    def _loop(self) -> None:
        while not self._stop.wait(self._every_s):
            self.refresh()

    def _say(self, trouble: str) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble and not before:
            self._on_note(f"{self._what} cannot be read, so what held goes on holding ({trouble})")
        elif before and not trouble:
            self._on_note(f"{self._what} can be read again")
