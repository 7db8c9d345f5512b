# SPDX-License-Identifier: Apache-2.0
"""`pilothouse replay`: list recorded runs, look at one, and play it again with nothing or one thing changed."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilothouse.errors import EvidenceError, ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.live_key import live_key
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.runtime.replay.mode import ReplayMode
from pilothouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.runtime.replay.substitution import Substitution
    from pilothouse.workflows.replay.run import ReplayReport

__all__ = ["register"]

RUNS_LISTED = 20


def register(cli: typer.Typer, services: Services) -> None:
    """Add `replay` to the command tree."""

    @cli.command("replay")
    def replay(
        *,
        run: Annotated[
            str | None,
            typer.Argument(help="Run id, or enough of its beginning; INC-4 for the run of an incident."),
        ] = None,
        listed: Annotated[bool, typer.Option("--list", help="List recorded runs instead.")] = False,
        show: Annotated[bool, typer.Option("--show", help="Show what was recorded instead.")] = False,
        command: Annotated[
            str | None,
            typer.Option("--exec", help="Run the agent's code too, closed off; e.g. 'python agent.py'."),
        ] = None,
        mode: Annotated[
            ReplayMode | None, typer.Option(help="What a request meets that is not recorded.")
        ] = None,
        model: Annotated[str | None, typer.Option(help="Ask this model instead.")] = None,
        param: Annotated[
            list[str] | None, typer.Option(help="NAME=VALUE of the request, repeatable.")
        ] = None,
        prompt: Annotated[Path | None, typer.Option(help="File with other instructions.")] = None,
        tool_result: Annotated[list[str] | None, typer.Option(help="CALL=FILE, another result.")] = None,
        tool_contract: Annotated[
            list[Path] | None, typer.Option(help="File with another tool definition.")
        ] = None,
        code: Annotated[str | None, typer.Option(help="Revision of the agent's code to run.")] = None,
        upstream: Annotated[str | None, typer.Option(help="Gateway for calls that leave the record.")] = None,
        allow_tool: Annotated[list[str] | None, typer.Option(help="Tool whose new calls run inside.")] = None,
        allow_program: Annotated[list[str] | None, typer.Option(help="Program the agent may start.")] = None,
        repeat: Annotated[int, typer.Option(help="How often.")] = 1,
        timeout_s: Annotated[float, typer.Option(help="How long the agent may take, seconds.")] = 300.0,
        evidence: Annotated[
            bool,
            typer.Option(
                "--evidence", help="Keep as evidence whether the run was reproduced (needs --exec)."
            ),
        ] = False,
        to_case: Annotated[
            Path | None, typer.Option(help="Dataset that gets the run as a case, once it is replayed equal.")
        ] = None,
        learn: Annotated[
            bool, typer.Option("--learn", help="Replay twice and show what differs by itself (needs --exec).")
        ] = False,
        approve: Annotated[
            list[str] | None, typer.Option(help="With --learn: mask to put into force, repeatable.")
        ] = None,
        withdraw: Annotated[
            list[str] | None, typer.Option(help="Mask to take out of force, repeatable.")
        ] = None,
        by: Annotated[
            str | None, typer.Option(help="With --to-case, --approve or --withdraw: who says so.")
        ] = None,
        expect: Annotated[
            Path | None, typer.Option(help="With --to-case: file with the right answer.")
        ] = None,
        forbid: Annotated[
            list[str] | None, typer.Option(help="With --to-case: tool that must not be called, repeatable.")
        ] = None,
        task_type: Annotated[str | None, typer.Option(help="With --to-case: task type of the run.")] = None,
        since: Annotated[
            str | None,
            typer.Option(help="Replay all runs of this time, e.g. 7d (needs --agent and a change)."),
        ] = None,
        to: Annotated[
            Path | None, typer.Option(help="With --since: folder for judged runs, as pairs for the gate.")
        ] = None,
        agent: Annotated[str | None, typer.Option(help="With --list or --since: only this agent.")] = None,
        as_json: AsJson = False,
        home: Home = None,
    ) -> None:
        """Play a recorded run again, without touching the outside, and name the first place where it differs.

        Without --exec each recorded model call is sent again by itself; with it the agent's own code runs in a
        closed place. Calls that a change does not touch are answered from the record; --upstream answers the others.
        """
        from pilothouse.workflows.replay.change import read_substitution
        from pilothouse.workflows.replay.run import ReplayRequest

        settings = load_settings(home=home)
        _check_together(
            ("--list", listed, run is None and since is None, "lists runs instead of playing one"),
            ("--show", show, run is not None and since is None, "shows one run: name it"),
            ("--since", since, run is None, "plays all runs of a time, not one"),
            ("--to", to, since is not None, "needs --since"),
            ("--allow-tool", allow_tool, command is not None, "needs --exec: without it no tool runs"),
            (
                "--allow-program",
                allow_program,
                command is not None,
                "needs --exec: without it no program runs",
            ),
            ("--evidence", evidence, command is not None, "needs --exec: the calls alone prove nothing"),
            (
                "--learn",
                learn,
                run is not None and command is not None,
                "needs a run and --exec: the calls alone never differ",
            ),
            ("--approve", approve, learn, "needs --learn: only what was just seen can be approved"),
            ("--withdraw", withdraw, run is not None, "needs a run of the agent"),
            ("--by", by, bool(to_case or approve or withdraw), "needs --to-case, --approve or --withdraw"),
            *(
                (name, given, to_case is not None, "needs --to-case")
                for name, given in (
                    ("--expect", expect),
                    ("--forbid", forbid),
                    ("--task-type", task_type),
                )
            ),
        )
        if listed or (run is None and since is None):
            _list(services, settings, agent, as_json=as_json)
            return
        run = _run_meant(services, settings, run, keeps=evidence)
        if show and run is not None:
            _show(services, settings, run, as_json=as_json)
            return
        if withdraw and run is not None:
            from pilothouse.interfaces.cli.replay_learn import withdraw as take_back

            take_back(services, settings, run, withdraw, by=by)
            return
        substitution = read_substitution(
            model=model,
            params=_pairs(param, "--param temperature=0"),
            prompt=prompt,
            tool_results={
                name: Path(path) for name, path in _pairs(tool_result, "--tool-result CALL=FILE").items()
            },
            tool_contracts=tuple(tool_contract or ()),
            code=code,
        )
        request = ReplayRequest(
            mode=mode or _usual_mode(substitution),
            command=command,
            substitution=substitution,
            live=upstream,
            allowed_tools=frozenset(allow_tool or ()),
            allowed_programs=tuple(allow_program or ()),
            repeats=repeat,
            timeout_s=timeout_s,
        )
        if run is None:
            from pilothouse.interfaces.cli.replay_window import replay_since

            replay_since(services, settings, since or "7d", request, agent=agent, to=to, as_json=as_json)
            return
        if learn:
            from pilothouse.interfaces.cli.replay_learn import learn as show_masks

            show_masks(
                services, settings, run, request, approved=tuple(approve or ()), by=by, as_json=as_json
            )
            return
        models = () if substitution.model is None else (substitution.model,)
        with live_key(services, settings, _agent_of(services, settings, run), upstream, models) as key:
            reports = services.replay(settings, run, replace(request, live_key=key, must_touch=True))
        if evidence:
            _keep(services, settings, reports)
        if to_case is not None:
            from pilothouse.interfaces.cli.replay_case import make_case

            make_case(
                services,
                settings,
                run,
                reports,
                dataset=to_case,
                by=by,
                expect=expect,
                forbidden=tuple(forbid or ()),
                task_type=task_type,
            )
            return
        if as_json:
            print_json([{**asdict(each), "is_equal": each.is_equal} for each in reports])
        else:
            from pilothouse.interfaces.cli.replay_text import reports_text

            say(reports_text(reports))
        asked = [one for each in reports for one in each.comparisons]
        if asked and all(one.has_failed for one in asked):
            raise typer.Exit(int(ExitStatus.INFRASTRUCTURE))
        compares = request.mode in {ReplayMode.FORK, ReplayMode.COMPARE}
        unequal = [each for each in reports if not each.is_equal]
        if not compares and unequal:
            is_known = any(not each.is_undecided for each in unequal)
            raise typer.Exit(int(ExitStatus.BREACHED if is_known else ExitStatus.NOT_ENOUGH_EVIDENCE))


def _usual_mode(substitution: Substitution) -> ReplayMode:
    """Without a change the record must be met; code alone meets recorded results; any other change forks."""
    if substitution.is_empty:
        return ReplayMode.STRICT
    only_code = substitution.code is not None and substitution == type(substitution)(code=substitution.code)
    return ReplayMode.PIN_TOOLS if only_code else ReplayMode.FORK


def _check_together(*rules: tuple[str, object, bool, str]) -> None:
    """Refuse an option without the one that it belongs to: it would be silently left out."""
    for name, given, fits, why in rules:
        if given and not fits:
            raise UsageError(f"{name} {why}", remedy="See both: `pilothouse replay --help`", subject=name)


def _run_meant(services: Services, settings: Settings, word: str | None, *, keeps: bool) -> str | None:
    """Return the run that was named, for an incident the one that it has; that it has none is evidence as well."""
    from pilothouse.workflows.replay.evidence import keep_no_run
    from pilothouse.workflows.replay.of_incident import incident_meant, run_of_incident

    if word is None or word[:4].upper() != "INC-":  # no run id begins so, and the ledger need not be opened
        return word
    with services.open_control_room(settings) as room:
        incident = incident_meant(room.incidents, word)
        if incident is None:
            return word
        try:
            with services.open_run_log(settings) as log:
                return run_of_incident(log, incident)
        except EvidenceError as error:
            if keeps:
                keep_no_run(room.installation.ledger, incident, error.message, services.clock.now())
            raise


def _agent_of(services: Services, settings: Settings, run: str) -> str:
    with services.open_run_log(settings) as log:
        return log.read(run).summary.agent


def _pairs(given: list[str] | None, example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given or ():
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise UsageError(f"{each!r} is no NAME=VALUE", remedy=f"Write it like `{example}`", subject=each)
        found[name] = value
    return found


def _keep(services: Services, settings: Settings, reports: tuple[ReplayReport, ...]) -> None:
    from pilothouse.interfaces.cli.consoles import hint_console
    from pilothouse.workflows.replay.evidence import keep_reproduction

    with services.open_installation(settings) as installation:
        kept = keep_reproduction(installation.ledger, reports, services.clock.now())
    hint_console().print(f"kept as evidence {kept.kind}; see it: pilothouse verdict {kept.agent}")


def _list(services: Services, settings: Settings, agent: str | None, *, as_json: bool) -> None:
    from pilothouse.interfaces.cli.consoles import hint_console
    from pilothouse.interfaces.cli.replay_text import list_text

    with services.open_run_log(settings) as log:
        runs = log.runs(agent=agent, limit=RUNS_LISTED)
    if as_json:
        print_json([asdict(each) for each in runs])
    else:
        say(list_text(runs))
        if runs:
            hint_console().print(
                "  play one again: pilothouse replay RUN; with the agent's code, as evidence: "
                "pilothouse replay RUN --exec 'python agent.py' --evidence",
            )


def _show(services: Services, settings: Settings, run: str, *, as_json: bool) -> None:
    from pilothouse.interfaces.cli.replay_text import recorded_text

    with services.open_run_log(settings) as log:
        recorded = log.read(run)
    if not as_json:
        say(recorded_text(recorded))
        return
    events: list[dict[str, Any]] = [{**asdict(each), "kind": each.event.kind} for each in recorded.events]
    document = {"summary": asdict(recorded.summary), "damage": recorded.damage, "events": events}
    print_json(document)


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
