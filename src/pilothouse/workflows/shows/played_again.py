# SPDX-License-Identifier: Apache-2.0
"""Play a recorded run again because somebody asks for it on its page: its calls, as they were or with one part changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pilothouse.connectors.own_server import read_server
from pilothouse.core.evidence.run_log import RecordedRun
from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.evals.targets.recorded import json_or_text
from pilothouse.ports.gateway import GatewayStore
from pilothouse.reports.run_page import CallPair, RunDifference
from pilothouse.reports.words import plural
from pilothouse.runtime.replay.divergence import shown_pair
from pilothouse.runtime.replay.exchange import Exchange, exchanges
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.runtime.replay.substitution import Substitution, instructions_in
from pilothouse.runtime.runlog.redaction import OF_A_RECORD
from pilothouse.workflows.gateway.keys import lent_replay_key
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.replay.run import ReplayReport, ReplayRequest, recorded_words, replay_run

__all__ = [
    "CALLS_MAX",
    "answers_apart",
    "gateway_here",
    "instructions_of",
    "play_again",
    "read_change",
    "told_as_difference",
]

CALLS_MAX = 50
"""Recorded calls that a page plays again: somebody waits for it in a browser; the command line has no such limit."""

LIVE_S = 120.0
"""How long a page asks a live model for all calls together: a browser, and whoever looks at it, give up after some minutes."""


def instructions_of(calls: Sequence[Exchange]) -> str | None:
    """Return the instructions of the first model call that has any, or None.

    Args:
        calls: Calls of a run, in the order in which they began.
    """
    documents = (call.document for call in calls if call.is_answering and call.document is not None)
    return next((found for document in documents if (found := instructions_in(document)) is not None), None)


def gateway_here(home: Path) -> str:
    """Return the address of the gateway of an installation's server, or empty when none runs.

    Args:
        home: Data folder.
    """
    server = read_server(home)
    return "" if server is None else f"{server.url}/gw"


def read_change(recorded: RecordedRun, *, model: str, param: str, prompt: str) -> Substitution:
    """Return what a form wants changed; instructions that stand as they were recorded are no change.

    Args:
        recorded: The run.
        model: Another model, or empty.
        param: NAME=VALUE of the request, or empty.
        prompt: Instructions, or empty for the recorded ones.

    Raises:
        UsageError: The parameter is none, or nothing is changed.
    """
    name, sign, value = param.partition("=")
    if param.strip() and not (sign and name.strip()):
        raise UsageError(
            f"{param!r} is no NAME=VALUE", remedy="Write it like `temperature=0`.", subject=param
        )
    text = prompt.replace("\r\n", "\n")
    is_new = bool(text.strip()) and text.strip() != (instructions_of(exchanges(recorded)) or "").strip()
    change = Substitution(
        model=model.strip() or None,
        params={name.strip(): json_or_text(value.strip())} if sign else {},
        prompt=text if is_new else None,
    )
    if change.is_empty:
        raise UsageError(
            "nothing is changed",
            remedy="Write another model, a parameter or other instructions, or play the run again as it was.",
        )
    return change


def play_again(
    installation: Installation, gateway: GatewayStore, recorded: RecordedRun, change: Substitution
) -> ReplayReport:
    """Play the model calls of a run again; what a change touches is asked at the gateway of this installation's server.

    Args:
        installation: Whose server it is.
        gateway: Keys and providers.
        recorded: The run.
        change: What is changed; nothing for a replay that leaves nothing.

    Raises:
        LimitExceeded: It has more calls than somebody waits for.
        UsageError: There is no gateway to ask, or the change touches nothing.
        EvidenceError: The run cannot be replayed.
    """
    run = recorded.summary
    if run.calls > CALLS_MAX:
        raise LimitExceeded(
            f"run {run.run[:8]} has {run.calls} model calls, and a page plays at most {CALLS_MAX} again",
            remedy=f"Type it: `pilothouse replay {run.run[:12]}`",
            subject=run.run,
        )
    if change.is_empty:
        return replay_run(recorded, OF_A_RECORD, ReplayRequest(), None)[0]
    live = gateway_here(installation.settings.home)
    if not live or not gateway.providers():
        raise UsageError(
            "no gateway here can ask a model",
            remedy="Say where one is: `pilothouse provider add NAME URL --credential-env VARIABLE`, then `pilothouse up`.",
        )
    models = () if change.model is None else (change.model,)
    with lent_replay_key(gateway, run.agent, models=models, now=installation.clock.now) as key:
        request = ReplayRequest(
            mode=ReplayMode.FORK,
            substitution=change,
            live=live,
            live_key=key,
            live_s=LIVE_S,
            must_touch=True,
        )
        return replay_run(recorded, OF_A_RECORD, request, None)[0]


def answers_apart(here: str | None, there: str | None) -> tuple[str | None, str | None]:
    """Return two answers so that a page, which shows the beginning of each, shows where they part.

    Args:
        here: One answer, or None without such a call.
        there: The other.
    """
    return (here, there) if here is None or there is None or here == there else shown_pair(here, there)


def told_as_difference(recorded: RecordedRun, report: ReplayReport) -> RunDifference:
    """Return a replay beside its run, call by call.

    Args:
        recorded: The run.
        report: What came of its replay.
    """
    live = {one.call: one for one in report.comparisons}
    parted = report.divergence if report.mode is ReplayMode.STRICT else None
    pairs = []
    for call in exchanges(recorded):
        asked = live.get(call.number)
        if asked is not None:
            here, there = answers_apart(asked.recorded, asked.recorded if asked.is_same else asked.live)
            pairs.append(
                CallPair(
                    number=call.number,
                    asked="",
                    here=here,
                    there=there,
                    changed="the change",
                    is_answered=not asked.has_failed,
                )
            )
        elif parted is not None and call.number >= parted.call:
            values = (parted.recorded, parted.found)
            pairs.append(CallPair(number=call.number, asked=parted.path, here="", there=None, values=values))
        else:
            said = recorded_words(call)
            pairs.append(CallPair(number=call.number, asked="", here=said, there=said))
    counts = report.counts
    same = sum(one.is_same for one in report.comparisons)
    words = [f"changed: {report.change}", f"{plural(counts.served, 'call')} answered from the record"]
    if report.comparisons:
        words.append(f"{len(report.comparisons)} asked live, {same} of them the same")
    if report.counterfactual == "partial":
        words.append(
            "partial: a step asked for something else than the recorded history behind it has, or was not answered"
        )
    return RunDifference(
        other="the replay", calls=tuple(pairs), note="; ".join(words), heads=("Recorded", "In the replay")
    )
