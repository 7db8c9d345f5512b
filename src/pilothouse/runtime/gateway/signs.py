# SPDX-License-Identifier: Apache-2.0
"""What providers reveal beside their answers: that they refuse our credential, or that another backend serves the same pin.

Both are seen in calls that are over anyway: a call that went well costs a look into a dictionary, and only where its provider says a
fingerprint.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from pilothouse.runtime.gateway.call import Call, Ending
from pilothouse.runtime.gateway.untold import Untold
from pilothouse.runtime.recent import Recent

__all__ = ["FINGERPRINT_CHARACTERS_MAX", "ProviderSigns", "Refusing", "SeenBackend"]

REFUSED = {"status_401": "status 401", "status_403": "status 403", "credential": "no usable credential"}
"""Failures of an attempt that say that the key is wrong, revoked, or not there."""

REFUSING_MAX = 1_000
"""Agents at providers that are remembered as refused; the one that began first is forgotten."""

BACKENDS_MAX = 5_000
"""Fingerprints that are remembered as told, 300 bytes each; one that is forgotten is told anew, and the ledger knows it."""

FINGERPRINT_CHARACTERS_MAX = 128


@dataclass(slots=True, kw_only=True)
class Refusing:
    """A provider that refuses the calls of an agent, and has answered none since.

    Attributes:
        agent: Agent id.
        provider: Name of the provider.
        model: Model that was asked for last.
        why: How it refuses.
        since_ns: When it first did, Unix nanoseconds.
        calls: How often it did.
    """

    agent: str
    provider: str
    model: str
    why: str
    since_ns: int
    calls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBackend:
    """A fingerprint with which a model answered.

    Attributes:
        agent: Whom it answered.
        provider: Name of the provider.
        model: Model that answered.
        fingerprint: As its provider says it.
        is_refused: Whether its answers are withheld, because the charter names other backends.
    """

    agent: str
    provider: str
    model: str
    fingerprint: str
    is_refused: bool


class ProviderSigns:
    """Collects signs on the event loop; a thread reads them.

    Attributes:
        untold: Fingerprints that were seen for the first time, and that nobody has put on record.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._refusing: OrderedDict[tuple[str, str], Refusing] = OrderedDict()
        self._seen = Recent[tuple[str, str, str | None, str | None, str], bool](BACKENDS_MAX)
        self.untold = Untold[SeenBackend]()

    def note(self, call: Call) -> None:
        """Look at a call that is over."""
        if call.fingerprint is not None:
            self._note_backend(call, call.fingerprint[:FINGERPRINT_CHARACTERS_MAX])
        if call.ending is Ending.DONE and len(call.attempts) == 1:
            if self._refusing:
                self._refusing.pop((call.key.agent, call.served_by), None)
            return
        for attempt in call.attempts:
            why = REFUSED.get(attempt.failure)
            place = (call.key.agent, attempt.provider)
            known = self._refusing.get(place)
            if why is None:
                if not attempt.failure:
                    self._refusing.pop(place, None)
            elif known is None:
                self._refusing[place] = Refusing(
                    agent=call.key.agent,
                    provider=attempt.provider,
                    model=attempt.model,
                    why=why,
                    since_ns=attempt.began_ns,
                )
                if len(self._refusing) > REFUSING_MAX:
                    self._refusing.popitem(last=False)
            else:
                known.calls, known.model, known.why = known.calls + 1, attempt.model, why

    def refusing(self) -> list[Refusing]:
        """Return who refuses now."""
        return list(self._refusing.values())

    def _note_backend(self, call: Call, fingerprint: str) -> None:
        seen = _told(call, fingerprint)
        if self._seen.get(seen) or not self.untold.has_room:
            return
        self._seen.put(seen, True)
        asked = call.attempts[-1].model
        pin = next(
            (one for one in call.policy.chain if (one.provider, one.model) == (call.served_by, asked)), None
        )
        if pin is not None and (pin.fingerprint == "ignore" or fingerprint in pin.fingerprints):
            return
        self.untold.add(
            SeenBackend(
                agent=call.key.agent,
                provider=call.served_by,
                model=call.served_model or call.model or "",
                fingerprint=fingerprint,
                is_refused=pin is not None and pin.fingerprint == "refuse",
            )
        )


def _told(call: Call, fingerprint: str) -> tuple[str, str, str | None, str | None, str]:
    """Return what is told once: another charter may say something else of the same backend."""
    return call.key.agent, call.served_by, call.served_model, call.policy.charter, fingerprint
